"""The leader's best prices at fixed integers, several at once, by cutting planes.

In the space of levels, slopes and payments (see ``price_space``) an answer ``x'`` with ``(s', w')`` and the optimum ``phi`` at prices
``tau'`` give two inequalities that hold for every optimal answer at every price:

    s + sum_k r_k   <=  s' + sum_k tau_k w'_k         the follower pays no more than for x'
    s + sum_k tau'_k w_k   >=  phi(tau')              no answer is cheaper than the optimum at tau'

With ``r_k = tau_k w_k`` both are all there is to say in the limit. A small master program with the inequalities known so far and these
products is solved to a proven bound (``price_master``); the followers are solved at its points and give new ones. A third kind comes from
the cheapest answer with the slopes held at ``w``: its duals are prices, perhaps outside the leader's bounds, at which the second
inequality cuts off slopes no answer has. When the integers move, duals stay dual feasible and the optimum is convex in the right-hand
sides: at other integers the second inequality follows without a solve, and answers that remain feasible give the first.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import closing_bound, contradicts
from multiscale.bilevel.search.price_intervals import PriceAnswer
from multiscale.bilevel.search.price_master import PriceMaster
from multiscale.bilevel.search.price_space import PriceSpace
from multiscale.bilevel.search.price_state import PriceState
from multiscale.bilevel.search.response import Responder
from multiscale.bilevel.search.slope_oracle import SlopeOracle
from multiscale.programs import Termination

_PATIENCE = 10
"""Rounds without a new price and without a better bound after which the search ends, with the bound it has."""

_MOST = 8
"""Payments (pairs of a price and a follower that pays it) beyond which the master's branching over prices is hopeless."""


class PriceCutting:
    """Search over all prices at fixed integers. ``applies`` tells whether the problem has the form it needs.

    Args:
        problem: the bilevel problem.
        responder: solves the followers.
        ranges: for every follower, leader variable -> proven range of its quantity ``C_k'x``; missing ones only weaken.
    """

    def __init__(self, problem: BilevelProblem, responder: Responder, ranges: list[dict[int, tuple[float, float]]] | None = None) -> None:
        self.problem, self.responder = problem, responder
        self.space = PriceSpace(problem, responder)
        self.ranges = ranges or [{} for _ in problem.followers]
        self.meet = [np.isin(self.space.prices, f.cost_columns) for f in problem.followers]
        self.applies = self.space.applies and self.space.prices.size > 1 and sum(int(meet.sum()) for meet in self.meet) <= _MOST
        self.deadline = np.inf
        self._answers: deque[list[np.ndarray]] = deque(maxlen=40)
        self._duals: deque[tuple[int, np.ndarray, float, np.ndarray, np.ndarray]] = deque(maxlen=120)
        self._oracles: list[SlopeOracle] = []

    def solve(self, y: np.ndarray, *, gap: float, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best prices for the integers of ``y``; stops when the bound is within ``gap`` of the best or above ``cutoff``.

        The bound holds in any case, also where ``budget`` follower solves end the search early. None where a follower has no
        optimum, or where the bound contradicts the best answer.
        """
        state = self._begin(y)
        leader, prices = self.problem.leader, self.space.prices
        for start in (y[prices], leader.lower[prices], leader.upper[prices]):
            if self._evaluate(state, np.clip(start, leader.lower[prices], leader.upper[prices])) is None:
                return None
        self._tolerance = 1e-3 * gap
        bound = -np.inf
        stalled = 0
        while stalled < _PATIENCE:
            value = np.inf if state.best is None else state.best.objective
            target = closing_bound(value, gap, cutoff=cutoff)
            # Its nodes end the master program; the clock only where the time of the whole solve is over.
            left = self.deadline - time.perf_counter()
            if bound >= target or state.solves >= budget or left <= 0:
                break
            low, high = self._box()
            master = PriceMaster(self.space, state.rows, np.array(state.cuts), np.array(state.limits), low, high)
            found, points = master.solve(target, gap, left)
            # At prices already known, where the bound no longer moves, nothing is left to learn but rounding.
            known, before = len(state.tried), bound
            bound = max(bound, found)
            if not points or sum(self._cut(state, v) for v in points) == 0:
                break
            stalled = stalled + 1 if len(state.tried) == known and bound <= before + 1e-9 * max(1.0, abs(bound)) else 0
        value = np.inf if state.best is None else state.best.objective
        return None if contradicts(value, bound) else PriceAnswer(state.best, bound)

    # What is known at these integers.

    def _begin(self, y: np.ndarray) -> PriceState:
        state = PriceState(self.space, self.problem.leader, y.copy(), self.space.rows(y))
        for primal in self._answers:
            if all(f.program.violation(x, y) <= 1e-9 for f, x in zip(self.problem.followers, primal, strict=True)):
                state.add_answer(primal)
        for known in self._duals:
            state.add_dual(*known)
        return state

    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        leader, space = self.problem.leader, self.space
        low, high = np.full(space.size, -np.inf), np.full(space.size, np.inf)
        low[: space.own.size], high[: space.own.size] = leader.lower[space.own], leader.upper[space.own]
        low[space.price], high[space.price] = leader.lower[space.prices], leader.upper[space.prices]
        for f, follower in enumerate(self.problem.followers):
            for k, at, meets in zip(space.prices.tolist(), space.slope(f).tolist(), self.meet[f].tolist(), strict=True):
                if not meets:
                    # What the price multiplies here is the follower's constant.
                    low[at] = high[at] = follower.program.d[k]
                elif k in self.ranges[f]:
                    low[at], high[at] = np.array(self.ranges[f][k]) + follower.program.d[k]
        return low, high

    def _at_prices(self, state: PriceState, prices: np.ndarray) -> np.ndarray:
        y = state.base.copy()
        y[self.space.prices] = prices
        return y

    def _evaluate(self, state: PriceState, prices: np.ndarray) -> np.ndarray | None:
        """Solve the followers at prices: cuts, and perhaps a better point; their optima, or None where there is none."""
        key = np.round(prices, 10).tobytes()
        if key in state.tried:
            return state.tried[key]
        y = self._at_prices(state, prices)
        state.solves += 1
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        primal, dual = found
        state.add_answer(primal)
        self._answers.append(primal)
        optima = state.answers[-1][1] + state.answers[-1][2] @ prices
        for f, multipliers in enumerate(dual):
            self._learn(state, f, prices, float(optima[f]), multipliers)
        state.tried[key] = optima
        self._improve(state, prices, primal, dual)
        return optima

    def _learn(self, state: PriceState, f: int, prices: np.ndarray, value: float, multipliers: np.ndarray) -> None:
        """``s + tau'w >= value``, and for other integers ``value + (multipliers'B + d) (y - y')``: duals stay feasible, the optimum is convex."""
        program = self.problem.followers[f].program
        by_leader = program.B.T @ multipliers + program.d
        by_leader[self.space.prices] = 0.0
        known = (f, prices, value, by_leader, state.base)
        state.add_dual(*known)
        if np.isin(self.problem.followers[f].cost_columns, self.space.prices).all():
            # Integers among the costs would make the duals infeasible elsewhere.
            self._duals.append(known)

    # Feasible points.

    def _improve(self, state: PriceState, prices: np.ndarray, primal: list[np.ndarray], dual: list[np.ndarray], depth: int = 3) -> None:
        """Mixtures of known answers that tie at these prices, and the best prices at which an answer is optimal.

        Where the prices are not exactly those of the tie, the second step moves them there.
        """
        y = self._at_prices(state, prices)
        mixed = state.mixture(prices)
        if mixed is not None and self.responder.is_optimal(y, mixed[0], primal):
            self._accept(state, y, mixed, dual)
        for answer in [primal] if mixed is None else [primal, mixed[0]]:
            moved = state.best_prices(answer, *self._box())
            if moved is None or depth == 0:
                continue
            value, v = moved
            if state.best is not None and value >= state.best.objective:
                continue
            there = v[self.space.price]
            y = self._at_prices(state, there)
            found = self.responder.answer(y)
            state.solves += 1
            if isinstance(found, Termination):
                continue
            if self.responder.is_optimal(y, answer, found[0]):
                self._accept(state, y, (answer, v[: self.space.own.size]), found[1])
            elif np.round(there, 10).tobytes() not in state.tried:
                # Another answer is cheaper there: one more cut, and its own best prices.
                state.tried[np.round(there, 10).tobytes()] = np.array([self.problem.cost(f, x, y) for f, x in enumerate(found[0])])
                state.add_answer(found[0])
                self._answers.append(found[0])
                for f, multipliers in enumerate(found[1]):
                    self._learn(state, f, there, self.problem.cost(f, found[0][f], y), multipliers)
                self._improve(state, there, *found, depth - 1)

    def _accept(self, state: PriceState, y: np.ndarray, chosen: tuple[list[np.ndarray], np.ndarray], dual: list[np.ndarray]) -> None:
        leader, own = self.problem.leader, self.space.own
        y = y.copy()
        y[own] = np.where(leader.integral[own], np.round(chosen[1]), np.clip(chosen[1], leader.lower[own], leader.upper[own]))
        response = self.responder.evaluate(y, chosen[0], dual)
        if response.violation[0] <= self.responder.tolerance and response.better_than(state.best, self.responder.tolerance):
            state.best = response

    # Bounds.

    def _cut(self, state: PriceState, v: np.ndarray) -> bool:
        """Add cuts at a point; whether one of them cuts it off noticeably."""
        space = self.space
        prices = np.clip(v[space.price], *(ends[space.prices] for ends in (self.problem.leader.lower, self.problem.leader.upper)))
        optima = self._evaluate(state, prices)
        if optima is None:
            return False
        noticeable = self._tolerance * max(1e-6, abs(float(state.rows.costs @ v) + state.rows.constant))
        cut = False
        for f in range(space.count):
            level, slope, paid = v[space.level(f)], v[space.slope(f)], v[space.payment(f)]
            if level + paid.sum() > optima[f] + noticeable or level + prices @ slope < optima[f] - noticeable:
                cut = True
                continue
            found = self._oracle(f).cheapest(state.base, slope)
            if found is None:
                continue
            value, at, multipliers, x = found
            self._learn(state, f, at, value + float(at @ slope), multipliers)
            state.solves += 1
            if level < value - noticeable:
                cut = True
            if x is not None and space.count == 1:
                state.add_answer([x])
                self._answers.append([x])
        return cut

    def _oracle(self, f: int) -> SlopeOracle:
        if not self._oracles:
            self._oracles = [SlopeOracle(self.space, g) for g in range(self.space.count)]
        return self._oracles[f]
