r"""Lower bounds on the resource cost of a component's answer, for every charge of a range.

With resource cost r, charged energy w, a levy l on it, and other transfers T (deduction on exports, fees), all linear, the component answers a
charge t by

    phi_s(z, t) = min over x of  r(x) + (t + l) w(x) + s T(x)      at s = 1: what is paid;  s < 1: other transfers paid to a share s only

**A levy alone** (T = 0, charge and levy not below zero): r of the answer does not fall with the charge, so for t >= a

    r(x_t) >= phi_1(z, a) - (a + l) w(z, a)

**Other transfers.** r may fall with the charge. For the answer x_t at t in [a, b], any s in [0, 1), and q = r + (a + l) w:

    q(x_t) + s T(x_t) >= phi_s(z, a)
    q(x_t) + T(x_t) = phi_1(z, t) - (t - a) w(z, t) <= phi_1(z, a) + (t - a)(w(z, a) - w(z, t))      as phi_1 is concave in t
    q(x_t) >= [ phi_s(z, a) - s phi_1(z, a) - s (b - a)(w(z, a) - w(z, b)) ] / (1 - s)
    r(x_t)  = q(x_t) - (a + l) w(z, t) >= q(x_t) - (a + l) w(z, a)

where w(z, a) >= w(z, t) >= w(z, b). At s = 0 the bound is what a levy alone would give, and no more than T(x_a) is lost. Where one vertex is best at
s and 1, and the range is narrow, it is r(x_a). The nearer s is to 1, the less is lost by another vertex at s, and the more by the width of the
range: s is chosen for each component. Tolerances of the linear programs are divided by 1 - s; so phi_s enters with the bound of its duals and phi_1
with the cost of its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multiscale.planning.decomposition.component import Charge, Component, PartAnswer, Work

SCALES = (0.0, 0.5, 0.9, 0.99, 0.999)
"""Shares s to which other transfers are paid, from what a wide range of charges takes to what a narrow one takes."""

FIRST = 0.9
"""The share looked at first: near enough to 1 that the answer there is near that at 1."""


Spread = Callable[[np.ndarray], np.ndarray]
"""Turns network rows into states, see ``Component.solve``."""


class PriceRange(Protocol):
    """A range of one price or of several, and what holds for a component at all of them."""

    @property
    def lower(self) -> Charge:
        """Lower end."""

    def bound_of(self, component: Component, built: np.ndarray, spread: Spread, work: Work, *, levied: bool, scale: float | None) -> PartBound:
        """The bound of a component with the options ``built``."""


@dataclass(frozen=True)
class Charges:
    """A range of charges that holds those of all plans in question [EUR/kWh]."""

    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Of the range."""
        return self.upper - self.lower

    def bound_of(self, component: Component, built: np.ndarray, spread: Spread, work: Work, *, levied: bool, scale: float | None) -> PartBound:
        """See ``PriceRange``."""
        return resource_bound(component, built, self, spread, work, levied=levied, scale=scale)


@dataclass(frozen=True)
class PartBound:
    """What holds for a component with some options at every charge of a range.

    Attributes:
        resource: lower bound on its resource cost [EUR/a].
        answer: at the lower end of the range.
        least_energy: charged energy at the upper end, the least of the range [kWh/a]; zero where all transfers are a levy and the end has no use.
        answers: all that were looked at; where they use the same options the bound holds without the others.
        scale: the share s of the bound.
    """

    resource: float
    answer: PartAnswer
    least_energy: float
    answers: tuple[PartAnswer, ...]
    scale: float

    @property
    def feasible(self) -> tuple[PartAnswer, ...]:
        """Answers that must satisfy the omitted limits: those to which all is paid. The others enter from below, where fewer limits do no harm."""
        return self.answers[:2]


def resource_bound(
    component: Component,
    built: np.ndarray,
    charges: Charges,
    spread: Spread,
    work: Work,
    *,
    levied: bool,
    scale: float | None = None,
) -> PartBound:
    """The bound of a component with the options ``built``.

    Args:
        component: which.
        built: its options (bool).
        charges: range of the charge.
        spread, work: as of ``Component.solve``.
        levied: whether the transfers of all components are a levy.
        scale: the share s, or None: the best of ``SCALES``, looked for from the one that was best for the component before.
    """
    answer = component.solve(built, charges.lower, spread, work)
    paid = (charges.lower + component.levy) * answer.energy
    if levied:
        return PartBound(answer.bound - paid, answer, 0.0, (answer,), 1.0)
    upper = component.solve(built, charges.upper, spread, work)
    if component.levied:
        return PartBound(answer.bound - paid, answer, upper.energy, (answer, upper), 1.0)
    slack = max(0.0, charges.width * (answer.energy - upper.energy))

    def bound_at(s: float) -> PartBound:
        scaled = component.solve(built, charges.lower, spread, work, scale=s)
        return PartBound((scaled.bound - s * (answer.cost + slack)) / (1.0 - s) - paid, answer, upper.energy, (answer, upper, scaled), s)

    known = FIRST if component.best_scale is None else component.best_scale
    best = bound_at(known if scale is None else scale)
    if scale is None:
        start = SCALES.index(best.scale)
        upwards = _climbed(best, SCALES[start + 1 :], bound_at)
        best = upwards if upwards is not best else _climbed(best, SCALES[:start][::-1], bound_at)
        component.best_scale = best.scale
    return best


def _climbed(best: PartBound, scales: Sequence[float], bound_at: Callable[[float], PartBound]) -> PartBound:
    """The best bound over some shares, taken in turn for as long as they are better."""
    for s in scales:
        further = bound_at(s)
        if further.resource <= best.resource:
            break
        best = further
    return best
