"""Reserves for the forecast errors of a day: their cost by agreement between the levels, and with every level alone.

In every period each node errs by the size of the forecast error on its own demand and generation,

    s_n = size sqrt(demand_n^2 + generation_n^2)  [kW],      correlation of any two nodes: ``common``,

and has the flexibility that its devices leave: a platform the power of its batteries; the TSO the headroom of its generators, each at its distance
from the price (what it forgoes or costs more), 5 EUR/MWh at least; cutting off is the last resort. Batteries and cutting off cost what they
are used on average, see ``operation.reserves``. Where energy is negotiated, reserves are negotiated with it; where another mechanism has settled it,
they are agreed on afterwards, in every period to a certified gap, see ``agreement``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.messages import Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.uncertainty.agreement import COVERAGE, Agreement, Level, agree, holding_cost
from multiscale.operation import OperatingTree
from multiscale.operation.reserves import AVAILABLE, ForecastErrors, cutting_price, use_price
from multiscale.operation.tree import net_load_size


@dataclass(frozen=True)
class DayReserves:
    """Reserves of a day's forecast errors.

    Attributes:
        cost, bound, alone: by agreement, its proven lower bound, and every level alone [EUR/a], (period,).
        alone_of: node -> cost of reserves for its own error alone [EUR/a], (period,).
        deviation: node -> standard deviation of its own error [kW], (period,).
        handed: node -> standard deviation handed upward [kW], (period,).
        price: node -> price of handing over [EUR/kWh per kW of standard deviation], (period,).
        traffic: messages up (band, amount) and down (price).
        coverage: standard deviations that are covered.
        together: whether energy was decided on with it.
    """

    cost: np.ndarray
    bound: np.ndarray
    alone: np.ndarray
    alone_of: Mapping[str, np.ndarray]
    deviation: Mapping[str, np.ndarray]
    handed: Mapping[str, np.ndarray]
    price: Mapping[str, np.ndarray]
    traffic: Traffic
    coverage: float
    together: bool


def agreed_reserves(tree: OperatingTree, expected: Outcome, error: ErrorModel, *, coverage: float = COVERAGE, tolerance: float = 1e-4) -> DayReserves:
    """Agree on the errors of every period of a day.

    Args:
        tree: programs of all nodes.
        expected: operation the parents expect.
        error: how forecasts err; its ``common`` is the correlation of any two nodes.
        coverage: standard deviations that are covered [1].
        tolerance: relative gap of every period's agreement.
    """
    every: list[Sequence[Level]] = day_levels(tree, expected, error, coverage)
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
    return DayReserves(
        cost,
        bound,
        alone,
        {n: hours * np.array([holding_cost(levels[k], coverage * levels[k].deviation) for levels in every]) for k, n in enumerate(names)},
        {n: np.array([levels[k].deviation for levels in every]) for k, n in enumerate(names)},
        {n: np.array([a.handed[n] for a in found]) for n in names},
        {n: np.array([a.price[n] for a in found]) for n in names},
        traffic,
        coverage,
        together=False,
    )


def negotiated_reserves(tree: OperatingTree, outcome: Outcome, error: ErrorModel) -> DayReserves:
    """Reserves of a day's forecast errors as negotiated together with energy.

    The bound is on the cost of reserves at the outcome's cost of energy: no operation whose energy costs no more holds them for less, since the
    certificate holds for both together. ``alone`` is what the same flexibility would cost each node if it held reserves for its own error only;
    nothing for the TSO, whose own error is there without the nodes below, and is not counted.

    Args:
        tree: programs of all nodes.
        outcome: of the negotiation.
        error: the errors that were negotiated about.
    """
    reserves = outcome.reserves
    if reserves is None:
        raise ValueError(f"the outcome of {outcome.mechanism!r} has no reserves for forecast errors; negotiate with them")
    coverage, cost = reserves.coverage, np.sum(list(reserves.cost.values()), axis=0)
    missing = outcome.cost - outcome.bound
    levels, hours = day_levels(tree, outcome, error, coverage, AVAILABLE), tree.horizon.hours_per_year
    names = [level.name for level in levels[0]]
    own = {n: np.array([at[k].deviation for at in levels]) for k, n in enumerate(names)}
    alone_of = {n: hours * np.array([holding_cost(at[k], coverage * at[k].deviation) for at in levels]) for k, n in enumerate(names)}
    nothing = np.zeros_like(cost)
    alone_of[tree.system.top] = nothing
    return DayReserves(
        cost,
        cost - missing * cost / max(float(cost.sum()), 1e-9),
        np.sum(list(alone_of.values()), axis=0),
        alone_of,
        own,
        {n: reserves.handed.get(n, nothing) for n in names},
        {n: reserves.price.get(n, nothing) for n in names},
        outcome.traffic,
        coverage,
        together=True,
    )


def forecast_errors(tree: OperatingTree, error: ErrorModel, *, coverage: float = COVERAGE, alone: bool = False) -> dict[str, ForecastErrors]:
    """Forecast errors of every node of a tree in its own periods, to be negotiated about together with energy; see ``operation.reserves``.

    Args:
        tree: programs of all nodes.
        error: how forecasts err; its ``common`` is the correlation of any two nodes.
        coverage: standard deviations that are covered.
        alone: whether every level covers its own errors, and hands nothing on.
    """
    return {n: ForecastErrors(s, coverage, error.common, alone) for n, s in deviations(tree, error).items()}


def deviations(tree: OperatingTree, error: ErrorModel) -> dict[str, np.ndarray]:
    """Standard deviation of every node's own error [kW], (period,), parents before children."""

    def deviation(demand: np.ndarray, generation: np.ndarray) -> np.ndarray:
        return error.size * np.hypot(demand.sum(axis=0), generation.sum(axis=0))

    found = {tree.system.top: deviation(tree.transmission.demand, tree.transmission.renewable)}
    for dso in tree.distribution:
        passive = tree.system.passive(dso, tree.horizon)
        found[dso] = deviation(passive.demand.values, passive.generation.values)
    for own in tree.distribution.values():
        found |= {p: error.size * net_load_size(tree.fleets[p]) for p in own.children}
    return found


def day_levels(tree: OperatingTree, expected: Outcome, error: ErrorModel, coverage: float, generators: float | None = None) -> list[Sequence[Level]]:
    """TSO, DSOs and platforms with their errors and what they can hold against them, for every period.

    Generators cost their distance from the price; or ``generators`` [EUR/kWh], where what they forgo is counted with the energy.
    """
    cutting = cutting_price(tree.economics, coverage)
    network, periods, size = tree.transmission, range(tree.horizon.periods), deviations(tree, error)
    price = np.mean([expected.energy_price[d] for d in network.children], axis=0)
    room = np.maximum(network.largest_output - expected.dispatch.generation, 0.0)
    apart = np.maximum(np.abs(tree.system.generators.cost_eur_per_kwh.values[:, None] - price), AVAILABLE)
    top = tree.system.top
    apart = apart if generators is None else np.full_like(apart, generators)
    nothing = np.zeros((0, len(periods)))
    nodes = [(top, "", room, apart), *((dso, top, nothing, nothing) for dso in tree.distribution)]
    for dso, own in tree.distribution.items():
        for p in own.children:
            fleet = tree.fleets[p]
            held = [(power, use_price(d.use_cost, coverage)) for d in fleet.devices.values() if (power := d.largest_reserve(fleet)) is not None]
            most, price_of = (np.array([[pair[k]] * len(periods) for pair in held]).reshape(len(held), len(periods)) for k in (0, 1))
            nodes.append((p, dso, most, price_of))
    return [
        [Level(n, above, float(size[n][t]), np.append(a[:, t], np.inf), np.append(c[:, t], cutting)) for n, above, a, c in nodes] for t in periods
    ]
