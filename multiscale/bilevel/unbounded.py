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

from multiscale.bilevel.assemble import assemble
from multiscale.bilevel.bounds import no_bounds
from multiscale.bilevel.description import BilevelProblem, CurvedRow, Form
from multiscale.bilevel.pattern import pattern_program
from multiscale.bilevel.scip_client import Run, run
from multiscale.bilevel.scip_worker import Task
from multiscale.bilevel.single_level import SingleLevel

OPEN = {"unbounded", "inforunbd"}
"""What SCIP calls an end without a finite optimum."""

_FAR = 1e6


def uses_open_duals(problem: BilevelProblem, single: SingleLevel) -> bool:
    """Whether the leader's objective holds duals without proven bounds: SCIP may then stop at a finite value by mistake."""
    if not any(q.kind == "dual" for q in problem.leader.quantities):
        return False
    used = np.unique(np.concatenate([problem.leader.objective.columns, problem.leader.objective.first, problem.leader.objective.second]))
    position = problem.leader.size
    for quantity in problem.leader.quantities:
        inside = used[(used >= position) & (used < position + quantity.size)] - position
        if quantity.kind == "dual" and inside.size:
            duals = single.dual[quantity.follower]
            columns = duals[np.unique(quantity.matrix[inside].indices)] if duals.size else duals
            if not (np.isfinite(single.lower[columns]).all() and np.isfinite(single.upper[columns]).all()):
                return True
        position += quantity.size
    return False


def settle_open_end(problem: BilevelProblem, single: SingleLevel, task: Task) -> Run:
    """An outcome that is ``infeasible``, ``unbounded`` with proof, or a finite optimum."""
    pairs = assemble(problem, ["sos1"] * len(problem.followers), [no_bounds(f) for f in problem.followers])
    scale = _FAR * max(1.0, np.abs(pairs.objective.coefficients).max(initial=0.0), np.abs(pairs.objective.products).max(initial=0.0))
    far = replace(_limited(pairs, -np.inf, -scale), objective=Form())
    plain = replace(task, problem=None, lazy=None, starts=[], known=None, tolerance=1e-7)
    below = run(replace(plain, single=far))
    if below.outcome.v is not None:
        if _has_ray(problem, pairs, below.outcome.v, plain):
            return replace(below, outcome=replace(below.outcome, status="unbounded", v=None, bound=-np.inf))
        return replace(below, outcome=replace(below.outcome, status="unknown", v=None, bound=-np.inf, note="no finite bound found, and no proof of none"))
    if below.outcome.status != "infeasible":
        return below
    # Branch and cut's tree does not hold the optimality of the followers; its bounded form is the exact program.
    exact = single if task.lazy is None else task.lazy.inner
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
    # The pattern must hold a point, and its objective must fall for ever.
    if run(replace(task, single=replace(program, objective=Form()))).outcome.v is None:
        return False
    return run(replace(task, single=program)).outcome.status in OPEN
