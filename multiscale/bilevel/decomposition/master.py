"""The master program over the leader's integers.

    min  a'u + sum_p theta_p        s.t. rows of integers alone,   theta_p >= cut(u),   cut(u) <= 0 (infeasibility),
                                         theta_p >= v - (v - L_p) d(u)     for a block that was solved to ``v`` at integers u',
                                         d(u) >= 1                         where it is infeasible there

with ``d`` the number of binaries the block's followers see that differ from ``u'``, and ``L_p`` a bound of the block everywhere.
"""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.decomposition.block import Block
from multiscale.bilevel.decomposition.relaxation import Cut
from multiscale.bilevel.problem.description import BilevelProblem, Form, MethodError
from multiscale.bilevel.search.price_space import stacked
from multiscale.bilevel.solvers.linear_program import LinearProgram


class Master:
    """Rows known so far. Its vector is the leader's integers in their order, then one bound of its value for each block."""

    def __init__(self, problem: BilevelProblem, blocks: list[Block], rest: Form) -> None:
        leader = problem.leader
        self.integers = np.flatnonzero(leader.integral)
        self.count, self.total = self.integers.size, self.integers.size + len(blocks)
        place = np.full(leader.size + len(leader.quantity_names), -1, dtype=np.int64)
        place[self.integers] = np.arange(self.count)
        if not rest.is_linear or (place[rest.columns] < 0).any():
            raise MethodError("decomposition takes an objective whose terms of integers alone are linear")
        self.blocks, self.constant = blocks, rest.constant
        self.where = [place[block.part.variables[block.integers]] for block in blocks]
        self.costs = np.zeros(self.total)
        np.add.at(self.costs, place[rest.columns], rest.coefficients)
        self.costs[self.count :] = 1.0
        ends = [(leader.lower[self.integers], -np.inf), (leader.upper[self.integers], np.inf)]
        self.lower, self.upper = (np.append(own, np.full(len(blocks), other)) for own, other in ends)
        self.rows: list[tuple[dict[int, float], float, float]] = []
        matrix = leader.matrix.tocsr()
        for i in range(matrix.shape[0]):
            part = slice(matrix.indptr[i], matrix.indptr[i + 1])
            # Rows without any variable are here too: one that cannot hold belongs to no block.
            if (place[matrix.indices[part]] >= 0).all():
                content = dict(zip(place[matrix.indices[part]].tolist(), matrix.data[part].tolist(), strict=True))
                self.rows.append((content, float(leader.row_lower[i]), float(leader.row_upper[i])))

    def bound_block(self, p: int, least: float) -> None:
        """A bound of a block everywhere."""
        self.lower[self.count + p] = least

    def add_cut(self, p: int, cut: Cut) -> None:
        """A cut of block ``p``."""
        content = dict(zip(self.where[p].tolist(), (-cut.slope if cut.feasible else cut.slope).tolist(), strict=True))
        if cut.feasible:
            content[self.count + p] = 1.0
        self.rows.append((content, cut.constant, np.inf) if cut.feasible else (content, -np.inf, -cut.constant))

    def add_value(self, p: int, u: np.ndarray, value: float) -> None:
        """Block ``p`` is worth at least ``value`` at the integers ``u`` of its own; infinite where it is infeasible there."""
        if value <= self.lower[self.count + p]:
            # The row would rise where more than one binary differs.
            return
        seen = self.blocks[p].linking
        sign = np.where(u[seen] > 0.5, -1.0, 1.0)
        ones = float((u[seen] > 0.5).sum())
        rise = 1.0 if value == np.inf else value - float(self.lower[self.count + p])
        content = dict(zip(self.where[p][seen].tolist(), (rise * sign).tolist(), strict=True))
        if value == np.inf:
            self.rows.append((content, 1.0 - ones, np.inf))
            return
        content[self.count + p] = 1.0
        self.rows.append((content, value - rise * ones, np.inf))

    def solve(self, *, integral: bool, seconds: float) -> tuple[str, float, np.ndarray]:
        """Status, bound and vector."""
        whole = np.arange(self.total) < self.count if integral else None
        low, high = (np.array([row[side] for row in self.rows], dtype=float) for side in (1, 2))
        matrix = stacked([row[0] for row in self.rows], self.total)
        answer = LinearProgram(matrix, low, high, self.lower, self.upper, self.costs, whole, time_limit=max(1.0, seconds)).solve()
        v = answer.x.copy()
        if integral and answer.status == "optimal":
            v[: self.count] = np.round(v[: self.count]) + 0.0
        return answer.status, answer.value + self.constant, v

    def value_of_integers(self, u: np.ndarray) -> float:
        """What the integers cost outside the blocks."""
        return self.constant + float(self.costs[: self.count] @ u)
