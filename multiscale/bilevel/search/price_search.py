"""The leader's best single price at fixed integers, exactly, for linear followers.

Along one price ``tau`` each follower's optimum ``phi_f(tau) = min (c + tau d)'x`` is concave and piecewise linear; a piece is an answer
with level ``s = c'x`` and slope ``w = d'x``. Between two known prices ``a < b`` every answer has ``w`` between the two slopes, ``s``
between the two levels if both prices have one sign, and ``s + tau w = phi_f(tau)`` lies above the chord and below both pieces. With
``r = tau w`` relaxed by its McCormick rows the leader's problem on ``[a, b]`` is a small linear program: a bound. Where two pieces are
neighbours the problem is exact (``x`` constant on both sides, a mixture of the two where they meet). At the ends of the price's range
answers tie that lie beyond those found, and of several followers at any price: one may tie upwards and another downwards. There the best
of the whole optimal face is found, if the slopes it may have leave something to gain. Best-first search over intervals ends with a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.search.price_intervals import Interval, PriceAnswer, PriceIntervals
from multiscale.bilevel.search.price_points import PricePoint
from multiscale.bilevel.search.price_space import PriceSpace, stacked
from multiscale.bilevel.search.response import Responder, Response
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Termination


@dataclass(frozen=True)
class _Point(PricePoint):
    """Answers of all followers at a price: levels ``s`` and slopes ``w``, columns and duals."""

    primal: list[np.ndarray]
    dual: list[np.ndarray]


class PriceSearch(PriceIntervals[_Point]):
    """Exact search over one price. ``applies`` tells whether the problem has the form it needs (see ``PriceSpace``)."""

    def __init__(self, problem: BilevelProblem, responder: Responder) -> None:
        self.problem, self.responder = problem, responder
        self.space = PriceSpace(problem, responder)
        self.applies = self.space.applies and self.space.prices.size == 1
        if self.applies:
            self.price = int(self.space.prices[0])
            self._meets = np.array([self.price in f.cost_columns for f in problem.followers])

    def solve(self, y: np.ndarray, *, gap: float, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best price for the integers of ``y``; stops when the bound is within ``gap`` of the best or above ``cutoff``.

        None where the search cannot tell (a follower without optimum, ``budget`` solves used up, or a bound that contradicts the best answer).
        """
        leader = self.problem.leader
        self._base = y.copy()
        self._rows = self.space.rows(y)
        self.best, self.failed = None, False
        first, last = self._point(float(leader.lower[self.price])), self._point(float(leader.upper[self.price]))
        if first is None or last is None:
            return None
        intervals = [
            (self._interval_bound(first, last), first, last),
            (self._tie_bound(first, np.where(self._meets, np.inf, first.slope), first.slope), first, first),
            (self._tie_bound(last, last.slope, np.where(self._meets, -np.inf, last.slope)), last, last),
        ]
        return self._searched(intervals, gap=gap, absolute_gap=0.0, cutoff=cutoff, budget=budget)

    def quick(self, y: np.ndarray, *, rounds: int = 5) -> Response | None:
        """A feasible price for the integers of ``y`` in a few follower solves, if this leads to one; no proof of anything.

        The best price for the answer at hand as if it stayed, the answer there, and so on until it does stay.
        """
        leader = self.problem.leader
        self._base, self._rows = y.copy(), self.space.rows(y)
        self.failed = False
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
        return _Point(price, level, slope[:, 0], *found)

    # A small program over v, see price_space.

    def _program(self, low: np.ndarray, high: np.ndarray, extra: list[tuple[dict[int, float], float, float]]) -> np.ndarray | None:
        """Minimise the leader's objective; bounds of v, extra rows as (entries, lower, upper). Returns v, or None if infeasible.

        Where there is neither, the search has ``failed``.
        """
        rows = self._rows
        matrix = sparse.vstack([rows.matrix, stacked([content for content, _, _ in extra], low.size)], format="csr")
        lower = np.concatenate([rows.lower, [least for _, least, _ in extra]])
        upper = np.concatenate([rows.upper, [most for _, _, most in extra]])
        integral = self.space.integral()
        program = LinearProgram(matrix, lower, upper, low, high, rows.costs, integral)
        answer = program.solve() if integral.any() else program.solve_proven()
        self.failed |= answer.status not in ("optimal", "infeasible")
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
        if left.price < 0.0 < right.price:
            # With the price the level falls up to a price of zero, where it is the optimum, and rises from there on.
            s_low = np.full(count, -np.inf)
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

    def _tie_bound(self, point: _Point, most: np.ndarray, least: np.ndarray) -> float:
        """What the leader has at a price at best, by the slopes that answers tied there may have; infinitely little where they leave that open."""
        low, high = self._box(point, point)
        _, first = self._columns()
        rows: list[tuple[dict[int, float], float, float]] = []
        for f, optimum in enumerate(point.at(point.price).tolist()):
            s, w, r = first + 3 * f, first + 3 * f + 1, first + 3 * f + 2
            low[s], high[s], low[w], high[w] = -np.inf, np.inf, least[f], most[f]
            room = 1e-9 * max(1.0, abs(optimum))
            rows.append(({r: 1.0, w: -point.price}, 0.0, 0.0))
            rows.append(({s: 1.0, r: 1.0}, optimum - room, optimum + room))
        failed = self.failed
        v = self._program(low, high, rows)
        left_open, self.failed = self.failed, failed
        return -np.inf if left_open else np.inf if v is None else self._value(v)

    def _tied(self, point: _Point) -> float:
        """The best of all answers tied at a price."""
        plain = self.responder.evaluate(self._at(point.price), point.primal, point.dual)
        found, value = self.responder.optimistic(plain)
        self.failed |= value is None or (value == np.inf and plain.violation[0] <= self.responder.tolerance)
        self._consider(found)
        return -np.inf if value is None else value

    def _split(self, left: _Point, middle: _Point, right: _Point) -> Iterator[Interval[_Point]]:
        for one, other in ((left, middle), (middle, right)):
            yield self._interval_bound(one, other), one, other
        if len(self.problem.followers) > 1:
            yield self._tie_bound(middle, left.slope, right.slope), middle, middle

    def _resolve(self, left: _Point, right: _Point, middle: _Point | None) -> float:
        """Exact optima on two neighbouring pieces and on the mixture where they meet."""
        meet = 0.5 * (left.price + right.price) if middle is None else middle.price
        found = [self._on_piece(left, left.price, meet), self._on_piece(right, meet, right.price)]
        if middle is not None:
            found.append(self._mixture(left, right, middle))
        for response, _ in found:
            self._consider(response)
        return min(value for _, value in found)

    def _on_piece(self, piece: _Point, low_price: float, high_price: float) -> tuple[Response | None, float]:
        low, high = self._box(piece, piece)
        price, first = self._columns()
        low[price], high[price] = low_price, high_price
        rows = [({first + 3 * f + 2: 1.0, price: -piece.slope[f]}, 0.0, 0.0) for f in range(len(self.problem.followers))]
        v = self._program(low, high, rows)
        if v is None:
            return None, np.inf
        value = self._value(v)
        return (self._realise(v, piece.primal) if value < self.worth else None), value

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
        if value >= self.worth:
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
