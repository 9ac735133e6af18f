"""What is known of the followers at fixed integers, and the best of it for the leader."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Leader
from multiscale.bilevel.search.price_space import LeaderRows, PriceSpace
from multiscale.bilevel.search.response import Response
from multiscale.bilevel.solvers.linear_program import LinearProgram

_TIE = 1e-6
"""Relative difference of costs below which answers are mixed: the master's prices are only that exact where answers tie."""


@dataclass
class PriceState:
    """Answers and rows ``matrix @ v <= upper`` as dense blocks, over the vector ``v`` of ``price_space``."""

    space: PriceSpace
    leader: Leader
    base: np.ndarray
    rows: LeaderRows
    cuts: list[np.ndarray] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    answers: list[tuple[list[np.ndarray], np.ndarray, np.ndarray]] = field(default_factory=list)
    tried: dict[bytes, np.ndarray] = field(default_factory=dict)
    best: Response | None = None
    solves: int = 0

    def add_answer(self, primal: list[np.ndarray]) -> None:
        """Keep an answer: at every price the followers pay no more than for it."""
        level, slope = self.space.project(self.base, primal)
        self.answers.append((primal, level, slope))
        for f in range(self.space.count):
            row = np.zeros(self.space.size)
            row[self.space.level(f)] = 1.0
            row[self.space.payment(f)] = 1.0
            row[self.space.price] = -slope[f]
            self.cuts.append(row)
            self.limits.append(level[f] + 1e-9 * max(1.0, abs(level[f])))

    def add_dual(self, f: int, prices: np.ndarray, value: float, by_leader: np.ndarray, base: np.ndarray) -> None:
        """No answer is cheaper than ``value`` at ``prices``, moved from the right-hand sides of ``base`` by its duals."""
        value += float(by_leader @ (self.base - base))
        row = np.zeros(self.space.size)
        row[self.space.level(f)] = -1.0
        row[self.space.slope(f)] = -prices
        self.cuts.append(row)
        self.limits.append(-value + 1e-9 * max(1.0, abs(value)))

    def mixture(self, prices: np.ndarray) -> tuple[list[np.ndarray], np.ndarray] | None:
        """The leader's best mixture of the known answers that are optimal at fixed prices, and its own variables."""
        space, rows = self.space, self.rows
        paid = np.array([level + slope @ prices for _, level, slope in self.answers])
        tied = [np.flatnonzero(paid[:, f] <= paid[:, f].min() + _TIE * max(1.0, abs(paid[:, f].min()))) for f in range(space.count)]
        m, size = space.own.size, sum(t.size for t in tied)
        spread = np.zeros((space.size, m + size))
        spread[np.arange(m), np.arange(m)] = 1.0
        offset = np.zeros(space.size)
        offset[space.price] = prices
        sums = np.zeros((space.count, m + size))
        at = m
        for f, chosen in enumerate(tied):
            for i in chosen:
                _, level, slope = self.answers[i]
                spread[space.level(f), at] = level[f]
                spread[space.slope(f), at] = slope[f]
                spread[space.payment(f), at] = slope[f] * prices
                sums[f, at] = 1.0
                at += 1
        matrix = sparse.csr_matrix(np.vstack([rows.matrix @ spread, sums]))
        shift = rows.matrix @ offset
        low, high = np.append(rows.lower - shift, np.ones(space.count)), np.append(rows.upper - shift, np.ones(space.count))
        leader = self.leader
        lower = np.concatenate([leader.lower[space.own], np.zeros(size)])
        upper = np.concatenate([leader.upper[space.own], np.ones(size)])
        integral = np.concatenate([leader.integral[space.own], np.zeros(size, dtype=bool)])
        answer = LinearProgram(matrix, low, high, lower, upper, rows.costs @ spread, integral).solve()
        if answer.status != "optimal":
            return None
        primal: list[np.ndarray] = []
        at = m
        for f, chosen in enumerate(tied):
            share = np.clip(answer.x[at : at + chosen.size], 0.0, 1.0)
            primal.append(share / share.sum() @ np.array([self.answers[i][0][f] for i in chosen]))
            at += chosen.size
        return primal, answer.x[:m]

    def best_prices(self, primal: list[np.ndarray], low: np.ndarray, high: np.ndarray) -> tuple[float, np.ndarray] | None:
        """Objective and ``v``, in the box from ``low`` to ``high``, of the best prices at which the answer costs no more than any known one."""
        space = self.space
        low, high = low.copy(), high.copy()
        level, slope = space.project(self.base, primal)
        extra = np.zeros((space.count * space.prices.size, space.size))
        for f in range(space.count):
            low[space.level(f)] = high[space.level(f)] = level[f]
            low[space.slope(f)] = high[space.slope(f)] = slope[f]
            rows = f * space.prices.size + np.arange(space.prices.size)
            extra[rows, space.payment(f)] = 1.0
            extra[rows, space.price] = -slope[f]
        answer = self._program(low, high, extra, np.zeros(len(extra)), np.zeros(len(extra))).solve()
        if answer.status != "optimal":
            return None
        return float(self.rows.costs @ answer.x) + self.rows.constant, answer.x

    def _program(self, low: np.ndarray, high: np.ndarray, extra: np.ndarray, extra_low: np.ndarray, extra_high: np.ndarray) -> LinearProgram:
        rows = self.rows
        cuts = np.array(self.cuts).reshape(-1, self.space.size)
        matrix = sparse.vstack([rows.matrix, sparse.csr_matrix(cuts), sparse.csr_matrix(extra)], format="csc")
        lower = np.concatenate([rows.lower, np.full(len(cuts), -np.inf), extra_low])
        upper = np.concatenate([rows.upper, np.array(self.limits), extra_high])
        return LinearProgram(matrix, lower, upper, low, high, rows.costs, self.space.integral())
