r"""Levels of the charge, then the best choices one by one, until bound and plan meet.

A level: at a charge ``a`` below which no open choice recovers its cost, enumerate the classes of every component. As the social cost of operation does not
fall with the charge,

    bound = constants + sum_c min over classes (annuities + sigma_c(a))

holds for every plan; the minimising classes with the charge that recovers their cost are a plan. Classes further above their component's minimum
than plan - bound are in no better plan and are dropped, which lowers the largest energy, raises ``a`` and starts the next level.

Where levels no longer move the charge, choices of all components together are taken in the order of their bound, each at its own lower end of the charge.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

import numpy as np

from multiscale.planning.charge_marching import BELOW, Recovery, lower_end, recovering_charge, start_of_range
from multiscale.planning.decomposition.component import Component, PartAnswer, SearchEnded, Work
from multiscale.planning.decomposition.enumeration import ChoiceClass, classes, everything
from multiscale.planning.decomposition.split import NetworkState, Retained, Split
from multiscale.planning.decomposition.structure import Structure

Box = tuple[np.ndarray, np.ndarray]
Boxes = dict[bytes, list[Box]]
"""Component -> its open boxes; a component that is not named is open everywhere."""


class LimitsViolated(Exception):  # noqa: N818
    """Answers violate limits that were left out.

    Attributes:
        limits: which.
    """

    def __init__(self, limits: Retained) -> None:
        super().__init__("limits left out are violated")
        self.limits = limits


@dataclass(frozen=True)
class Candidate:
    """A choice at the charge that recovers its cost.

    Attributes:
        built: of all options (bool).
        recovery: the charge.
        cost: social cost without the problem's constant [EUR/a].
    """

    built: np.ndarray
    recovery: Recovery
    cost: float


@dataclass
class Level:
    """What one level found, for the record.

    Attributes:
        charge: its charge [EUR/kWh].
        bound, best: bound and best plan after it [EUR/a].
        classes: number of classes in each component with options.
        solves: linear programs solved so far.
    """

    charge: float
    bound: float
    best: float
    classes: list[int]
    solves: int


ROUNDING = 1e-9
"""Share of the social cost to which linear programs are solved."""


@dataclass
class DecompositionSearch:
    """The search for a plan.

    Attributes:
        known: structure of the follower.
        annuity: of every option [EUR/a].
        existing, passive: cost of the existing network [EUR/a], energy of passive customers [kWh/a].
        charge_range: permitted charges [EUR/kWh].
        tolerance: relative tolerance of cost recovery, upwards.
        gap_eur, gap: distance of plan and bound at which the search ends, in EUR/a and relative to the social cost.
        constant: social cost outside the follower [EUR/a].
        work: counts solves.
        best: best plan so far.
        bound: lower bound on the social cost of any plan, without the problem's constant [EUR/a].
        first_charge: no choice recovers its cost below it [EUR/kWh].
        least_charge: no choice that is still open does.
        ended: what ended the search before its end; empty if nothing did.
        levels: record.
    """

    known: Structure
    annuity: np.ndarray
    existing: float
    passive: float
    charge_range: tuple[float, float]
    tolerance: float
    gap_eur: float
    gap: float
    constant: float
    work: Work
    best: Candidate | None = None
    bound: float = -np.inf
    first_charge: float = 0.0
    least_charge: float = 0.0
    ended: str = ""
    levels: list[Level] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = NetworkState(self.known)
        nothing = Retained(np.zeros(self.known.limits.size, dtype=bool), np.zeros(self.known.state.size, dtype=bool))
        self.split = Split(self.known, self.network, nothing)
        self.first_charge = self.least_charge = self.charge_range[0]

    def run(self) -> None:
        """Search until plan and bound meet, nothing is open, or the work is spent."""
        try:
            self._prepare()
            boxes: Boxes | None = {}
            while boxes is not None:
                try:
                    boxes = self._level(boxes)
                except LimitsViolated as found:
                    # With more limits in force components join; those that did not are taken up where they were.
                    self._retain(found.limits)
        except SearchEnded as end:
            self.ended = str(end)
        if self.best is None and self.least_charge <= self.charge_range[1]:
            for choice in (np.zeros(self.annuity.size, dtype=bool), np.ones(self.annuity.size, dtype=bool)):
                self.consider(choice, self.first_charge, limited=False)
        if self.best is not None:
            self.bound = min(self.bound, self.best.cost)

    @property
    def allowance(self) -> float:
        """Distance of plan and bound that counts as none [EUR/a]: the gaps asked for, and rounding of the linear programs."""
        if self.best is None:
            return 0.0
        cost = abs(self.best.cost + self.constant)
        return max(self.gap_eur, self.gap * cost) + ROUNDING * (1.0 + cost)

    # Answers of all components together.

    def _answers(self, built: np.ndarray, charge: float, *, limited: bool = True) -> list[PartAnswer]:
        return [c.solve(built[c.options], charge, self.network.spread, self.work, limited=limited) for c in self.split.components]

    def _retain(self, limits: Retained) -> None:
        self.split = Split(self.known, self.network, self.split.retained.joined(limits), self.split)

    def _checked_answers(self, built: np.ndarray, charge: float, *, at_base: bool = False, limited: bool = True) -> list[PartAnswer]:
        """Answers that satisfy all limits; those they violate are retained. ``at_base``: even the limits without any option, where left out."""
        while True:
            answers = self._answers(built, charge, limited=limited)
            state = self.split.state(answers)
            more = 0.0 if at_base else (self.known.program.B[self.known.limits][:, self.known.built] @ built.astype(float))
            violated = self.network.violated(state, state, self.split.retained, more)
            if not violated.any:
                return answers
            self._retain(violated)

    def total(self, answers: list[PartAnswer]) -> tuple[float, float, float]:
        """Cost, its lower bound [EUR/a] and charged energy [kWh/a] of the follower."""
        cost, bound, energy = (float(sum(getattr(a, name) for a in answers)) for name in ("cost", "bound", "energy"))
        return self.split.constant + cost, self.split.constant + bound, energy

    # Stages.

    def _prepare(self) -> None:
        """Retain the limits that nothing and everything built violate, and find where the charges begin that recover anything."""
        levy, none, every = self.known.levy, np.zeros(self.annuity.size, dtype=bool), np.ones(self.annuity.size, dtype=bool)
        # With no limit at all and no transfer, operation costs no more than under any plan.
        _, relaxed, energy = self.total(self._answers(every, -levy))
        self.bound = relaxed
        low, high = self.charge_range
        demand = energy + self.passive
        near = min(max(low, self.existing / demand), high) if demand > 0 else low
        self._checked_answers(none, near, at_base=True)
        self._checked_answers(every, near, at_base=True)
        unbuilt, _, energy = self.total(self._checked_answers(none, near, at_base=True))
        self.first_charge = self.least_charge = start_of_range(unbuilt, energy, near, relaxed, levy, self.passive, self.existing, low)

    def _level(self, boxes: Boxes) -> Boxes | None:
        """One level at the least charge; returns what is open for the next one, or None at the end."""
        charge = BELOW * self.least_charge
        split = self.split
        found = [self._classes(c, boxes.get(c.key) or everything(c), charge) for c in split.components]
        self._check_any(found)
        lowest = [min(k.value for k in part) for part in found]
        self.bound = max(self.bound, self.split.constant + sum(lowest))
        least = [min(part, key=lambda k: k.value) for part in found]
        self.consider(self._choice([k.low for k in least]), self.least_charge)
        if self.split is not split:
            return boxes
        room = self.best.cost - (self.split.constant + sum(lowest)) if self.best else np.inf
        kept = [[k for k in part if k.value - low <= room + 1e-9 * abs(low)] for part, low in zip(found, lowest, strict=True)]
        sizes = [len(part) for part, c in zip(kept, self.split.components, strict=True) if c.options.size]
        self.levels.append(Level(charge, self.bound, self.best.cost if self.best else np.inf, sizes, self.work.solves))
        if self.best and self.best.cost - self.bound <= self.allowance:
            return None
        energy = sum(max(k.answer.energy for k in part) for part in kept)
        annuities = sum(min(k.annuity for k in part) for part in kept)
        higher = lower_end(self.existing, annuities, energy, self.passive)
        if higher > self.charge_range[1]:
            # No open choice recovers its cost: the best plan is the one known, or there is none.
            self.least_charge = max(self.least_charge, higher)
            self.bound = self.best.cost if self.best else np.inf
            return None
        if higher <= self.least_charge * (1.0 + 1e-7) + 1e-12:
            self._one_by_one(kept)
            return None
        self.least_charge = higher
        return {c.key: [(k.low, k.high) for k in part] for c, part in zip(self.split.components, kept, strict=True)}

    def _classes(self, component: Component, boxes: list[Box], charge: float) -> list[ChoiceClass]:
        return classes(component, boxes, charge, self.known.levy, self.annuity, self.network.spread, self.work)

    def _check_any(self, found: list[list[ChoiceClass]]) -> None:
        """Whether all combinations of the classes satisfy the limits left out, by the range of what each component adds.

        Raises:
            LimitsViolated: some combination may violate some.
        """
        low, high = self.split.fixed_state.copy(), self.split.fixed_state.copy()
        for part in found:
            states = np.array([k.answer.state for k in part])
            low += states.min(axis=0)
            high += states.max(axis=0)
        violated = self.network.violated(low, high, self.split.retained)
        if violated.any:
            raise LimitsViolated(violated)

    def _choice(self, parts: list[np.ndarray]) -> np.ndarray:
        built = np.zeros(self.annuity.size, dtype=bool)
        for component, part in zip(self.split.components, parts, strict=True):
            built[component.options] = part
        return built

    def consider(self, built: np.ndarray, start: float, *, limited: bool = True) -> Candidate | None:
        """A choice at the charge that recovers its cost, which becomes the best plan if it is better; ``start`` is a lower end of that charge."""
        candidate = self.evaluate(built, start, limited=limited)
        if candidate is not None and (self.best is None or candidate.cost < self.best.cost):
            self.best = candidate
        return candidate

    def evaluate(self, built: np.ndarray, start: float, *, limited: bool = True) -> Candidate | None:
        """A choice at the least charge that recovers its cost; None if that charge is not permitted."""
        investment = float(self.annuity @ built)

        def energy_at(charge: float) -> float:
            return self.total(self._checked_answers(built, charge, limited=limited))[2]

        recovery = recovering_charge(energy_at, self.passive, self.existing + investment, start, self.charge_range[1], self.tolerance)
        if recovery is None:
            return None
        cost, _, energy = self.total(self._checked_answers(built, recovery.charge, limited=limited))
        return Candidate(built.copy(), recovery, investment + cost - (recovery.charge + self.known.levy) * energy)

    def _one_by_one(self, open_classes: list[list[ChoiceClass]]) -> None:
        """Combinations of classes in the order of their bound, each split until its cheapest choice is known to be its best."""
        ranked = [sorted(part, key=lambda k: k.value) for part in open_classes]
        constant = self.split.constant
        count = itertools.count()
        first = (0,) * len(ranked)
        base = constant + sum(part[0].value for part in ranked)
        # Entries: bound, tie-breaker, indices of a combination (None: a part of one), its boxes, its lower end of the charge.
        heap: list[tuple[float, int, tuple[int, ...] | None, list[Box], float]] = []
        seen = {first}

        def push(indices: tuple[int, ...]) -> None:
            value = constant + sum(part[i].value for part, i in zip(ranked, indices, strict=True))
            boxes = [(part[i].low, part[i].high) for part, i in zip(ranked, indices, strict=True)]
            heapq.heappush(heap, (value, next(count), indices, boxes, self.least_charge))

        push(first)
        self.bound = max(self.bound, base)
        settled = np.inf
        while heap:
            value, _, indices, boxes, charge = heapq.heappop(heap)
            self.bound = max(self.bound, min(value, settled))
            if self.best and self.best.cost - self.bound <= self.allowance:
                return
            if indices is not None:
                for c in range(len(ranked)):
                    following = (*indices[:c], indices[c] + 1, *indices[c + 1 :])
                    if following[c] < len(ranked[c]) and following not in seen:
                        seen.add(following)
                        push(following)
            for more, parts, at, done in self._refined(boxes, charge):
                if done:
                    settled = min(settled, more)
                else:
                    heapq.heappush(heap, (max(more, value), next(count), None, parts, at))
        self.bound = max(self.bound, min(settled, self.best.cost if self.best else np.inf))

    def _refined(self, boxes: list[Box], charge: float) -> list[tuple[float, list[Box], float, bool]]:
        """A combination of boxes at its own lower end of the charge: (bound, boxes, lower end, whether its best choice is known)."""
        components = self.split.components
        below = BELOW * charge
        parts = [self._classes(c, [box], below) for c, box in zip(components, boxes, strict=True)]
        self._check_any(parts)
        result = []
        for combination in itertools.product(*parts):
            bound = self.split.constant + sum(k.value for k in combination)
            annuities = sum(k.annuity for k in combination)
            higher = lower_end(self.existing, annuities, sum(k.answer.energy for k in combination), self.passive)
            if higher > self.charge_range[1]:
                continue
            inner = [(k.low, k.high) for k in combination]
            if higher > charge * (1.0 + 1e-7) + 1e-12:
                result.append((bound, inner, higher, False))
                continue
            # The charge that recovers the cost of the cheapest choice is the lower end of all of them.
            split = self.split
            self.consider(self._choice([low for low, _ in inner]), charge)
            if self.split is not split:
                raise LimitsViolated(self.split.retained)
            result.append((bound, inner, charge, True))
        return result
