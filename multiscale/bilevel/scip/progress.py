"""Whether a tree still makes progress, judged by work done and not by the clock: the same problem is judged the same way on a loaded machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiscale.bilevel.search.work import NODE, SOLVE, of_iteration

if TYPE_CHECKING:
    from multiscale.bilevel.scip.lazy_handler import LazyFollowers

_SMALL = 3000
"""Entries of the rows up to which a run must end within its patience, progress or not: branching on pairs takes little there."""

_ROOTS = 20
"""Times the work up to the first node or solution that a run may take without progress: another way begins with as much, and bounds of large trees
stand still for long before they close."""

_STEP = 0.98
"""Share of the gap that must be left for a step to count as progress."""


class Progress:
    """Follows the absolute gap of a SCIP run.

    A run is stalled once ``patience`` of work, and 20 times what it took to the first node or solution, went by without the gap falling by 2 %.
    Where one side of the gap is infinite, a change of the other side is progress. A small program is stalled in any case: branching on the products
    of continuous variables may close its gap ever more slowly.

    Args:
        patience: work without progress (``search.work``).
        entries: nonzeros of the program's rows.
    """

    def __init__(self, patience: float, entries: int) -> None:
        self.patience, self.weight, self.small = patience, of_iteration(entries), entries <= _SMALL
        self.mark: tuple[float, float] | None = None
        self.at, self.root = 0.0, 0.0
        self.ended = False

    def stalled(self, model: Any, bound: float, lazy: LazyFollowers | None) -> bool:
        """Whether the run has made no progress for too long."""
        solves = 0 if lazy is None else lazy.search.responder.solves
        work = iterations(model, solves) * self.weight
        now = float(model.getPrimalbound()), bound
        if self.mark is None:
            self.root = work
        if self.mark is None or (not self.small and _progress(self.mark, now)):
            self.mark, self.at = now, work
        self.ended = work - self.at > max(self.patience, _ROOTS * self.root)
        return self.ended


def iterations(model: Any, solves: int) -> float:
    """Work of a SCIP run so far with its follower solves, in simplex iterations."""
    return float(model.getNLPIterations() + NODE * model.getNTotalNodes() + SOLVE * solves)


def _progress(before: tuple[float, float], now: tuple[float, float]) -> bool:
    ends = [[value if abs(value) < 1e20 else None for value in pair] for pair in (before, now)]
    if None in ends[0] or None in ends[1]:
        return any(a != b for a, b in zip(*ends, strict=True))
    return now[0] - now[1] < _STEP * (before[0] - before[1])
