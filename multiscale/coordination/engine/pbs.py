"""``engine=pbs``: workers in batch jobs of PBS (OpenPBS, PBS Professional, Torque)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from multiscale.coordination.engine.batch import BatchSettings


class PbsSettings(BatchSettings):
    """Dask workers in batch jobs of PBS (dask-jobqueue)."""

    tools: ClassVar[tuple[str, ...]] = ("qsub", "qselect", "qdel")
    kind: Literal["pbs"] = "pbs"
    resources: str = Field("", description="resources of a batch job (-l), e.g. 'nodes=1:ppn=8' of Torque; empty: select=1:ncpus=...:mem=...")

    def cluster(self) -> tuple[type[Any], Mapping[str, Any]]:
        """See ``BatchSettings.cluster``."""
        from dask_jobqueue import PBSCluster

        return PBSCluster, {"resource_spec": self.resources or None}

    def listed(self, user: str) -> list[str]:
        """See ``BatchSettings.listed``."""
        return ["qselect", "-u", user]
