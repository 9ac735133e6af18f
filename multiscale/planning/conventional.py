"""What a planner without platforms would build: every branch that passive customers overload is reinforced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.measures import added_rating, impedance_removed, voltage_change
from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.operation.tree import reference_exchange
from multiscale.system import LoadingLimits, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class ConventionalNeed:
    """Loading of a DSO's branches without demand response, and what it would take to serve that.

    Attributes:
        loading: largest share of the usable rating of every branch [%], branch -> percent, over the horizon.
        overloaded: branches above 100 %, worst first.
        outside: branch -> distance [pu] by which the voltage leaves its band: of a DSO, at the bus it feeds, where the bus before is within its own;
            of a platform, at the worst bus behind it.
    """

    loading: Mapping[str, float]
    overloaded: tuple[str, ...]
    outside: Mapping[str, float] = field(default_factory=dict)

    def needed(self, options: xr.Dataset) -> np.ndarray:
        """Options that conventional planning builds, (option,): they add rating to overloaded branches, or move voltages that leave the band."""
        overloaded = np.isin(options.branch.values, self.overloaded) & (added_rating(options) > 0)
        moves = (voltage_change(options) > 0) | (impedance_removed(options) > 0)
        return np.asarray(overloaded | np.isin(options.branch.values, list(self.outside)) & moves)

    def investment(self, options: xr.Dataset) -> float:
        """Cost [EUR] of what conventional planning builds."""
        return float(options.cost_eur.values[self.needed(options)].sum())


def conventional_need(
    system: System, dso: str, horizon: Horizon, fleets: Mapping[str, Fleet], limits: LoadingLimits = LoadingLimits()
) -> ConventionalNeed:
    """Loading of a DSO's branches under reference demand and full PV feed-in, without any response or trade.

    Args:
        system: the whole.
        dso: whose branches.
        horizon: periods looked at.
        fleets: platform -> prosumers over the horizon.
        limits: shares of the ratings that may be used.
    """
    tree = radial_tree(system.network(dso), limits)
    flow, reactive = passive_flows(system, dso, horizon, fleets, tree)
    return _need(tree, flow, reactive, _first_outside)


def platform_need(
    system: System, platform: str, horizon: Horizon, fleet: Fleet, root_voltage: float = 1.0, limits: LoadingLimits = LoadingLimits()
) -> ConventionalNeed:
    """The same of the low-voltage network of a platform.

    Args:
        system: the whole.
        platform: whose network.
        horizon: periods looked at.
        fleet: its prosumers over the horizon.
        root_voltage: voltage at its busbar [pu].
        limits: shares of the ratings that may be used.
    """
    tree = radial_tree(system.network(platform), limits, root_voltage)
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    bus = np.array([at[b] for b in fleet.data.bus.values.tolist()], dtype=int)
    active, reactive = np.zeros((len(at), horizon.periods)), np.zeros((len(at), horizon.periods))
    np.add.at(active, bus, fleet.reference_demand - fleet.reference_generation)
    np.add.at(reactive, bus, fleet.data.reactive.values)
    return _need(tree, tree.below(active), tree.below(reactive), _behind_outside)


def low_voltage_needs(
    system: System, dso: str, horizon: Horizon, fleets: Mapping[str, Fleet], limits: LoadingLimits = LoadingLimits()
) -> dict[str, ConventionalNeed]:
    """Platform of a DSO -> what its network lacks, of those where a line or a voltage leaves its limits."""
    tree = radial_tree(system.network(dso), limits)
    voltage = dict(zip(tree.buses.tolist(), tree.no_load_voltage()[:, 0].tolist(), strict=True))
    found = {}
    for child in system.children(dso):
        if system.network(child).active.sizes["branch"]:
            need = platform_need(system, child, horizon, fleets[child], voltage[system.boundary_bus(child)], limits)
            if need.overloaded or need.outside:
                found[child] = need
    return found


def _need(tree: RadialTree, flow: np.ndarray, reactive: np.ndarray, named: Callable[[RadialTree, np.ndarray], dict[str, float]]) -> ConventionalNeed:
    """Loading and voltages of given flows, (bus fed, period); ``named``: distances beyond the band, (bus,), as distances by branch."""
    share = np.where(flow >= 0, tree.load_share[:, None], tree.feed_in_share[:, None])
    with np.errstate(divide="ignore"):
        percent = (100.0 * np.hypot(flow, reactive) / (share * tree.rating[:, None])).max(axis=1)
    loading = {name: float(percent[i]) for i, members in enumerate(tree.members) for name in members}
    over = sorted((name for name, value in loading.items() if value > 100.0), key=lambda name: -loading[name])
    return ConventionalNeed(loading, tuple(over), named(tree, _beyond(tree, flow, reactive)))


def _beyond(tree: RadialTree, flow: np.ndarray, reactive: np.ndarray) -> np.ndarray:
    """How far the voltage of every bus leaves its band at most [pu], (bus,); below zero within it."""
    voltage = tree.voltage(flow, reactive)
    return np.asarray(np.fmax(tree.v_min[:, None] - voltage, voltage - tree.v_max[:, None]).max(axis=1))


def _behind_outside(tree: RadialTree, beyond: np.ndarray) -> dict[str, float]:
    """Branch -> how far the voltage leaves its band at the worst bus behind it [pu]; the worst first."""
    worst = beyond.copy()
    for i in range(len(tree.buses) - 1, 0, -1):
        worst[tree.feeder[i]] = max(worst[tree.feeder[i]], worst[i])
    behind = [i for i in range(1, len(tree.buses)) if worst[i] > 0 and not tree.reference[i]]
    return {name: float(worst[i]) for i in sorted(behind, key=lambda i: (-worst[i], i)) for name in tree.members[i]}


def _first_outside(tree: RadialTree, beyond: np.ndarray) -> dict[str, float]:
    """Branch -> how far the voltage leaves its band at the bus it feeds [pu], where the bus before is within its own; the worst first."""
    first = [i for i in range(1, len(tree.buses)) if beyond[i] > 0 and beyond[tree.feeder[i]] <= 0 and not tree.reference[i]]
    return {name: float(beyond[i]) for i in sorted(first, key=lambda i: (-beyond[i], i)) for name in tree.members[i]}


def passive_flows(system: System, dso: str, horizon: Horizon, fleets: Mapping[str, Fleet], tree: RadialTree) -> tuple[np.ndarray, np.ndarray]:
    """Active [kW] and reactive [kvar] flow of every branch of a tree (towards the customers positive), (bus fed, period)."""
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    active, reactive = np.zeros((len(at), horizon.periods)), np.zeros((len(at), horizon.periods))
    passive = system.passive(dso, horizon)
    for k, bus in enumerate(passive.bus.values.tolist()):
        if bus in at:
            active[at[bus]] += passive.demand.values[k] - passive.generation.values[k]
            reactive[at[bus]] += passive.reactive.values[k]
    for child in system.children(dso):
        i = at[system.boundary_bus(child)]
        active[i] += reference_exchange(fleets[child])
        reactive[i] += fleets[child].data.reactive.values.sum(axis=0)
    return tree.below(active), tree.below(reactive)
