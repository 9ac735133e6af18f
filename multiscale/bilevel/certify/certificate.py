"""Check an answer from outside: solve every follower again at the leader's decision and look at all optimality conditions.

Nothing of the single-level program is used here. For follower answers ``x``, ``lambda`` at decision ``y``, with
``r = c(y) + Qx - A'lambda``:

    gap              cost(x) - optimum                                    / max(1, |optimum|)
    primal           violation of rows and bounds                         / max(1, |row|)
    dual             sign of lambda; r > 0 without a lower bound, r < 0 without an upper one   / max(1, |cost|)
    complementarity  sum of |lambda_i slack_i| + |r_j distance to the bound it leans on|       / max(1, |optimum|)

Columns of a second-order cone have ``r`` in the same cone: what ``x`` and ``r`` are outside it counts as primal and dual, ``|x_c'r_c|``
as complementarity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multiscale.bilevel.problem.cones import outside, products
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import TOLERANCE
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.solvers.conic_program import compiled
from multiscale.bilevel.solvers.polish import polished
from multiscale.programs import Termination


@dataclass(frozen=True)
class FollowerCertificate:
    """Result of the independent solve of one follower (all residuals relative, see the module).

    ``qualification`` states for a conic follower why its optima have multipliers, or where that is not proven; ``original`` the result for the
    follower as the user wrote it, where products with binaries were replaced by columns.
    """

    name: str
    optimum: float
    cost: float
    gap: float
    primal: float
    dual: float
    complementarity: float
    binding_bounds: tuple[str, ...] = ()
    how: dict[str, str] = field(default_factory=dict)
    qualification: str = ""
    original: str = ""
    message: str = ""

    def holds(self, tolerance: float = TOLERANCE) -> bool:
        """Whether every residual is within the tolerance (multipliers may be at proven bounds)."""
        residuals = (abs(self.gap), self.primal, self.dual, self.complementarity)
        return not self.message and all(value <= tolerance for value in residuals)


@dataclass(frozen=True)
class Certificate:
    """Evidence for an answer.

    Attributes:
        followers: one entry for each.
        leader_violation: largest relative violation of a leader row, and its name.
        optimistic, pessimistic: leader objective if ties of the followers are broken for or against the leader (the same
            number where their optimum is unique; None where the leader's objective is not linear in the quantities).
        solver_gap: largest follower gap of the point as SCIP returned it, before the followers were solved again.
        round_trip: largest violation of the single-level program by true follower answers at the decisions tried, and where.
        failures: why the answer is not certified; empty if it is.
    """

    followers: tuple[FollowerCertificate, ...]
    leader_violation: tuple[float, str]
    optimistic: float | None
    pessimistic: float | None
    solver_gap: float = 0.0
    round_trip: tuple[float, str] = (0.0, "")
    failures: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the answer is certified."""
        return not self.failures

    @property
    def follower_gap(self) -> float:
        """Largest relative optimality gap of a follower; nan where one has none."""
        return float(np.max([0.0, *(abs(f.gap) for f in self.followers)]))

    def describe(self) -> str:
        """One line for each follower and each failure."""
        lines = [
            f"  {f.name}: optimum {f.optimum:.9g}, gap {f.gap:.1e}, primal {f.primal:.1e}, dual {f.dual:.1e}, complementarity {f.complementarity:.1e}"
            for f in self.followers
        ]
        for f in self.followers:
            lines += [f"    multipliers of {block}: {text}" for block, text in f.how.items()]
            lines += [f"    original follower {f.original}"] if f.original else []
            lines += [f"    constraint qualification: {f.qualification}"] if f.qualification else []
            lines += [f"    at its bound: {row}" for row in f.binding_bounds[:5]]
        lines.append(f"  leader rows: {self.leader_violation[0]:.1e} {self.leader_violation[1]}".rstrip())
        if self.optimistic is not None and self.pessimistic is not None:
            lines.append(f"  leader objective if ties break for / against the leader: {self.optimistic:.9g} / {self.pessimistic:.9g}")
        return "\n".join(lines + [f"  FAILED: {failure}" for failure in self.failures])


def certify_follower(
    problem: BilevelProblem, f: int, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray, bounds: DualBounds | None = None
) -> FollowerCertificate:
    """Certificate of one follower's answer, from a fresh solve (HiGHS; Clarabel where it has cones) and the optimality conditions."""
    follower = problem.followers[f]
    program = follower.program
    solution = compiled(follower).solve(y)
    if solution.termination is not Termination.OPTIMAL:
        nothing = (np.nan,) * 6
        return FollowerCertificate(follower.name, *nothing, message=f"the follower has no optimum at this decision: {solution.termination}")
    best_x = solution.x if follower.cones else polished(program, y, solution.x, solution.y)[0]
    cost, optimum = program.objective(x, y), program.objective(best_x, y)
    scale = max(1.0, abs(optimum))
    rhs, costs = program.rhs(y), program.costs(y)
    activity = program.A @ x
    slack = rhs - activity
    row_scale = np.maximum(1.0, np.maximum(np.abs(rhs), np.abs(activity)))
    short = np.where(program.equality, np.abs(slack), -slack) / row_scale
    column_scale = np.maximum(1.0, np.abs(x))
    outside_bounds = np.maximum(program.lower - x, x - program.upper) / column_scale
    primal = np.maximum(short.max(initial=0.0), outside_bounds.max(initial=0.0))
    reduced = costs - program.A.T @ multipliers + (program.Q @ x if program.Q is not None else 0.0)
    in_cone = follower.in_cone
    has_lower, has_upper = np.isfinite(program.lower) | in_cone, np.isfinite(program.upper) | in_cone
    cost_scale = np.maximum(1.0, np.abs(costs))
    wrong_sign = np.where(program.equality, 0.0, np.maximum(multipliers, 0.0))
    wrong_reduced = (np.where(has_lower, 0.0, np.maximum(reduced, 0.0)) + np.where(has_upper, 0.0, np.maximum(-reduced, 0.0))) / cost_scale
    dual = np.maximum(wrong_sign.max(initial=0.0), wrong_reduced.max(initial=0.0))
    to_lower = np.where(np.isfinite(program.lower), x - program.lower, 0.0)
    to_upper = np.where(np.isfinite(program.upper), program.upper - x, 0.0)
    loose = np.abs(multipliers * slack).sum() + np.abs(np.maximum(reduced, 0.0) * to_lower).sum() + np.abs(np.minimum(reduced, 0.0) * to_upper).sum()
    if follower.cones:
        primal = np.maximum(primal, outside(follower.cones, x).max())
        dual = np.maximum(dual, outside(follower.cones, reduced).max())
        loose += np.abs(products(follower.cones, x, reduced)).sum()
    return FollowerCertificate(
        name=follower.name,
        optimum=follower.sense * optimum,
        cost=follower.sense * cost,
        gap=(cost - optimum) / scale,
        primal=float(primal),
        dual=float(dual),
        complementarity=float(loose) / scale,
        binding_bounds=_binding(problem, f, multipliers, bounds),
        how=dict(bounds.how) if bounds is not None else {},
    )


def _binding(problem: BilevelProblem, f: int, multipliers: np.ndarray, bounds: DualBounds | None) -> tuple[str, ...]:
    """Rows whose multiplier leans on a bound that is not just its sign."""
    if bounds is None:
        return ()
    program = problem.followers[f].program
    near = 1e-6 * np.maximum(1.0, np.abs(multipliers))
    at_low = np.isfinite(bounds.lower) & (multipliers <= bounds.lower + near)
    at_high = np.isfinite(bounds.upper) & (multipliers >= bounds.upper - near) & program.equality
    return tuple(program.rows.label(int(i)) for i in np.flatnonzero(at_low | at_high))
