"""What a planner without platforms would build: every branch that passive customers overload is reinforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.measures import added_rating, voltage_change
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
        outside: branch -> distance [pu] by which the voltage leaves its band at the bus it feeds, where the bus before is within its own.
    """

    loading: Mapping[str, float]
    overloaded: tuple[str, ...]
    outside: Mapping[str, float] = field(default_factory=dict)

    def needed(self, options: xr.Dataset) -> np.ndarray:
        """Options that conventional planning builds, (option,): they add rating to overloaded branches, or move voltages that leave the band."""
        overloaded = np.isin(options.branch.values, self.overloaded) & (added_rating(options) > 0)
        return np.asarray(overloaded | np.isin(options.branch.values, list(self.outside)) & (voltage_change(options) > 0))

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
    share = np.where(flow >= 0, tree.load_share[:, None], tree.feed_in_share[:, None])
    with np.errstate(divide="ignore"):
        percent = (100.0 * np.hypot(flow, reactive) / (share * tree.rating[:, None])).max(axis=1)
    loading = {name: float(percent[i]) for i, members in enumerate(tree.members) for name in members}
    over = sorted((name for name, value in loading.items() if value > 100.0), key=lambda name: -loading[name])
    return ConventionalNeed(loading, tuple(over), _outside(tree, flow, reactive))


def _outside(tree: RadialTree, flow: np.ndarray, reactive: np.ndarray) -> dict[str, float]:
    """Branch -> how far the voltage leaves its band at the bus it feeds [pu], where the bus before is within its own; the worst first."""
    drop = 2.0 * (tree.resistance[:, None] * flow + tree.reactance[:, None] * (reactive - tree.below(tree.charging)[:, None]))
    squared = tree.v_reference[tree.source_of()][:, None] ** 2 - tree.along_path(drop / (1000.0 * tree.vn_kv[:, None] ** 2) - tree.boost[:, None])
    voltage = np.sqrt(np.maximum(squared, 0.0))
    beyond = np.fmax(tree.v_min[:, None] - voltage, voltage - tree.v_max[:, None]).max(axis=1)
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
