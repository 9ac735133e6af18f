"""The leader's best price at fixed integers, exactly, whatever columns of linear followers its problem holds.

Along one price ``tau`` each follower's optimum ``phi(tau)`` is concave and piecewise linear; an answer has the level ``s`` (its cost without the
price) and the slope ``w`` (what the price multiplies). Between two known prices ``a < b`` the slope of every answer is between theirs, and

    s + tau w  <=  s_a + tau w_a,     s + tau w  <=  s_b + tau w_b,     s + tau w  >=  the chord of phi between a and b.

With the envelope of ``tau w`` on that box the leader's problem, the followers' rows and all their columns included, is a linear program: a bound.
Where the two answers are neighbours (both optimal at the price where they cost the same) three programs are exact, for the envelope is: the first
answer's slope up to that price, the second's from there on, and the price itself with any slope between. What the programs then leave to the
columns is the optimal face, so that ties are broken in the leader's favour also in quantities that neither cost nor price values. At the ends of
the price's range, slopes beyond those of the answer found tie too, and of several followers at any price: one may tie upwards and another downwards.
Best-first search over intervals ends with a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.envelopes import Envelopes
from multiscale.bilevel.problem.description import BilevelProblem, MethodError
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.search.price_intervals import Interval, PriceAnswer, PriceIntervals
from multiscale.bilevel.search.price_points import PricePoint
from multiscale.bilevel.search.response import Responder, Response
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Termination


def _room(values: np.ndarray) -> np.ndarray:
    """Room of value rows and slopes: rounding, and HiGHS's feasibility tolerance, which rows that meet in a point must leave to its presolve."""
    return 1e-7 + 1e-9 * np.abs(values)


@dataclass(frozen=True)
class _Point(PricePoint):
    """Answers at a price, with the columns that the price multiplies."""

    quantity: np.ndarray


class PriceFaces(PriceIntervals[_Point]):
    """Exact search over at most one price at fixed integers.

    Args:
        problem: the block's problem.
        responder: solves its followers.
        single: its relaxation (primal rows of followers, the leader's problem).
        costs: columns, weights and constant of each follower's cost in it.
        clock: seconds left.

    Raises:
        MethodError: several prices, a price without bounds or in a right-hand side, or products that a fixed price slope does not make linear.
    """

    def __init__(
        self, problem: BilevelProblem, responder: Responder, single: SingleLevel, costs: list[tuple[np.ndarray, np.ndarray, float]], clock: Clock
    ) -> None:
        self.problem, self.responder, self.single, self.clock = problem, responder, single, clock
        leader, linking = problem.leader, responder.linking
        self.integers = linking[leader.integral[linking]]
        moving = linking[~leader.integral[linking]]
        if moving.size > 1:
            raise MethodError(f"decomposition takes one price for followers that meet in more than integers, not {moving.size}")
        self.price = int(moving[0]) if moving.size else None
        if self.price is not None and not np.isfinite([leader.lower[self.price], leader.upper[self.price]]).all():
            raise MethodError(f"decomposition needs bounds of the price {leader.names[self.price]}")
        for follower in problem.followers:
            if not follower.is_linear or self.price in follower.limit_columns:
                raise MethodError(f"decomposition takes linear followers whose rows hold integers of the leader only, not {follower.name!r}")
        self.columns = self._quantities()
        self._check_products()
        self._program_with_rows(costs)

    def _quantities(self) -> np.ndarray:
        """The column of each product of the price and what a follower pays it for."""
        self.sign = np.zeros(0)
        if self.price is None:
            return np.zeros(0, dtype=np.int64)
        defined = {int(rule.columns[0]): rule for rule in self.single.derived if rule.rule == "linear" and rule.columns.size == 1}
        found: dict[int, float] = {}
        for f, follower in enumerate(self.problem.followers):
            by_leader = follower.program.C.tocsc()[:, [self.price]]
            if by_leader.nnz:
                own = self.single.primal[f][by_leader.indices]
                for column in np.unique(self._partners()):
                    rule = defined.get(int(column))
                    if own.size == 1 and column == own[0]:
                        found[int(column)] = float(by_leader.data[0])
                    elif rule is not None and rule.matrix is not None and np.array_equal(np.sort(own), np.sort(rule.sources)):
                        weights, theirs = by_leader.data[np.argsort(own)], rule.matrix.toarray().ravel()[np.argsort(rule.sources)]
                        if np.allclose(weights / weights[0], theirs / theirs[0], rtol=1e-9, atol=0):
                            found[int(column)] = float(weights[0] / theirs[0])
        self.sign = np.sign([found[column] for column in sorted(found)])
        return np.array(sorted(found), dtype=np.int64)

    def _partners(self) -> np.ndarray:
        """Columns that the price is multiplied by."""
        products = self.single.products
        return np.concatenate([products[products[:, 1] == self.price, 2], products[products[:, 2] == self.price, 1]])

    def _check_products(self) -> None:
        leader = self.problem.leader
        for _, a, b in self.single.products.tolist():
            if self.price in (a, b):
                other = b if a == self.price else a
                if other in self.columns:
                    continue
                held = other in self.integers
            else:
                held = a in self.integers or b in self.integers
            if not held:
                raise MethodError(
                    f"decomposition takes products of a price and what its follower pays it for, not {self.single.column_name(a)} times "
                    f"{self.single.column_name(b)} in the problem of {leader.names[0]}"
                )

    def _program_with_rows(self, costs: list[tuple[np.ndarray, np.ndarray, float]]) -> None:
        """Rows of the program: the relaxation, envelopes, and for each follower two value rows and the chord."""
        single = self.single
        self.envelopes = Envelopes(single)
        count = self.envelopes.count
        entries, low, high = self.envelopes.rows(single.lower, single.upper)
        where = np.repeat(np.arange(count), 3)
        envelope = sparse.csr_matrix((entries.ravel(), (where, self.envelopes.columns.ravel())), shape=(count, single.size))
        self.first = single.rows.shape[0]
        self.constants = np.array([constant for _, _, constant in costs])
        paid = [sparse.csr_matrix((w, (np.zeros(c.size, dtype=np.int64), c)), shape=(1, single.size)) for c, w, _ in costs]
        value_rows = sparse.vstack([row for row in paid for _ in range(3)], format="csr")
        value_rows.sum_duplicates()
        self.value_rows = self.first + count + np.arange(value_rows.shape[0])
        # A leader variable may stand in the cost itself (d'y): the slope is subtracted from what is there.
        self.price_entry = np.zeros(value_rows.shape[0]) if self.price is None else value_rows[:, [self.price]].toarray().ravel()
        nothing = np.full(value_rows.shape[0], np.inf)
        self.row_lower = np.concatenate([single.row_lower, low, -nothing])
        self.row_upper = np.concatenate([single.row_upper, high, nothing])
        self.costs = np.zeros(single.size)
        np.add.at(self.costs, single.objective.columns, single.objective.coefficients)
        own = np.zeros(single.size, dtype=bool)
        own[: self.problem.leader.size] = self.problem.leader.integral
        own[self.integers] = False
        matrix = sparse.vstack([single.rows, envelope, value_rows], format="csr")
        self.program = LinearProgram(matrix, self.row_lower, self.row_upper, single.lower, single.upper, self.costs, own)
        self.program.without_presolve()

    def solve(self, y: np.ndarray, *, gap: float = 0.0, absolute_gap: float = 0.0, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best price for the integers of ``y``; stops when the bound is within one of the gaps of the best or above ``cutoff``.

        None where the search cannot tell (a follower or a program without an answer, ``budget`` solves or the time used up, or a contradiction).
        """
        self._base = y.copy()
        self.best, self.failed = None, False
        if self.price is None:
            point = self._point(None)
            return None if point is None else self._answer(self._exact(point, point, None, None))
        leader = self.problem.leader
        self.least, self.most = float(leader.lower[self.price]), float(leader.upper[self.price])
        first, last = self._point(self.least), self._point(self.most)
        if first is None or last is None:
            return None
        whole = (self._bound(first, last), first, last)
        return self._searched([whole], gap=gap, absolute_gap=absolute_gap, cutoff=cutoff, budget=budget)

    def _split(self, left: _Point, middle: _Point, right: _Point) -> Iterator[Interval[_Point]]:
        if len(self.problem.followers) > 1:
            # Where several followers have ties at one price, one may lie beyond the answer found here and another one before it.
            yield -np.inf, middle, middle
        for one, other in ((left, middle), (middle, right)):
            yield self._bound(one, other), one, other

    # Points.

    def _at(self, price: float | None) -> np.ndarray:
        y = self._base.copy()
        if self.price is not None:
            y[self.price] = price
        return y

    def _point(self, price: float | None) -> _Point | None:
        y = self._at(price)
        found = self.responder.answer(y)
        if isinstance(found, Termination) or self.clock.is_late:
            return None
        primal, dual = found
        slope = np.zeros(len(primal))
        if self.price is not None:
            for f, (follower, x) in enumerate(zip(self.problem.followers, primal, strict=True)):
                slope[f] = float((follower.program.C.tocsc()[:, [self.price]].T @ x)[0]) + follower.program.d[self.price]
        paid = np.array([self.problem.cost(f, x, y) for f, x in enumerate(primal)])
        quantity = self.single.complete(y, primal, dual)[self.columns]
        return _Point(price or 0.0, paid - (price or 0.0) * slope, slope, quantity)

    # Programs.

    def _solve(self, left: _Point, right: _Point, prices: tuple[float, float], *, slopes: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray | None:
        """The point of the program with value rows of two answers; None where it is infeasible. ``slopes``: ends of the price's columns."""
        single = self.single
        lower, upper = single.lower.copy(), single.upper.copy()
        lower[self.integers] = upper[self.integers] = self._base[self.integers]
        if self.price is not None:
            lower[self.price], upper[self.price] = prices
            if slopes is not None:
                room = _room(np.stack(slopes))
                lower[self.columns] = np.maximum(lower[self.columns], slopes[0] - room[0])
                upper[self.columns] = np.minimum(upper[self.columns], slopes[1] + room[1])
                lower[self.columns] = np.minimum(lower[self.columns], upper[self.columns])
        entries, low, high = self.envelopes.rows(lower, upper)
        rows = np.repeat(self.first + np.arange(self.envelopes.count), 2)
        self.program.change_entries(rows, self.envelopes.columns[:, 1:].ravel(), entries[:, 1:].ravel())
        row_lower, row_upper = self.row_lower.copy(), self.row_upper.copy()
        row_lower[self.first : self.first + self.envelopes.count], row_upper[self.first : self.first + self.envelopes.count] = low, high
        width = right.price - left.price
        at_left, at_right = left.at(left.price), right.at(right.price)
        rise = (at_right - at_left) / width if width > 0 else np.zeros(at_left.size)
        slope = np.stack([left.slope, right.slope, rise], axis=1).ravel()
        limits = np.stack([left.level, right.level, at_left - left.price * rise], axis=1)
        room = _room(np.stack([left.level, right.level, at_left], axis=1))
        row_upper[self.value_rows[0::3]] = limits[:, 0] + room[:, 0] - self.constants
        row_upper[self.value_rows[1::3]] = limits[:, 1] + room[:, 1] - self.constants
        row_lower[self.value_rows[2::3]] = limits[:, 2] - room[:, 2] - self.constants if width > 0 else -np.inf
        if self.price is not None:
            self.program.change_entries(self.value_rows, np.full(self.value_rows.size, self.price), self.price_entry - slope)
        self.program.change_rows(row_lower, row_upper)
        self.program.change_columns(lower, upper)
        self.program.allow(self.clock.left())
        answer = self.program.solve_proven()
        self.failed |= answer.status not in ("optimal", "infeasible")
        return answer.x if answer.status == "optimal" else None

    def _value(self, v: np.ndarray) -> float:
        return float(self.costs @ v) + self.single.objective.constant

    def _bound(self, left: _Point, right: _Point) -> float:
        v = self._solve(left, right, (left.price, right.price), slopes=self._ends(left, right))
        return np.inf if v is None and not self.failed else -np.inf if v is None else self._value(v)

    def _ends(self, left: _Point, right: _Point) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest of what the price multiplies on an interval; at the ends of the range ties may lie beyond the answers found."""
        low, high = np.minimum(left.quantity, right.quantity), np.maximum(left.quantity, right.quantity)
        # Slopes fall with the price, and these columns do or rise, by the sign of their factor in the slope.
        if left.price <= self.least:
            high, low = np.where(self.sign > 0, np.inf, high), np.where(self.sign > 0, low, -np.inf)
        if right.price >= self.most:
            high, low = np.where(self.sign > 0, high, np.inf), np.where(self.sign > 0, -np.inf, low)
        return low, high

    def _tied(self, point: _Point) -> float:
        return self._exact(point, point, (point.price, point.price), None)

    def _resolve(self, left: _Point, right: _Point, middle: _Point | None) -> float:
        """Exact programs of two neighbouring answers; returns the least value."""
        meet = 0.5 * (left.price + right.price) if middle is None else middle.price
        found = [
            self._exact(left, left, (left.price, meet), (left.quantity, left.quantity)),
            self._exact(right, right, (meet, right.price), (right.quantity, right.quantity)),
        ]
        if middle is not None:
            ends = np.minimum(left.quantity, right.quantity), np.maximum(left.quantity, right.quantity)
            found.append(self._exact(left, right, (meet, meet), ends))
        for point, end in ((left, self.least), (right, self.most)):
            if point.price == end:
                found.append(self._tied(point))
        return min(found)

    def _exact(self, left: _Point, right: _Point, prices: tuple[float, float] | None, slopes: tuple[np.ndarray, np.ndarray] | None) -> float:
        """Value of an exact program; its point is considered where it may be better and holds when it is checked."""
        v = self._solve(left, right, prices or (0.0, 0.0), slopes=slopes)
        if v is None:
            return np.inf
        value = self._value(v)
        if self.best is None or value < self.best.objective:
            for response in self._responses(v):
                if response.violation[0] <= self.responder.tolerance:
                    self._consider(response)
        return value

    def _responses(self, v: np.ndarray) -> list[Response]:
        """The point of a program with duals that are solved for, and the best answer of the face at its price."""
        leader, n = self.problem.leader, self.problem.leader.size
        y = np.clip(v[:n], leader.lower, leader.upper)
        y[self.integers] = self._base[self.integers]
        y[leader.integral] = np.round(y[leader.integral])
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return []
        responses = []
        primal = [np.clip(v[c], f.program.lower, f.program.upper) for c, f in zip(self.single.primal, self.problem.followers, strict=True)]
        violated = max(f.program.violation(x, y) for f, x in zip(self.problem.followers, primal, strict=True))
        if violated <= 1e-7 and self.responder.is_optimal(y, primal, found[0], 2e-7):
            responses.append(self.responder.evaluate(y, primal, found[1]))
        if not responses or not responses[0].violation[0] <= self.responder.tolerance:
            plain = self.responder.evaluate(y, *found)
            best, _ = self.responder.optimistic(plain)
            responses += [response for response in (best, plain) if response is not None]
        return responses
