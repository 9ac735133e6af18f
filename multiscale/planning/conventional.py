"""What a planner without platforms would build: every branch that passive customers overload is reinforced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
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
    """

    loading: Mapping[str, float]
    overloaded: tuple[str, ...]

    def investment(self, options: xr.Dataset) -> float:
        """Cost [EUR] of the options on overloaded branches."""
        needed = np.isin(options.branch.values, self.overloaded)
        return float(options.cost_eur.values[needed].sum())


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
    return ConventionalNeed(loading, tuple(over))


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
