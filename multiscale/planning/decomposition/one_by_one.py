"""The last stage of the search: combinations of the components' classes in the order of their bound, each at its own lower end of the charge."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

import numpy as np

from multiscale.planning.charge_marching import BELOW, lower_end
from multiscale.planning.decomposition.enumeration import Box, ChoiceClass
from multiscale.planning.decomposition.split import Retained

if TYPE_CHECKING:
    from multiscale.planning.decomposition.search import DecompositionSearch


class LimitsViolated(Exception):  # noqa: N818
    """Answers violate limits that were left out.

    Attributes:
        limits: which.
    """

    def __init__(self, limits: Retained) -> None:
        super().__init__("limits left out are violated")
        self.limits = limits


def take_one_by_one(search: DecompositionSearch, open_classes: list[list[ChoiceClass]]) -> None:
    """Combinations of classes in the order of their bound, each split until its cheapest choice is known to be its best."""
    ranked = [sorted(part, key=lambda k: k.value) for part in open_classes]
    constant = search.split.constant
    count = itertools.count()
    first = (0,) * len(ranked)
    base = constant + sum(part[0].value for part in ranked)
    # Entries: bound, tie-breaker, indices of a combination (None: a part of one), its boxes, its lower end of the charge.
    heap: list[tuple[float, int, tuple[int, ...] | None, list[Box], float]] = []
    seen = {first}

    def push(indices: tuple[int, ...]) -> None:
        value = constant + sum(part[i].value for part, i in zip(ranked, indices, strict=True))
        boxes = [(part[i].low, part[i].high) for part, i in zip(ranked, indices, strict=True)]
        heapq.heappush(heap, (value, next(count), indices, boxes, search.least_charge))

    push(first)
    search.bound = max(search.bound, base)
    settled = np.inf
    while heap:
        value, _, indices, boxes, charge = heapq.heappop(heap)
        search.bound = max(search.bound, min(value, settled))
        if search.best and search.best.cost - search.bound <= search.allowance:
            return
        if indices is not None:
            for c in range(len(ranked)):
                following = (*indices[:c], indices[c] + 1, *indices[c + 1 :])
                if following[c] < len(ranked[c]) and following not in seen:
                    seen.add(following)
                    push(following)
        for more, parts, at, done in _refined(search, boxes, charge):
            if done:
                settled = min(settled, more)
            else:
                heapq.heappush(heap, (max(more, value), next(count), None, parts, at))
    search.bound = max(search.bound, min(settled, search.best.cost if search.best else np.inf))


def _refined(search: DecompositionSearch, boxes: list[Box], charge: float) -> list[tuple[float, list[Box], float, bool]]:
    """A combination of boxes at its own lower end of the charge: (bound, boxes, lower end, whether its best choice is known)."""
    below = BELOW * charge
    parts = search.all_classes([[box] for box in boxes], below)
    result = []
    for combination in itertools.product(*parts):
        bound = search.split.constant + sum(k.value for k in combination)
        annuities = sum(k.annuity for k in combination)
        higher = lower_end(search.existing, annuities, sum(k.answer.energy for k in combination), search.passive)
        if higher > search.charge_range[1]:
            continue
        inner = [(k.low, k.high) for k in combination]
        if higher > charge * (1.0 + 1e-9) + 1e-12:
            result.append((bound, inner, higher, False))
            continue
        # The charge that recovers the cost of the cheapest choice is the lower end of all of them.
        split = search.split
        search.consider(search.choice([low for low, _ in inner]), charge)
        if search.split is not split:
            raise LimitsViolated(search.split.retained)
        result.append((bound, inner, charge, True))
    return result
