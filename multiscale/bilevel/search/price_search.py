"""The leader's best single price at fixed integers, exactly, for linear followers.

Along one price ``tau`` each follower's optimum ``phi_f(tau) = min (c + tau d)'x`` is concave and piecewise linear; a piece is an answer
with level ``s = c'x`` and slope ``w = d'x``. Between two known prices ``a < b`` every answer has ``w`` between the two slopes, ``s``
between the two levels, and ``s + tau w = phi_f(tau)`` lies above the chord and below both pieces. With ``r = tau w`` relaxed by its
McCormick rows the leader's problem on ``[a, b]`` is a small linear program: a bound. Where two pieces are neighbours the problem is
exact (``x`` constant on both sides, a mixture of the two where they meet). Best-first search over intervals ends with a proof.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import contradicts
from multiscale.bilevel.search.price_space import PriceSpace, stacked
from multiscale.bilevel.search.response import Responder, Response
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Termination


@dataclass(frozen=True)
class PriceAnswer:
    """Best feasible answer (None if there is none), and a lower bound of the leader's objective over all prices."""

    response: Response | None
    bound: float


@dataclass(frozen=True)
class _Point:
    """Answers of all followers at a price: levels ``s`` and slopes ``w``."""

    price: float
    primal: list[np.ndarray]
    dual: list[np.ndarray]
    level: np.ndarray
    slope: np.ndarray

    def at(self, price: float) -> np.ndarray:
        return self.level + price * self.slope


class PriceSearch:
    """Exact search over one price. ``applies`` tells whether the problem has the form it needs (see ``PriceSpace``)."""

    def __init__(self, problem: BilevelProblem, responder: Responder) -> None:
        self.problem, self.responder = problem, responder
        self.space = PriceSpace(problem, responder)
        self.applies = self.space.applies and self.space.prices.size == 1
        if self.applies:
            self.price = int(self.space.prices[0])

    def solve(self, y: np.ndarray, *, gap: float, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best price for the integers of ``y``; stops when the bound is within ``gap`` of the best or above ``cutoff``.

        None where the search cannot tell (a follower without optimum, ``budget`` solves used up, or a bound that contradicts the best answer).
        """
        leader = self.problem.leader
        self._base = y.copy()
        self._rows = self.space.rows(y)
        low, high = float(leader.lower[self.price]), float(leader.upper[self.price])
        first, last = self._point(low), self._point(high)
        if first is None or last is None:
            return None
        best: Response | None = None
        order = itertools.count()
        queue = [(self._interval_bound(first, last), next(order), first, last)]
        floor = np.inf
        while queue:
            bound, _, left, right = heapq.heappop(queue)
            value = np.inf if best is None else best.objective
            if bound >= min(cutoff, value - gap * max(1e-6, abs(value))):
                floor = min(floor, bound)
                break
            meet = self._meeting(left, right)
            middle = None if meet is None else self._point(meet)
            if meet is not None and middle is None:
                return None
            if meet is None or self._neighbours(left, middle, right, meet):
                self._worth = min(cutoff, value)
                for candidate, exact in self._resolve(left, right, middle):
                    floor = min(floor, exact)
                    if candidate is not None and candidate.better_than(best, self.responder.tolerance):
                        best = candidate
                continue
            budget -= 1
            if budget < 0:
                return None
            for pair in ((left, middle), (middle, right)):
                bound = self._interval_bound(*pair)
                if np.isfinite(bound):
                    heapq.heappush(queue, (bound, next(order), *pair))
        value = np.inf if best is None else best.objective
        return None if contradicts(value, floor) else PriceAnswer(best, floor)

    def quick(self, y: np.ndarray, *, rounds: int = 5) -> Response | None:
        """A feasible price for the integers of ``y`` in a few follower solves, if this leads to one; no proof of anything.

        The best price for the answer at hand as if it stayed, the answer there, and so on until it does stay.
        """
        leader = self.problem.leader
        self._base, self._rows = y.copy(), self.space.rows(y)
        price, (at, first) = float(y[self.price]), self._columns()
        held: _Point | None = None
        v: np.ndarray | None = np.zeros(0)
        for _ in range(rounds):
            point = self._point(price)
            if point is None:
                return None
            there = self._at(price)
            if held is not None and v is not None and self.responder.is_optimal(there, held.primal, point.primal):
                there[self.responder.own] = v[: self.responder.own.size]
                found = self.responder.evaluate(there, held.primal, point.dual)
                return found if found.violation[0] <= self.responder.tolerance else None
            low, high = self._box(point, point)
            low[at], high[at] = leader.lower[self.price], leader.upper[self.price]
            rows = [({first + 3 * f + 2: 1.0, at: -point.slope[f]}, 0.0, 0.0) for f in range(len(self.problem.followers))]
            v = self._program(low, high, rows)
            if v is None:
                return None
            held, price = point, float(np.clip(v[at], leader.lower[self.price], leader.upper[self.price]))
        return None

    def _at(self, price: float) -> np.ndarray:
        y = self._base.copy()
        y[self.price] = price
        return y

    def _point(self, price: float) -> _Point | None:
        y = self._at(price)
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        level, slope = self.space.project(y, found[0])
        return _Point(price, *found, level, slope[:, 0])

    def _meeting(self, left: _Point, right: _Point) -> float | None:
        """Price where the two answers cost the same in total; None where they do not differ."""
        fall = float((left.slope - right.slope).sum())
        if fall <= 1e-9 * max(1.0, float(np.abs(left.slope).sum())) or right.price - left.price < 1e-9:
            return None
        price = float((right.level - left.level).sum()) / fall
        return float(np.clip(price, left.price, right.price))

    @staticmethod
    def _neighbours(left: _Point, middle: _Point | None, right: _Point, meet: float) -> bool:
        if middle is None or meet <= left.price + 1e-10 or meet >= right.price - 1e-10:
            return True
        # In total: the followers' optima add up to a concave function, which is a line from one answer to the price only if each of them is.
        line, optimum = min(float(left.at(meet).sum()), float(right.at(meet).sum())), float(middle.at(meet).sum())
        return line - optimum <= 1e-9 * max(1.0, abs(line))

    # A small program over v, see price_space.

    def _program(self, low: np.ndarray, high: np.ndarray, extra: list[tuple[dict[int, float], float, float]]) -> np.ndarray | None:
        """Minimise the leader's objective; bounds of v, extra rows as (entries, lower, upper). Returns v, or None if infeasible."""
        rows = self._rows
        matrix = sparse.vstack([rows.matrix, stacked([content for content, _, _ in extra], low.size)], format="csr")
        lower = np.concatenate([rows.lower, [least for _, least, _ in extra]])
        upper = np.concatenate([rows.upper, [most for _, _, most in extra]])
        answer = LinearProgram(matrix, lower, upper, low, high, rows.costs, self.space.integral()).solve()
        return answer.x if answer.status == "optimal" else None

    def _value(self, v: np.ndarray) -> float:
        return float(self._rows.costs @ v) + self._rows.constant

    def _columns(self) -> tuple[int, int]:
        """Position of the price in v, and of the first follower's (s, w, r)."""
        return int(self.space.price[0]), self.space.level(0)

    def _box(self, left: _Point, right: _Point) -> tuple[np.ndarray, np.ndarray]:
        leader, own = self.problem.leader, self.responder.own
        count = len(self.problem.followers)
        w_low, w_high = np.minimum(left.slope, right.slope), np.maximum(left.slope, right.slope)
        s_low, s_high = np.minimum(left.level, right.level), np.maximum(left.level, right.level)
        blocks_low = np.column_stack([s_low, w_low, np.full(count, -np.inf)]).ravel()
        blocks_high = np.column_stack([s_high, w_high, np.full(count, np.inf)]).ravel()
        return np.concatenate([leader.lower[own], [left.price], blocks_low]), np.concatenate([leader.upper[own], [right.price], blocks_high])

    def _interval_bound(self, left: _Point, right: _Point) -> float:
        low, high = self._box(left, right)
        price, first = self._columns()
        a, b = left.price, right.price
        rows: list[tuple[dict[int, float], float, float]] = []
        for f in range(len(self.problem.followers)):
            s, w, r = first + 3 * f, first + 3 * f + 1, first + 3 * f + 2
            w_low, w_high = low[w], high[w]
            rows.append(({r: 1.0, w: -a, price: -w_low}, -a * w_low, np.inf))
            rows.append(({r: 1.0, w: -b, price: -w_high}, -b * w_high, np.inf))
            rows.append(({r: 1.0, w: -a, price: -w_high}, -np.inf, -a * w_high))
            rows.append(({r: 1.0, w: -b, price: -w_low}, -np.inf, -b * w_low))
            rows += [
                ({s: 1.0, r: 1.0, price: -piece.slope[f]}, -np.inf, piece.level[f] + 1e-9 * max(1.0, abs(piece.level[f]))) for piece in (left, right)
            ]
            if b > a:
                at_a, at_b = left.at(a)[f], right.at(b)[f]
                rise = (at_b - at_a) / (b - a)
                rows.append(({s: 1.0, r: 1.0, price: -rise}, at_a - a * rise - 1e-9 * max(1.0, abs(at_a)), np.inf))
        v = self._program(low, high, rows)
        return np.inf if v is None else self._value(v)

    def _resolve(self, left: _Point, right: _Point, middle: _Point | None) -> list[tuple[Response | None, float]]:
        """Exact optima on two neighbouring pieces and on the mixture where they meet: (answer, value)."""
        meet = 0.5 * (left.price + right.price) if middle is None else middle.price
        found = [self._on_piece(left, left.price, meet), self._on_piece(right, meet, right.price)]
        if middle is not None:
            found.append(self._mixture(left, right, middle))
        return found

    def _on_piece(self, piece: _Point, low_price: float, high_price: float) -> tuple[Response | None, float]:
        low, high = self._box(piece, piece)
        price, first = self._columns()
        low[price], high[price] = low_price, high_price
        rows = [({first + 3 * f + 2: 1.0, price: -piece.slope[f]}, 0.0, 0.0) for f in range(len(self.problem.followers))]
        v = self._program(low, high, rows)
        if v is None:
            return None, np.inf
        value = self._value(v)
        return (self._realise(v, piece.primal) if value < self._worth else None), value

    def _mixture(self, left: _Point, right: _Point, middle: _Point) -> tuple[Response | None, float]:
        low, high = self._box(left, right)
        price, first = self._columns()
        low[price] = high[price] = middle.price
        rows: list[tuple[dict[int, float], float, float]] = []
        for f in range(len(self.problem.followers)):
            s, w, r = first + 3 * f, first + 3 * f + 1, first + 3 * f + 2
            optimum = min(left.at(middle.price)[f], right.at(middle.price)[f])
            rows.append(({r: 1.0, w: -middle.price}, 0.0, 0.0))
            rows.append(({s: 1.0, r: 1.0}, optimum, optimum))
            # s may leave its box by rounding only.
            low[s], high[s] = low[s] - 1e-6 * max(1.0, abs(low[s])), high[s] + 1e-6 * max(1.0, abs(high[s]))
        v = self._program(low, high, rows)
        if v is None:
            return None, np.inf
        value = self._value(v)
        if value >= self._worth:
            return None, value
        primal = []
        for f, (a, b) in enumerate(zip(left.primal, right.primal, strict=True)):
            fall = left.slope[f] - right.slope[f]
            share = float(np.clip((left.slope[f] - v[first + 3 * f + 1]) / fall, 0.0, 1.0)) if abs(fall) > 1e-12 else 0.0
            primal.append((1.0 - share) * a + share * b)
        return self._realise(v, primal), value

    def _realise(self, v: np.ndarray, primal: list[np.ndarray]) -> Response | None:
        """The full answer at the price of ``v``; the given ``x`` is optimal there, the duals are solved for."""
        leader, own = self.problem.leader, self.responder.own
        y = self._base.copy()
        y[own] = np.where(leader.integral[own], np.round(v[: own.size]), v[: own.size])
        y[self.price] = np.clip(v[own.size], leader.lower[self.price], leader.upper[self.price])
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        if not self.responder.is_optimal(y, primal, found[0]):
            return None
        response = self.responder.evaluate(y, primal, found[1])
        return response if response.violation[0] <= self.responder.tolerance else None
