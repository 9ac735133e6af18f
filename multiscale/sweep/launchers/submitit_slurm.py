"""``hydra/launcher=submitit_slurm``: job arrays of Slurm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from multiscale.settings import count
from multiscale.sweep.launchers.settings import SubmititSettings

_PASSED_ON = ("partition", "account", "qos", "constraint", "exclude", "gres", "comment")


class SubmititSlurmSettings(SubmititSettings):
    """Job arrays of Slurm: one task of the array for each job of the sweep."""

    kind: Literal["submitit_slurm"] = "submitit_slurm"
    array_parallelism: int = count(256, "tasks of the array that run at the same time", 1, 100000)
    partition: str | None = Field(None, description="partition; null: that of the site")
    account: str | None = Field(None, description="account that is charged; null: that of the user")
    qos: str | None = Field(None, description="quality of service")
    constraint: str | None = Field(None, description="features that nodes must have")
    exclude: str | None = Field(None, description="nodes that are not used")
    gres: str | None = Field(None, description="generic resources")
    comment: str | None = Field(None, description="comment of the job")
    additional_parameters: Mapping[str, str | int | float | bool] = Field(
        {}, description="further directives of the job script, e.g. {mail-type: END}"
    )

    def executor(self, folder: Path, cpus: int) -> Any:
        """See ``SubmititSettings.executor``."""
        import submitit

        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=self.max_num_timeout)
        further = {f"slurm_{name}": getattr(self, name) for name in _PASSED_ON if getattr(self, name) is not None}
        if self.mem_gb is not None:
            further["mem_gb"] = self.mem_gb
        if self.setup:
            further["slurm_setup"] = list(self.setup)
        executor.update_parameters(
            name=self.name,
            timeout_min=math.ceil(self.timeout_min),
            cpus_per_task=self.cpus_per_task or cpus,
            slurm_array_parallelism=self.array_parallelism,
            slurm_signal_delay_s=self.signal_delay_s,
            # A job that is begun again keeps its number; the log of the job says when.
            slurm_additional_parameters={"requeue": True, **self.additional_parameters},
            **further,
        )
        return executor
