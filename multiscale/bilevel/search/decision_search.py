"""Turn leader decisions into bilevel-feasible points, and look for good ones, by solving the followers only.

Exact search along one direction of prices. With everything else held, ``phi(s) = min (c + s d)'x`` is concave and piecewise linear in
the step ``s``; two neighbouring pieces, with optimal ``x_a`` and ``x_b``, meet where their lines do. On a piece ``x`` is constant,
so what the leader's rows and objective allow there is a linear program in the step and the leader's own variables. Revenue is not
monotone in a tariff: pieces are looked at one by one, no bisection on feasibility.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.affine import affine_leader
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.search.asked_prices import asked_prices
from multiscale.bilevel.search.price_cutting import PriceCutting
from multiscale.bilevel.search.price_parts import PriceParts
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Responder, Response
from multiscale.bilevel.search.tighten import friendly_decision
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Termination


@dataclass(frozen=True)
class _Piece:
    """An optimal answer along the line: cost ``level + s * slope`` for every follower together."""

    response: Response
    level: float
    slope: float

    def at(self, step: float) -> float:
        return self.level + step * self.slope


class DecisionSearch:
    """Keeps every decision tried, so that none is solved twice.

    Args:
        problem: the bilevel problem.
        tolerance: relative violation of a leader row that still counts as feasible.
        gap: relative gap to which the best price of a decision is proven.
        time_limit: seconds for one follower solve.
    """

    def __init__(self, problem: BilevelProblem, *, tolerance: float = 1e-6, gap: float = 1e-6, time_limit: float = 60.0) -> None:
        self.problem = problem
        self.responder = Responder(problem, tolerance=tolerance, time_limit=time_limit)
        self.tolerance, self.gap = tolerance, gap
        self.best: Response | None = None
        self._tried: dict[bytes, Response | None] = {}
        leader = problem.leader
        linking = self.responder.linking
        self.integral = linking[leader.integral[linking]]
        in_limits = np.zeros(leader.size, dtype=bool)
        for follower in problem.followers:
            in_limits[follower.limit_columns] = True
        continuous = linking[~leader.integral[linking]]
        self.continuous = continuous
        bounded = np.isfinite(leader.lower[continuous]) & np.isfinite(leader.upper[continuous])
        self.prices = continuous[~in_limits[continuous] & bounded]
        self.exact: PriceSearch | PriceParts = PriceSearch(problem, self.responder)
        if not self.exact.applies and self.prices.size > 1:
            self.exact = PriceParts(problem, self.responder)
        # For several prices, where SCIP may run; see lazy_handler.
        self.several: PriceCutting | None = None

    def clipped(self, y: np.ndarray) -> np.ndarray:
        """The decision moved into the leader's bounds, integers rounded."""
        leader = self.problem.leader
        y = np.clip(y, leader.lower, leader.upper)
        y[leader.integral] = np.round(y[leader.integral])
        # Adding zero turns -0.0 into 0.0: keys are bytes.
        return y + 0.0

    def try_decision(self, y: np.ndarray, *, budget: int = 24, thorough: bool = False) -> Response | None:
        """The best feasible point found at a decision: itself, or along the prices if a leader row fails there."""
        y = self.clipped(y)
        key = np.round(y[self.responder.linking], 9).tobytes()
        if key in self._tried:
            return self._tried[key]
        if self.exact.applies:
            # Along the price the search sees all there is, ties included.
            found = self.search_prices(y, budget=budget)
            self._tried[key] = found
            if found is not None and found.better_than(self.best, self.tolerance):
                self.best = found
            return found
        response = self.responder.respond(y, thorough=thorough)
        feasible = response is not None and response.violation[0] <= self.tolerance
        if self.prices.size and response is not None:
            along = self.search_prices(y, budget=budget, known=response if feasible else None)
            if along is not None and along.better_than(response, self.tolerance):
                response, feasible = along, True
        found = response if feasible else None
        self._tried[key] = found
        if found is not None and found.better_than(self.best, self.tolerance):
            self.best = found
        return found

    def try_quickly(self, y: np.ndarray) -> bool:
        """Whether a few follower solves lead to a feasible price at a decision: one large follower solve may take seconds."""
        found = self.exact.quick(self.clipped(y)) if self.exact.applies else None
        if found is not None and found.better_than(self.best, self.tolerance):
            self.best = found
        return found is not None

    def search_prices(self, y: np.ndarray, *, budget: int, known: Response | None = None) -> Response | None:
        """Best feasible point with integers and right-hand sides held and all prices moved along one line."""
        leader, prices = self.problem.leader, self.prices
        low, high = leader.lower[prices], leader.upper[prices]
        width = high - low
        if not (width > 0).any():
            return None
        if self.exact.applies:
            # Only what is better than the best point is worth finding.
            cutoff = min(np.inf if r is None else r.objective for r in (known, self.best))
            found = self.exact.solve(y, gap=self.gap, cutoff=cutoff)
            return known if found is None or found.response is None else found.response
        if self.several is not None and self.several.applies:
            cutoff = min(np.inf if r is None else r.objective for r in (known, self.best))
            several = self.several.solve(y, gap=1e-3, cutoff=cutoff, budget=budget)
            return known if several is None or several.response is None else several.response
        start = y.copy()
        ray = y[prices] - low
        if prices.size == 1 or ray.max(initial=0.0) <= 1e-9 * width.max():
            ray = width
        else:
            # Along the ray through the given prices, as far as the box goes.
            with np.errstate(divide="ignore"):
                ray = ray * np.min(np.where(ray > 0, width / np.where(ray > 0, ray, 1.0), np.inf))
        start[prices] = low
        direction = np.zeros(leader.size)
        direction[prices] = ray
        best = self.search_line(start, direction, budget=budget, known=known)
        return self._one_by_one(y if best is None else best.y, best, budget) if prices.size > 1 else best

    def _one_by_one(self, y: np.ndarray, best: Response | None, budget: int) -> Response | None:
        """Best feasible point where one price after another moves over its range, the others held."""
        leader = self.problem.leader
        for k in self.prices.tolist():
            start, direction = y.copy(), np.zeros(leader.size)
            start[k], direction[k] = leader.lower[k], leader.upper[k] - leader.lower[k]
            if direction[k] > 0:
                found = self.search_line(start, direction, budget=budget, known=best)
                if found is not None and found.better_than(best, self.tolerance):
                    best, y = found, found.y
        return best

    def try_answers(self, y: np.ndarray, primal: list[np.ndarray]) -> Response | None:
        """The best feasible point at the prices at which given answers are optimal, or nearly so; see ``asked_prices``."""
        if self.exact.applies or not self.prices.size or self.prices.size < self.continuous.size or not self.responder.has_choice:
            return None
        asked = asked_prices(self.problem, self.clipped(y), primal, self.prices, self.responder.own, time_limit=self.responder.time_limit)
        if asked is None:
            return None
        found = self.responder.respond(self.clipped(asked), thorough=True)
        if found is None or found.violation[0] > self.tolerance:
            return None
        if found.better_than(self.best, self.tolerance):
            self.best = found
        return found

    def search_line(self, start: np.ndarray, direction: np.ndarray, *, budget: int, known: Response | None = None) -> Response | None:
        """Best feasible point on ``start + s direction``, ``0 <= s <= 1``, among the pieces ``budget`` follower solves can reveal."""
        if not all(follower.is_linear for follower in self.problem.followers):
            return self._sample_line(start, direction, budget, known)
        self._left = budget
        first, last = self._piece(start, direction, 0.0), self._piece(start, direction, 1.0)
        if first is None or last is None:
            return None
        best = known
        order = itertools.count()
        queue = [(0.0, next(order), 0.0, first, 1.0, last)]
        while queue:
            _, _, a, left, b, right = heapq.heappop(queue)
            meet = self._meeting(a, left, b, right)
            middle = None if meet is None or self._left <= 0 else self._piece(start, direction, meet)
            gap = 0.0 if meet is None or middle is None else left.at(meet) - middle.at(meet)
            if meet is None or middle is None or gap <= 1e-9 * max(1.0, abs(left.at(meet))):
                # The two answers are neighbours: each is optimal up to where their lines meet.
                end = 0.5 * (a + b) if meet is None else meet
                for piece, lower, upper in ((left, a, end), (right, end, b)):
                    candidate = self._on_piece(piece, start, direction, lower, upper)
                    if candidate is not None and candidate.better_than(best, self.tolerance):
                        best = candidate
                # Where the two tie, a mixture of them may be what a row of the leader on other quantities asks for.
                if meet is not None and middle is not None and self.responder.has_choice:
                    tied = self.responder.respond(self.clipped(start + meet * direction), thorough=True)
                    if tied is not None and tied.violation[0] <= self.tolerance and tied.better_than(best, self.tolerance):
                        best = tied
                continue
            heapq.heappush(queue, (a, next(order), a, left, meet, middle))
            heapq.heappush(queue, (meet, next(order), meet, middle, b, right))
        return best

    def _sample_line(self, start: np.ndarray, direction: np.ndarray, budget: int, known: Response | None) -> Response | None:
        """The same for quadratic followers, whose answer moves all along: a grid, then a finer one around its best point."""
        best, centre, width = known, 0.5, 0.5
        count = max(3, budget // 3)
        for _ in range(3):
            for step in np.linspace(max(0.0, centre - width), min(1.0, centre + width), count):
                candidate = self.responder.respond(self.clipped(start + step * direction))
                if candidate is not None and candidate.violation[0] <= self.tolerance and candidate.better_than(best, self.tolerance):
                    best, centre = candidate, float(step)
            width *= 2.0 / count
        return best

    def _piece(self, start: np.ndarray, direction: np.ndarray, step: float) -> _Piece | None:
        self._left -= 1
        y = start + step * direction
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        response = self.responder.evaluate(y, *found)
        cost, slope = 0.0, 0.0
        for follower, x in zip(self.problem.followers, found[0], strict=True):
            cost += follower.program.objective(x, y)
            slope += float(x @ (follower.program.C @ direction)) + float(follower.program.d @ direction)
        return _Piece(response, cost - step * slope, slope)

    @staticmethod
    def _meeting(a: float, left: _Piece, b: float, right: _Piece) -> float | None:
        fall = left.slope - right.slope
        if fall <= 1e-10 * max(1.0, abs(left.slope)):
            return None
        step = (right.level - left.level) / fall
        return float(step) if a + 1e-9 < step < b - 1e-9 else None

    def _on_piece(self, piece: _Piece, start: np.ndarray, direction: np.ndarray, lower: float, upper: float) -> Response | None:
        """Best step and own variables while the followers' answer stays as it is: a linear program."""
        problem, leader, own = self.problem, self.problem.leader, self.responder.own
        base = start.copy()
        base[own] = 0.0
        primal, dual = piece.response.primal, piece.response.dual
        z0 = problem.joint(base, primal, dual)
        move = np.zeros(z0.size)
        move[: leader.size] = direction
        move[leader.size :] = problem.joint(base + direction, primal, dual)[leader.size :] - z0[leader.size :]
        spread = sparse.hstack(
            [sparse.csr_matrix((np.ones(own.size), (own, np.arange(own.size))), shape=(z0.size, own.size)), sparse.csr_matrix(move[:, None])],
            format="csr",
        )
        affine = affine_leader(leader, z0, spread)
        if affine.costs is None:
            return None
        ends = np.append(leader.lower[own], lower), np.append(leader.upper[own], upper)
        integral = np.append(leader.integral[own], False)
        answer = LinearProgram(affine.matrix, affine.row_lower, affine.row_upper, *ends, affine.costs, integral).solve()
        if answer.status != "optimal":
            return None
        step = float(np.clip(answer.x[-1], lower, upper))
        y = self.clipped(start + step * direction)
        y[own] = answer.x[:-1]
        y = self.clipped(y)
        found = self.responder.answer(y)
        if isinstance(found, Termination):
            return None
        # Where the budget left neighbours unknown, the piece may end earlier: only an optimal x may be kept.
        if not self.responder.is_optimal(y, primal, found[0]):
            return None
        # The piece's x and the duals at this step are both optimal here, so they are complementary.
        response = self.responder.evaluate(y, primal, found[1])
        return response if response.violation[0] <= self.tolerance else None

    def improve(self, solves: int, deadline: float) -> None:
        """Flip integers of the best point one at a time while something gets better, for so many follower solves, before the user's time is over."""
        last, moved = self.responder.solves + solves, True
        while moved and self.best is not None:
            moved = False
            for k in self.integral:
                before = self.best
                for value in self.neighbours(int(k), before.y[k]):
                    if self.responder.solves >= last or time.perf_counter() > deadline:
                        return
                    y = before.y.copy()
                    y[k] = value
                    self.try_decision(y, budget=12)
                moved |= self.best is not before

    def neighbours(self, k: int, value: float) -> list[float]:
        """Values next to that of an integer variable."""
        leader = self.problem.leader
        if leader.is_binary(k):
            return [1.0 - value]
        return [v for v in (value - 1.0, value + 1.0) if leader.lower[k] <= v <= leader.upper[k]]

    def relaxed_decisions(self, seconds: float) -> list[np.ndarray]:
        """Decisions near what the leader would do if the followers acted in its favour: integers rounded up from two shares on.

        Prices are held at their middle; a linear program with the followers' rows and the leader's linear ones.
        """
        leader = self.problem.leader
        middle = np.clip(0.0, leader.lower, leader.upper)
        middle[self.prices] = 0.5 * (leader.lower[self.prices] + leader.upper[self.prices])
        y = friendly_decision(self.problem, self.prices, middle, seconds)
        if y is None or not self.integral.size:
            return [] if y is None else [y]
        decisions: list[np.ndarray] = []
        for share in (0.05, 0.4):
            rounded = y.copy()
            rounded[leader.integral] = np.ceil(y[leader.integral] - share)
            if not any((rounded[self.integral] == other[self.integral]).all() for other in decisions):
                decisions.append(rounded)
        return decisions

    def first_decisions(self, given: np.ndarray | None) -> list[np.ndarray]:
        """Decisions to try before anything is known: the user's, everything built, nothing built, the middle."""
        leader = self.problem.leader
        low = np.where(np.isfinite(leader.lower), leader.lower, np.minimum(leader.upper, -1.0))
        high = np.where(np.isfinite(leader.upper), leader.upper, np.maximum(leader.lower, 1.0))
        decisions = [] if given is None else [given]
        for share in (1.0, 0.0):
            y = low + 0.5 * (high - low)
            y[leader.integral] = (low + share * (high - low))[leader.integral]
            decisions.append(y)
        if self.continuous.size > self.prices.size:
            decisions += [np.where(leader.integral, decisions[-2], end) for end in (low, high)]
        return decisions
