"""Best-first search over intervals of one price, until the least bound of those left meets the best point.

The bound of an interval, and the exact values where two answers are neighbours, are those of the search at hand (``price_search``: levels and slopes;
``decomposition.price_faces``: all columns of the followers).
"""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from multiscale.bilevel.problem.gap import closing_bound, contradicts
from multiscale.bilevel.search.price_points import PricePoint, are_neighbours, meeting
from multiscale.bilevel.search.response import Responder, Response

P = TypeVar("P", bound=PricePoint)

Interval = tuple[float, P, P]
"""A bound of the leader's objective between the prices of two answers; one answer twice is its price alone, with all that ties there."""


@dataclass(frozen=True)
class PriceAnswer:
    """Best feasible answer (None if there is none), and a lower bound of the leader's objective over all prices."""

    response: Response | None
    bound: float


class PriceIntervals(ABC, Generic[P]):
    """The search, at the leader's decision it was last begun with.

    Attributes:
        best: the best point so far.
        worth: what a value must be below for its point to be of use.
        failed: a program was not solved; the search cannot tell then.
    """

    responder: Responder
    best: Response | None
    worth: float
    failed: bool

    @abstractmethod
    def _point(self, price: float) -> P | None:
        """Answers at a price; None where there are none."""

    @abstractmethod
    def _split(self, left: P, middle: P, right: P) -> Iterable[Interval[P]]:
        """The two halves of an interval, and what ties between them."""

    @abstractmethod
    def _tied(self, point: P) -> float:
        """The least value at one price; see ``_consider``."""

    @abstractmethod
    def _resolve(self, left: P, right: P, middle: P | None) -> float:
        """The least value between two neighbouring answers, which meet at ``middle`` (None: they do not differ); see ``_consider``."""

    def _consider(self, found: Response | None) -> None:
        """A point that has an exact value; it becomes ``best`` where it is better."""
        if found is not None and found.better_than(self.best, self.responder.tolerance):
            self.best = found

    def _searched(self, intervals: Iterable[Interval[P]], *, gap: float, absolute_gap: float, cutoff: float, budget: int) -> PriceAnswer | None:
        """The best point and a proven bound; None where a price has no answers, a program failed or ``budget`` splits are used up."""
        order = itertools.count()
        queue = [(bound, next(order), left, right) for bound, left, right in intervals]
        heapq.heapify(queue)
        floor = np.inf
        while queue and not self.failed:
            bound, _, left, right = heapq.heappop(queue)
            value = np.inf if self.best is None else self.best.objective
            if bound >= closing_bound(value, gap, absolute_gap, cutoff):
                floor = min(floor, bound)
                break
            self.worth = min(cutoff, value)
            if left is right:
                floor = min(floor, self._tied(left))
                continue
            meet = meeting(left, right)
            middle = None if meet is None else self._point(meet)
            if meet is not None and middle is None:
                return None
            if middle is None or are_neighbours(left, middle, right):
                floor = min(floor, self._resolve(left, right, middle))
                continue
            budget -= 1
            if budget < 0:
                return None
            for bound, one, other in self._split(left, middle, right):
                if bound < np.inf:
                    heapq.heappush(queue, (bound, next(order), one, other))
        return self._answer(floor)

    def _answer(self, floor: float) -> PriceAnswer | None:
        value = np.inf if self.best is None else self.best.objective
        return None if self.failed or contradicts(value, floor) else PriceAnswer(self.best, floor)
