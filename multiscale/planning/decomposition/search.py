r"""Levels of the charge, then the best choices one by one, until bound and plan meet.

A level: over a range of charges [a, b] outside which no open choice recovers its cost, enumerate the classes of every component. With a lower bound
r_c on the resource cost of a class at every charge of the range (``resource_bound``),

    bound = constants + sum_c min over classes (annuities + r_c)

holds for every plan; the minimising classes with the charge that recovers their cost are a plan. Classes further above their component's minimum
than plan - bound are in no better plan and are dropped, which lowers the largest energy, raises ``a`` and starts the next level; likewise ``b`` falls
with the largest annuities that a better plan can afford and the least energy. Where all transfers are a levy, ``b`` has no use.

Where levels no longer move the range, choices of all components together are taken in the order of their bound, each over its own range of
charges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multiscale.planning.charge_marching import BELOW, Recovery, end_of_range, lower_end, recovering_charge, start_of_range, upper_end
from multiscale.planning.decomposition.all_classes import all_classes
from multiscale.planning.decomposition.component import PartAnswer, SearchEnded, Work
from multiscale.planning.decomposition.enumeration import Box, ChoiceClass, everything
from multiscale.planning.decomposition.joint_answers import TIED, JointAnswers
from multiscale.planning.decomposition.known_answers import key_without_limits
from multiscale.planning.decomposition.network_state import LimitsViolated
from multiscale.planning.decomposition.one_by_one import take_one_by_one
from multiscale.planning.decomposition.resource_bound import Charges
from multiscale.planning.decomposition.split import Split
from multiscale.planning.decomposition.structure import Structure
from multiscale.planning.search_start import SearchStart, WithoutLimits

Open = dict[bytes, list[ChoiceClass]]
"""Component -> its open classes by their bound, the lowest first, from a wider range of charges; a component that is not named is open everywhere."""


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
        charges: range of its charges [EUR/kWh].
        bound, best: bound and best plan after it [EUR/a].
        classes: number of classes in each component with options.
        solves: linear programs solved so far.
    """

    charges: Charges
    bound: float
    best: float
    classes: list[int]
    solves: int


NARROWER = 0.7
"""A level has moved the range of charges if it is at most this share of what it was."""

FAR = 2.0
"""The charge from which the end of the range is found, in largest charges that may be in it."""

NEAR, ROUNDED = 0.1, 0.01
"""Share of its width by which the range of a level may be widened at an end: to that of an earlier search, and by rounding."""

ROUNDING = 1e-9
"""Share of the social cost to which linear programs are solved."""


def counts_as_none(cost: float, gap_eur: float, gap: float) -> float:
    """Distance of a plan of some social cost and its bound that counts as none: the gaps asked for, and rounding of the linear programs [EUR/a]."""
    return max(gap_eur, gap * abs(cost)) + ROUNDING * (1.0 + abs(cost))


@dataclass
class DecompositionSearch:
    """The search for a plan.

    Attributes:
        known: structure of the follower.
        annuity: of every option [EUR/a].
        admitted_choices: the choices among which the plan is searched, all between the two (bool, all options).
        existing, passive: cost of the existing network [EUR/a], energy of passive customers [kWh/a].
        charge_range: permitted charges [EUR/kWh].
        tolerance: relative tolerance of cost recovery, upwards.
        gap_eur, gap: distance of plan and bound at which the search ends, in EUR/a and relative to the social cost.
        constant: social cost outside the follower [EUR/a].
        work: counts solves.
        start: where the search in a similar follower ended, or None.
        most_levels: number of levels after which choices are taken one by one.
        best: best plan so far.
        bound: lower bound on the social cost of any plan, without the problem's constant [EUR/a].
        first_charge: no choice recovers its cost below it [EUR/kWh].
        least_charge, largest_charge: no choice that is still open does outside of them.
        joint: answers of all components together.
        levied: whether all transfers are a levy on the charged energy.
        ended: what ended the search before its end; empty if nothing did.
        levels: record.
        without_limits: what holds whatever the limits; None where that is not known.
    """

    known: Structure
    annuity: np.ndarray
    admitted_choices: Box
    existing: float
    passive: float
    charge_range: tuple[float, float]
    tolerance: float
    gap_eur: float
    gap: float
    constant: float
    work: Work
    start: SearchStart | None = None
    most_levels: int = 30
    best: Candidate | None = None
    bound: float = -np.inf
    first_charge: float = 0.0
    least_charge: float = 0.0
    largest_charge: float = np.inf
    ended: str = ""
    levels: list[Level] = field(default_factory=list)
    without_limits: WithoutLimits | None = None

    def __post_init__(self) -> None:
        self.joint = JointAnswers(self.known, self.work, self.admitted_choices[0], self.start)
        self.first_charge, self.least_charge, self.largest_charge = self.charge_range[0], *self.charge_range
        self.levied = self.known.levied

    @property
    def split(self) -> Split:
        """The components under the limits retained so far."""
        return self.joint.split

    def run(self) -> None:
        """Search until plan and bound meet, nothing is open, or the work is spent."""
        try:
            self._prepare()
            open_classes: Open | None = {}
            while open_classes is not None:
                try:
                    open_classes = self._level(open_classes)
                except LimitsViolated as found:
                    # With more limits in force components join; those that did not are taken up where they were.
                    self.joint.retain(found.limits)
        except SearchEnded as end:
            self.ended = str(end)
        if self.best is None and self.least_charge <= self.charge_range[1]:
            for choice in self.admitted_choices:
                self.consider(choice, self.first_charge, limited=False)
        if self.best is not None:
            self.bound = min(self.bound, self.best.cost)

    @property
    def allowance(self) -> float:
        """Distance of plan and bound that counts as none [EUR/a], see ``counts_as_none``."""
        return 0.0 if self.best is None else counts_as_none(self.best.cost + self.constant, self.gap_eur, self.gap)

    def _prepare(self) -> None:
        """Retain the limits that the least and the most that may be built violate, and find where the charges begin that recover anything."""
        levy, (none, every) = self.known.levy, self.admitted_choices
        known = self._known_without_limits()
        if known is not None:
            relaxed, energy, self.bound = known.bound, known.energy, known.resource
        else:
            _, relaxed, energy = self.joint.total(self.joint.answers(every, -levy))
            # With no limit at all and no transfer, operation costs no more than under any plan.
            self.bound = relaxed if self.levied else self.joint.total(self.joint.answers_without_charges(every))[1]
        low, high = self.charge_range
        demand = energy + self.passive
        near = min(max(low, self.existing / demand), high) if demand > 0 else low
        most = (1.0 + self.tolerance) * (self.existing + float(self.annuity @ every))
        if not self.levied and self.passive > 0:
            # Above this charge passive customers alone pay more than any choice may earn.
            self.largest_charge = high = max(low, min(high, most / self.passive))
        far = FAR * high
        if self.levied:
            dear = -np.inf
        elif known is not None and known.far == far:
            dear = known.dear
        else:
            dear = self.joint.total(self.joint.answers(every, far))[1]
        if not self.split.retained.any:
            self.without_limits = WithoutLimits(key_without_limits(self.known), relaxed, energy, self.bound, far, dear)
        elif known is not None:
            self.without_limits = known
        self.joint.checked_answers(none, near, at_base=True)
        self.joint.checked_answers(every, near, at_base=True)
        unbuilt, _, energy = self.joint.total(self.joint.checked_answers(none, near, at_base=True))
        self.first_charge = self.least_charge = start_of_range(unbuilt, energy, near, relaxed, levy, self.passive, self.existing, low)
        if not self.levied:
            self.largest_charge = end_of_range(unbuilt, energy, near, dear, far, self.passive, most, high)

    def _known_without_limits(self) -> WithoutLimits | None:
        """What an earlier search found without limits; None where it was of another follower."""
        known = None if self.start is None else self.start.without_limits
        return known if known is not None and known.key == key_without_limits(self.known) else None

    def _level(self, before: Open) -> Open | None:
        """One level over the charges of what is open; returns what is open for the next one, or None at the end."""
        charges = self._range_of_level()
        split = self.split
        queues = [before.get(c.key, []) for c in split.components]
        found, counts = self._lowest(queues, charges)
        lowest = [min(k.value for k in part) for part in found]
        self.bound = max(self.bound, self.split.constant + sum(lowest))
        least = [min(part, key=lambda k: k.value) for part in found]
        self.consider(self.joint.choice([k.low for k in least]), self.least_charge)
        if self.split is not split:
            return before
        room = self.best.cost - (self.split.constant + sum(lowest)) if self.best else np.inf
        # What bounds over the wider range leave within the room is bounded over this one.
        within = [sum(k.value - low <= room + 1e-9 * abs(low) for k in queue) for queue, low in zip(queues, lowest, strict=True)]
        counts = [max(pair) for pair in zip(counts, within, strict=True)]
        found = self.all_classes(self._boxes(queues, counts), charges)
        kept = [[k for k in part if k.value - low <= room + 1e-9 * abs(low)] for part, low in zip(found, lowest, strict=True)]
        sizes = [len(part) for part, c in zip(kept, self.split.components, strict=True) if c.options.size]
        self.levels.append(Level(charges, self.bound, self.best.cost if self.best else np.inf, sizes, self.work.solves))
        if self.best and self.best.cost - self.bound <= self.allowance:
            return None
        energy = sum(max(k.answer.energy for k in part) for part in kept)
        annuities = sum(min(k.annuity for k in part) for part in kept)
        higher = lower_end(self.existing, annuities, energy, self.passive)
        upper = self._upper_end(kept)
        if higher > upper:
            # No open choice recovers its cost: the best plan is the one known, or there is none.
            self.least_charge = max(self.least_charge, higher)
            self.bound = self.best.cost if self.best else np.inf
            return None
        narrower = upper - higher <= NARROWER * (self.largest_charge - self.least_charge)
        moved = higher > self.least_charge * (1.0 + 1e-7) + 1e-12 if self.levied else narrower
        self.least_charge, self.largest_charge = max(higher, self.least_charge), upper
        if not moved or len(self.levels) >= self.most_levels:
            take_one_by_one(self, kept)
            return None
        return {c.key: sorted(part, key=lambda k: k.value) for c, part in zip(self.split.components, kept, strict=True)}

    def _lowest(self, queues: list[list[ChoiceClass]], charges: Charges) -> tuple[list[list[ChoiceClass]], list[int]]:
        """Classes over a range of charges with the lowest of every component, and how many classes of a wider range they are.

        A bound over a wider range holds: from the lowest on, classes are looked at until the next one is not below the lowest that was found.
        """
        counts = [min(1, len(queue)) for queue in queues]
        while True:
            found = self.all_classes(self._boxes(queues, counts), charges)
            lowest = [min(k.value for k in part) for part in found]
            more = [n + (n < len(queue) and queue[n].value < low) for queue, n, low in zip(queues, counts, lowest, strict=True)]
            if more == counts:
                return found, counts
            counts = more

    def _boxes(self, queues: list[list[ChoiceClass]], counts: list[int]) -> list[list[Box]]:
        """The boxes of the first classes of every component; all choices where none are known."""
        parts = zip(self.split.components, queues, counts, strict=True)
        return [[(k.low, k.high) for k in queue[:n]] or everything(c, self.admitted_choices) for c, queue, n in parts]

    def range_around(self, least: float, largest: float) -> Charges:
        """The range from which bounds are taken, a little wider."""
        return Charges(BELOW * least, largest / BELOW)

    def _range_of_level(self) -> Charges:
        """The range of a level: an end is moved outwards to one of an earlier search, whose answers are known there, where that is near.

        Else the upper end is rounded up, so that a later search comes to the same.
        """
        exact = self.range_around(self.least_charge, self.largest_charge)
        lower, upper = exact.lower, exact.upper
        if self.start is not None and self.start.ranges.size:
            below, above = self.start.ranges[:, 0], self.start.ranges[:, 1]
            lower = max(below[(below <= lower) & (below >= lower - NEAR * exact.width)].tolist(), default=lower)
            upper = min(above[(above >= upper) & (above <= upper + NEAR * exact.width)].tolist(), default=upper)
        if upper == exact.upper and np.isfinite(upper) and exact.width > 0 and not self.levied:
            unit = 10.0 ** np.floor(np.log10(ROUNDED * exact.width))
            upper = float(np.ceil(upper / unit) * unit)
        return Charges(lower, upper)

    def _upper_end(self, kept: list[list[ChoiceClass]]) -> float:
        """Charge above which no open choice that is better than the best plan earns no more than it may."""
        if self.levied:
            return self.charge_range[1]
        most = sum(max(k.most_annuity for k in part) for part in kept)
        if self.best:
            least_resource = sum(min(k.bound.resource for k in part) for part in kept)
            most = min(most, self.best.cost - self.split.constant - least_resource)
        least_energy = sum(min(k.bound.least_energy for k in part) for part in kept)
        return self.admitted(upper_end(self.existing, most, least_energy, self.passive, self.tolerance), self.largest_charge)

    def admitted(self, upper: float, largest: float) -> float:
        """An upper end of the charge within the range; the least permitted one is admitted though it may earn too much."""
        return max(min(upper, largest), self.charge_range[0])

    def all_classes(self, boxes: list[list[Box]], charges: Charges) -> list[list[ChoiceClass]]:
        """The classes of every component over a range of charges; may raise ``LimitsViolated``."""
        return all_classes(self.joint, boxes, charges, self.annuity, self.work, levied=self.levied)

    def consider(self, built: np.ndarray, start: float, *, limited: bool = True, tied: bool = False) -> Candidate | None:
        """A choice at the charge that recovers its cost, which becomes the best plan if it is better.

        Args:
            built: the choice.
            start: a lower end of its charge.
            limited: whether the work may end the search here.
            tied: whether of answers that cost members the same the best for society is looked for.
        """
        candidate = self.evaluate(built, start, limited=limited, tied=tied)
        if candidate is not None and (self.best is None or candidate.cost < self.best.cost):
            self.best = candidate
        return candidate

    def evaluate(self, built: np.ndarray, start: float, *, limited: bool = True, tied: bool = False) -> Candidate | None:
        """A choice at the least charge that recovers its cost; None if that charge is not permitted. Arguments as of ``consider``."""
        investment = float(self.annuity @ built)

        def energy_at(charge: float) -> float:
            return self.joint.total(self.joint.checked_answers(built, charge, limited=limited))[2]

        recovery = recovering_charge(energy_at, self.passive, self.existing + investment, start, self.charge_range[1], self.tolerance)
        if recovery is None:
            return None
        answers = self.joint.checked_answers(built, recovery.charge, limited=limited)
        found = self._candidate(built, recovery, answers)
        if tied:
            others = self.joint.best_for_society(built, recovery.charge, answers)
            # The charge has to earn the same: no less than the cost, nor more than it may, and it is the energy that the certificate holds.
            energy, other_energy = self.joint.total(answers)[2], self.joint.total(others)[2]
            if abs(other_energy - energy) <= TIED * (1.0 + abs(energy)):
                other = self._candidate(built, recovery, others)
                found = other if other.cost < found.cost else found
        return found

    def _candidate(self, built: np.ndarray, recovery: Recovery, answers: list[PartAnswer]) -> Candidate:
        cost, _, energy = self.joint.total(answers)
        social = float(self.annuity @ built) + cost - recovery.charge * energy - sum(a.transfers for a in answers)
        return Candidate(built.copy(), recovery, social)
