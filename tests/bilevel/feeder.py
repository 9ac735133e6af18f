"""A family of instances: a radial feeder whose owner builds lines (binary) and sets an import tariff that must recover its costs.

The follower is the community on the feeder: adoption of PV, batteries, load shedding, import and export at the root, per day.

    min_u,tau   investment(u) + community cost without tariff payments        (social)    or  investment - revenue  (profit)
    s.t.        sum_k tau_k import_k >= base + investment(u)                  revenue recovers cost;  profit: revenue <= allowed
                the community minimises its cost with the tariff, on lines F + dF u

``regulated``: the owner earns at most its investment and 1 % of it, and pays for energy that is not served:

    min_u,tau   investment(u) - revenue + 5 EUR/kWh x unserved     s.t.  revenue <= 1.01 investment(u)

BASE and HARD differ in the price of PV and in the cost to recover: in HARD the tariff really moves adoption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from multiscale.programs import ParametricProgram, ProgramBuilder

VALUE_OF_LOST_LOAD = 5.0
TARIFF_CAP = 0.3


@dataclass(frozen=True)
class Feeder:
    """An instance: the follower's program, the leader's model, what lines cost and what must be recovered [EUR a day]."""

    program: ParametricProgram
    model: Any
    follower: Any
    tariff: Any
    build: Any
    investment: np.ndarray
    base: float


@dataclass(frozen=True)
class RadialCase:
    """A radial network over a day.

    Attributes:
        parent: of each node; node 0 is the root.
        demand: [kW], (node, period).
        sun: share of the photovoltaic capacity that is available [1], (period,).
        price: of imported energy [EUR/kWh], (period,).
        rating, step, investment: of the line above each node but the root: rating [kW], what it can be raised by [kW], at which cost [EUR].
    """

    parent: np.ndarray
    demand: np.ndarray
    sun: np.ndarray
    price: np.ndarray
    rating: np.ndarray
    step: np.ndarray
    investment: np.ndarray


def radial_case(nodes: int, hours: int, seed: int) -> RadialCase:
    """A random radial network whose lines are too weak for the demand."""
    rng = np.random.default_rng(seed)
    parent = np.array([-1] + [int(rng.integers(max(0, n - 3), n)) for n in range(1, nodes)])
    duration = 24.0 / hours
    clock = (np.arange(hours) + 0.5) * duration
    shape = 0.35 + 0.25 * np.exp(-(((clock - 8) / 2) ** 2)) + 0.6 * np.exp(-(((clock - 19) / 2.5) ** 2))
    demand = rng.uniform(0.5, 2.0, nodes)[:, None] * shape[None, :] * rng.uniform(0.9, 1.1, (nodes, hours))
    demand[0] = 0.0
    sun = np.clip(np.sin(np.pi * (clock - 6) / 12), 0, None)
    price = 0.12 + 0.08 * np.exp(-(((clock - 19) / 3) ** 2)) + 0.03 * np.sin(2 * np.pi * clock / 24)
    below = np.eye(nodes)
    for n in range(nodes - 1, 0, -1):
        below[parent[n]] += below[n]
    rating = 0.75 * (below[1:] @ demand).max(axis=1)
    step = 0.6 * rating
    investment = rng.uniform(0.15, 0.35, nodes - 1) * (0.5 + step)
    return RadialCase(parent, demand, sun, price, rating, step, investment)


def feeder(
    nodes: int,
    hours: int,
    tariffs: int = 1,
    *,
    hard: bool = False,
    seed: int = 0,
    profit: bool = False,
    regulated: bool = False,
    growth: float = 1.0,
    pv_price: float = 1.0,
) -> Feeder:
    """Generate an instance with ``nodes`` nodes (node 0 is the root), ``hours`` periods of one day and ``tariffs`` tariff groups.

    ``growth`` multiplies demand but not the ratings of today's lines, ``pv_price`` the price of PV.
    """
    case = radial_case(nodes, hours, seed)
    parent, demand, sun, price, rating, step, investment = case.parent, case.demand, case.sun, case.price, case.rating, case.step, case.investment
    duration = 24.0 / hours
    demand = growth * demand
    base = (0.06 if hard else 0.03) * demand.sum() * duration
    group = (np.arange(hours) * tariffs) // hours

    b = ProgramBuilder("community")
    node, time, line = {"node": np.arange(nodes)}, {"time": np.arange(hours)}, {"line": np.arange(1, nodes)}
    tau = b.add_parameters("tariff", {"group": np.arange(tariffs)}, unit="EUR/kWh")
    built = b.add_parameters("built", line, unit="1")
    imports = b.add_columns("import", time, unit="kW", cost=price * duration)
    exports = b.add_columns("export", time, unit="kW", cost=-0.5 * price * duration)
    pv = b.add_columns("pv", node, unit="kW", upper=np.where(np.arange(nodes) > 0, 3.0, 0.0), cost=pv_price * (0.8 if hard else 0.35))
    generation = b.add_columns("generation", node | time, unit="kW")
    shed = b.add_columns("shed", node | time, unit="kW", cost=VALUE_OF_LOST_LOAD * duration)
    spill = b.add_columns("spill", node | time, unit="kW")
    size = np.where(np.arange(nodes) % 3 == 1, 3.0, 0.0)
    charge = b.add_columns("charge", node | time, unit="kW", upper=0.5 * size[:, None])
    discharge = b.add_columns("discharge", node | time, unit="kW", upper=0.5 * size[:, None])
    stored = b.add_columns("stored", node | time, unit="kWh", upper=size[:, None])
    flow = b.add_columns("flow", line | time, unit="kW", lower=-np.inf)
    balance = b.add_rows(
        "balance", node | time, [(1.0, generation), (1.0, discharge), (-1.0, charge), (1.0, shed), (-1.0, spill)], "==", demand, unit="kW"
    )
    b.add_to_rows(balance[1:], flow, 1.0)
    b.add_to_rows(balance[parent[1:]], flow, -1.0)
    b.add_to_rows(balance[0], imports, 1.0)
    b.add_to_rows(balance[0], exports, -1.0)
    b.add_rows(
        "pv_availability",
        node | time,
        [(1.0, generation), (-np.broadcast_to(sun, (nodes, hours)), np.broadcast_to(pv[:, None], (nodes, hours)))],
        "<=",
        0.0,
        unit="kW",
    )
    before = np.roll(stored, 1, axis=1)
    b.add_rows(
        "storage", node | time, [(1.0, stored), (-1.0, before), (-0.95 * duration, charge), (duration / 0.95, discharge)], "==", 0.0, unit="kWh"
    )
    wide = np.broadcast_to(built[:, None], (nodes - 1, hours))
    for name, sign in (("down", 1.0), ("up", -1.0)):
        b.add_rows(f"rating_{name}", line | time, [(sign, flow)], "<=", rating[:, None], unit="kW", parameters=[(step[:, None], wide)])
    b.add_cost_parameter(imports, tau[group], duration)
    weight = np.zeros((tariffs, hours))
    weight[group, np.arange(hours)] = duration
    b.add_output("import_energy", {"group": np.arange(tariffs)}, [(weight, np.broadcast_to(imports, (tariffs, hours)))], unit="kWh")
    if regulated:
        b.add_output("unserved_energy", {"node": np.arange(1)}, [(np.full(shed[None].shape, duration), shed[None])], unit="kWh")
    program = b.build()

    model = pyo.ConcreteModel()
    model.build = pyo.Var(range(1, nodes), domain=pyo.Binary)
    model.tariff = pyo.Var(range(tariffs), bounds=(0, TARIFF_CAP))
    follower = bilevel.ProgramFollower(program, {"tariff": model.tariff, "built": model.build}, model=model)
    energy = follower.output("import_energy")
    spent = sum(float(investment[k - 1]) * model.build[k] for k in range(1, nodes))
    revenue = sum(model.tariff[k] * energy[k] for k in range(tariffs))
    if regulated:
        model.cap = pyo.Constraint(expr=revenue <= 1.01 * spent)
        model.objective = pyo.Objective(expr=revenue - spent - VALUE_OF_LOST_LOAD * follower.output("unserved_energy")[0], sense=pyo.maximize)
    elif profit:
        model.cap = pyo.Constraint(expr=revenue <= 2.0 * base)
        model.quality = pyo.Constraint(expr=follower.cost <= 10.0 * base + 1e4)
        model.objective = pyo.Objective(expr=revenue - spent, sense=pyo.maximize)
    else:
        model.recovery = pyo.Constraint(expr=revenue >= base + spent)
        model.objective = pyo.Objective(expr=spent + follower.cost - revenue)
    return Feeder(program, model, follower, model.tariff, model.build, investment, base)
