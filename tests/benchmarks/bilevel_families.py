"""Families of bilevel problems with 200 and more complementary pairs, each instance given by its seed.

- ``feeder``: reinforcement and tariff on a radial feeder (``tests/bilevel/feeder.py``), 4-6 nodes, 8-24 h;
- ``retailer``: prices of blocks of hours, set for profit against a fleet with storage and an outside price;
- ``coupled``: capacities (binaries, in some instances also continuous budgets) for a random transport of goods, with rows of the leader
  over follower columns;
- ``bidding``: a producer's price bids in a market with limits of ramping, paid at the market's dual prices.
"""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from tests.bilevel.feeder import feeder


def feeder_problem(nodes, hours, tariffs, hard, seed):
    case = feeder(nodes, hours, tariffs, hard=hard, seed=seed)
    return bilevel.read_model(case.model, [case.follower]).problem


def retailer(homes, hours, blocks, seed):
    """Prices in [0, 0.5] for blocks of hours; homes shift with storage, or buy outside at a given price."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.price = pyo.Var(range(blocks), bounds=(0, 0.5))
    low = m.low = pyo.Block()
    keys = [(i, t) for i in range(homes) for t in range(hours)]
    wholesale = 0.10 + 0.06 * np.sin(np.arange(hours) * 2 * np.pi / hours + rng.uniform(0, 6)) + rng.uniform(0, 0.02, hours)
    outside = wholesale * rng.uniform(1.5, 2.2, hours)
    need = rng.uniform(0.5, 2.0, (homes, hours))
    low.buy, low.other, low.spill = (pyo.Var(keys, domain=pyo.NonNegativeReals) for _ in range(3))
    low.charge, low.discharge = pyo.Var(keys, bounds=(0, 1)), pyo.Var(keys, bounds=(0, 1))
    low.stored = pyo.Var(keys, bounds=(0, 3))
    low.balance = pyo.Constraint(
        keys, rule=lambda b, i, t: b.buy[i, t] + b.other[i, t] + b.discharge[i, t] - b.charge[i, t] - b.spill[i, t] == float(need[i, t])
    )
    low.storage = pyo.Constraint(
        keys, rule=lambda b, i, t: b.stored[i, t] - b.stored[i, (t - 1) % hours] - 0.95 * b.charge[i, t] + b.discharge[i, t] / 0.95 == 0
    )
    low.limit = pyo.Constraint(range(hours), rule=lambda b, t: sum(b.buy[i, t] for i in range(homes)) <= 1.6 * homes)
    block = [t * blocks // hours for t in range(hours)]
    low.cost = pyo.Objective(expr=sum(m.price[block[t]] * low.buy[i, t] + float(outside[t]) * low.other[i, t] for i, t in keys))
    m.profit = pyo.Objective(expr=sum((m.price[block[t]] - float(wholesale[t])) * low.buy[i, t] for i, t in keys), sense=pyo.maximize)
    return bilevel.read_model(m, [low]).problem


def coupled(sources, sinks, seed, budget):
    """Routes opened by binaries (and, with a budget, widened continuously); shortage is priced, and some flows are capped by the leader."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    routes = [(i, j) for i in range(sources) for j in range(sinks)]
    chosen = [routes[k] for k in rng.choice(len(routes), 8, replace=False)]
    m.open = pyo.Var(range(8), domain=pyo.Binary)
    m.toll = pyo.Var(bounds=(0, 3))
    low = m.low = pyo.Block()
    low.flow = pyo.Var(routes, domain=pyo.NonNegativeReals)
    low.short = pyo.Var(range(sinks), domain=pyo.NonNegativeReals)
    low.spill = pyo.Var(range(sinks), domain=pyo.NonNegativeReals)
    cost = rng.uniform(1, 6, (sources, sinks))
    need, supply = rng.uniform(4, 9, sinks), rng.uniform(5, 9, sources) * sinks / sources
    low.supply = pyo.Constraint(range(sources), rule=lambda b, i: sum(b.flow[i, j] for j in range(sinks)) <= float(supply[i]))
    low.need = pyo.Constraint(range(sinks), rule=lambda b, j: sum(b.flow[i, j] for i in range(sources)) + b.short[j] - b.spill[j] == float(need[j]))
    width = rng.uniform(1.0, 4.0, (sources, sinks))
    if budget:
        m.wider = pyo.Var(range(2), bounds=(0, 2))

    def room(b, i, j):
        extra = 5.0 * m.open[chosen.index((i, j))] if (i, j) in chosen else 0.0
        if budget and (i, j) in chosen[:2]:
            extra = extra + m.wider[chosen.index((i, j))]
        return b.flow[i, j] <= float(width[i, j]) + extra

    low.room = pyo.Constraint(routes, rule=room)
    tolled = [r for r in routes if r[0] % 2 == 0]
    low.cost = pyo.Objective(
        expr=sum(float(cost[r]) * low.flow[r] for r in routes) + m.toll * sum(low.flow[r] for r in tolled) + 20.0 * sum(low.short.values())
    )
    m.shares = pyo.Constraint(expr=sum(low.flow[r] for r in tolled) >= 0.35 * float(need.sum()))
    m.income = pyo.Objective(
        expr=m.toll * sum(low.flow[r] for r in tolled)
        - sum(float(c) * m.open[k] for k, c in enumerate(rng.uniform(1, 5, 8)))
        - (2.0 * sum(m.wider.values()) if budget else 0.0)
        - 4.0 * sum(low.short.values()),
        sense=pyo.maximize,
    )
    return bilevel.read_model(m, [low]).problem


def bidding(units, hours, seed):
    """One strategic unit bids a price for blocks of hours; the market clears at least cost with elastic demand; profit at dual prices."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    blocks = 3
    m.bid = pyo.Var(range(blocks), bounds=(1, 10))
    low = m.low = pyo.Block()
    keys = [(i, t) for i in range(units) for t in range(hours)]
    cost, size = np.sort(rng.uniform(1, 7, units)), rng.uniform(2, 5, units)
    load = rng.uniform(0.5, 0.9, hours) * size.sum()
    low.own = pyo.Var(range(hours), domain=pyo.NonNegativeReals)
    low.rival = pyo.Var(keys, domain=pyo.NonNegativeReals)
    low.short, low.spill = pyo.Var(range(hours), domain=pyo.NonNegativeReals), pyo.Var(range(hours), domain=pyo.NonNegativeReals)
    low.balance = pyo.Constraint(
        range(hours), rule=lambda b, t: b.own[t] + sum(b.rival[i, t] for i in range(units)) + b.short[t] - b.spill[t] == float(load[t])
    )
    low.room = pyo.Constraint(keys, rule=lambda b, i, t: b.rival[i, t] <= float(size[i]))
    low.mine = pyo.Constraint(range(hours), rule=lambda b, t: b.own[t] <= 0.35 * float(size.sum()))
    block = [t * blocks // hours for t in range(hours)]
    low.cost = pyo.Objective(
        expr=sum(m.bid[block[t]] * low.own[t] + 12.0 * low.short[t] for t in range(hours)) + sum(float(cost[i]) * low.rival[i, t] for i, t in keys)
    )
    m.profit = pyo.Objective(
        expr=sum((bilevel.dual_of(low.balance[t]) - 1.5) * low.own[t] for t in range(hours)),
        sense=pyo.maximize,
    )
    return bilevel.read_model(m, [low]).problem


def instances():
    """Name -> function that makes the problem; 34 of them."""
    found = {}
    for seed, (nodes, hours, tariffs, hard) in enumerate(
        [(4, 12, 1, False), (4, 24, 1, True), (5, 8, 1, False), (5, 12, 1, True), (5, 24, 1, False), (6, 8, 1, True)]
        + [(6, 12, 2, False), (6, 24, 1, True), (4, 24, 2, False), (5, 12, 2, False), (6, 24, 1, False), (5, 24, 1, True)]
    ):
        name = f"feeder {nodes}x{hours}, {tariffs} tariffs, {'hard' if hard else 'base'}, seed {seed}"
        found[name] = lambda a=(nodes, hours, tariffs, hard, seed): feeder_problem(*a)
    for seed, (homes, hours, blocks) in enumerate([(2, 12, 2), (2, 16, 2), (3, 12, 2), (2, 24, 2), (3, 16, 2), (4, 12, 2), (3, 24, 2), (2, 24, 3)]):
        found[f"retailer {homes}x{hours}, {blocks} prices, seed {seed}"] = lambda a=(homes, hours, blocks, seed): retailer(*a)
    for seed, (sources, sinks, budget) in enumerate(
        [(8, 12, False), (10, 10, False), (10, 12, False), (8, 14, False), (12, 12, False), (8, 12, True), (10, 10, True), (10, 12, True)]
    ):
        name = f"coupled {sources}x{sinks}{', budget' if budget else ''}, seed {seed}"
        found[name] = lambda a=(sources, sinks, seed, budget): coupled(*a)
    for seed, (units, hours) in enumerate([(5, 18), (6, 15), (6, 18), (5, 21), (8, 12), (7, 18)]):
        found[f"bidding {units}x{hours}, seed {seed}"] = lambda a=(units, hours, seed): bidding(*a)
    return found
