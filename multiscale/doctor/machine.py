"""Cores and memory, as this process may use them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from multiscale.doctor.finding import Finding
from multiscale.machine import core_quota, free_memory, memory_limit, usable_cores

LEAST_MEMORY = 2000.0
"""Free memory below which a warning is given [MB]."""


def check_machine(_: Path) -> Iterator[Finding]:
    """How many cores and how much memory there are, and what a container limits."""
    cores, quota = usable_cores(), core_quota()
    limited = f" of {os.cpu_count()}" + (f"; the container grants {quota:g}" if quota is not None else "") if cores != os.cpu_count() else ""
    yield Finding("ok", "cores", f"{cores}{limited}: sweeps run that many jobs at the same time with engine=serial")
    free, limit = free_memory(), memory_limit()
    found = f"{free / 1e3:.1f} GB free" + (f"; the container grants {limit / 1e3:.1f} GB" if limit is not None else "")
    if free < LEAST_MEMORY:
        yield Finding(
            "warning", "memory", found, "end other programs, or run fewer jobs and workers (--jobs, engine.workers): a run takes 0.3 GB and more"
        )
    else:
        yield Finding("ok", "memory", found)


def check_solver_memory(_: Path) -> Iterator[Finding]:
    """Whose memory ``solver.memory_limit_mb`` limits here."""
    from multiscale.programs.memory import LIMITED

    what = "memory of solvers"
    if LIMITED:
        yield Finding("ok", what, "solver.memory_limit_mb limits SCIP and each solve of HiGHS; Clarabel, for quadratic steps, has no limit")
    else:
        found = "solver.memory_limit_mb limits SCIP alone on this system; HiGHS and Clarabel have no limit"
        yield Finding("warning", what, found, "leave enough memory free, or run on Linux, where HiGHS is limited too")
