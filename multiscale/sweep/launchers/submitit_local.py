"""``hydra/launcher=submitit_local``: processes on this machine through submitit, as a rehearsal of a batch system."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from multiscale.sweep.launchers.settings import SubmititSettings


class SubmititLocalSettings(SubmititSettings):
    """Processes on this machine that submitit starts, no more at the same time than there are cores for."""

    kind: Literal["submitit_local"] = "submitit_local"

    def executor(self, folder: Path, cpus: int) -> Any:  # noqa: ARG002  the cores of this machine are shared out by the sweep
        """See ``SubmititSettings.executor``."""
        import submitit

        executor = submitit.LocalExecutor(folder, max_num_timeout=self.max_num_timeout)
        executor.update_parameters(timeout_min=self.timeout_min, signal_delay_s=self.signal_delay_s, setup=list(self.setup))
        return executor
