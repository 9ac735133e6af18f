"""``engine=serial``: all work in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from multiscale.coordination.engine.settings import EngineSettings
from multiscale.coordination.engine.tasks import one_by_one, sound
from multiscale.programs.limits import SolverSettings
from multiscale.programs.limits import limits as limits_here


class SerialSettings(EngineSettings):
    """This process, one task after the other: for debugging and tests."""

    kind: Literal["serial"] = "serial"


class SerialEngine:
    """Everything in this process, one task after the other; for debugging and tests.

    Args:
        limits: limits of every solve within the tasks; default: those in force here.
    """

    workers = 1

    def __init__(self, limits: SolverSettings | None = None) -> None:
        self._limits = limits or limits_here()

    def map(
        self,
        function: Callable[..., Any],
        tasks: Mapping[str, tuple[Any, ...]],
        homes: Mapping[str, int] | None = None,  # noqa: ARG002  there is one place only
        patience: float | None = None,  # noqa: ARG002  which cannot be stopped from within
    ) -> dict[str, Any]:
        """See ``Engine.map``."""
        return sound(*one_by_one(function, tasks, self._limits))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
