"""Every leader decision one by one, where followers see integer variables only and these have few combinations.

At a combination ``u`` each follower is a linear or convex quadratic program, and its optimal answers are a polyhedron (module ``face``). The best
of them for the leader, with the variables that only the leader sees, is one linear program (with integers, if those have any):

    v(u) = min { F(u, y_own, x, lambda) : leader rows,  (x, lambda) optimal at u },        optimum = min_u v(u)

A combination is excluded only where a follower is infeasible or unbounded there, or that program is infeasible. The bound is the least ``v``, or,
where the point of a program does not hold when it is checked, the value of the program.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.affine import is_linear_in
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response
from multiscale.programs import Termination

_LARGEST_WORK = 20_000_000
"""Combinations times entries of the followers' rows beyond which a tree is the better way."""


@dataclass(frozen=True)
class Enumerated:
    """What came of the combinations.

    Attributes:
        best: the best point; None without one.
        bound: no decision is better than this (infinite where none is feasible).
        combinations: how many there are.
        unbounded: at how many of them a follower is unbounded.
        complete: whether every combination was decided; without it the bound proves nothing.
        reason: why not.
    """

    best: Response | None
    bound: float
    combinations: int
    unbounded: int
    complete: bool
    reason: str = ""


def combinations(problem: BilevelProblem, linking: np.ndarray, most: int) -> int:
    """How many decisions followers can see; 0 where there are more than ``most``, or where enumeration does not apply."""
    leader = problem.leader
    if any(follower.cones for follower in problem.followers) or not leader.integral[linking].all():
        return 0
    low, high = np.ceil(leader.lower[linking] - 1e-9), np.floor(leader.upper[linking] + 1e-9)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        return 0
    count = 1
    for values in np.maximum(high - low + 1.0, 0.0).tolist():
        count *= int(values)
        if count > most:
            return 0
    entries = sum(follower.program.A.nnz + follower.program.columns.size for follower in problem.followers)
    moving = np.ones(leader.size + len(leader.quantity_names), dtype=bool)
    moving[linking] = False
    position = leader.size
    for quantity in leader.quantities:
        moving[position : position + quantity.size] = quantity.kind != "cost"
        position += quantity.size
    linear = all(is_linear_in(form, moving) for form in leader.forms())
    return count if linear and count * entries <= _LARGEST_WORK else 0


def enumerate_decisions(search: DecisionSearch, deadline: float) -> Enumerated:
    """Solve every combination; the best point becomes ``search.best``.

    Args:
        search: the search, whose linking variables are all integer (see ``combinations``).
        deadline: when to end (``time.perf_counter``).
    """
    problem, responder = search.problem, search.responder
    leader, linking = problem.leader, responder.linking
    ranges = [range(int(np.ceil(leader.lower[k] - 1e-9)), int(np.floor(leader.upper[k] + 1e-9)) + 1) for k in linking.tolist()]
    base = search.clipped(np.where(np.isfinite(leader.lower), leader.lower, np.where(np.isfinite(leader.upper), leader.upper, 0.0)))
    base[linking] = 0.0
    alone = _rows_of_linking(problem, linking)
    count, unbounded, bound = 0, 0, np.inf
    for values in itertools.product(*ranges):
        count += 1
        if time.perf_counter() > deadline:
            return Enumerated(search.best, -np.inf, count, unbounded, complete=False, reason=f"no time left after {count - 1} decisions")
        y = base.copy()
        y[linking] = values
        if _breaks(alone, y, search.tolerance):
            continue
        found = responder.answer(y)
        if found is Termination.INFEASIBLE:
            continue
        if found is Termination.UNBOUNDED:
            unbounded += 1
            continue
        if isinstance(found, Termination):
            return Enumerated(search.best, -np.inf, count, unbounded, complete=False, reason=f"a follower ended with {found} at decision {count}")
        plain = responder.evaluate(y, *found)
        best, value = responder.optimistic(plain)
        if value is None:
            return Enumerated(search.best, -np.inf, count, unbounded, complete=False, reason=f"the best answer at decision {count} was not found")
        bound = min(bound, value)
        for candidate in (best, plain):
            if candidate is not None and candidate.violation[0] <= search.tolerance and candidate.better_than(search.best, search.tolerance):
                search.best = candidate
    return Enumerated(search.best, bound, count, unbounded, complete=True)


def _rows_of_linking(problem: BilevelProblem, linking: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """The leader's rows over nothing but the variables that followers see: they exclude decisions without solving a follower."""
    leader = problem.leader
    others = np.setdiff1d(np.arange(leader.matrix.shape[1]), linking)
    used = leader.matrix.tocsc()[:, others].tocsr()
    rows = np.flatnonzero(np.diff(used.indptr) == 0)
    return leader.matrix[rows][:, : leader.size], leader.row_lower[rows], leader.row_upper[rows]


def _breaks(rows: tuple[sparse.csr_matrix, np.ndarray, np.ndarray], y: np.ndarray, tolerance: float) -> bool:
    matrix, low, high = rows
    if not low.size:
        return False
    activity = matrix @ y
    scale = np.maximum(1.0, abs(matrix.multiply(y)).tocsr().max(axis=1).toarray().ravel())
    return bool((np.maximum(low - activity, activity - high) > tolerance * scale).any())
