"""Random prosumers with photovoltaics and batteries, and the cost of each one by itself as a linear program."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from multiscale.markets.peer_matching.negotiation import Contracts
from multiscale.markets.peer_matching.participants import Participants


def prosumers(count: int, periods: int, seed: int = 0) -> Participants:
    """Households over a day: half of them with photovoltaics, four of ten with a battery with losses and wear."""
    rng = np.random.default_rng(seed)
    hour = np.arange(periods) % 24
    daily = 0.6 + 0.5 * np.exp(-(((hour - 19) / 3) ** 2)) + 0.3 * np.exp(-(((hour - 8) / 2) ** 2))
    load = rng.uniform(0.2, 0.8, (count, 1)) * daily * rng.uniform(0.6, 1.4, (count, periods))
    size = np.where(rng.random((count, 1)) < 0.5, rng.uniform(1.0, 6.0, (count, 1)), 0.0)
    sun = np.maximum(0.0, np.cos((hour - 12.5) / 12 * np.pi)) ** 1.5 * rng.uniform(0.8, 1.0, periods)
    price = np.broadcast_to(0.24 + 0.04 * np.exp(-(((hour - 19) / 3) ** 2)), (count, periods)).copy()
    battery = np.where(rng.random(count) < 0.4, rng.uniform(3.0, 10.0, count), 0.0)
    names, feed_in = np.array([f"p{i}" for i in range(count)]), np.full((count, periods), 0.08)
    efficiency, wear = np.full(count, 0.95), np.full(count, 0.005)
    return Participants(names, load - size * sun, price, feed_in, battery, battery / 2.5, 0.3 * battery, efficiency, wear)


def own_cost(market: Participants, i: int, contracts: Contracts, extra: np.ndarray) -> float:
    """Least cost of one participant that may drop its contracts, with ``extra`` energy given to it [kWh], (period,); as a linear program."""
    periods = market.net_demand.shape[1]
    held = (
        [(t, e, p + f) for b, t, e, p, f in _rows(contracts, "buyer") if b == i],
        [(t, e, -p) for s, t, e, p, _ in _rows(contracts, "seller") if s == i],
    )
    n = 5 * periods + len(held[0]) + len(held[1])
    cost, upper, balance, level = np.zeros(n), np.full(n, np.inf), np.zeros((periods, n)), np.zeros((periods, n))
    lower = np.zeros(n)
    eta = market.efficiency[i]
    for t in range(periods):
        imp, exp, put, draw, soc = (k * periods + t for k in range(5))
        cost[[imp, exp, draw]] = market.import_price[i, t], -market.export_price[i, t], market.wear[i]
        upper[[put, draw, soc]] = market.power[i], market.power[i], market.storage[i]
        balance[t, [imp, exp, put, draw]] = 1.0, -1.0, -1.0 / eta, eta
        level[t, [soc, put, draw]] = 1.0, -1.0, 1.0
        if t:
            level[t, soc - 1] = -1.0
    lower[5 * periods - 1] = market.start[i]
    for k, (t, energy, price) in enumerate(held[0] + held[1]):
        column = 5 * periods + k
        cost[column], upper[column] = price, energy
        balance[t, column] = 1.0 if k < len(held[0]) else -1.0
    first = np.zeros(periods)
    first[0] = market.start[i]
    found = linprog(
        cost, A_eq=np.vstack([balance, level]), b_eq=np.concatenate([market.net_demand[i] - extra, first]),
        bounds=np.stack([lower, upper], axis=1), method="highs",
    )  # fmt: skip
    return float(found.fun)


def _rows(contracts: Contracts, side: str):
    return zip(getattr(contracts, side), contracts.period, contracts.energy, contracts.price, contracts.fee, strict=True)
