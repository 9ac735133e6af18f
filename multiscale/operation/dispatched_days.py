"""Days of the year as the DSO dispatches them under the plan: its network as built, all platforms, and the price of energy of each day.

    min  cost of the DSO's network with all its platforms, at the price of energy at its boundary and the charges in force       (each day)

A platform takes part with its devices put together by shape (``operation.device_classes``) and the transformer that feeds it. Where what happens
inside matters, it takes part member by member in its low-voltage network, fed at the voltage of the day's dispatch without such networks. Members
respond without fees on what they trade.

Nothing ties the days, and at the price of energy nothing ties the platforms of a day but the limits of the DSO's network: every platform of every day
is a part, and limits that parts would violate tie those behind them (``programs.omitted_limits``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.operation.built import built_system
from multiscale.operation.busbars import expected_busbar_voltages
from multiscale.operation.device_classes import DeviceClasses, OneMeter, device_classes
from multiscale.operation.distribution import DistributionProgram, passive_power, without_relief
from multiscale.operation.platform import bought_and_sold
from multiscale.operation.platforms import PlatformData
from multiscale.operation.tree import Design, OperatingTree, connection_limits, operating_tree
from multiscale.programs import Link, ParametricProgram, Solved, States, compose, solve_with_omitted_limits
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon

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


def dispatched_days(
    system: System,
    days: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    limits: LoadingLimits,
    energy_price: Mapping[str, np.ndarray],
    within: Collection[str] = (),
) -> list[DispatchedDay]:
    """Dispatch some days, each for itself.

    Args:
        system: owner of networks, passive customers and profiles.
        days: the days; one, where the tariff has a charge that couples days: it stands for the year then.
        economics: values and the tariff.
        fleets: platform -> members on the days, with what they have bought.
        design: what is built, and prices in force.
        limits: shares of ratings and voltage bands that may be used.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,).
        within: platforms that take part member by member in their low-voltage network.

    Raises:
        ValueError: several days with a tariff that couples them.
        ProgramError: a dispatch is not certified as an optimum.
    """
    if economics.tariff.couples_days and len(days.days) > 1:
        raise ValueError(f"days from {days.title}: the tariff has a charge that couples days; dispatch them one by one")
    built = design.options(system.options)
    system = built_system(system, built)
    classes = {name: device_classes(fleet) for name, fleet in fleets.items()}
    in_force = Design({}, design.prices)
    tree = operating_tree(system, days, economics, {n: c.fleet for n, c in classes.items()}, in_force, OneMeter(), networks=False, limits=limits)
    solved: dict[str, Solved] = {}
    answers = {dso: _answer(tree, dso, energy_price[dso], solved) for dso in tree.distribution}
    data = dict(tree.platforms.data)
    if within:
        own = {dso: answer[dso] for dso, answer in answers.items()}
        exchange = {n: tree.platforms[n].outputs["exchange"].matrix @ answer[n] for answer in answers.values() for n in answer if n in fleets}
        voltage = expected_busbar_voltages(tree, own, exchange)
        for name in within:
            data[name] = replace(data[name], fleet=fleets[name], network=system.network(name)).fed_at(voltage[name])
        tree = replace(tree, platforms=tree.platforms.exchanged({name: data[name] for name in within}))
        answers = {dso: _answer(tree, dso, energy_price[dso], solved) for dso in tree.distribution}
    powers = {name: _members(data[name], tree.platforms[name], classes[name]) for name in fleets}
    injections = {dso: _injections(tree, dso, fleets, answer, powers) for dso, answer in answers.items()}
    programs = {name: tree.platforms[name] for name in fleets} | {dso: own.program for dso, own in tree.distribution.items()}
    cut_off = np.sum([programs[name].columns.values("unserved", x).sum(axis=0) for answer in answers.values() for name, x in answer.items()], axis=0)
    found = []
    for k in range(len(days.days)):
        periods = np.flatnonzero(days.day_of == k)
        of_day = {dso: drawn.isel(period=periods) for dso, drawn in injections.items()}
        found.append(DispatchedDay(of_day, float(cut_off[periods].sum()) * days.step_hours))
    return found


def joint_program(tree: OperatingTree, dso: str, price: np.ndarray) -> ParametricProgram:
    """A DSO's network and its platforms as one program without parameters; what it draws from above less what it feeds in is one column, ``import``.

    Args:
        tree: under a design in which nothing is left to decide about.
        dso: which.
        price: of energy at its boundary [EUR/kWh], (period,).
    """
    own, nothing = tree.distribution[dso], np.zeros(tree.horizon.periods)
    positions = own.program.parameters["exchange"].positions
    capacity = connection_limits(tree, dso)
    # What the connection carries is a limit of the DSO's network too; prices between both are internal and vanish.
    fixed: dict[str, dict[str, object]] = {}
    for child in own.children:
        most, least = capacity[child]
        fixed[child] = {"import_price": nothing, "export_price": nothing, "import_limit": most, "export_limit": least}
        fixed[child] |= {"planned": nothing, "deviation_price": 0.0} | dict(tree.prices(dso))
    links = [Link(child, "exchange", positions[k]) for k, child in enumerate(own.children)]
    parts = {child: tree.platforms[child] for child in own.children}
    joint = compose(f"{dso} on {tree.horizon.title}", without_relief(own.program), parts, links, fixed)
    joint = joint.fix({"energy_price": price, "built": tree.design.choice(own.options)})
    lower, upper = joint.lower.copy(), joint.upper.copy()
    drawn, fed = (joint.columns[name].positions for name in ("import", "export"))
    lower[drawn], upper[fed] = -upper[fed], 0.0
    return replace(joint, lower=lower, upper=upper)


def network_states(own: DistributionProgram, horizon: Horizon) -> States:
    """Exchange, flows and voltages of a DSO's network, which are determined by what is drawn."""
    program = own.program
    columns = [program.columns[name].positions for name in ("import", "flow", "voltage_squared") if name in program.columns]
    rows = [program.rows[name].positions.ravel() for name in ("balance", "voltage_drop") if name in program.rows]
    return States(np.vstack([block.reshape(-1, horizon.periods) for block in columns]), np.concatenate(rows), horizon.day_of)


def _answer(tree: OperatingTree, dso: str, price: np.ndarray, solved: dict[str, Solved]) -> dict[str, np.ndarray]:
    """Columns of the DSO's program and of those of its platforms: its name, and theirs -> columns; parts that are ``solved`` are not solved again."""
    own = tree.distribution[dso]
    x = solve_with_omitted_limits(joint_program(tree, dso, price), network_states(own, tree.horizon), solved).x
    ends = np.cumsum([own.program.columns.size, *(tree.platforms[child].columns.size for child in own.children)])
    return dict(zip((dso, *own.children), np.split(x, ends[:-1]), strict=True))


def _members(data: PlatformData, program: ParametricProgram, classes: DeviceClasses) -> Power:
    def drawn(x: np.ndarray) -> np.ndarray:
        bought, sold = bought_and_sold(program, x)
        return bought - sold if data.network is not None else classes.of_members(bought - sold)

    return drawn


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
