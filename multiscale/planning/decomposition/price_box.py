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

Bounds with different shares add up over components as long as no omitted limit binds within the box, which is checked at its lower corner
(``docs/adr/several-decided-prices.md``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from multiscale.planning.decomposition.component import Component, PartAnswer, Work
from multiscale.planning.decomposition.resource_bound import SCALES, PartBound, Spread


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
        """See ``PriceRange``: the better of both bounds; what cannot be better is not looked at."""
        a, width = np.array(self.lower), self.width
        looked: list[PartAnswer] = []

        def solved(charges: np.ndarray, s: float = 1.0) -> PartAnswer:
            looked.append(component.solve(built, tuple(charges.tolist()), spread, work, scale=s))
            return looked[-1]

        answer, nothing = solved(a), solved(np.zeros(a.size))
        paid_on = np.append(answer.energy, answer.further)
        resource = answer.cost - answer.transfers - float(a @ paid_on)
        revenue = answer.cost + float(width @ paid_on) - nothing.bound

        def missed_at(ends: tuple[float, ...]) -> float:
            step = np.array(ends) * width
            return max(0.0, answer.cost + float(step @ paid_on) - solved(a + step).bound) if step.any() else 0.0

        ends = list(itertools.product((0.0, 2.0), repeat=a.size))
        missed = {at: missed_at(at) for at in ends if at[0] == 0}
        kept = a[0] + self.levy if component.pays else 0.0
        by_others = answer.cost + max(missed.values())
        steps = [share * kept for share in STEPS_DOWN] if kept > 0 else []
        most = min(((by_others - solved(a - _first(a, step)).bound) / step for step in steps), default=0.0)

        def bound_at(s: float, *, keep: bool, worst: float = 0.0) -> BoxBound:
            charges = s * a
            if keep:
                charges[0] = kept - s * self.levy
            scaled = solved(charges, s)
            found = (scaled.bound - s * (answer.cost + worst)) / (1.0 - s) - (kept * most if keep else 0.0)
            return BoxBound(found, answer, 0.0, tuple(looked), s, revenue, np.zeros(a.size))

        best = bound_at(0.0, keep=kept > 0)
        if resource - best.resource > EXACT * (1.0 + abs(answer.cost)):
            missed |= {at: missed_at(at) for at in ends if at not in missed}
            worst = max(missed.values())
            # At a share of a half as much is lost as is missed, and more at shares nearer to 1.
            for keep in (True, False):
                if kept > 0 or not keep:
                    for s in SCALES[1:] if keep else SCALES:
                        if s / (1.0 - s) * worst >= resource - best.resource:
                            break
                        further = bound_at(s, keep=keep, worst=worst)
                        best = further if further.resource > best.resource else best
        curvature = np.array([missed.get(tuple((2.0 * (j == k)) for j in range(a.size)), 0.0) for k in range(a.size)])
        return replace(best, answers=tuple(looked), curvature=curvature)


def _first(a: np.ndarray, step: float) -> np.ndarray:
    """A step of the first price."""
    return np.append(step, np.zeros(a.size - 1))


STEPS_DOWN = (0.1, 0.01, 0.001)
"""Steps below the first price from which its energy is bounded, in shares of charge and levy together."""

EXACT = 1e-9
"""Distance of the bound from the resource cost of the answer, relative to the cost, that is rounding."""
