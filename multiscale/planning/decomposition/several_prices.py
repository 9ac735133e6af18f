r"""Reinforcements and several prices together: best-first search over boxes of prices, each with the classes of all components.

Prices on determinants that no answer changes (standing charges) move nothing and earn between F_0 and F_1, so they are part of the row

    X(z) - F_1  <=  t'(D(x_t) + E)  <=  (1 + tolerance) X(z) - F_0           X(z) = existing cost + annuities'z,  E of passive customers

and only the other prices t are searched. For a box of prices a <= t <= b, with lower bounds r_c on the resource cost of a class of choices and upper
bounds R_c on what it pays (``price_box``), for any multiplier m >= 0

    bound = constants + sum_c min over classes [ annuity + r_c + m (annuity - R_c) ] + m (existing - F_1 - b'E)

since every plan in the box earns at least its cost. A box in which nothing earns its cost, or everything too much, is narrowed or dropped; else its
minimising choices are priced along each price and along all, and it is halved. The search ends when the lowest bound of the open boxes meets the
best plan.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from multiscale.planning.decomposition.all_classes import all_classes
from multiscale.planning.decomposition.component import SearchEnded, Work
from multiscale.planning.decomposition.enumeration import Box, ChoiceClass, everything
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.decomposition.network_state import LimitsViolated
from multiscale.planning.decomposition.price_box import BoxBound, PriceBox
from multiscale.planning.decomposition.search import ROUNDING, counts_as_none
from multiscale.planning.decomposition.structure import Structure

MULTIPLIERS = (0.0, *np.geomspace(1e-5, 1.0, 16).tolist())
"""Multipliers of the row of recovery that are tried [1]: what a EUR more of revenue costs society, in EUR."""

NARROWER = 0.8
"""A box is looked at again at once where some price is narrowed to less than this share."""

OFTEN = 5
"""Every so many boxes the minimising choices are priced within the box too, not from the least prices alone."""

STEPS = 40
"""Prices looked at along one line, at most."""

NARROW = 1e-10
"""Share of a line that is not halved any more."""


Open = dict[bytes, list[Box]]
"""Component -> its choices that may be in a better plan; one that is not named is open everywhere."""


@dataclass(frozen=True)
class PricedChoice:
    """A choice at prices that recover its cost.

    Attributes:
        built: of all options (bool).
        prices: that move the follower.
        standing: what standing charges earn [EUR/a].
        cost: social cost without the problem's constant [EUR/a].
    """

    built: np.ndarray
    prices: tuple[float, ...]
    standing: float
    cost: float


@dataclass
class SeveralPricesSearch:
    """The search.

    Attributes:
        known: structure of the follower.
        annuity: of every option [EUR/a].
        admitted: the choices among which the plan is searched, all between the two (bool, all options).
        existing: cost of the existing network [EUR/a].
        passive: what passive customers pay every price on, in its unit.
        standing: least and most that standing charges earn [EUR/a].
        box: permitted prices.
        tolerance: relative tolerance of cost recovery, upwards.
        gap_eur, gap: distance of plan and bound at which the search ends, in EUR/a and relative to the social cost.
        constant: social cost outside the follower [EUR/a].
        most_boxes: largest number of boxes that are looked at.
        work: counts solves.
        best: best plan so far.
        bound: lower bound on the social cost of any plan, without the problem's constant [EUR/a]. Boxes without a plan that is better than the best
            by more than half of the gap asked for are dropped; the lowest of their bounds counts at the end.
        boxes: number of boxes that were looked at.
        short: whether prices were dropped at which nothing recovers its cost; where there is no plan either, all others earn too much.
        ended: what ended the search before its end; empty if nothing did.
    """

    known: Structure
    annuity: np.ndarray
    admitted: Box
    existing: float
    passive: np.ndarray
    standing: tuple[float, float]
    box: PriceBox
    tolerance: float
    gap_eur: float
    gap: float
    constant: float
    most_boxes: int
    work: Work
    best: PricedChoice | None = None
    bound: float = -np.inf
    boxes: int = 0
    short: bool = False
    ended: str = ""
    joint: JointAnswers = field(init=False)
    _closed: float = np.inf
    _considered: set[tuple[bytes, PriceBox]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.joint = JointAnswers(self.known, self.work, self.admitted[0])

    @property
    def allowance(self) -> float:
        """Distance of plan and bound that counts as none [EUR/a]."""
        return 0.0 if self.best is None else counts_as_none(self.best.cost + self.constant, self.gap_eur, self.gap)

    def run(self) -> None:
        """Search until plan and bound meet, nothing is open, or the work is spent."""
        try:
            self._search()
        except SearchEnded as end:
            self.ended = str(end)
        if self.best is None:
            for choice in self.admitted[::-1]:
                self.consider(choice, self.box, limited=False)
        if self.best is not None:
            self.bound = min(self.bound, self.best.cost)

    def _search(self) -> None:
        for choice in self.admitted:
            self.joint.checked_answers(choice, self.box.lower, at_base=True)
            self.joint.checked_answers(choice, self.box.upper, at_base=True)
            self.consider(choice, self.box)
        count = itertools.count()
        heap: list[tuple[float, int, PriceBox, Open]] = [(-np.inf, next(count), self.box, {})]
        while heap:
            value, _, box, choices = heapq.heappop(heap)
            self.bound = max(self.bound, value)
            if self.best is not None and self.best.cost - self.bound <= self.allowance:
                return
            if self.boxes >= self.most_boxes:
                raise SearchEnded(f"ended after {self.boxes:,} boxes of prices (planning.solve_limit)")
            self.boxes += 1
            for more, part, left in self._looked_at(box, choices):
                if self.best is None or more < self.best.cost - 0.5 * self.allowance:
                    heapq.heappush(heap, (max(more, value), next(count), part, left))
                else:
                    self._closed = min(self._closed, more)
        if self.best is None and np.isfinite(self._closed):
            raise SearchEnded("ended where no box of prices can be halved any more; revenues jump over the cost that they have to recover")
        self.bound = min(self._closed, self.best.cost) if self.best is not None else np.inf

    def _looked_at(self, box: PriceBox, choices: Open) -> list[tuple[float, PriceBox, Open]]:
        """A box with the choices that are open in it: its bound, after it was narrowed, its halves, and what is open in them."""
        while True:
            try:
                found = self._classes(box, choices)
            except LimitsViolated as violated:
                self.joint.retain(violated.limits)
                continue
            bounds = [[k.bound for k in part if isinstance(k.bound, BoxBound)] for part in found]
            most = sum(max(b.revenue for b in part) for part in bounds)
            narrowed = self._narrowed(box, found, most)
            if narrowed is None:
                return []
            if (narrowed.width < NARROWER * box.width).any():
                box = narrowed
                continue
            value, multiplier, least = self._bound(box, found)
            split = self.joint.split
            built = self.joint.choice([k.low for k in least])
            self.consider(built, self.box)
            if self.boxes % OFTEN == 0:
                self.consider(built, box)
            if self.joint.split is not split:
                continue
            if self.best is not None and value >= self.best.cost - 0.5 * self.allowance:
                return [(value, box, {})]
            k = self._widest(box, least, multiplier)
            if not box.width[k] > 1e-12 * (1.0 + abs(box.upper[k])):
                self._closed = min(self._closed, value)
                return []
            left = self._left(found)
            return [(value, half, left) for half in box.halved(k)]

    def _left(self, found: list[list[ChoiceClass]]) -> Open:
        """Choices that may be in a better plan within a box: those not further above the lowest of their component than plan and bound are apart."""
        lowest = [min(k.value for k in part) for part in found]
        room = np.inf if self.best is None else self.best.cost - self.joint.split.constant - sum(lowest)
        within = [[k for k in part if k.value - low <= room + ROUNDING * (1.0 + abs(low))] for part, low in zip(found, lowest, strict=True)]
        return {c.key: [(k.low, k.high) for k in part] for c, part in zip(self.joint.split.components, within, strict=True) if part}

    def _classes(self, box: PriceBox, choices: Open) -> list[list[ChoiceClass]]:
        boxes = [choices.get(c.key) or everything(c, self.admitted) for c in self.joint.split.components]
        return all_classes(self.joint, boxes, box, self.annuity, self.work, levied=False)

    def _bound(self, box: PriceBox, found: list[list[ChoiceClass]]) -> tuple[float, float, list[ChoiceClass]]:
        """The best bound over the multipliers, its multiplier, and its minimising classes."""
        owed = self.existing - self.standing[1] - float(np.dot(box.upper, self.passive))
        best: tuple[float, float, list[ChoiceClass]] | None = None
        for m in MULTIPLIERS:
            least, total = [], self.joint.split.constant + m * owed
            for part in found:
                values = [k.value + m * (k.annuity - getattr(k.bound, "revenue")) for k in part]  # noqa: B009
                least.append(part[int(np.argmin(values))])
                total += min(values)
            if best is None or total > best[0]:
                best = total, m, least
        assert best is not None
        return best

    def _narrowed(self, box: PriceBox, found: list[list[ChoiceClass]], most: float) -> PriceBox | None:
        """The box without prices at which nothing recovers its cost, or everything earns too much; None where nothing is left."""
        least_cost = self.existing + sum(min(k.annuity for k in part) for part in found)
        most_cost = (1.0 + self.tolerance) * (self.existing + sum(max(k.most_annuity for k in part) for part in found))
        low, high = np.array(box.lower), np.array(box.upper)
        short = least_cost - self.standing[1] - most - float(high @ self.passive)
        if short > ROUNDING * (1.0 + least_cost):
            self.short = True
            return None
        if float(low @ self.passive) + self.standing[0] > most_cost * (1.0 + ROUNDING):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            down = np.where(self.passive > 0, -short / self.passive, np.inf)
            up = np.where(self.passive > 0, (most_cost - self.standing[0] - float(low @ self.passive)) / self.passive, np.inf)
        lower = np.maximum(low, (1.0 - 1e-9) * np.minimum(high, np.maximum(low, high - down)))
        upper = np.minimum(high, np.maximum(lower, (low + up) * (1.0 + 1e-9)))
        return replace(box, lower=tuple(lower.tolist()), upper=tuple(upper.tolist()))

    def _widest(self, box: PriceBox, least: list[ChoiceClass], multiplier: float) -> int:
        """The price along which halving is expected to raise the bound most."""
        curvature, amount = np.zeros(box.width.size), self.passive.copy()
        for k in least:
            assert isinstance(k.bound, BoxBound)
            s = k.bound.scale
            curvature += k.bound.curvature * max(s, 0.5) / (1.0 - s)
            amount += np.append(k.answer.energy, k.answer.further)
        return int(np.argmax(curvature + max(multiplier, 1e-6) * box.width * amount))

    # Plans.

    def at_prices(self, built: np.ndarray, prices: tuple[float, ...], *, limited: bool = True) -> tuple[float, float]:
        """Social cost without the constant, and what all customers pay under these prices [EUR/a]."""
        answers = self.joint.checked_answers(built, prices, limited=limited)
        paid_on = sum((np.append(a.energy, a.further) for a in answers), np.zeros(len(prices)))
        cost = self.joint.split.constant + sum(a.cost - a.transfers for a in answers) - float(paid_on @ prices)
        return float(self.annuity @ built) + cost, float((paid_on + self.passive) @ prices)

    def consider(self, built: np.ndarray, box: PriceBox, *, limited: bool = True) -> None:
        """A choice at prices of the box that recover its cost, which becomes the best plan if it is better; each choice and box once."""
        key = built.tobytes(), box
        if key in self._considered:
            return
        found = self.priced(built, box, limited=limited)
        if found is not None and (self.best is None or found.cost < self.best.cost):
            self.best = found
        self._considered.add(key)

    def priced(self, built: np.ndarray, box: PriceBox, *, limited: bool = True) -> PricedChoice | None:
        """A choice at the best prices of the box that recover its cost, along each price and along all; None where there are none."""
        low, width = np.array(box.lower), box.width
        found = [self._along(built, low, along * width, limited=limited) for along in [*np.eye(width.size), np.ones(width.size)]]
        return min((one for one in found if one is not None), key=lambda one: one.cost, default=None)

    def _along(self, built: np.ndarray, start: np.ndarray, step: np.ndarray, *, limited: bool) -> PricedChoice | None:
        """The first prices found on a line at which the most that standing charges may earn recovers the rest; None where none are."""
        due = self.existing + float(self.annuity @ built)

        def at(share: float) -> tuple[float, PricedChoice | None]:
            """What is earned beyond the cost with the most of standing charges, and the plan where that can be returned."""
            prices = tuple((start + share * step).tolist())
            cost, revenue = self.at_prices(built, prices, limited=limited)
            standing = float(np.clip(due - revenue, *self.standing))
            admitted = due * (1.0 - ROUNDING) <= revenue + standing <= due * (1.0 + self.tolerance)
            return revenue + self.standing[1] - due, PricedChoice(built.copy(), prices, standing, cost) if admitted else None

        least, found = at(0.0)
        if least >= 0 or not step.any():
            return found
        most, found = at(1.0)
        if most < 0:
            return found
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            if most <= self.tolerance * due or high - low <= NARROW:
                break
            # The secant a little above the cost, kept off the ends so that jumps of the revenue are found by halving.
            share = low + (high - low) * float(np.clip((0.3 * self.tolerance * due - least) / (most - least), 0.02, 0.98))
            excess, plan = at(share)
            if excess < 0:
                low, least = share, excess
            else:
                high, most, found = share, excess, plan or found
        return found
