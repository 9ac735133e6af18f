"""Published prices from a probabilistic dispatch of the whole tree.

**Expected prices** (``probabilistic``): the integrated optimum of every scenario of the parents' forecast, and

    price_c,t = E lambda_c,t       gap_t / 2 = max(0, sum_c Cov(lambda_c,t, y_c,t)) / sum_c E|y_c,t|        (c: platforms of a DSO)

``lambda`` are nodal prices and ``y`` exchanges of the scenarios. The gap is what a price fixed in advance fails to collect: with V the
cost of everything above, ``lambda_s`` is a subgradient of V at ``y_s``, so ``E revenue = E lambda'y - Cov + gap revenue >= E V(y) - V(0)``: the
parent's expected surplus is not negative (the same rule as for a feeder, see ``probabilistic``). Under certainty it closes. With the prices go
the planned exchange (the mean of the scenarios) and, where a line above is full in some scenario, a limit: the mean exchange of those scenarios.

**Hedged prices** (``hedged``): in every scenario the optimum knows what comes and avoids congestion cheaply; a price fixed in advance cannot follow,
and where it fails customers are cut off. The two errors cost very differently: a moved kWh some ct, one not served the value of lost load. So
the parent prices congestion at the net load that is rarely exceeded (the rule of the newsvendor: with probability cost of moving / value of
lost load), by three dispatches: of the forecast, and of all net loads ``coverage`` standard deviations above and below it:

    price_c = lambda_dso(forecast) + clip(kappa_c(high), 0, most) + clip(kappa_c(low), -most, 0),      kappa_c = lambda_c - lambda_dso
    most = value of lost load * P(error > coverage)

with the plan of the forecast, with a small price on leaving it. ``most`` is the expected cost of what is guarded against: where even the
optimum cannot avoid cutting off, the price says how likely that is, not that it happens. No connection is limited beyond its own rating.

Source of the newsvendor's rule: Arrow, Harris and Marschak, Econometrica 19 (1951) 250-272.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from multiscale.coordination.common.forecast import ErrorModel, scaled_tree
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.messages import Signal
from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree
from multiscale.operation.tree import connection_limits

CONGESTED = 1e-6
"""A nodal price that differs from that of the DSO's boundary by more [EUR/kWh] indicates a full line between."""


def scenario_optima(forecast: OperatingTree, error: ErrorModel, count: int) -> list[Outcome]:
    """Integrated optimum of so many scenarios around a forecast, in pairs about it."""
    nodes = [forecast.system.top, *forecast.distribution, *forecast.platforms]
    horizon = forecast.horizon
    drawn = [
        ErrorModel(error.size, error.common, error.hourly, error.seed + 7919 * (k + 1)).draw(len(nodes), horizon.periods, horizon.step_hours, count)
        for k in (0, 1)
    ]
    found = []
    for s in range(count):
        demand, generation = ({n: 1.0 + error.size * e[s, i] for i, n in enumerate(nodes)} for e in drawn)
        tree = scaled_tree(forecast, demand, generation)
        found.append(integrated_optimum(tree))
        forecast.transmission.learn(tree.transmission)
    return found


def expected_signals(tree: OperatingTree, scenarios: Sequence[Outcome], deviation_price: float) -> dict[str, Signal]:
    """Prices, gap, plan and limits for every platform, by the rule above.

    Args:
        tree: programs of all nodes.
        scenarios: operation the parents expect, equally likely.
        deviation_price: of leaving the planned exchange [EUR/kWh].
    """
    signals = {}
    for dso, own in tree.distribution.items():
        if not own.children:
            continue
        limits = connection_limits(tree, dso)
        price = np.array([[o.platform_price[c] for c in own.children] for o in scenarios])
        drawn = np.array([[o.exchange[c] for c in own.children] for o in scenarios])
        above = price - np.array([o.energy_price[dso] for o in scenarios])[:, None]
        half = half_gap(price, drawn)
        for k, child in enumerate(own.children):
            mid, plan = price[:, k].mean(axis=0), drawn[:, k].mean(axis=0)
            most, least = limits[child]
            most = np.minimum(most, _where_full(above[:, k] > CONGESTED, np.maximum(drawn[:, k], 0.0)))
            least = np.minimum(least, _where_full(above[:, k] < -CONGESTED, np.maximum(-drawn[:, k], 0.0)))
            signals[child] = Signal(mid + half, mid - half, tree.prices(dso), most, least, plan, deviation_price)
    return signals


def hedge_optima(forecast: OperatingTree, optimum: Outcome, error: ErrorModel, coverage: float) -> tuple[Outcome, Outcome, Outcome]:
    """Integrated optimum of the forecast (as given), and of all net loads so many standard deviations above and below it."""
    nodes = [forecast.system.top, *forecast.distribution, *forecast.platforms]
    more = 1.0 + min(coverage * error.size, 1.0) * np.ones(forecast.horizon.periods)
    less = 2.0 - more
    found = [optimum]
    for demand, generation in ((more, less), (less, more)):
        tree = scaled_tree(forecast, dict.fromkeys(nodes, demand), dict.fromkeys(nodes, generation))
        tree.transmission.learn(forecast.transmission)
        found.append(integrated_optimum(tree))
    return found[0], found[1], found[2]


def hedged_signals(tree: OperatingTree, optima: tuple[Outcome, Outcome, Outcome], coverage: float, deviation_price: float) -> dict[str, Signal]:
    """Prices and plan for every platform that guard against congestion; ``optima`` as of ``hedge_optima`` with the same coverage."""
    forecast, high, low = optima
    most = tree.economics.value_of_lost_load * 0.5 * math.erfc(coverage / math.sqrt(2.0))
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        for child in own.children:
            above, below = (o.platform_price[child] - o.energy_price[dso] for o in (high, low))
            price = forecast.energy_price[dso] + np.clip(above, 0.0, most) + np.clip(below, -most, 0.0)
            signals[child] = Signal(price, price, tree.prices(dso), *limits[child], forecast.exchange[child], deviation_price)
    return signals


def half_gap(price: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Half of the gap between import and export price [EUR/kWh], (period,).

    Args:
        price, drawn: nodal prices [EUR/kWh] and exchanges [kW], (scenario, node, period).
    """
    covariance = ((price - price.mean(axis=0)) * (drawn - drawn.mean(axis=0))).mean(axis=0).sum(axis=0)
    volume = np.abs(drawn).mean(axis=0).sum(axis=0)
    return np.divide(np.maximum(covariance, 0.0), volume, out=np.zeros_like(volume), where=volume > 1e-9)


def _where_full(full: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Mean power [kW] over the scenarios in which a line is full, (period,); infinite where there is none."""
    count = full.sum(axis=0)
    return np.where(count > 0, (power * full).sum(axis=0) / np.maximum(count, 1), np.inf)
