"""Limits of a single solve: the settings, and the limits in force in this process.

A program is compiled in many places, in the driver and in its workers. The limits are those of the whole run, so they are put in force once for a
block of code (``limits_in_force``) instead of being handed through every one of these places; an argument of ``CompiledProgram`` goes before them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from multiscale.settings import LARGEST_SEED, Settings, count, quantity


class SolverSettings(Settings):
    """Limits of a single solve."""

    time_limit_s: float = quantity(600.0, "s", "time limit of a single operation program", above=0.0)
    memory_limit_mb: float = quantity(
        3000.0,
        "MB",
        "memory that one solve may take: a SCIP process; on Linux also HiGHS, beyond what its process holds already (HiGHS elsewhere, and Clarabel, "
        "have no limit)",
        lower=256.0,
    )
    seed: int = count(0, "seed of the solvers", 0, LARGEST_SEED)


_DEFAULT = SolverSettings()
_IN_FORCE: ContextVar[SolverSettings] = ContextVar("solver_limits")


def limits() -> SolverSettings:
    """The limits in force: those of the innermost ``limits_in_force``, else the defaults."""
    return _IN_FORCE.get(_DEFAULT)


@contextlib.contextmanager
def limits_in_force(chosen: SolverSettings) -> Iterator[None]:
    """Put limits in force for the programs that are compiled within the block, in this thread."""
    token = _IN_FORCE.set(chosen)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
