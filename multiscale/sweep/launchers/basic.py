"""``hydra/launcher=basic``: one job after the other."""

from __future__ import annotations

from typing import Literal

from multiscale.sweep.launchers.settings import LauncherSettings


class BasicSettings(LauncherSettings):
    """One job after the other, in one process on this machine."""

    kind: Literal["basic"] = "basic"

    @property
    def at_once(self) -> int:
        """One."""
        return 1
