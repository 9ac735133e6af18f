"""What networks and devices can reach of targets at all, whatever prices and reinforcements are decided: linear programs, before a plan is searched.

Over everything that the follower could do, reinforcements relaxed to [0, 1] and its optimality omitted,

    shortfall = min sum_i s_i / scale_i     s.t.  rows of the follower,  excess_i(x, limit_i) <= s_i,  s >= 0

is zero if the targets can be reached together. Where it is above zero no plan reaches them. The best that can be reached of a single target is the
limit L with ``min_x excess(x, L) = 0``, found by Newton's method: excess is affine in L (of a share: the method of Dinkelbach, Management Science 13
(1967) 492-498). Targets that prices enter (bills, budgets) are not looked at here. Demand may be cut off, so a share or emissions alone can be
reached by serving no customer; together with a target for unserved energy they tell more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import BUILT
from multiscale.planning.targets import Target, Targets
from multiscale.programs import Block, Index, ParametricProgram, ProgramError, solve

SHORT = 1e-7
"""Shortfall relative to the size of a row that is rounding of the linear program."""


@dataclass(frozen=True)
class _Affine:
    """``w'x + constant`` over the columns of the follower."""

    w: np.ndarray
    constant: float

    def __add__(self, other: Any) -> _Affine:
        if isinstance(other, _Affine):
            return _Affine(self.w + other.w, self.constant + other.constant)
        return _Affine(self.w, self.constant + float(other))

    __radd__ = __add__

    def __mul__(self, factor: float) -> _Affine:
        return _Affine(factor * self.w, factor * self.constant)

    __rmul__ = __mul__

    def __neg__(self) -> _Affine:
        return -1.0 * self

    def __sub__(self, other: Any) -> _Affine:
        return self + -1.0 * other

    def __rsub__(self, other: Any) -> _Affine:
        return other + -1.0 * self

    def at(self, x: np.ndarray) -> float:
        return float(self.w @ x) + self.constant


@dataclass(frozen=True)
class _Columns:
    """The answer as affine functions of the follower's columns; without prices."""

    problem: PlanningProblem

    def output(self, name: str) -> _Affine:
        return _Affine(self.problem.program.outputs[name].matrix.toarray().ravel(), self.problem.passive_outputs.get(name, 0.0))

    def components(self) -> Sequence[str]:
        return []

    def prices(self, component: str) -> Sequence[Any]:
        raise NotImplementedError(component)

    def determinant(self, group: str, component: str) -> Sequence[Any]:
        raise NotImplementedError(group, component)

    def total(self, component: str) -> Sequence[Any]:
        raise NotImplementedError(component)


class Attainable:
    """What the follower of a problem can reach of some targets, its own interest and prices omitted.

    Args:
        problem: what is planned.
        targets: name -> target; those that prices enter are passed over.
    """

    def __init__(self, problem: PlanningProblem, targets: Targets) -> None:
        self.problem = problem
        self.targets: Mapping[str, Target] = {name: target for name, target in targets.items() if not target.priced}
        self._answer = _Columns(problem)

    @property
    def together(self) -> bool:
        """Whether all of them can be reached at once, as far as this relaxation knows."""
        if not self.targets:
            return True
        rows = [self._excess(target, target.limit) for target in self.targets.values()]
        scales = [1.0 + float(np.abs(row.w).max(initial=0.0)) + abs(row.constant) for row in rows]
        n, m = self.problem.program.columns.size, len(rows)
        slack = -np.diag(scales)
        more = sparse.hstack([sparse.csr_matrix(np.array([row.w for row in rows])), sparse.csr_matrix((m, self.options)), sparse.csr_matrix(slack)])
        relaxed = self._program(np.concatenate([np.zeros(n + self.options), np.ones(m)]), more, np.array([-row.constant for row in rows]), m)
        return solve(relaxed).bound <= SHORT

    def best(self, name: str, rounds: int = 20) -> float:
        """The limit of one target that can be reached where there are no others [unit]; its own where that can.

        Raises:
            ProgramError: it was not found in so many steps.
        """
        target = self.targets[name]
        limit = target.limit
        for _ in range(rounds):
            row = self._excess(target, limit)
            n = self.problem.program.columns.size
            x = solve(self._program(np.concatenate([row.w, np.zeros(self.options)]), sparse.csr_matrix((0, n + self.options)), np.zeros(0), 0)).x[:n]
            value, slope = row.at(x), self._excess(target, limit + 1.0).at(x) - row.at(x)
            if value <= SHORT * (1.0 + float(np.abs(row.w).max(initial=0.0)) + abs(row.constant)) or slope == 0:
                break
            limit -= value / slope
        else:
            raise ProgramError(f"what networks of {self.problem.dso} can reach of target {name!r} was not found in {rounds} steps; plan without it")
        return limit

    @property
    def options(self) -> int:
        """Number of reinforcements."""
        return int(self.problem.program.parameters[BUILT].size)

    def _excess(self, target: Target, limit: float) -> _Affine:
        found: _Affine = target.excess(self._answer, limit)
        return found

    def _program(self, cost: np.ndarray, more: sparse.csr_matrix, rhs: np.ndarray, slacks: int) -> ParametricProgram:
        """The follower's rows over its columns, reinforcements in [0, 1] and slacks, with further rows ``more <= rhs``."""
        program, k = self.problem.program, self.options
        built = program.parameters[BUILT]
        least, most = self.problem.required.astype(float), 1.0 - self.problem.excluded
        own = sparse.hstack([program.A, -program.B[:, built.positions.ravel()], sparse.csr_matrix((program.rows.size, slacks))])
        added = [Block("__built__", built.coords, "1", 0)] + ([Block("__short__", {"target": np.arange(slacks)}, "1", 0)] if slacks else [])
        rows = [Block("__target__", {"target": np.arange(len(rhs))}, "1", 0)] if len(rhs) else []
        return replace(
            program,
            name=f"{program.name} (targets)",
            columns=Index.stacked([*program.columns.blocks, *added]),
            rows=Index.stacked([*program.rows.blocks, *rows]),
            parameters=Index(),
            A=sparse.vstack([own, more], format="csr"),
            b0=np.concatenate([program.b0, rhs]),
            B=sparse.csr_matrix((program.rows.size + len(rhs), 0)),
            equality=np.concatenate([program.equality, np.zeros(len(rhs), dtype=bool)]),
            c0=cost,
            C=sparse.csr_matrix((program.columns.size + k + slacks, 0)),
            lower=np.concatenate([program.lower, least, np.zeros(slacks)]),
            upper=np.concatenate([program.upper, most, np.full(slacks, np.inf)]),
            Q=None,
            d0=0.0,
            d=np.zeros(0),
            outputs={},
        )
