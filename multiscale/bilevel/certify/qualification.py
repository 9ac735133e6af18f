"""Do the optimality conditions of a conic follower hold at every optimum? Strong duality needs an interior point of its cones.

For a leader decision ``y`` let ``m(y)`` be the largest ``t <= 1`` with ``x_h - t >= ||x_t||`` for all cones and the linear rows at ``y``
(linear rows need no interior). ``m(y) > 0`` (Slater) gives multipliers for every optimum. ``m`` is concave and grows with right-hand
sides of ``<=`` rows, so it need only be looked at where variables that only tighten rows are at their tightest and all others at
the ends of their ranges. Cones that the linear rows make polyhedral (no entry except the head can move, or one while all others are
zero, as in ``P^2 + Q^2 <= l v`` of a line that is not built, with ``P = Q = 0``) need no interior: they are recognised decision by
decision.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError, BilevelProblem, Follower
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.search.tighten import relaxation
from multiscale.bilevel.solvers.conic_program import ConicProgram
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Termination

_LEAST = 1e-7
"""Least margin that counts as an interior point."""

_INSET = 1e-7
"""Share of a leader variable's range by which a corner without any point, which rounding may be to blame for, is looked at from inside."""

_MEND = "keep the leader's variables away from there, or add linear rows that hold what the cone holds there (as |x| <= M z)"

_MOST_DECISIONS = 1024
"""Leader decisions looked at one by one."""


@dataclass(frozen=True)
class Qualification:
    """Whether the conditions are proven to hold at every leader decision, and the argument or the gap in it in words."""

    proven: bool
    text: str


class _Margin:
    """The largest common margin of a follower's cones at leader decisions."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self._programs: dict[frozenset[int], ConicProgram] = {}

    def _program(self, without: frozenset[int]) -> ConicProgram:
        if without not in self._programs:
            program = self.follower.program
            added = Extension(program.columns.size)
            margin = added.column("margin", upper=1.0)
            cones = []
            for c, cone in enumerate(self.follower.cones):
                if c not in without:
                    head = added.defined(f"head {c}", [(int(cone[0]), 1.0), (margin, -1.0)], [], 0.0)
                    cone = np.concatenate([[head], cone[1:]])
                cones.append(cone)
            whole = added.apply(replace(program, Q=None, C=sparse.csr_matrix(program.C.shape), d=np.zeros(program.d.size), outputs={}))
            costs = np.zeros(whole.columns.size)
            costs[margin] = -1.0
            self._programs[without] = ConicProgram(Follower("margin", replace(whole, c0=costs, d0=0.0), cones=tuple(cones)), time_limit=30.0)
        return self._programs[without]

    def at(self, y: np.ndarray, without: frozenset[int] = frozenset()) -> float:
        """The margin; ``-inf`` where the rows cannot be met, not a number where the solver gives no answer."""
        found = self._program(without).solve(y)
        if found.termination is Termination.OPTIMAL:
            return -found.objective
        return -np.inf if found.termination is Termination.INFEASIBLE else np.nan

    def polyhedral(self, y: np.ndarray) -> frozenset[int]:
        """Cones of which the linear rows hold all entries except the head, or all but one at zero."""
        program = self.follower.program
        rhs = program.rhs(y)
        linear = LinearProgram(program.A, np.where(program.equality, rhs, -np.inf), rhs, program.lower, program.upper)
        found = set()
        for c, cone in enumerate(self.follower.cones):
            held = []
            for j in cone[1:]:
                costs = np.zeros(program.columns.size)
                ends = []
                for sign in (1.0, -1.0):
                    costs[j] = sign
                    answer = linear.solve(costs)
                    ends.append(sign * answer.value if answer.status == "optimal" else -sign * np.inf)
                if ends[1] - ends[0] <= 1e-9 * max(1.0, abs(ends[0])):
                    held.append(ends[0])
            moving = cone.size - 1 - len(held)
            if moving == 0 or (moving == 1 and np.abs(held).max(initial=0.0) <= 1e-9):
                found.add(c)
        return frozenset(found)

    def holds(self, y: np.ndarray) -> bool | None:
        """Whether the conditions hold at a decision; None where the follower is infeasible there."""
        margin = self.at(y)
        if margin < -_LEAST:
            return None
        if margin > _LEAST:
            return True
        return bool(self.at(y, self.polyhedral(y)) > _LEAST)

    def weakest(self, y: np.ndarray) -> str:
        """Name of a cone without interior at a decision."""
        everything = frozenset(range(len(self.follower.cones)))
        for c, cone in enumerate(self.follower.cones):
            if not self.at(y, everything - {c}) > _LEAST:
                label = self.follower.program.columns.label(int(cone[0]))
                return label[label.index("[") + 1 : -1].removesuffix(" head") if "[" in label else label
        return "all cones together"


def qualify(problem: BilevelProblem, f: int, *, seconds: float) -> Qualification:
    """Look for an interior point of a conic follower at every leader decision.

    Raises:
        BilevelError: the follower has no interior point at any decision; names the constraint.
    """
    follower, leader = problem.followers[f], problem.leader
    margin = _Margin(follower)
    deadline = time.perf_counter() + seconds
    lower, upper = _ranges(problem, follower)
    sides = _sides(follower, lower, upper)
    base = np.where(np.isfinite(leader.lower), leader.lower, np.where(np.isfinite(leader.upper), leader.upper, 0.0))
    moving = follower.limit_columns
    if not moving.size:
        return _alone(margin, base)
    known = all(np.isfinite(side).all() for side in sides) and np.prod([float(side.size) for side in sides]) <= _MOST_DECISIONS
    inset = np.where(np.isfinite(upper - lower) & ~leader.integral, _INSET * (upper - lower), 0.0)
    if known and _all_corners(margin, base, moving, sides, (lower + inset, upper - inset), deadline):
        return Qualification(True, "an interior point of all cones at the tightest leader decisions, so at every one")
    whole = leader.integral[moving]
    counts = upper[moving] - lower[moving] + 1.0
    if not whole.all() or not np.prod(counts) <= _MOST_DECISIONS:
        return Qualification(False, _unproven(follower, margin, base, moving, sides, leader.names))
    feasible, failed = 0, []
    for decision in itertools.product(*(np.arange(lower[k], upper[k] + 0.5) for k in moving)):
        if time.perf_counter() > deadline:
            return Qualification(False, f"follower {follower.name!r}: no time to look for an interior point of all cones at every leader decision")
        y = base.copy()
        y[moving] = decision
        here = margin.holds(y)
        feasible += here is not None
        if here is False:
            failed.append(y)
    if not failed:
        return Qualification(True, f"an interior point of all cones that are not polyhedral, at each of {feasible} leader decisions")
    if len(failed) == feasible:
        raise BilevelError(_refused(follower, margin, failed[0]))
    at = ", ".join(f"{leader.names[k]} = {failed[0][k]:g}" for k in moving[:4])
    return Qualification(
        False,
        f"follower {follower.name!r}: {margin.weakest(failed[0])} has no interior point at {len(failed)} of {feasible} leader decisions, "
        f"such as {at}; {_MEND}",
    )


def _unproven(follower: Follower, margin: _Margin, base: np.ndarray, moving: np.ndarray, sides: list[np.ndarray], names: tuple[str, ...]) -> str:
    """What prevents a proof: the tightest corner, if there is one."""
    y = base.copy()
    y[moving] = [side[0] for side in sides]
    at = ", ".join(f"{names[k]} = {round(y[k], 6):g}" for k in moving[:4])
    if all(np.isfinite(side).all() for side in sides) and -_LEAST <= margin.at(y) <= _LEAST:
        return f"follower {follower.name!r}: {margin.weakest(y)} has no interior point at {at}; {_MEND}"
    return f"follower {follower.name!r}: an interior point of all cones is not proven for every leader decision"


def _alone(margin: _Margin, y: np.ndarray) -> Qualification:
    """A follower whose rows no leader variable moves."""
    here = margin.holds(y)
    if here is False:
        raise BilevelError(_refused(margin.follower, margin, y))
    return Qualification(True, "an interior point of all cones" if here else "the follower is infeasible")


def _refused(follower: Follower, margin: _Margin, y: np.ndarray) -> str:
    return (
        f"follower {follower.name!r}: {margin.weakest(y)} has no interior point, so its optimum need not have multipliers (no constraint "
        "qualification) and cannot be stated by optimality conditions; widen the constraint, or replace it by the linear rows it amounts to"
    )


def _all_corners(
    margin: _Margin, base: np.ndarray, moving: np.ndarray, sides: list[np.ndarray], inside: tuple[np.ndarray, np.ndarray], deadline: float
) -> bool:
    """Whether there is a margin at all corners; ``inside`` holds ends a hair inside, for corners where rounding leaves no point at all."""
    for corner in itertools.product(*sides):
        if time.perf_counter() > deadline:
            return False
        y = base.copy()
        y[moving] = corner
        here = margin.at(y)
        if not np.isfinite(here):
            here = margin.at(np.clip(y, *inside))
        if not here > _LEAST:
            return False
    return True


def _ranges(problem: BilevelProblem, follower: Follower) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of the leader variables in the follower's rows that the linear rows of the whole problem leave."""
    leader = problem.leader
    lower, upper = leader.lower.copy(), leader.upper.copy()
    linear = relaxation(problem, 10.0)
    for k in follower.limit_columns:
        if leader.integral[k]:
            continue
        costs = np.zeros(linear.columns)
        for sign, ends in ((1.0, lower), (-1.0, upper)):
            costs[k] = sign
            answer = linear.solve(costs)
            if answer.status == "optimal":
                ends[k] = sign * answer.value
    return lower, upper


def _sides(follower: Follower, lower: np.ndarray, upper: np.ndarray) -> list[np.ndarray]:
    """Values to look at for each leader variable in the rows: its tightest end, or both ends."""
    program, sides = follower.program, []
    matrix = program.B.tocsc()
    for k in follower.limit_columns:
        part = slice(matrix.indptr[k], matrix.indptr[k + 1])
        values, equal = matrix.data[part], program.equality[matrix.indices[part]]
        if lower[k] == upper[k] or (not equal.any() and (values >= 0).all()):
            sides.append(lower[[k]])
        elif not equal.any() and (values <= 0).all():
            sides.append(upper[[k]])
        else:
            sides.append(np.array([lower[k], upper[k]]))
    return sides
