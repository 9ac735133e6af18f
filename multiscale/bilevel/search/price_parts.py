"""Prices at fixed integers, where followers share no price and no row of continuous variables: each part by its own exact search over one price.

Many followers with a charge each are many prices, but with the integers held they are many problems of one price (see ``problem.parts``). What
is found for a part depends on the integers of that part alone, so it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import contradicts
from multiscale.bilevel.problem.parts import Part, split
from multiscale.bilevel.search.price_intervals import PriceAnswer
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Responder, Response

_KEPT = 200
"""Answers of a part that are kept; the oldest goes first."""


@dataclass
class _Search:
    """A part, its search, and what was found: integers -> answer and the gap it was proven to."""

    part: Part
    prices: PriceSearch
    known: dict[bytes, tuple[PriceAnswer, float]] = field(default_factory=dict)

    def solve(self, y: np.ndarray, gap: float, budget: int) -> PriceAnswer | None:
        mine = y[self.part.variables]
        key = (mine[self.part.problem.leader.integral] + 0.0).tobytes()
        known = self.known.get(key)
        if known is not None and known[1] <= gap:
            return known[0]
        found = self.prices.solve(mine, gap=gap, budget=budget)
        if found is not None:
            if len(self.known) >= _KEPT:
                self.known.pop(next(iter(self.known)))
            self.known[key] = (found, gap)
        return found


class PriceParts:
    """Exact search over one price in each part. ``applies`` tells whether the problem has parts, each with one price (see ``PriceSearch``)."""

    def __init__(self, problem: BilevelProblem, responder: Responder) -> None:
        self.problem, self.responder = problem, responder
        self.applies = False
        held = np.zeros(problem.leader.size, dtype=bool)
        held[responder.linking] = problem.leader.integral[responder.linking]
        found = split(problem, held)
        if found is None or not all(follower.is_linear for follower in problem.followers):
            return
        parts, self.rest = found
        self.searches: list[_Search] = []
        for part in parts:
            inner = Responder(part.problem, tolerance=responder.tolerance, time_limit=responder.time_limit)
            # A held variable that the part's followers do not see would be free here.
            if part.problem.leader.integral[inner.own].any():
                return
            self.searches.append(_Search(part, PriceSearch(part.problem, inner)))
            if not self.searches[-1].prices.applies:
                return
        self.applies = True

    def solve(self, y: np.ndarray, *, gap: float, cutoff: float = np.inf, budget: int = 400) -> PriceAnswer | None:
        """The best prices for the integers of ``y``: each part within ``gap`` of its best. None where a search cannot tell."""
        del cutoff
        found: list[Response] = []
        bound = self._rest(y)
        for search in self.searches:
            answer = search.solve(y, gap, budget)
            if answer is None:
                return None
            bound += answer.bound
            if answer.response is None:
                return PriceAnswer(None, np.inf) if answer.bound == np.inf else None
            found.append(answer.response)
        response = self._joined(y, found)
        # Rows of integers alone are in no part: where one fails, this is no place to say so.
        if contradicts(response.objective, bound) or not response.violation[0] <= self.responder.tolerance:
            return None
        return PriceAnswer(response, bound)

    def quick(self, y: np.ndarray) -> Response | None:
        """Feasible prices in a few follower solves, if they lead to some in every part."""
        found: list[Response] = []
        for search in self.searches:
            answer = search.prices.quick(y[search.part.variables])
            if answer is None:
                return None
            found.append(answer)
        response = self._joined(y, found)
        return response if response.violation[0] <= self.responder.tolerance else None

    def _rest(self, y: np.ndarray) -> float:
        z = np.zeros(y.size + len(self.problem.leader.quantity_names))
        z[: y.size] = y
        return self.rest.value(z)

    def _joined(self, y: np.ndarray, found: list[Response]) -> Response:
        return joined_answers(self.responder, y, [(search.part, response) for search, response in zip(self.searches, found, strict=True)])


def joined_answers(responder: Responder, y: np.ndarray, found: list[tuple[Part, Response]]) -> Response:
    """The point of the whole problem made of an answer of each part; other leader variables are those of ``y``."""
    y = y.copy()
    primal: list[np.ndarray] = [np.zeros(0)] * len(responder.problem.followers)
    dual: list[np.ndarray] = [np.zeros(0)] * len(responder.problem.followers)
    for part, response in found:
        y[part.variables] = response.y
        for f, x, multipliers in zip(part.followers, response.primal, response.dual, strict=True):
            primal[f], dual[f] = x, multipliers
    return responder.evaluate(y, primal, dual)
