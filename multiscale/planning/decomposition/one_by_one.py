"""The last stage of the search: combinations of the components' classes in the order of their bound, each over its own range of charges.

A combination is looked at again over the narrower range in which its choices recover their cost. Where all transfers are a levy, the lower end of
that range is the best charge of its cheapest choice. With other transfers a higher charge may be better, and a range that no longer narrows is
halved; over a part [a, b] of it, choices that earn no more than they may have annuities of at least

    a (w(z, b) + E) / (1 + tolerance) - existing cost.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Any, Protocol

import numpy as np

from multiscale.planning.charge_marching import lower_end, upper_end
from multiscale.planning.decomposition.enumeration import Box, ChoiceClass
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.decomposition.network_state import LimitsViolated
from multiscale.planning.decomposition.resource_bound import Charges
from multiscale.planning.decomposition.split import Split


class Search(Protocol):
    """What this stage reads of the search and asks of it; see ``DecompositionSearch``."""

    existing: float
    passive: float
    charge_range: tuple[float, float]
    tolerance: float
    bound: float
    best: Any
    least_charge: float
    largest_charge: float
    levied: bool
    joint: JointAnswers

    @property
    def split(self) -> Split:
        """The components under the limits retained so far."""

    @property
    def allowance(self) -> float:
        """Distance of plan and bound that counts as none [EUR/a]."""

    def range_around(self, least: float, largest: float) -> Charges:
        """The range from which bounds are taken."""

    def admitted(self, upper: float, largest: float) -> float:
        """An upper end of the charge within the range."""

    def all_classes(self, boxes: list[list[Box]], charges: Charges) -> list[list[ChoiceClass]]:
        """The classes of every component over a range of charges."""

    def consider(self, built: np.ndarray, start: float, *, tied: bool = False) -> object:
        """A choice at the charge that recovers its cost, which becomes the best plan if it is better."""


def take_one_by_one(search: Search, open_classes: list[list[ChoiceClass]]) -> None:
    """Combinations of classes in the order of their bound, each split until its cheapest choice is known to be its best."""
    ranked = [sorted(part, key=lambda k: k.value) for part in open_classes]
    constant = search.split.constant
    count = itertools.count()
    first = (0,) * len(ranked)
    base = constant + sum(part[0].value for part in ranked)
    # Entries: bound, tie-breaker, indices of a combination (None: a part of one), its boxes, the range of its charges.
    heap: list[tuple[float, int, tuple[int, ...] | None, list[Box], Charges]] = []
    whole = Charges(search.least_charge, search.largest_charge)
    seen = {first}

    def push(indices: tuple[int, ...]) -> None:
        value = constant + sum(part[i].value for part, i in zip(ranked, indices, strict=True))
        boxes = [(part[i].low, part[i].high) for part, i in zip(ranked, indices, strict=True)]
        heapq.heappush(heap, (value, next(count), indices, boxes, whole))

    push(first)
    search.bound = max(search.bound, base)
    settled = np.inf
    while heap:
        value, _, indices, boxes, charges = heapq.heappop(heap)
        search.bound = max(search.bound, min(value, settled))
        if search.best and search.best.cost - search.bound <= search.allowance:
            return
        if indices is not None:
            for c in range(len(ranked)):
                following = (*indices[:c], indices[c] + 1, *indices[c + 1 :])
                if following[c] < len(ranked[c]) and following not in seen:
                    seen.add(following)
                    push(following)
        refined = _refined_by_levy if search.levied else _refined
        for more, parts, at, done in refined(search, boxes, charges):
            if done:
                settled = min(settled, more)
            else:
                heapq.heappush(heap, (max(more, value), next(count), None, parts, at))
    search.bound = max(search.bound, min(settled, search.best.cost if search.best else np.inf))


Refined = list[tuple[float, list[Box], Charges, bool]]
"""Parts of a combination of boxes: bound, boxes, range of charges, whether nothing is left to be refined."""


def _refined_by_levy(search: Search, boxes: list[Box], charges: Charges) -> Refined:
    """A combination of boxes at its own lower end of the charge, where all transfers are a levy."""
    parts = search.all_classes([[box] for box in boxes], search.range_around(charges.lower, charges.upper))
    result = []
    for combination in itertools.product(*parts):
        bound = search.split.constant + sum(k.value for k in combination)
        annuities = sum(k.annuity for k in combination)
        higher = lower_end(search.existing, annuities, sum(k.answer.energy for k in combination), search.passive)
        if higher > search.charge_range[1]:
            continue
        inner = [(k.low, k.high) for k in combination]
        if higher > charges.lower * (1.0 + 1e-9) + 1e-12:
            result.append((bound, inner, Charges(higher, charges.upper), False))
            continue
        # The charge that recovers the cost of the cheapest choice is the lower end of all of them.
        _consider(search, inner, charges.lower)
        result.append((bound, inner, charges, True))
    return result


def _refined(search: Search, boxes: list[Box], charges: Charges) -> Refined:
    """A combination of boxes over the range in which its choices recover their cost, halved where it does not narrow."""
    around = search.range_around(charges.lower, charges.upper)
    parts = search.all_classes([[box] for box in boxes], around)
    existing, passive, tolerance = search.existing, search.passive, search.tolerance
    result = []
    for combination in itertools.product(*parts):
        inner = [(k.low, k.high) for k in combination]
        energy, least_energy = sum(k.answer.energy for k in combination), sum(k.bound.least_energy for k in combination)
        resource = search.split.constant + sum(k.bound.resource for k in combination)
        cheapest = least = sum(k.annuity for k in combination)
        if charges.lower > search.charge_range[0]:
            least = max(least, around.lower * (least_energy + passive) / (1.0 + tolerance) - existing)
        most = sum(k.most_annuity for k in combination)
        if search.best:
            most = min(most, search.best.cost - resource)
        lower = max(charges.lower, lower_end(existing, least, energy, passive))
        upper = search.admitted(upper_end(existing, most, least_energy, passive, tolerance), charges.upper)
        bound = resource + least
        if lower > upper:
            # None of its choices recovers its cost, or none that does is better than the best plan.
            continue
        if upper - lower <= 0.5 * charges.width:
            result.append((bound, inner, Charges(lower, upper), False))
            continue
        # The revenue of the cheapest choice falls by jumps only, so it crosses its cost upwards if it is below at the lower end and not at the upper.
        crosses = around.lower * (energy + passive) <= existing + cheapest <= around.upper * (least_energy + passive)
        if crosses or charges.lower <= search.charge_range[0]:
            # Where the range does not narrow, members may have several best answers, and the bound is that of the best of them for society.
            _consider(search, inner, charges.lower, tied=True)
        if upper - lower <= NARROW * upper:
            result.append((bound, inner, charges, True))
            continue
        middle = 0.5 * (lower + upper)
        result += [(bound, inner, Charges(lower, middle), False), (bound, inner, Charges(middle, upper), False)]
    return result


def _consider(search: Search, boxes: list[Box], charge: float, *, tied: bool = False) -> None:
    """The cheapest choice of some boxes as a plan; ``charge`` is a lower end of what recovers its cost."""
    split = search.split
    search.consider(search.joint.choice([low for low, _ in boxes]), charge, tied=tied)
    if search.split is not split:
        raise LimitsViolated(search.split.retained)


NARROW = 1e-8
"""Width of a range, relative to its upper end, that is no longer halved."""
