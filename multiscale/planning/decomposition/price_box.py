r"""Lower bounds on the resource cost of a component's answer, for all prices of a box.

With resource cost r, given transfers T, and what K prices t are paid on, D >= 0, all linear, the component answers prices t by

    phi(z, t) = min over x of  r(x) + T(x) + t'D(x)                                                       concave in t, with supergradient D

For the answer x_t at any t of the box a <= t <= b, and any share s in [0, 1):

    r(x_t) + s [T(x_t) + a'D(x_t)]  >=  phi_s(z) = min over x of r(x) + s [T(x) + a'D(x)]
    r(x_t) +    T(x_t) + a'D(x_t)    =  phi(t) - (t - a)'D(x_t)  <=  2 phi(t) - phi(2t - a)  <=  phi(a) + e(2t - a)
        with  e(u) = phi(a) + (u - a)'D(x_a) - phi(u),  convex in u, so largest at a corner of the doubled box a <= u <= 2b - a

    r(x_t)  >=  [ phi_s(z) - s (phi(z, a) + max over corners of e) ] / (1 - s)

and what the answer pays under the decided prices is, by the same concavity, t'D(x_t) <= phi(t) - phi(0) <= phi(a) + (b - a)'D(x_a) - phi(0).
Where one answer is best at a, at the corners and at the share s, the bound is its own resource cost. All payments are waived alike, given and
decided; s is chosen for each component.

Over wide boxes levy and charge are better kept, as they decide what is bought (``resource_bound``). With a levy l on the energy w of the first price,
T_o the other given transfers, and t_o, D_o the other prices,

    r(x_t)  >=  [ min r + (a_1 + l) w + s (T_o + a_o'D_o)  -  s (phi(z, a) + max e) ] / (1 - s)  -  (a_1 + l) W

for any W that no w(x_t) exceeds. w does not rise with its own price, and an answer at (a_1, t_o) costs no more than phi(a) + e_o at a, with e_o the
largest e over corners with u_1 = a_1; so for every step d > 0

    w(x_t)  <=  W  =  [ phi(z, a) + e_o - phi(z, a_1 - d, a_o) ] / d

At s = 0 this bound has no use for the width of the first price.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from multiscale.planning.decomposition.component import Component, PartAnswer, Work
from multiscale.planning.decomposition.resource_bound import FIRST, SCALES, PartBound, Spread, climbed


@dataclass(frozen=True)
class BoxBound(PartBound):
    """What holds for a component with some options at all prices of a box.

    Attributes:
        revenue: the most that it pays under the decided prices [EUR/a].
        curvature: by how much the linearised cost is missed where one price alone goes to its end, for every price [EUR/a].
    """

    revenue: float
    curvature: np.ndarray

    @property
    def feasible(self) -> tuple[PartAnswer, ...]:
        """The answer at the lower corner; all others enter from below, where fewer limits do no harm."""
        return self.answers[:1]


@dataclass(frozen=True)
class PriceBox:
    """All prices between two corners, each price in its unit.

    Attributes:
        lower, upper: corners; the first price is that of energy.
        levy: given levy on that energy [EUR/kWh].
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    levy: float = 0.0

    @property
    def width(self) -> np.ndarray:
        """Of the box, (price,)."""
        return np.subtract(self.upper, self.lower)

    def halved(self, k: int) -> tuple[PriceBox, PriceBox]:
        """Its halves along a price."""
        middle = 0.5 * (self.lower[k] + self.upper[k])
        low, high = list(self.lower), list(self.upper)
        low[k] = high[k] = middle
        return replace(self, upper=tuple(high)), replace(self, lower=tuple(low))

    def bound_of(
        self,
        component: Component,
        built: np.ndarray,
        spread: Spread,
        work: Work,
        *,
        levied: bool,  # noqa: ARG002  all payments are treated alike
        scale: float | None,  # noqa: ARG002  each choice has its own
    ) -> BoxBound:
        """See ``PriceRange``."""
        a, width = np.array(self.lower), self.width
        answer = component.solve(built, self.lower, spread, work)
        paid_on = np.append(answer.energy, answer.further)
        nothing = component.solve(built, (0.0,) * a.size, spread, work)
        missed, missed_by_others, corners, curvature = 0.0, 0.0, [], np.zeros(a.size)
        for ends in itertools.product((0.0, 2.0), repeat=a.size):
            step = np.array(ends) * width
            if not step.any():
                continue
            corner = component.solve(built, tuple((a + step).tolist()), spread, work)
            corners.append(corner)
            error = max(0.0, answer.cost + float(step @ paid_on) - corner.bound)
            missed = max(missed, error)
            if ends[0] == 0:
                missed_by_others = max(missed_by_others, error)
            if np.count_nonzero(ends) == 1:
                curvature[int(np.flatnonzero(ends)[0])] = error
        revenue = answer.cost + float(width @ paid_on) - nothing.bound

        kept = a[0] + self.levy
        most_energy, lower = np.inf, []
        for step in (share * kept for share in STEPS_DOWN if kept > 0):
            below = component.solve(built, (a[0] - step, *self.lower[1:]), spread, work)
            lower.append(below)
            most_energy = min(most_energy, (answer.cost + missed_by_others - below.bound) / step)

        def bound_at(s: float, *, keep: bool) -> BoxBound:
            charges = s * a
            if keep:
                charges[0] = kept - s * self.levy
            scaled = component.solve(built, tuple(charges.tolist()), spread, work, scale=s)
            resource = (scaled.bound - s * (answer.cost + missed)) / (1.0 - s) - (kept * most_energy if keep else 0.0)
            return BoxBound(resource, answer, 0.0, (answer, nothing, *corners, *lower, scaled), s, revenue, curvature)

        best = climbed(bound_at(0.0, keep=True), SCALES[1:], partial(bound_at, keep=True)) if kept > 0 and component.pays else None
        start = SCALES.index(component.best_scale or FIRST)
        other = bound_at(SCALES[start], keep=False)
        upwards = climbed(other, SCALES[start + 1 :], partial(bound_at, keep=False))
        other = upwards if upwards is not other else climbed(other, SCALES[:start][::-1], partial(bound_at, keep=False))
        component.best_scale = other.scale
        return best if best is not None and best.resource > other.resource else other


STEPS_DOWN = (0.1, 0.01, 0.001)
"""Steps below the first price from which its energy is bounded, in shares of charge and levy together."""
