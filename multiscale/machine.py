"""What this process may use of the machine: cores and memory, within the limits of its container; and what its children may import."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")

SAFE_PATH = "PYTHONSAFEPATH"
"""Variable of the environment that keeps Python from importing from the current folder."""


@contextlib.contextmanager
def children_apart_from_current_folder(*further: str) -> Iterator[None]:
    """Processes started here import nothing from the current folder: a file there may have the name of a module.

    Args:
        further: variables of the environment that, with this one, are the caller's again in the end.
    """
    before = {name: os.environ.get(name) for name in (SAFE_PATH, *further)}
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than the quota of its container, rounded up; at least one."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    bound = len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
    quota = core_quota()
    return max(1, bound if quota is None else min(bound, math.ceil(quota)))


def core_quota() -> float | None:
    """Cores that the container grants (cgroup v2 or v1); None where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        granted, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return None if granted == "max" else float(granted) / float(period)
    with contextlib.suppress(OSError, ValueError):
        granted = (CGROUP / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii")
        period = (CGROUP / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")
        return float(granted) / float(period) if float(granted) > 0 else None
    return None


def memory_limit() -> float | None:
    """Memory that the container grants [MB] (cgroup v2 or v1); None where there is no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            granted = (CGROUP / name).read_text(encoding="ascii").strip()
            # Version 1 has a very large number where there is no limit.
            return None if granted == "max" or float(granted) > 1e18 else float(granted) / 1e6
    return None


def free_memory() -> float:
    """Memory that this process may still take [MB]: what is free on the machine, and no more than what is left of the container's limit."""
    import psutil

    free = psutil.virtual_memory().available / 1e6
    limit = memory_limit()
    if limit is None:
        return free
    for name in ("memory.current", "memory/memory.usage_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return min(free, limit - float((CGROUP / name).read_text(encoding="ascii")) / 1e6)
    return min(free, limit)
