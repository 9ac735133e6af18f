"""What the settings of all launchers have in common. Their names and meanings are those of Hydra's launchers, so that commands can be taken over."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from pydantic import Field

from multiscale.settings import Settings, count, quantity


class LauncherSettings(Settings):
    """Where the jobs of a sweep are computed."""

    @property
    def at_once(self) -> int | None:
        """Jobs at the same time; None: as many as there are cores for."""
        return None


class SubmititSettings(LauncherSettings):
    """Jobs that submitit submits."""

    timeout_min: float = quantity(
        60.0, "min", "time after which a job is ended; it is begun again then, and goes on where it was", above=0.0, upper=1e6
    )
    cpus_per_task: int | None = Field(None, ge=1, le=4096, description="cores of each job; null: what its engine uses")
    mem_gb: float | None = quantity(None, "GB", "memory of each job; null: what the site gives", above=0.0, upper=1e5)
    name: str = Field("multiscale", description="name of the jobs in the queue")
    signal_delay_s: int = count(120, "how long before the end of its time a job is signalled to end in order [s]", 1, 86400)
    max_num_timeout: int = count(10, "how often a job is begun again after its time was over", 0, 10000)
    setup: tuple[str, ...] = Field((), description="lines of the job script before the job, e.g. ['module load gcc']")

    @abstractmethod
    def executor(self, folder: Path, cpus: int) -> Any:
        """The executor of submitit.

        Args:
            folder: for its files.
            cpus: cores of each job.
        """
