"""The two radial networks of the study, two representative days, and what reinforcement costs.

5 buses: made up. 33 buses: Baran and Wu, IEEE Transactions on Power Delivery 4 (1989) 1401-1407, as pandapower carries it (12.66 kV); it has no
ratings and no lengths: lines are taken to have 0.3 ohm/km, and a line that may be reinforced is rated at a share of today's peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from multiscale.assessment.cost_benefit import annuity_factor

CABLE_EUR_PER_KM = 100_000.0
"""Medium-voltage cable, laid: within the published range of 80,000 to 140,000 EUR/km (eDisGo)."""
LIFETIME, RATE = 40, 0.05
"""Lifetime [a] and discount rate [1/a] of reinforcements."""
STEP_HOURS = 2.0
DAYS, WEIGHTS = ("winter", "summer"), (183.0, 183.0)
"""Representative days, and days of the year that each stands for."""
TIGHT = 0.7
"""Rating of a line that may be reinforced, as a share of its peak without any response."""

CLOCK = np.tile(np.arange(STEP_HOURS / 2, 24, STEP_HOURS), 2)
"""Hour in the middle of each period [h]."""
HOURS = np.repeat(WEIGHTS, len(CLOCK) // 2) * STEP_HOURS
"""Hours of the year that each period stands for [h/a]."""
WINTER = np.repeat([1.0, 0.0], len(CLOCK) // 2)
PRICE = 0.12 + 0.06 * np.exp(-(((CLOCK - 19) / 3) ** 2)) - 0.04 * (1 - WINTER) * np.exp(-(((CLOCK - 13) / 3) ** 2))
"""Energy at the root [EUR/kWh]: dear in the evening, cheap at noon in summer."""
SUN = np.clip(np.sin(np.pi * (CLOCK - 6) / 12), 0, None) * np.where(WINTER > 0, 0.25, 0.75)
"""Available share of photovoltaic capacity [1]."""
DEMAND = (0.35 + 0.2 * np.exp(-(((CLOCK - 8) / 2) ** 2)) + 0.65 * np.exp(-(((CLOCK - 19) / 2.5) ** 2))) * np.where(WINTER > 0, 1.0, 0.8)
"""Demand as a share of its yearly peak [1]."""


@dataclass(frozen=True)
class Feeder:
    """A radial network: bus 0 is the root, line k feeds bus k + 1.

    Attributes:
        parent: of every bus, -1 of the root.
        peak: yearly peak of demand at every bus [kW].
        rating: of every line [kW]; infinite where it may not be reinforced.
        added: what reinforcement adds [kW], (line,).
        annuity: of reinforcing [EUR/a], (line,); zero where there is no option.
        options: positions of the lines that may be reinforced.
    """

    parent: np.ndarray
    peak: np.ndarray
    rating: np.ndarray
    added: np.ndarray
    annuity: np.ndarray
    options: np.ndarray


def feeder(buses: int, options: int) -> Feeder:
    """The network of 5 or 33 buses, of which the most loaded lines may be reinforced.

    Args:
        buses: 5 or 33.
        options: number of lines that may be reinforced.
    """
    if buses not in (5, 33):
        raise ValueError(f"{buses} buses; there are networks of 5 and of 33")
    parent, peak, resistance = _five() if buses == 5 else _thirty_three()
    below = np.eye(buses)
    for bus in range(buses - 1, 0, -1):
        below[parent[bus]] += below[bus]
    flow = below[1:] @ peak
    if not 0 < options < buses:
        raise ValueError(f"{options} options; {buses} buses have {buses - 1} lines")
    chosen = np.sort(np.argsort(-flow, kind="stable")[:options])
    rating, added, annuity = np.full(buses - 1, np.inf), np.zeros(buses - 1), np.zeros(buses - 1)
    rating[chosen], added[chosen] = TIGHT * flow[chosen], flow[chosen]
    annuity[chosen] = CABLE_EUR_PER_KM * (resistance[chosen] / 0.3) / annuity_factor(LIFETIME, RATE)
    return Feeder(parent, peak, rating, added, annuity, chosen)


def _five() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([-1, 0, 1, 1, 3]), np.array([0.0, 600.0, 400.0, 700.0, 300.0]), np.array([0.06, 0.10, 0.20, 0.60])


@lru_cache(maxsize=1)
def _thirty_three() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from pandapower.networks import case33bw

    net = case33bw()
    lines = net.line[net.line.in_service]
    parent, resistance = np.full(len(net.bus), -1), np.zeros(len(net.bus) - 1)
    for start, end, ohm in zip(lines.from_bus, lines.to_bus, lines.r_ohm_per_km * lines.length_km, strict=True):
        parent[end], resistance[end - 1] = start, ohm
    peak = np.zeros(len(net.bus))
    np.add.at(peak, net.load.bus.to_numpy(dtype=int), 1000.0 * net.load.p_mw.to_numpy())
    return parent, peak, resistance
