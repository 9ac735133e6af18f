"""One period of the TSO as a program, with the limits of some branches.

Programs of all periods have one matrix and differ in numbers alone: availability, demand and hours move bounds, right-hand sides and costs. So the
matrix is made once, and the program of another period is the same one with other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from multiscale.operation.direct_current import DirectCurrentModel
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term
from multiscale.symbols import Named
from multiscale.system import Economics, System
from multiscale.timeline import Horizon


class PeriodData(Protocol):
    """What a program is made of, see ``Transmission``; powers in kW.

    Attributes:
        system, horizon, economics: the whole, the periods, the values.
        children: nodes below.
        model: the network.
        demand, renewable: of passive customers, (customer, period).
        largest_output: of generators, (generator, period).
        passive_bus, generator_bus, child_bus: where they are connected, positions of buses.
        drawing, feeding: positions of the passive customers that draw or feed in power in some period; only they have columns.
    """

    system: System
    horizon: Horizon
    economics: Economics
    children: tuple[str, ...]
    model: DirectCurrentModel
    demand: np.ndarray
    renewable: np.ndarray
    largest_output: np.ndarray
    passive_bus: np.ndarray
    generator_bus: np.ndarray
    child_bus: np.ndarray
    drawing: np.ndarray
    feeding: np.ndarray


LIMITS = (("limit_forward", 1.0), ("limit_reverse", -1.0))
"""Rows of the limits of branches, and their direction."""


@dataclass(frozen=True)
class Monitored:
    """Limits of branches that are rows, each in the one direction in which it was found to bind.

    Attributes:
        branches: positions of the branches, by direction in the order of ``LIMITS``.
        factors: their transfer factors, (branch, bus), by direction.
    """

    branches: tuple[np.ndarray, np.ndarray]
    factors: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, model: DirectCurrentModel, forward: Sequence[int] | np.ndarray = (), reverse: Sequence[int] | np.ndarray = ()) -> Monitored:
        """The limits of some branches."""
        branches = np.array(forward, dtype=int), np.array(reverse, dtype=int)
        return cls(branches, (model.transfer_factors(branches[0]), model.transfer_factors(branches[1])))

    @property
    def counts(self) -> tuple[int, int]:
        """Number of limits by direction."""
        return len(self.branches[0]), len(self.branches[1])

    def exceeded(self, model: DirectCurrentModel, flow: np.ndarray, share: float) -> Monitored:
        """With the limits that a flow [kW], (branch,), exceeds by more than a share [1]; the same object where it exceeds none."""
        over = (np.flatnonzero(sign * flow > model.limit * (1 + share)) for _, sign in LIMITS)
        fresh = [np.setdiff1d(now, known) for now, known in zip(over, self.branches, strict=True)]
        if not any(map(len, fresh)):
            return self
        more = Monitored.of(model, *fresh)
        (forward, reverse), (ahead, back) = zip(self.branches, more.branches, strict=True), zip(self.factors, more.factors, strict=True)
        return Monitored((np.concatenate(forward), np.concatenate(reverse)), (np.vstack(ahead), np.vstack(back)))


DESCRIPTION = {
    "generation": "output of wholesale generators",
    "unserved": "demand not served",
    "curtailed": "renewable generation curtailed",
    "spilled": "feed-in refused at the boundary",
    "missing": "supply refused at the boundary",
}
"""Columns in their order, and what they are."""


def period_program(network: PeriodData, t: int, monitored: Monitored) -> ParametricProgram:
    """One period of the TSO with some limits of branches; costs in EUR per year. Parameter ``exchange`` (node) [kW].

    Args:
        network: the TSO.
        t: period.
        monitored: the limits.
    """
    model = network.model
    builder = ProgramBuilder(_name(network, t))
    drawing, feeding = network.passive_bus[network.drawing], network.passive_bus[network.feeding]
    nodes = {"node": np.array(network.children, dtype=str)}
    axes = {
        "generation": {"generator": network.system.generators.generator.values},
        "unserved": {"bus": model.buses[drawing]},
        "curtailed": {"bus": model.buses[feeding]},
    }
    columns = {
        name: builder.add_columns(name, axes.get(name, nodes), unit="kW", lower=low, upper=high, cost=cost, description=DESCRIPTION[name])
        for name, (low, high, cost) in columns_at(network, t).items()
    }
    exchange = builder.add_parameters("exchange", nodes, unit="kW", description="power drawn by the node")
    blocks = (
        (1.0, columns["generation"], network.generator_bus),
        (1.0, columns["unserved"], drawing),
        (-1.0, columns["curtailed"], feeding),
        (-1.0, columns["spilled"], network.child_bus),
        (1.0, columns["missing"], network.child_bus),
    )
    rhs = _right_hand_sides(network, t, monitored)
    for k, name in parts(network).items():
        here = [(sign, block[model.part[bus] == k]) for sign, block, bus in blocks]
        drawn = (1.0, exchange[model.part[network.child_bus] == k])
        net = Named(rhs[name], "D", "demand of passive customers less their generation", "kW")
        builder.add_rows(name, {}, here, "==", net, unit="kW", parameters=[drawn], description="power balance of the connected part")
    for (name, direction), branches, factors in zip(LIMITS, monitored.branches, monitored.factors, strict=True):
        if not len(branches):
            continue
        terms: list[Term] = []
        for sign, block, bus in blocks:
            effect = direction * sign * factors[:, bus]
            weighed = Named(np.where(np.abs(effect) < 1e-9, 0.0, effect), "f@", "power transfer distribution factor, with its sign", "1")
            terms.append((weighed, np.broadcast_to(block, effect.shape)))
        drawn_factors = Named(direction * factors[:, network.child_bus], "f@", "power transfer distribution factor, with its sign", "1")
        effect_of_drawn = (drawn_factors, np.broadcast_to(exchange, (len(branches), len(exchange))))
        limit = Named(rhs[name], "\\bar F@", "limit of the branch less the flow of passive customers", "kW")
        limited = {"branch": model.branches[branches]}
        builder.add_rows(name, limited, terms, "<=", limit, unit="kW", parameters=[effect_of_drawn], description="branch limit")
    return builder.build()


def at_period(program: ParametricProgram, network: PeriodData, t: int, monitored: Monitored) -> ParametricProgram:
    """The program of another period in place of the one that ``program`` was made for; the matrices are shared."""
    lower, upper, costs, rhs = program.lower.copy(), program.upper.copy(), program.c0.copy(), program.b0.copy()
    for name, (low, high, cost) in columns_at(network, t).items():
        where = program.columns[name].positions
        lower[where], upper[where], costs[where] = low, high, cost
    for name, value in _right_hand_sides(network, t, monitored).items():
        rhs[program.rows[name].positions] = value
    return replace(program, name=_name(network, t), lower=lower, upper=upper, c0=costs, b0=rhs)


def _name(network: PeriodData, t: int) -> str:
    return f"{network.system.top} {network.horizon.labels[t]}"


def columns_at(network: PeriodData, t: int) -> dict[str, tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]]:
    """Bounds [kW] and costs [EUR/a per kW] of all columns in a period.

    A node below may feed in more than anybody upstream can take: what is left over is spilled at its boundary, at the value of lost load.
    """
    hours, generators, most = float(network.horizon.hours_per_year[t]), network.system.generators, network.largest_output[:, t]
    voll, spill = network.economics.value_of_lost_load * hours, network.system.curtailment_cost * hours
    return {
        "generation": (np.minimum(generators.p_min_kw.values, most), most, generators.cost_eur_per_kwh.values * hours),
        "unserved": (0.0, network.demand[network.drawing, t], voll),
        "curtailed": (0.0, network.renewable[network.feeding, t], spill),
        "spilled": (0.0, np.inf, voll),
        "missing": (0.0, np.inf, voll),
    }


def parts(network: PeriodData) -> dict[int, str]:
    """Connected parts in which there is anything, and the names of their balances; that of the first node below is the ``balance``."""
    model = network.model
    occupied = np.concatenate([network.generator_bus, network.passive_bus, network.child_bus])
    main = model.part[network.child_bus[0] if len(network.child_bus) else 0]
    return {int(k): "balance" if k == main else f"balance_{k}" for k in np.unique(model.part[occupied])}


def _right_hand_sides(network: PeriodData, t: int, monitored: Monitored) -> dict[str, np.ndarray | float]:
    """Of every block of rows in a period [kW]."""
    model = network.model
    net = np.zeros(len(model.buses))
    np.add.at(net, network.passive_bus, network.renewable[:, t] - network.demand[:, t])
    sides: dict[str, np.ndarray | float] = {name: -float(net[model.part == k].sum()) for k, name in parts(network).items()}
    for (name, direction), branches, factors in zip(LIMITS, monitored.branches, monitored.factors, strict=True):
        if len(branches):
            sides[name] = model.limit[branches] - direction * (factors @ net)
    return sides
