"""``engine=slurm``: workers in batch jobs of Slurm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from multiscale.coordination.engine.batch import BatchSettings


class SlurmSettings(BatchSettings):
    """Dask workers in batch jobs of Slurm (dask-jobqueue)."""

    tools: ClassVar[tuple[str, ...]] = ("sbatch", "squeue", "scancel")
    kind: Literal["slurm"] = "slurm"

    def cluster(self) -> tuple[type[Any], Mapping[str, Any]]:
        """See ``BatchSettings.cluster``."""
        from dask_jobqueue import SLURMCluster

        return SLURMCluster, {}

    def listed(self, user: str) -> list[str]:
        """See ``BatchSettings.listed``."""
        return ["squeue", "--noheader", "--user", user, "--format", "%A"]
