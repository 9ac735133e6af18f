"""A radial feeder for regimes and tariffs: one community that buys photovoltaics, uses batteries and may be cut off; lines can be reinforced.

The follower's network and devices are written here; what is charged for is written by the components of the tariff, and the regimes are those of the
registry. One day stands for the horizon, so all yearly figures are per day.

    annuity of option k      investment_k * capital share       (below 1, the operator's true cost of capital is less than what is allowed)
    existing cost            6 ct for each kWh of demand
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from multiscale.planning import PlanningProblem
from multiscale.programs import Block, Index, Output, ProgramBuilder
from multiscale.system import Economics
from multiscale.tariffs import BILLED, Component, Metering, Tariff, Volumetric
from multiscale.tariffs.policies.policy import Owned, Purchase
from multiscale.timeline import Horizon
from tests.bilevel.feeder import VALUE_OF_LOST_LOAD, radial_case

CEILING = 0.3
DEMAND, SUN, PRICE = (1.0, 0.8, 0.6, 0.7), (1.0, 0.3, 0.9, 0.6), (1.0, 1.1, 0.7, 0.9)
"""Demand, sun and prices of the days, as shares of those of the case."""

SINGLE = {"network_charge": Volumetric(price_max=CEILING)}


def regulated_feeder(
    nodes: int = 8,
    hours: int = 24,
    components: dict[str, Component] | None = None,
    *,
    seed: int = 0,
    cost_share: float = 1.0,
    growth: float = 1.0,
    new_storage: bool = False,
    days: int = 1,
) -> PlanningProblem:
    """The feeder with ``nodes`` nodes (node 0 is the root) over ``hours`` periods of a day, or of several days of one weight.

    Args:
        nodes, hours, seed: size and case.
        components: of the tariff; default: one volumetric charge.
        cost_share: annuity of the options, as a share of what the case states.
        growth: factor on demand; ratings are those of today.
        new_storage: whether every node may buy up to 4 kWh of storage, at 0.4 EUR per kWh and day.
        days: number of days: the first is that of the case, the others have less demand, and sun and prices of their own; up to four.
    """
    case = radial_case(nodes, hours, seed)
    parent, demand, sun, price, rating, step, investment = (
        case.parent,
        growth * np.hstack([case.demand * share for share in DEMAND[:days]]),
        np.hstack([case.sun * share for share in SUN[:days]]),
        np.hstack([case.price * share for share in PRICE[:days]]),
        case.rating,
        case.step,
        case.investment,
    )
    # Money and energy are those of a mean day; what is stored is of one day.
    step_hours, hours = 24.0 / hours, hours * days
    duration = step_hours / days
    existing = 0.06 * demand.sum() * duration

    horizon = Horizon(tuple(pd.date_range("2016-01-20", periods=days)), (1.0 / days,) * days, step_hours)
    tariff = Tariff(components or SINGLE)
    names = np.array([f"line {k}" for k in range(1, nodes)])
    b = ProgramBuilder("feeder")
    node, time, line = {"node": np.arange(nodes)}, {"period": horizon.labels}, {"line": names}
    built = b.add_parameters("built", {"option": names}, unit="1")
    imports = b.add_columns("import", time, unit="kW", cost=price * duration)
    exports = b.add_columns("export", time, unit="kW", cost=-0.5 * price * duration)
    pv = b.add_columns("pv", node, unit="kW", upper=np.where(np.arange(nodes) > 0, 3.0, 0.0), cost=0.8)
    generation = b.add_columns("generation", node | time, unit="kW")
    unserved = b.add_columns("unserved", node | time, unit="kW", upper=demand, cost=VALUE_OF_LOST_LOAD * duration)
    spill = b.add_columns("curtailed", node | time, unit="kW")
    size = np.where(np.arange(nodes) % 3 == 1, 3.0, 0.0)
    most = size + np.where(np.arange(nodes) > 0, 4.0 * new_storage, 0.0)
    charge = b.add_columns("charge", node | time, unit="kW", upper=0.5 * most[:, None])
    discharge = b.add_columns("discharge", node | time, unit="kW", upper=0.5 * most[:, None])
    stored = b.add_columns("stored", node | time, unit="kWh", upper=most[:, None])
    flow = b.add_columns("flow", line | time, unit="kW", lower=-np.inf)
    terms = [(1.0, generation), (1.0, discharge), (-1.0, charge), (1.0, unserved), (-1.0, spill)]
    balance = b.add_rows("balance", node | time, terms, "==", demand, unit="kW")
    b.add_to_rows(balance[1:], flow, 1.0)
    b.add_to_rows(balance[parent[1:]], flow, -1.0)
    b.add_to_rows(balance[0], imports, 1.0)
    b.add_to_rows(balance[0], exports, -1.0)
    available = (-np.broadcast_to(sun, (nodes, hours)), np.broadcast_to(pv[:, None], (nodes, hours)))
    b.add_rows("pv_availability", node | time, [(1.0, generation), available], "<=", 0.0, unit="kW")
    before = np.roll(stored.reshape(nodes, days, -1), 1, axis=2).reshape(nodes, hours)
    moved = [(1.0, stored), (-1.0, before), (-0.95 * step_hours, charge), (step_hours / 0.95, discharge)]
    b.add_rows("storage", node | time, moved, "==", 0.0, unit="kWh")
    wide = np.broadcast_to(built[:, None], (nodes - 1, hours))
    for name, sign in (("rating_forward", 1.0), ("rating_reverse", -1.0)):
        b.add_rows(name, line | time, [(sign, flow)], "<=", rating[:, None], unit="kW", parameters=[(step[:, None], wide)])
    root, one = np.array(["root"]), np.ones(1)
    metering = Metering(horizon, root, imports[None, :], exports[None, :], None, {}, root, one)
    tariff.add(b, metering)
    # Each kW costs 0.8 a day: the annuity of an investment of 2,920 at 10 %.
    sunny = float((np.broadcast_to(sun, (nodes, hours))[1] * duration).sum())
    bought = {"photovoltaics": Purchase(pv, 0.1 / 365.0, 2920.0, sunny)}
    if new_storage:
        units = b.add_columns("new_storage", node, unit="kWh", upper=np.where(np.arange(nodes) > 0, 4.0, 0.0), cost=0.4)
        for name, column, per_unit in (("charge", charge, 0.5), ("discharge", discharge, 0.5), ("stored", stored, 1.0)):
            own = per_unit * size[:, None] if name == "stored" else 0.5 * size[:, None]
            sized = [(1.0, column), (-per_unit, np.broadcast_to(units[:, None], column.shape))]
            b.add_rows(f"{name} limit", node | time, sized, "<=", own, unit="kW")
        bought["battery"] = Purchase(units, 0.1 / 365.0, 1460.0, 0.0, lambda hours: min(0.5, 1.0 / hours))
    responding = ((1.0, discharge), (-1.0, charge))
    owned = Owned(
        horizon, root, (generation,), np.zeros(1), bought, responding, np.zeros((1, hours)), lambda h: np.array([size.sum() / max(h, 2.0)]), metering
    )
    tariff.add_support(b, owned)
    b.add_output("unserved", {}, [(np.full(unserved.size, duration), unserved.ravel())], unit="kWh/a")
    taken, fed, used = ([(sign * np.full(c.size, duration), c.ravel())] for sign, c in ((1.0, imports), (-1.0, exports), (1.0, generation)))
    for name, found in (("renewable", used), ("drawn", [*taken, *fed]), ("taken", taken)):
        b.add_output(name, {}, found, unit="kWh/a")
    worth = [(price * duration, imports), (-0.5 * price * duration, exports)]
    b.add_output("feeder/energy value", {}, worth, unit="EUR/a")
    program = b.build()

    resource = sparse.csr_matrix(program.c0[None, :])
    for name, component in tariff.components.items():
        if not component.decided:
            prices = np.broadcast_to(np.asarray(component.given, dtype=float), component.shape(horizon)).reshape(1, -1)
            resource = resource - sparse.csr_matrix(prices) @ program.outputs[BILLED + name].matrix
    of_targets = {f"feeder/{BILLED}{name}": program.outputs[BILLED + name] for name in tariff.components}
    cost = Output(Index((Block("resource_cost", {}, "EUR/a", 0, ""),)), resource)
    program = dataclasses.replace(program, outputs=dict(program.outputs) | of_targets | {"resource_cost": cost})
    # Nobody is passive here.
    nothing = np.zeros((0, horizon.periods))
    return PlanningProblem(
        dso="feeder",
        horizon=horizon,
        program=program,
        tariff=tariff,
        distribution=cast("Any", SimpleNamespace()),
        options=xr.Dataset({"cost_eur": ("option", 1000.0 * investment)}, coords={"option": names}),
        annuity=cost_share * investment,
        existing_cost=float(existing),
        passive={name: component.passive(nothing, nothing, horizon) for name, component in tariff.components.items()},
        participants={},
        members={},
        economics=Economics(tariff=tariff),
        energy_price=price,
        required=np.zeros(len(names), dtype=bool),
        excluded=np.zeros(len(names), dtype=bool),
    )
