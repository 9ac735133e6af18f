"""What forecast errors cost over a day when they are covered by agreement, and when every level hedges alone.

In every period each node errs by the size of the forecast error on its own demand and generation,

    s_n = size sqrt(demand_n^2 + generation_n^2)  [kW],      correlation of any two nodes: ``common``,

and has the flexibility that its devices leave: a platform the power of its batteries, at twice the wear; the TSO the headroom of its generators, each
at its distance from the price (what it forgoes or costs more), 5 EUR/MWh at least; cutting off, at the value of lost load, is everybody's last
resort. The agreement of every period is found to a certified gap, see ``agreement``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.agreement import Agreement, Level, agree, holding_cost
from multiscale.coordination.forecast import ErrorModel
from multiscale.coordination.messages import Traffic
from multiscale.coordination.outcome import Outcome
from multiscale.operation import OperatingTree

LEAST_APART = 0.005
"""Least price of holding a generator back [EUR/kWh]."""


@dataclass(frozen=True)
class CoveredDay:
    """Cover of a day's forecast errors.

    Attributes:
        cost, bound, alone: by agreement, its proven lower bound, and every level alone [EUR/a], (period,).
        alone_of: node -> cost of covering its own error alone [EUR/a], (period,).
        deviation: node -> standard deviation of its own error [kW], (period,).
        handed: node -> standard deviation handed upward [kW], (period,).
        price: node -> price of handing over [EUR/kWh per kW of standard deviation], (period,).
        traffic: messages up (band, amount) and down (price).
    """

    cost: np.ndarray
    bound: np.ndarray
    alone: np.ndarray
    alone_of: Mapping[str, np.ndarray]
    deviation: Mapping[str, np.ndarray]
    handed: Mapping[str, np.ndarray]
    price: Mapping[str, np.ndarray]
    traffic: Traffic


def covered_day(tree: OperatingTree, expected: Outcome, error: ErrorModel, *, coverage: float = 2.0, tolerance: float = 1e-4) -> CoveredDay:
    """Agree on the errors of every period of a day.

    Args:
        tree: programs of all nodes.
        expected: operation the parents expect.
        error: how forecasts err; its ``common`` is the correlation of any two nodes.
        coverage: standard deviations that are covered [1].
        tolerance: relative gap of every period's agreement.
    """
    every: list[Sequence[Level]] = day_levels(tree, expected, error)
    found: list[Agreement] = []
    traffic = Traffic()
    for levels in every:
        below = {level.name: 1 + sum(other.parent == level.name for other in levels) for level in levels}
        matrices = {n: (1.0 - error.common) * np.eye(k) + error.common * np.ones((k, k)) for n, k in below.items() if k > 1}
        found.append(agree(levels, matrices, coverage=coverage, tolerance=tolerance))
        traffic.messages += found[-1].traffic.messages
        traffic.bytes += found[-1].traffic.bytes
        traffic.fields |= found[-1].traffic.fields
    hours = tree.horizon.hours_per_year
    cost, bound, alone = (hours * np.array([getattr(a, name) for a in found]) for name in ("cost", "bound", "alone"))
    names = [level.name for level in every[0]]
    return CoveredDay(
        cost,
        bound,
        alone,
        {n: hours * np.array([holding_cost(levels[k], coverage * levels[k].deviation) for levels in every]) for k, n in enumerate(names)},
        {n: np.array([levels[k].deviation for levels in every]) for k, n in enumerate(names)},
        {n: np.array([a.handed[n] for a in found]) for n in names},
        {n: np.array([a.price[n] for a in found]) for n in names},
        traffic,
    )


def day_levels(tree: OperatingTree, expected: Outcome, error: ErrorModel) -> list[Sequence[Level]]:
    """TSO, DSOs and platforms with their errors and what they can hold against them, for every period."""
    voll, wear = tree.economics.value_of_lost_load, 2.0 * tree.economics.battery_wear
    network, periods = tree.transmission, range(tree.horizon.periods)

    def deviation(demand: np.ndarray, generation: np.ndarray) -> np.ndarray:
        return error.size * np.hypot(demand.sum(axis=0), generation.sum(axis=0))

    price = np.mean([expected.energy_price[d] for d in network.children], axis=0)
    room = np.maximum(network.largest_output - expected.dispatch.generation, 0.0)
    apart = np.maximum(np.abs(tree.system.generators.cost_eur_per_kwh.values[:, None] - price), LEAST_APART)
    top = tree.system.top
    nodes = [(top, "", deviation(network.demand, network.renewable), room, apart)]
    nothing = np.zeros((0, len(periods)))
    for dso in tree.distribution:
        passive = tree.system.passive(dso, tree.horizon)
        nodes.append((dso, top, deviation(passive.demand.values, passive.generation.values), nothing, nothing))
    for dso, own in tree.distribution.items():
        for p in own.children:
            data = tree.fleets[p].data
            batteries = np.full((1, len(periods)), float(data.battery_power.sum()))
            size = deviation((data.demand + data.ev + data.heat_pump).values, data.pv.values)
            nodes.append((p, dso, size, batteries, np.full_like(batteries, wear)))
    return [[Level(n, above, float(s[t]), np.append(a[:, t], np.inf), np.append(c[:, t], voll)) for n, above, s, a, c in nodes] for t in periods]
