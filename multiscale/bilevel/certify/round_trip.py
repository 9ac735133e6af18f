"""Does the single-level program admit what the followers really do? True answers, completed, must satisfy its follower rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response


def round_trip(
    single: SingleLevel, search: DecisionSearch, best: Response, bounds: Sequence[DualBounds], *, decisions: int = 8, seconds: float = 2.0
) -> tuple[float, str]:
    """Largest violation of the program by true follower answers, and the row.

    The certified point must satisfy all of it; the answers at other decisions (the ones a start would try, and random ones) the
    follower rows. Where only *some* optimal dual is within the bounds, the dual the solver returns need not be: other decisions
    are then excluded.
    """
    worst = single.violation(single.complete(best.y, best.primal, best.dual))
    if any(proven.scope != "every" for proven in bounds):
        return worst
    leader = search.problem.leader
    rng = np.random.default_rng(11)
    low, high = np.maximum(leader.lower, -1e3), np.minimum(leader.upper, 1e3)
    low, high = np.minimum(low, high), np.maximum(low, high)
    tried = [*search.first_decisions(None), *(rng.uniform(low, high) for _ in range(decisions))]
    deadline = time.perf_counter() + seconds
    for y in tried[:decisions]:
        if time.perf_counter() > deadline:
            break
        y = search.clipped(np.asarray(y, dtype=float))
        if _outside(search, y):
            continue
        found = search.responder.answer(y)
        if not isinstance(found, tuple):
            continue
        here = single.violation(single.complete(y, *found), leader=False)
        if here[0] > worst[0]:
            worst = here
    return worst


def _outside(search: DecisionSearch, y: np.ndarray) -> bool:
    """Whether a decision breaks a leader row over the leader's own variables: bounds of multipliers hold within those rows only."""
    leader = search.problem.leader
    foreign = leader.matrix[:, leader.size :]
    alone = np.flatnonzero(np.diff(foreign.tocsr().indptr) == 0)
    value = leader.matrix[alone][:, : leader.size] @ y
    return bool(((value < leader.row_lower[alone] - 1e-9) | (value > leader.row_upper[alone] + 1e-9)).any())
