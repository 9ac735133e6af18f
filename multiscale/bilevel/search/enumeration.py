"""Every leader decision one by one, where followers see integer variables only and the leader's rows leave few combinations of them.

At a combination ``u`` each follower is a linear or convex quadratic program, and its optimal answers are a polyhedron (module ``face``). The best
of them for the leader, with the variables that only the leader sees, is one linear program (with integers, if those have any):

    v(u) = min { F(u, y_own, x, lambda) : leader rows,  (x, lambda) optimal at u },        optimum = min_u v(u)

A combination is excluded only where a follower is infeasible or unbounded there, or that program is infeasible. The bound is the least ``v``, or,
where the point of a program does not hold when it is checked, the value of the program.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from multiscale.bilevel.problem.affine import is_linear_in
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response
from multiscale.programs import Termination

_LARGEST_WORK = 100_000
"""Decisions times entries of the followers' rows beyond which a tree is the better way: about half a CPU second."""

_LAST = 4.0
"""Follower solves for which time is kept: those of the certificate."""

_STEPS = 50
"""Steps of the search for allowed decisions, for each decision that may be found."""


@dataclass(frozen=True)
class Enumerated:
    """What came of the decisions.

    Attributes:
        best: the best point; None without one.
        bound: no decision is better than this (infinite where none is feasible).
        decisions: how many there are.
        unbounded: at how many of them a follower is unbounded.
        complete: whether every one was solved; without it the bound proves nothing.
        reason: why not.
    """

    best: Response | None
    bound: float
    decisions: int
    unbounded: int
    complete: bool
    reason: str = ""


def decisions(problem: BilevelProblem, linking: np.ndarray, most: int, tolerance: float = 1e-6) -> list[np.ndarray]:
    """The values of the variables followers see that the leader's rows allow; none where more than ``most``, or where it does not apply.

    Args:
        problem: the bilevel problem.
        linking: leader variables that followers see.
        most: largest number of decisions.
        tolerance: violation of a leader row, relative to its largest term, that still counts as feasible.
    """
    leader = problem.leader
    if any(follower.cones for follower in problem.followers) or not leader.integral[linking].all() or not _is_linear_at(problem, linking):
        return []
    low, high = np.ceil(leader.lower[linking] - 1e-9), np.floor(leader.upper[linking] + 1e-9)
    entries = sum(follower.program.A.nnz + follower.program.columns.size for follower in problem.followers)
    most = min(most, int(_LARGEST_WORK / max(1, entries)))
    if not (np.isfinite(low) & np.isfinite(high)).all() or (high < low).any():
        return []
    return _allowed(problem, linking, low, high, most, tolerance)


def _is_linear_at(problem: BilevelProblem, linking: np.ndarray) -> bool:
    """Whether the leader's objective and rows are linear in everything else."""
    leader = problem.leader
    moving = np.ones(leader.size + len(leader.quantity_names), dtype=bool)
    moving[linking] = False
    position = leader.size
    for quantity in leader.quantities:
        moving[position : position + quantity.size] = quantity.kind != "cost"
        position += quantity.size
    return all(is_linear_in(form, moving) for form in leader.forms())


def _allowed(problem: BilevelProblem, linking: np.ndarray, low: np.ndarray, high: np.ndarray, most: int, tolerance: float) -> list[np.ndarray]:
    """Depth first over the variables; a branch ends where a row over the leader's own variables can no longer hold (interval test).

    It ends only where the row fails by more than the certificate of a point accepts. A term without an end on one side leaves the row's activity
    without an end on that side, which no limit is compared with: the row then excludes nothing.
    """
    leader = problem.leader
    foreign = leader.matrix.tocsc()[:, leader.size :].tocsr()
    rows = np.flatnonzero(np.diff(foreign.indptr) == 0)
    matrix = leader.matrix[rows][:, : leader.size]
    others = np.setdiff1d(np.arange(leader.size), linking)
    rest = matrix[:, linking].toarray()
    ends, free = np.stack([rest * low, rest * high]), _ends(matrix[:, others].toarray(), leader.lower[others], leader.upper[others])
    # Least and largest activity of what is not yet decided, from variable k on.
    least = np.cumsum(np.hstack([free.min(axis=0).sum(axis=1)[:, None], ends.min(axis=0)[:, ::-1]]), axis=1)[:, ::-1]
    largest = np.cumsum(np.hstack([free.max(axis=0).sum(axis=1)[:, None], ends.max(axis=0)[:, ::-1]]), axis=1)[:, ::-1]
    terms = np.abs(np.concatenate([ends, free], axis=2))
    margin = tolerance * np.maximum(1.0, np.where(np.isinf(terms), 0.0, terms).max(axis=(0, 2), initial=0.0))
    below, above = leader.row_lower[rows] - margin, leader.row_upper[rows] + margin
    found: list[np.ndarray] = []
    stack: list[tuple[int, tuple[float, ...], np.ndarray]] = [(0, (), np.zeros(rows.size))]
    steps = 0
    while stack:
        k, values, activity = stack.pop()
        steps += 1
        if ((activity + largest[:, k] < below) | (activity + least[:, k] > above)).any():
            continue
        if k == linking.size:
            found.append(np.array(values))
            if len(found) > most:
                return []
            continue
        if steps > _STEPS * max(1, most):
            return []
        stack += [(k + 1, (*values, value), activity + rest[:, k] * value) for value in np.arange(high[k], low[k] - 1.0, -1.0).tolist()[: most + 1]]
    return found


def enumerate_decisions(search: DecisionSearch, values: list[np.ndarray], deadline: float) -> Enumerated:
    """Solve every decision; the best point becomes ``search.best``.

    Args:
        search: the search of the problem.
        values: of the variables followers see, for each decision (see ``decisions``).
        deadline: the user's time limit (``time.perf_counter``).
    """
    leader, responder = search.problem.leader, search.responder
    base = search.clipped(np.where(np.isfinite(leader.lower), leader.lower, np.where(np.isfinite(leader.upper), leader.upper, 0.0)))
    count, unbounded, bound = 0, 0, np.inf
    for chosen in values:
        count += 1
        if time.perf_counter() + _LAST * responder.slowest > deadline:
            return Enumerated(search.best, -np.inf, count, unbounded, complete=False, reason=f"no time left after {count - 1} decisions")
        y = base.copy()
        y[responder.linking] = chosen
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
        if value is None or (np.isinf(value) and plain.violation[0] <= search.tolerance):
            return Enumerated(search.best, -np.inf, count, unbounded, complete=False, reason=f"the best answer at decision {count} was not found")
        bound = min(bound, value)
        for candidate in (best, plain):
            if candidate is not None and candidate.violation[0] <= search.tolerance and candidate.better_than(search.best, search.tolerance):
                search.best = candidate
    return Enumerated(search.best, bound, count, unbounded, complete=True)


def _ends(matrix: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Every entry times both ends of its column; zero where the entry is zero and the column has no bound."""
    with np.errstate(invalid="ignore"):
        return np.where(matrix == 0, 0.0, np.stack([matrix * lower, matrix * upper]))
