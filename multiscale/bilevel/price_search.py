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

from multiscale.bilevel.description import BilevelProblem, Form
from multiscale.bilevel.linear_program import LinearProgram
from multiscale.bilevel.response import Responder, Response
from multiscale.bilevel.span import combination
from multiscale.programs import Termination

_MANY = 200
"""Quantities of one kind beyond which looking for combinations would take longer than it saves."""


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
    """Exact search over one price. ``applies`` tells whether the problem has the form it needs."""

    def __init__(self, problem: BilevelProblem, responder: Responder) -> None:
        self.problem, self.responder = problem, responder
        self.applies = False
        leader = problem.leader
        prices = responder.linking[~leader.integral[responder.linking]]
        if prices.size != 1 or any(not f.is_linear or prices[0] in f.limit_columns for f in problem.followers):
            return
        self.price = int(prices[0])
        if not np.isfinite([leader.lower[self.price], leader.upper[self.price]]).all():
            return
        self.direction = [np.asarray(f.program.C[:, [self.price]].todense()).ravel() for f in problem.followers]
        shares = self._shares()
        if shares is not None:
            self.level_share, self.share = shares
            self.applies = all(self._fits(form) for form in leader.forms())

    def _shares(self) -> tuple[np.ndarray, np.ndarray] | None:
        """For every quantity its factors to its follower's level and slope; nan for optimal costs, None if one is no combination."""
        levels, slopes = [], []
        for quantity in self.problem.leader.quantities:
            if quantity.kind == "cost":
                levels.append(np.full(quantity.size, np.nan))
                slopes.append(np.full(quantity.size, np.nan))
                continue
            if quantity.kind == "dual" or quantity.constant.any() or quantity.size > _MANY:
                return None
            follower = self.problem.followers[quantity.follower]
            # With another variable in the costs the level is not c0'x alone.
            own = follower.program.c0 if set(follower.cost_columns.tolist()) <= {self.price} else np.zeros(follower.program.columns.size)
            found = [combination(quantity.matrix[i], [own, self.direction[quantity.follower]]) for i in range(quantity.size)]
            if any(weights is None for weights in found):
                return None
            pairs = np.array(found, dtype=float).reshape(-1, 2)
            levels.append(pairs[:, 0])
            slopes.append(pairs[:, 1])
        if not levels:
            return np.zeros(0), np.zeros(0)
        return np.concatenate(levels), np.concatenate(slopes)

    def _fits(self, form: Form) -> bool:
        """Products only of the price and a follower's slope; no nonlinear terms in what moves."""
        if form.tree is not None:
            return False
        n = self.problem.leader.size
        for a, b in zip(form.first.tolist(), form.second.tolist(), strict=True):
            other = b if a == self.price else a if b == self.price else -1
            if other < n or np.isnan(self.share[other - n]) or self.level_share[other - n] != 0:
                held = self.problem.leader.integral
                if not (a < n and b < n and held[a] and held[b]):
                    return False
        return True

    def solve(self, y: np.ndarray, *, gap: float, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best price for the integers of ``y``; stops when the bound is within ``gap`` of the best or above ``cutoff``.

        None where the search cannot tell (a follower without optimum, or ``budget`` solves used up).
        """
        leader = self.problem.leader
        self._base = y.copy()
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
        return PriceAnswer(best, min(floor, value))

    def _point(self, price: float) -> _Point | None:
        y = self._base.copy()
        y[self.price] = price
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        level, slope = [], []
        for f, (follower, x) in enumerate(zip(self.problem.followers, found[0], strict=True)):
            w = float(self.direction[f] @ x) + float(follower.program.d[self.price])
            slope.append(w)
            level.append(follower.program.objective(x, y) - price * w)
        return _Point(price, *found, np.array(level), np.array(slope))

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
        lines = np.minimum(left.at(meet), right.at(meet))
        return bool((lines - middle.at(meet) <= 1e-9 * np.maximum(1.0, np.abs(lines))).all())

    # A small program over v = (own variables, price, s_f, w_f, r_f for every follower).

    def _program(
        self, low: np.ndarray, high: np.ndarray, extra: list[tuple[dict[int, float], float, float]], *, costs: bool = True
    ) -> np.ndarray | None:
        """Minimise the leader's objective; bounds of v, extra rows as (entries, lower, upper). Returns v, or None if infeasible."""
        leader = self.problem.leader
        rows = [self._row(form) for form in (row.form for row in leader.curved)]
        linear = leader.matrix.tocsr()
        entries: list[dict[int, float]] = []
        lower: list[float] = []
        upper: list[float] = []
        for i in range(linear.shape[0]):
            part = slice(linear.indptr[i], linear.indptr[i + 1])
            content, constant = self._row(Form(0.0, linear.indices[part].astype(np.int64), linear.data[part]))
            entries.append(content)
            lower.append(leader.row_lower[i] - constant)
            upper.append(leader.row_upper[i] - constant)
        for row, (content, constant) in zip(leader.curved, rows, strict=True):
            entries.append(content)
            lower.append(row.lower - constant)
            upper.append(row.upper - constant)
        for k in np.flatnonzero(np.isfinite(leader.quantity_lower) | np.isfinite(leader.quantity_upper)):
            content, constant = self._row(Form(0.0, np.array([leader.size + k]), np.ones(1)))
            entries.append(content)
            lower.append(leader.quantity_lower[k] - constant)
            upper.append(leader.quantity_upper[k] - constant)
        entries += [content for content, _, _ in extra]
        lower += [least for _, least, _ in extra]
        upper += [most for _, _, most in extra]
        content, self._constant = self._row(leader.objective)
        objective = np.zeros(low.size)
        for column, value in content.items():
            objective[column] += value
        data = [(i, column, value) for i, part in enumerate(entries) for column, value in part.items()]
        matrix = sparse.csr_matrix(
            (np.array([d[2] for d in data]), (np.array([d[0] for d in data], dtype=int), np.array([d[1] for d in data], dtype=int))),
            shape=(len(entries), low.size),
        )
        integral = np.concatenate([leader.integral[self.responder.own], np.zeros(low.size - self.responder.own.size, dtype=bool)])
        self._costs = objective
        answer = LinearProgram(matrix, np.array(lower), np.array(upper), low, high, objective if costs else None, integral).solve()
        return answer.x if answer.status == "optimal" else None

    def _columns(self) -> tuple[int, int]:
        """Position of the price in v, and of the first follower's (s, w, r)."""
        return self.responder.own.size, self.responder.own.size + 1

    def _row(self, form: Form) -> tuple[dict[int, float], float]:
        """Entries over v and constant of a leader form."""
        leader, n = self.problem.leader, self.problem.leader.size
        price, first = self._columns()
        own = {int(k): i for i, k in enumerate(self.responder.own)}
        owner = np.concatenate([np.full(q.size, q.follower) for q in leader.quantities]) if leader.quantities else np.zeros(0, dtype=int)
        content: dict[int, float] = {}
        constant = form.constant

        def add(column: int, value: float) -> None:
            content[column] = content.get(column, 0.0) + value

        for k, value in zip(form.columns.tolist(), form.coefficients.tolist(), strict=True):
            if k >= n:
                at = first + 3 * int(owner[k - n])
                if np.isnan(self.share[k - n]):
                    # The optimum s + r; the slope already holds the part of d that moves with the price.
                    add(at, value)
                    add(at + 2, value)
                else:
                    program = self.problem.followers[int(owner[k - n])].program
                    add(at + 1, value * self.share[k - n])
                    constant -= value * self.share[k - n] * float(program.d[self.price])
                    if self.level_share[k - n]:
                        held = float(program.constant(self._base)) - float(program.d[self.price]) * float(self._base[self.price])
                        add(at, value * self.level_share[k - n])
                        constant -= value * self.level_share[k - n] * held
            elif k == self.price:
                add(price, value)
            elif k in own:
                add(own[k], value)
            else:
                constant += value * self._base[k]
        for a, b, value in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True):
            other = b if a == self.price else a
            if other >= n:
                f = int(owner[other - n])
                add(first + 3 * f + 2, value * self.share[other - n])
                add(price, -value * self.share[other - n] * float(self.problem.followers[f].program.d[self.price]))
            else:
                constant += value * self._base[a] * self._base[b]
        return content, constant

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
        return np.inf if v is None else float(self._costs @ v) + self._constant

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
        value = float(self._costs @ v) + self._constant
        return self._realise(v, piece.primal), value

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
        value = float(self._costs @ v) + self._constant
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
