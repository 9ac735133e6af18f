"""``hydra/launcher=joblib``: several processes on this machine (those of the sweep itself: joblib is not needed)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.sweep.launchers.settings import LauncherSettings


class JoblibSettings(LauncherSettings):
    """Several processes on this machine; the default."""

    kind: Literal["joblib"] = "joblib"
    n_jobs: Annotated[int, Field(ge=1)] | Literal[-1] = Field(-1, description="jobs at the same time; -1: as many as there are cores for")

    @property
    def at_once(self) -> int | None:
        """As asked for."""
        return None if self.n_jobs == -1 else self.n_jobs
