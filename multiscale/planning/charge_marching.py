r"""The least charge that recovers the cost, found from below, and a lower end of it for every choice at once.

The charged energy w(z, t) does not increase with the charge t, as it is the derivative of the concave phi(z, .). With E the energy of passive
customers and X(z) = existing cost + annuities' z, no charge below ``X(z) / (w(z, a) + E)`` recovers the cost if none below ``a`` does. So

    t <- X(z) / (w(z, t) + E)

climbs to the least charge that recovers the cost, in finitely many steps, and with the largest w and the least X over the choices still open, to a
charge below which none of them recovers it. Where the least permitted charge already earns more than X(z), it is the answer, with a surplus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

AIM = 1e-3
"""Share of the tolerance by which the revenue aimed at lies above the cost, so that the last digits of the energy do not decide."""

BELOW = 1.0 - 1e-10
"""A bound is evaluated at a charge this much lower than the lower end, where every best answer pays on at least the energy of any higher charge."""


@dataclass(frozen=True)
class Recovery:
    """A charge that recovers the cost.

    Attributes:
        charge: [EUR/kWh].
        energy: charged energy of the follower at it [kWh/a].
        surplus: revenue beyond the tolerance [EUR/a]; zero unless the least permitted charge earns too much.
    """

    charge: float
    energy: float
    surplus: float


def recovering_charge(
    energy_at: Callable[[float], float], passive: float, allowed: float, start: float, largest: float, tolerance: float
) -> Recovery | None:
    """The least charge at which ``charge (w + E) >= allowed``; None if it is above ``largest``.

    Args:
        energy_at: charge -> charged energy w of the follower [kWh/a].
        passive: energy E of passive customers [kWh/a].
        allowed: cost X to be recovered [EUR/a].
        start: a charge below which nothing recovers it [EUR/kWh]: the least permitted one, or a better lower end.
        largest: largest permitted charge [EUR/kWh].
        tolerance: relative, above ``allowed``.
    """
    charge = start
    # It ends: every step raises the charge by more than the factor 1 + AIM * tolerance.
    while charge <= largest:
        energy = energy_at(charge)
        if charge * (energy + passive) >= allowed:
            return Recovery(charge, energy, max(0.0, charge * (energy + passive) - (1.0 + tolerance) * allowed))
        if energy + passive <= 0:
            return None
        charge = (1.0 + AIM * tolerance) * allowed / (energy + passive)
    return None


def start_of_range(
    unbuilt: float, energy: float, at: float, everything: float, levy: float, passive: float, existing: float, lowest: float, steps: int = 100
) -> float:
    """A charge below which no choice recovers even the existing cost, from three numbers.

    By concavity in the charge, and since options only help, for every choice z and charge t in (-levy, at]:

        w(z, t) <= (phi(z, t) - phi(z, -levy)) / (t + levy) <= (phi(0, at) - (at - t) w(0, at) - phi(1, -levy)) / (t + levy)

    Args:
        unbuilt, energy: phi(0, at) [EUR/a] and w(0, at) [kWh/a], nothing built.
        at: charge they belong to [EUR/kWh].
        everything: a lower bound on phi(1, -levy) [EUR/a], everything built.
        levy, passive, existing: levy [EUR/kWh], E [kWh/a], cost of the existing network [EUR/a].
        lowest: least permitted charge [EUR/kWh].
        steps: largest number of steps.
    """
    charge = lowest
    for _ in range(steps):
        if charge + levy <= 0 or charge >= at:
            break
        most = (unbuilt - (at - charge) * energy - everything) / (charge + levy)
        higher = min(existing / (most + passive), at) if most + passive > 0 else charge
        if higher <= charge * (1 + 1e-6):
            break
        charge = higher
    return charge


def end_of_range(unbuilt: float, energy: float, at: float, everything: float, far: float, passive: float, most: float, largest: float) -> float:
    """A charge above which every choice earns more than it may, up to the largest permitted one; that one where nothing is known.

    By concavity in the charge, and since options only help, for every choice z and charge t in [at, far):

        w(z, t) >= (phi(z, far) - phi(z, t)) / (far - t) >= (phi(1, far) - phi(0, at) - (t - at) w(0, at)) / (far - t)

    so all choices earn more than ``most`` where t (w + E) is above it with this w: between the roots of a quadratic function of t.

    Args:
        unbuilt, energy: phi(0, at) [EUR/a] and w(0, at) [kWh/a], nothing built.
        at: charge they belong to [EUR/kWh].
        everything: a lower bound on phi(1, far) [EUR/a], everything built.
        far: a charge above the permitted ones [EUR/kWh].
        passive: E [kWh/a].
        most: largest revenue that any choice may have [EUR/a].
        largest: largest permitted charge [EUR/kWh].
    """
    linear = everything - unbuilt + at * energy + passive * far + most
    curvature, constant = energy + passive, most * far
    root = linear**2 - 4.0 * curvature * constant
    if root <= 0 or curvature <= 0:
        return largest
    first, last = ((linear + sign * np.sqrt(root)) / (2.0 * curvature) for sign in (-1.0, 1.0))
    return float(min(max(first, at), largest)) if last > largest else largest


def upper_end(existing: float, annuities: float, energy: float, passive: float, tolerance: float) -> float:
    """Charge above which choices with at most these annuities [EUR/a] and at least this energy [kWh/a] earn more than they may."""
    demand = energy + passive
    return (1.0 + tolerance) * (existing + annuities) / (BELOW * demand) if demand > 0 else np.inf


def lower_end(existing: float, annuities: float, energy: float, passive: float) -> float:
    """Charge below which choices with at least these annuities [EUR/a] and at most this energy [kWh/a] do not recover their cost."""
    demand = energy + passive
    return BELOW * (existing + annuities) / demand if demand > 0 else (0.0 if existing + annuities <= 0 else np.inf)
