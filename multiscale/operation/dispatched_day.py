"""A day of the year as the DSO dispatches it under the plan: one linear program with its network as built, all platforms, and the price of energy.

    min  cost of the DSO's network with all its platforms, at the price of energy at its boundary and the charges in force       (one day)

A platform takes part with its devices put together by shape (``operation.device_classes``) and the transformer that feeds it. Where what happens
inside matters, it takes part member by member in its low-voltage network, fed at the voltage of the day's dispatch without such networks. Members
respond without fees on what they trade.

The program is started from the answers of its parts: every platform at the price alone, then the DSO around them. Where the DSO's nodal prices are
the price to which they answered, nothing can be saved together, and that is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.operation import Design, OperatingTree, bought_and_sold, operating_tree, passive_power
from multiscale.operation.built import built_network
from multiscale.operation.busbars import expected_busbar_voltages
from multiscale.operation.device_classes import DeviceClasses, OneMeter, device_classes
from multiscale.operation.distribution import without_relief
from multiscale.operation.platforms import PlatformData, Platforms
from multiscale.operation.tree import connection_limits
from multiscale.programs import Basis, CompiledProgram, Link, ParametricProgram, compose
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon

SAME_PRICE = 1e-9
"""Nodal prices [EUR/kWh] that differ by less than this are the same: rounding of a linear program."""

Power = Callable[[np.ndarray], np.ndarray]
"""Columns of a platform's program -> power that its members draw [kW], (member, period)."""


@dataclass(frozen=True)
class DispatchedDay:
    """A dispatched day.

    Attributes:
        injections: DSO -> ``p`` [kW] and ``q`` [kvar] that every bus draws, (bus, period).
        unserved: demand that is not served [kWh].
    """

    injections: Mapping[str, xr.Dataset]
    unserved: float


def dispatched_day(
    system: System,
    day: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    limits: LoadingLimits,
    energy_price: Mapping[str, np.ndarray],
    within: Collection[str] = (),
) -> DispatchedDay:
    """Dispatch a day.

    Args:
        system: owner of networks, passive customers and profiles.
        day: one day.
        economics: values and the tariff.
        fleets: platform -> members on the day, with what they have bought.
        design: what is built, and prices in force.
        limits: shares of ratings and voltage bands that may be used.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,).
        within: platforms that take part member by member in their low-voltage network.
    """
    market = OneMeter()
    classes = {name: device_classes(fleet) for name, fleet in fleets.items()}
    tree = operating_tree(system, day, economics, {n: c.fleet for n, c in classes.items()}, design, market, networks=False, limits=limits)
    built = design.options(system.options)
    answers = {dso: _answer(tree, dso, energy_price[dso]) for dso in tree.distribution}
    data = dict(tree.platforms.data)
    if within:
        own = {dso: answer[dso] for dso, answer in answers.items()}
        exchange = {n: tree.platforms[n].outputs["exchange"].matrix @ answer[n] for answer in answers.values() for n in answer if n in fleets}
        voltage = expected_busbar_voltages(tree, own, exchange)
        for name in within:
            data[name] = replace(data[name], fleet=fleets[name], network=built_network(system, name, built)).fed_at(voltage[name])
        tree = replace(tree, platforms=Platforms(data))
        answers = {dso: _answer(tree, dso, energy_price[dso]) for dso in tree.distribution}
    powers = {name: _members(data[name], tree.platforms[name], classes[name]) for name in fleets}
    injections = {dso: _injections(tree, dso, fleets, answer, powers) for dso, answer in answers.items()}
    programs = {name: tree.platforms[name] for name in fleets} | {dso: own.program for dso, own in tree.distribution.items()}
    cut_off = [programs[name].columns.values("unserved", x).sum() for answer in answers.values() for name, x in answer.items()]
    return DispatchedDay(injections, float(sum(cut_off)) * day.step_hours)


def _members(data: PlatformData, program: ParametricProgram, classes: DeviceClasses) -> Power:
    def drawn(x: np.ndarray) -> np.ndarray:
        bought, sold = bought_and_sold(program, x)
        return bought - sold if data.network is not None else classes.of_members(bought - sold)

    return drawn


def _answer(tree: OperatingTree, dso: str, price: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the DSO's program and of those of its platforms: its name, and theirs -> columns."""
    own, nothing = tree.distribution[dso], np.zeros(tree.horizon.periods)
    capacity = connection_limits(tree, dso)
    positions = own.program.parameters["exchange"].positions
    alone, exchange, bases = [], [], []
    given: dict[str, dict[str, object]] = {}
    for child in own.children:
        most, least = capacity[child]
        given[child] = {"import_limit": most, "export_limit": least, "planned": nothing, "deviation_price": 0.0} | dict(tree.prices(dso))
        part = CompiledProgram(tree.platforms[child])
        solution = part.solve_optimal(given[child] | {"import_price": price, "export_price": price})
        alone.append(solution.x)
        exchange.append(solution.output("exchange").values)
        bases.append(part.basis)
    around = CompiledProgram(own.program)
    at = {"energy_price": price, "built": tree.design.choice(own.options)}
    # At a price below zero the DSO would curtail, at the busbar, what no customer feeds in.
    served = around.solve_optimal(
        {**at, "energy_price": np.maximum(price, 0.0), "exchange": np.array(exchange).reshape(len(own.children), len(nothing))}
    )
    nodal = own.program.sensitivity(served.x, served.y)[positions] / tree.horizon.hours_per_year
    if (np.abs(nodal - price) <= SAME_PRICE * (1.0 + np.abs(price))).all():
        return dict(zip((dso, *own.children), (served.x, *alone), strict=True))
    # What the connection carries is a limit of the DSO's network too; prices between both are internal and vanish.
    fixed = {child: known | {"import_price": nothing, "export_price": nothing} for child, known in given.items()}
    links = [Link(child, "exchange", positions[k]) for k, child in enumerate(own.children)]
    parts = {child: tree.platforms[child] for child in own.children}
    joint = CompiledProgram(compose(f"{dso} on {tree.horizon.title}", without_relief(own.program), parts, links, fixed))
    # Columns of platforms enter rows of the DSO and not the other way.
    joint.start_from(Basis.joined([around.basis, *bases]))
    x = joint.solve_optimal(at).x
    ends = np.cumsum([own.program.columns.size, *(part.columns.size for part in parts.values())])
    return dict(zip((dso, *own.children), np.split(x, ends[:-1]), strict=True))


def _injections(
    tree: OperatingTree, dso: str, fleets: Mapping[str, Fleet], answer: Mapping[str, np.ndarray], powers: Mapping[str, Power]
) -> xr.Dataset:
    own = tree.distribution[dso]
    passive = tree.system.passive(dso, tree.horizon)
    served, used = passive_power(own, tree.system, tree.horizon, answer[dso])
    names, active, reactive = [passive.bus.values], [served - used], [passive.reactive.values]
    for child in own.children:
        data = fleets[child].data
        names.append(data.bus.values)
        active.append(powers[child](answer[child]))
        reactive.append(data.reactive.values)
    buses, place = np.unique(np.concatenate(names).astype(str), return_inverse=True)
    p, q = np.zeros((len(buses), tree.horizon.periods)), np.zeros((len(buses), tree.horizon.periods))
    np.add.at(p, place, np.concatenate(active))
    np.add.at(q, place, np.concatenate(reactive))
    return xr.Dataset(
        {"p": (("bus", "period"), p, {"units": "kW"}), "q": (("bus", "period"), q, {"units": "kvar"})},
        coords={"bus": buses, "period": tree.horizon.labels},
    )
