"""The operating problem of a DSO: its medium-voltage network, passive customers, and the platforms below as exchanges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from multiscale.operation.built import branches_of, decided_about, placed
from multiscale.operation.radial import radial_tree
from multiscale.operation.reduced_network import ReducedTree, add_radial_network, reduce_tree
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term
from multiscale.symbols import Named, weights
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class DistributionProgram:
    """A DSO's program and the reduced network it stands on.

    Attributes:
        program: the program.
        reduced: what was kept of the network.
        children: platforms in the order of the ``exchange`` parameter.
        child_bus: position in the tree of the bus that feeds each of them.
        options: names of the options in the order of the ``built`` parameter.
        low, high: bounds of each platform's exchange [kW], platform -> (period,), on which the reduction stands.
    """

    program: ParametricProgram
    reduced: ReducedTree
    children: tuple[str, ...]
    child_bus: np.ndarray
    options: tuple[str, ...]
    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]


def distribution_program(
    system: System,
    node: str,
    horizon: Horizon,
    economics: Economics,
    low: Mapping[str, np.ndarray],
    high: Mapping[str, np.ndarray],
    reactive: Mapping[str, np.ndarray],
    *,
    relief: bool = True,
    limits: LoadingLimits = LoadingLimits(),
    options: xr.Dataset | None = None,
    elsewhere: Sequence[str] = (),
) -> DistributionProgram:
    """A DSO over a horizon; every cost in EUR per year.

        min  sum_t h_t [ energy_price_t (import_t - export_t) + VOLL (unserved + shed_c) + curtailment ]
        s.t. balance of every zone of the reduced network, ratings, voltages (with what is built)      dual: nodal price

    Parameters: ``energy_price`` (period) [EUR/kWh] of the parent, ``exchange`` (platform, period) [kW] drawn by each platform,
    ``built`` (option) [1]. The derivative of the optimum by ``exchange`` is the nodal price (times hours per year).
    Outputs: ``exchange`` (period) [kW] drawn from the parent.

    A platform's exchange that the network cannot carry is shed at the value of lost load, or curtailed, so the program has a
    feasible point for every exchange and all its prices are bounded.

    Args:
        system: the whole.
        node: the DSO.
        horizon: periods.
        economics: values.
        low, high: bounds of each platform's exchange [kW], platform -> (period,); they decide what the network reduction may drop.
        reactive: reactive power each platform draws [kvar], platform -> (period,).
        relief: whether the DSO itself may shed or curtail a platform's exchange. Needed where exchanges are given; where platforms are
            part of the same program they can do so themselves, at the same cost.
        limits: shares of the ratings that may be used.
        options: what may be built (component ``option``); default: those of the system on branches of this DSO.
        elsewhere: names of options in other networks, which come last among the entries of ``built`` and change nothing here.
    """
    network = system.network(node)
    tree = radial_tree(network, limits)
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    children = tuple(c for c in system.children(node))
    passive = system.passive(node, horizon)
    options = system.options if options is None else options
    options = options.isel(option=np.flatnonzero(np.isin(options.branch.values, network.active.branch.values)))

    shape = (len(tree.buses), horizon.periods)
    demand, generation, q = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    where = np.array([at[b] for b in passive.bus.values.tolist() if b in at], dtype=int)
    known = np.array([b in at for b in passive.bus.values.tolist()], dtype=bool)
    for total, name in ((demand, "demand"), (generation, "generation"), (q, "reactive")):
        np.add.at(total, where, passive[name].values[known])
    # Passive customers of one bus use each other's generation first: only what is left over can go unserved or be curtailed.
    demand, generation = np.maximum(demand - generation, 0.0), np.maximum(generation - demand, 0.0)
    lowest, highest = -generation, demand.copy()
    child_bus = np.array([at[system.boundary_bus(c)] for c in children], dtype=int)
    for c, i in zip(children, child_bus.tolist(), strict=True):
        lowest[i] += low[c]
        highest[i] += high[c]
        q[i] += reactive[c]
    q -= tree.charging[:, None]
    branch = branches_of(tree, options)
    reduced = reduce_tree(tree, lowest, highest, q, *decided_about(tree, branch, options))
    zones = len(reduced.kept) + 1

    def by_zone(values: np.ndarray) -> np.ndarray:
        total = np.zeros((zones, horizon.periods))
        np.add.at(total, reduced.zone, values)
        return total

    hours, period = horizon.hours_per_year, {"period": horizon.labels}
    names = np.array([str(tree.buses[0]), *(str(tree.buses[i]) for i in reduced.kept)])
    builder = ProgramBuilder(node)
    price = builder.add_parameters("energy_price", period, unit="EUR/kWh", description="price of energy from the parent")
    axes = {"platform": np.array(children, dtype=str), **period}
    exchange = builder.add_parameters("exchange", axes, unit="kW", description="power drawn by the platform")
    names_of_options = np.array([*options.option.values.tolist(), *elsewhere], dtype=str)
    choice = builder.add_parameters("built", {"option": names_of_options}, unit="1", description="reinforcements built")

    zone_demand, zone_generation = by_zone(demand), by_zone(generation)
    bound = np.maximum(by_zone(np.abs(highest)) + by_zone(np.abs(lowest)), 1.0).sum(axis=0)
    taken = builder.add_columns("import", period, unit="kW", upper=bound, description="power drawn from the parent")
    given = builder.add_columns("export", period, unit="kW", upper=bound, description="power fed to the parent")
    for columns, weight in zip((taken, given), weights(hours), strict=True):
        builder.add_cost_parameter(columns, price, weight)
    voll = Named(economics.value_of_lost_load * hours, "V h@", "value of lost load times hours of the year", "EUR/kW")
    at_zone = {"zone": names, **period}
    unserved = builder.add_columns("unserved", at_zone, unit="kW", upper=zone_demand, cost=voll, description="passive demand not served")
    curtailed = builder.add_columns(
        "curtailed", at_zone, unit="kW", upper=zone_generation, cost=system.curtailment_cost * hours, description="passive generation curtailed"
    )
    child_zone = reduced.zone[child_bus] if len(child_bus) else np.zeros(0, dtype=int)
    consumption: list[Term] = [(-1.0, unserved), (1.0, curtailed)]
    parameters: list[Term] = []
    if children:
        members = _grouped(child_zone, zones)
        absent = (members < 0)[:, None, :]
        if relief:
            largest = np.array([np.maximum(np.abs(low[c]), np.abs(high[c])) for c in children])
            shed = builder.add_columns("shed", axes, unit="kW", upper=largest, cost=voll, description="platform demand not served")
            spill_cost = system.curtailment_cost * hours
            spilled = builder.add_columns("spilled", axes, unit="kW", upper=largest, cost=spill_cost, description="platform export curtailed")
            for sign, block in ((-1.0, shed), (1.0, spilled)):
                consumption.append((sign, np.where(absent, -1, block[members].transpose(0, 2, 1))))
        parameters.append((1.0, np.where(absent, -1, exchange[members].transpose(0, 2, 1))))
    add_radial_network(
        builder,
        reduced,
        horizon.labels,
        q,
        consumption,
        zone_demand - zone_generation,
        [(1.0, taken), (-1.0, given)],
        parameters,
        placed(options, branch, choice),
    )
    builder.add_output("exchange", period, [(1.0, taken), (-1.0, given)], unit="kW", description="power drawn from the parent")
    return DistributionProgram(builder.build(), reduced, children, child_bus, tuple(names_of_options.tolist()), low, high)


def without_relief(program: ParametricProgram) -> ParametricProgram:
    """A DSO's program that cuts off no platform: platforms that are part of one program with it curtail and cut off themselves, at the same cost.

    With relief, and at a price below zero, the DSO would be paid for curtailing what no platform feeds in.
    """
    upper = program.upper.copy()
    for name in ("shed", "spilled"):
        if name in program.columns:
            upper[program.columns[name].positions] = 0.0
    return replace(program, upper=upper)


def _grouped(group: np.ndarray, count: int) -> np.ndarray:
    """Members of every group in a rectangular array, padded with -1."""
    width = int(np.bincount(group, minlength=count).max(initial=0))
    members, filled = np.full((count, width), -1), np.zeros(count, dtype=int)
    for i, g in enumerate(group.tolist()):
        members[g, filled[g]] = i
        filled[g] += 1
    return members


def passive_power(own: DistributionProgram, system: System, horizon: Horizon, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Demand that is served and generation that is used of a DSO's passive customers [kW], (bus, period), in the columns ``x`` of its program.

    Demand that is not served in a zone of the reduced network is shared by its buses in proportion to their net demand, and curtailed
    generation in proportion to their net generation.
    """
    passive = system.passive(own.program.name, horizon)
    demand, generation = passive.demand.values.copy(), passive.generation.values.copy()
    at = {bus: i for i, bus in enumerate(own.reduced.tree.buses.tolist())}
    known = np.array([bus in at for bus in passive.bus.values.tolist()], dtype=bool)
    zone = own.reduced.zone[np.array([at[bus] for bus in passive.bus.values.tolist() if bus in at], dtype=int)]
    for kept, other, name in ((demand, passive.generation.values, "unserved"), (generation, passive.demand.values, "curtailed")):
        lost = own.program.columns.values(name, x)
        net = np.maximum(kept - other, 0.0)[known]
        total = np.zeros_like(lost)
        np.add.at(total, zone, net)
        kept[known] -= net * np.divide(lost, total, out=np.zeros_like(lost), where=total > 0)[zone]
    return demand, generation
