"""Tell an unbounded bilevel problem from an infeasible one, with proof.

SCIP may only say "infeasible or unbounded", and an unbounded relaxation says nothing about complementary pairs. With ``K`` far beyond
the scale of the objective:

1. is there a point with objective ``<= -K``? If not, the problem with ``objective >= -K`` has the same optimum, and is solved;
2. if there is, its complementary pattern is held: the problem then is linear, and an unbounded ray of it proves the unboundedness.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.certify.pattern import pattern_program
from multiscale.bilevel.problem.description import BilevelProblem, CurvedRow, Form
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.bounds.dual_bounds import no_bounds
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.client import Run, run
from multiscale.bilevel.scip.worker import Task
from multiscale.bilevel.solvers.linear_program import LinearProgram

NO_FINITE_OPTIMUM = {"unbounded", "inforunbd"}
"""SCIP's statuses for a problem without a finite optimum."""

_FAR = 1e6
_LARGEST = 2_000
_SHARE = 0.25


def relaxation_is_unbounded(single: SingleLevel) -> bool:
    """Whether the objective is unbounded below over the linear rows: SCIP's branching may then stop at a finite value by mistake.

    False for programs with many entries and for objectives with other than quadratic terms: there SCIP's own status starts the proof.
    """
    objective = single.objective
    if single.rows.nnz > _LARGEST or objective.tree is not None:
        return False
    lower, upper = single.lower.copy(), single.upper.copy()
    first, second = (np.concatenate([single.products[:, k], part]) for k, part in ((1, objective.first), (2, objective.second)))
    width = objective.products.size
    columns = np.concatenate([single.products[:, 0], single.size + np.arange(width)])
    matrix = sparse.hstack([single.rows, sparse.csr_matrix((single.rows.shape[0], width))], format="csr")
    lower, upper = np.append(lower, np.full(width, -np.inf)), np.append(upper, np.full(width, np.inf))
    costs = np.zeros(lower.size)
    np.add.at(costs, objective.columns, objective.coefficients)
    costs[single.size :] = objective.products

    def unbounded() -> bool:
        return LinearProgram(matrix, single.row_lower, single.row_upper, lower, upper, costs).solve().status == "unbounded"

    if not columns.size:
        return unbounded()
    for tighten in (False, True):
        if tighten:
            _bound_factors(matrix, single, lower, upper, np.union1d(first, second))
        ends = np.stack([_times(a, b) for a in (lower[first], upper[first]) for b in (lower[second], upper[second])])
        least = np.where(first == second, np.maximum(ends.min(axis=0), 0.0), ends.min(axis=0))
        lower[columns], upper[columns] = np.maximum(lower[columns], least), np.minimum(upper[columns], ends.max(axis=0))
        if not unbounded():
            return False
    return True


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of bounds, where zero times infinity is zero."""
    with np.errstate(invalid="ignore"):
        return np.where((a == 0) | (b == 0), 0.0, a * b)


def _bound_factors(matrix: sparse.csr_matrix, single: SingleLevel, lower: np.ndarray, upper: np.ndarray, factors: np.ndarray) -> None:
    """Least and largest value of columns over the linear rows, in place."""
    program = LinearProgram(matrix, single.row_lower, single.row_upper, lower, upper)
    for j in factors[np.isinf(lower[factors]) | np.isinf(upper[factors])]:
        for sign, ends in ((1.0, lower), (-1.0, upper)):
            costs = np.zeros(lower.size)
            costs[j] = sign
            answer = program.solve(costs)
            if np.isinf(ends[j]) and answer.status == "optimal":
                ends[j] = sign * answer.value - sign * 1e-6 * max(1.0, abs(answer.value))


def resolve_unbounded_relaxation(problem: BilevelProblem, single: SingleLevel, task: Task) -> Run:
    """Decide between infeasible, unbounded with proof, and a finite optimum."""
    pairs = assemble(problem, ["sos1"] * len(problem.followers), [no_bounds(f) for f in problem.followers])
    scale = _FAR * max(1.0, np.abs(pairs.objective.coefficients).max(initial=0.0), np.abs(pairs.objective.products).max(initial=0.0))
    far = replace(_limited(pairs, -np.inf, -scale), objective=Form())
    plain = replace(task, problem=None, lazy=None, starts=[], known=None, tolerance=1e-7)
    below = run(replace(plain, single=far, time_limit=_SHARE * task.time_limit))
    if below.outcome.v is not None:
        if _has_ray(problem, pairs, below.outcome.v, plain):
            return replace(below, outcome=replace(below.outcome, status="unbounded", v=None, bound=-np.inf))
        note = "no finite bound found, and no proof of none"
        return replace(below, outcome=replace(below.outcome, status="unknown", v=None, bound=-np.inf, note=note))
    if below.outcome.status != "infeasible":
        # Not decided in its share of the time: SCIP's bound counts, if it finds one.
        return run(replace(task, time_limit=max(1.0, task.time_limit - below.outcome.seconds)))
    # Branch and cut's tree does not hold the optimality of the followers; its bounded form is the exact program.
    exact = single if task.lazy is None else assemble(problem, ["strong_duality"] * len(problem.followers), task.lazy.bounds)
    return run(replace(task, single=_limited(exact, -scale, np.inf), lazy=None, starts=[]))


def _limited(single: SingleLevel, low: float, high: float) -> SingleLevel:
    """The program with ``low <= objective <= high``."""
    form = single.objective
    if not form.is_linear:
        return replace(single, curved=[*single.curved, CurvedRow("objective limit", form, low, high)])
    zeros = np.zeros(form.columns.size, dtype=np.int64)
    row = sparse.csr_matrix((form.coefficients, (zeros, form.columns)), shape=(1, single.size))
    return replace(
        single,
        rows=sparse.vstack([single.rows, row], format="csr"),
        row_lower=np.append(single.row_lower, low - form.constant),
        row_upper=np.append(single.row_upper, high - form.constant),
        row_blocks=[*single.row_blocks, ("objective limit", single.row_lower.size, 1)],
    )


def _has_ray(problem: BilevelProblem, pairs: SingleLevel, v: np.ndarray, task: Task) -> bool:
    """Whether the problem with the pattern of a point held is unbounded."""
    y = v[: pairs.leader_size].copy()
    y[problem.leader.integral] = np.round(y[problem.leader.integral])
    program = pattern_program(problem, y, [v[columns] for columns in pairs.primal], [v[columns] for columns in pairs.dual])
    if program is None:
        return False
    # The pattern must hold a point, and its objective must be unbounded below.
    if run(replace(task, single=replace(program, objective=Form()))).outcome.v is None:
        return False
    return run(replace(task, single=program)).outcome.status in NO_FINITE_OPTIMUM
