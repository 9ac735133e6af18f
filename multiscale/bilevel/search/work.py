"""The unit of work by which searches are limited instead of the clock: the same problem is judged the same way on a loaded machine.

    work = (LP iterations + 20 nodes + 50 follower solves) (entries of the rows + 5,000)

One second of one core does some 2e8 of it.
"""

from __future__ import annotations

NODE, SOLVE = 20, 50
"""Simplex iterations that a node takes beyond its own, and a follower solve."""

_OVERHEAD = 5000
"""Entries that an iteration counts in addition to those of the rows: what SCIP does around it."""


def of_iteration(entries: int) -> float:
    """Work of one simplex iteration of a program with so many entries in its rows."""
    return float(entries + _OVERHEAD)


def solves_in(work: float, entries: int) -> int:
    """Follower solves that so much work allows, one at least; ``entries``: of the rows of all followers."""
    return max(1, int(work / (SOLVE * of_iteration(entries))))
