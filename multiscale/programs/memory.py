"""What HiGHS may take of memory in one solve: a limit on the data of this process while it solves.

Linux refuses an allocation that would take the private data of a process above ``RLIMIT_DATA``. While HiGHS solves, that limit is what the process
holds already and ``solver.memory_limit_mb`` more; HiGHS ends with an error of its own then, and the process goes on. Clarabel ends the process
when it is refused memory, so it has no limit; nor has HiGHS on other systems. SCIP limits itself, in a process of its own.

A process that another thread starts meanwhile inherits the limit.

Source: getrlimit(2), RLIMIT_DATA (counts private writable mappings from Linux 4.7 on).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import highspy

from multiscale.programs.highs import ProgramError
from multiscale.programs.limits import limits

LIMITED = sys.platform == "linux"
"""Whether the memory of HiGHS can be limited here."""

_STATM = Path("/proc/self/statm")
_lock = threading.Lock()
_before: list[tuple[int, int]] = []
"""Limits of the process before a solve, one entry for each solve that is under way."""


class SolverMemoryError(ProgramError):
    """A solve was refused more memory than it may take; the message names the program and what to do."""


SMALL = 20_000
"""Entries of the matrix up to which a program without integers takes far less than the least limit (256 MB): none is set, which would take 20 us."""


def run_within_memory(highs: highspy.Highs, name: str, *, integers: bool = False) -> None:
    """Let HiGHS solve what it holds, within the memory limit in force.

    Args:
        highs: holds the program.
        name: of the program.
        integers: whether some of its columns are integers, so that a search tree takes memory too.

    Raises:
        SolverMemoryError: it would take more.
    """
    try:
        with _limited() if integers or highs.getNumNz() > SMALL else contextlib.nullcontext():
            highs.run()
    except MemoryError:
        refused = True
    else:
        refused = highs.getModelStatus() == highspy.HighsModelStatus.kMemoryLimit
    if refused:
        most = f"{limits().memory_limit_mb:g} MB" if LIMITED else "there is"
        remedy = "raise solver.memory_limit_mb, or study fewer platforms or longer time steps"
        raise SolverMemoryError(f"program {name!r} takes more memory to solve than {most}; {remedy}")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """The limit in force for the process; solves of several threads at a time share the one that is furthest."""
    if not LIMITED:
        yield
        return
    import resource

    with _lock:
        now = resource.getrlimit(resource.RLIMIT_DATA)
        _before.append(_before[0] if _before else now)
        wanted = int(_STATM.read_text(encoding="ascii").split()[5]) * resource.getpagesize() + int(limits().memory_limit_mb * 1e6)
        if len(_before) > 1:
            wanted = max(wanted, now[0])
        # A limit that was there before, such as that of a batch system, stays.
        given = [limit for limit in _before[0] if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *given]), now[1]))
    try:
        yield
    finally:
        with _lock:
            as_before = _before.pop()
            if not _before:
                resource.setrlimit(resource.RLIMIT_DATA, as_before)
