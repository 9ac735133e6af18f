"""Flows of a DSO's branches over the whole year without demand response, and what of them exceeds the usable ratings.

Without response, what a device draws is rated power x profile, so the flow of every branch is linear in the profiles:

    P_l(t) = sum over profiles f of A_lf p_f(t),      A_lf = signed rated power of the devices below branch l with profile f

and likewise for reactive power. The matrix ``A`` is small and summed once; no series of a single device is ever held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.system import LoadingLimits, System
from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS
from multiscale.system.yearly import hourly


def yearly_overload(system: System, dsos: Sequence[str], limits: LoadingLimits = LoadingLimits()) -> pd.DataFrame:
    """Power above the usable rating of every branch that is overloaded in some hour of the year, without demand response.

    With flows ``P`` and ``Q`` of hourly means and a usable share ``a`` of the rating ``S`` (one share towards the customers, one back)

        excess = max(|P| - sqrt((a S)^2 - Q^2), 0)      [kW]

    Args:
        system: the whole.
        dsos: whose branches.
        limits: usable shares of the ratings.

    Returns:
        Hours x overloaded branches [kW]; columns ``(branch, direction)`` in the order of the DSOs and their trees; the direction, ``load`` or
        ``feed-in``, is the one with the greater energy. Parallel branches count as one, under their names joined by ``", "``. No column where
        nothing is overloaded.

    Raises:
        MeshedNetworkError: a DSO whose network is not radial.
    """
    columns: dict[tuple[str, str], np.ndarray] = {}
    hours = pd.DatetimeIndex(hourly(system.profiles, "p", np.zeros(0, dtype=int)).index)
    for dso in dsos:
        tree = radial_tree(system.network(dso), limits)
        active, reactive = yearly_flows(system, dso, tree)
        forward, backward = tree.usable(reactive)
        for i in range(1, len(tree.buses)):
            load, feed_in = np.maximum(active[i] - forward[i], 0.0), np.maximum(-active[i] - backward[i], 0.0)
            if load.any() or feed_in.any():
                columns[", ".join(tree.members[i]), "load" if load.sum() >= feed_in.sum() else "feed-in"] = load + feed_in
    names = pd.MultiIndex.from_tuples(list(columns), names=["branch", "direction"])
    return pd.DataFrame(np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(hours), 0)), index=hours, columns=names)


def yearly_flows(system: System, dso: str, tree: RadialTree) -> tuple[np.ndarray, np.ndarray]:
    """Active [kW] and reactive [kvar] flow of every branch of a tree, hour by hour, without demand response.

    Returns:
        Two arrays (bus fed, hour), towards the customers positive: what ``passive_flows`` gives for the periods of a horizon.
    """
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    devices = system.devices
    owner = dict(zip(system.prosumers.prosumer.values.tolist(), system.prosumers.node.values.tolist(), strict=True))
    boundary = {child: at[system.boundary_bus(child)] for child in system.children(dso)}
    # A customer of a platform counts where the platform is connected, every other customer at its own bus; one of another network, not at all.
    root = system.boundary_bus(dso)
    place = np.array(
        [
            (at.get(bus, -1) if bus != root else -1) if not prosumer else boundary.get(owner.get(prosumer, ""), -1)
            for bus, prosumer in zip(devices.bus.values.tolist(), devices.prosumer.values.tolist(), strict=True)
        ],
        dtype=int,
    )
    kind = devices.kind.values
    sign = np.isin(kind, LOAD_KINDS).astype(float) - np.isin(kind, GENERATION_KINDS)
    profile, names = pd.factorize(devices.profile.values)
    known = pd.Index(system.profiles.profile.values)
    flows = []
    for variable, rated in (("p", sign * devices.p_kw.values), ("q", np.isin(kind, LOAD_KINDS) * devices.q_kvar.values)):
        counted = (place >= 0) & (rated != 0)
        matrix = np.zeros((len(at), len(names)))
        np.add.at(matrix, (place[counted], profile[counted]), rated[counted])
        matrix = tree.below(matrix)
        used = np.flatnonzero((matrix != 0).any(axis=0))
        varying = used[names[used] != ""]
        series = hourly(system.profiles, variable, known.get_indexer(pd.Index(names[varying]))).to_numpy()
        flows.append(matrix[:, varying] @ series.T + matrix[:, names == ""].sum(axis=1, keepdims=True))
    return flows[0], flows[1]
