"""Options in a network: what may be built in its program, and the network with what is built."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from multiscale.measures import MEASURES, Measure, Placed, added_rating, by_measure, impedance_removed, voltage_change
from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.system import LoadingLimits, Network, System


def branches_of(tree: RadialTree, options: xr.Dataset) -> np.ndarray:
    """Position in the tree of every option's branch, (option)."""
    position = {name: i for i, members in enumerate(tree.members) for name in members}
    return np.array([position[branch] for branch in options.branch.values.tolist()], dtype=int)


def decided_about(tree: RadialTree, branch: np.ndarray, options: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What options may do to limits and voltages, for ``reduce_tree``: branches whose rating may rise, change of voltage, impedance removed."""
    moved, left = np.zeros(len(tree.buses)), np.ones(len(tree.buses))
    np.add.at(moved, branch, voltage_change(options))
    np.multiply.at(left, branch, 1.0 - impedance_removed(options))
    return np.unique(branch[added_rating(options) > 0]), moved, 1.0 - left


def placed(options: xr.Dataset, branch: np.ndarray, built: np.ndarray) -> list[tuple[type[Measure], Placed]]:
    """Options measure by measure, with the positions of their branches and of their parameters."""
    return [(measure, Placed(branch[mine], columns, built[mine])) for measure, mine, columns in by_measure(options)]


def rows_with_built(rows: dict[str, dict[str, Any]], built: xr.Dataset, vn_kv: Mapping[str, float], fed: Mapping[str, str]) -> None:
    """Rows of the branch table, branch -> column -> value, with some options built, one after the other; changed in place.

    Args:
        rows: the table.
        built: options (component ``option``).
        vn_kv: nominal voltage of every bus.
        fed: branch -> its end that is fed through it, where that is known; else its ``to_bus``.
    """
    for option in built.to_dataframe().to_dict("records"):
        row = rows[option["branch"]]
        rows[option["branch"]] = MEASURES[option["kind"]].apply(row, option, vn_kv[row["to_bus"]], fed.get(option["branch"], row["to_bus"]))


def fed_through(network: Network) -> dict[str, str]:
    """Branch of a radial network -> its end that is fed through it."""
    tree = radial_tree(network, LoadingLimits.full())
    return {name: str(tree.buses[i]) for i, members in enumerate(tree.members) for name in members}


def branches_with_built(system: System, nodes: Collection[str], built: xr.Dataset) -> xr.Dataset:
    """The table of branches with the options built that are on branches of some nodes, one after the other."""
    names, owner = system.branches.branch.values, system.branches.node.values
    here = built.isel(option=np.flatnonzero(np.isin(built.branch.values, names[np.isin(owner, list(nodes))])))
    if not here.sizes["option"]:
        return system.branches
    at = np.flatnonzero(np.isin(names, here.branch.values))
    rows = system.branches.isel(branch=at).to_dataframe().to_dict("index")
    vn_kv = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    fed: dict[str, str] = {}
    for node in np.unique(owner[at]).tolist():
        # A meshed network, as that of transmission, has no end that is always fed.
        if node != system.top and not (network := system.network(node)).loops():
            fed |= fed_through(network)
    rows_with_built(rows, here, vn_kv, fed)
    changed = {}
    for column, before in system.branches.data_vars.items():
        now = np.array([row[column] for row in rows.values()])
        values = before.values.astype(np.result_type(before.values, now))
        values[at] = now
        changed[column] = (before.dims, values, before.attrs)
    return system.branches.assign(changed)


def with_transmission_built(system: System, built: xr.Dataset) -> System:
    """The system whose transmission network has the options built that are on its branches."""
    return system.replace(branches=branches_with_built(system, [system.top], built))


def built_network(system: System, node: str, built: xr.Dataset) -> Network:
    """The network of a node with the options that are built in it."""
    network = system.network(node)
    columns = network.branch_columns
    at = np.flatnonzero(np.isin(built.branch.values, columns["branch"]))
    if not len(at):
        return network
    mine, names = built.isel(option=at), columns["branch"].tolist()
    rows = {name: {c: values[k] for c, values in columns.items()} for k, name in enumerate(names)}
    vn_kv = dict(zip(network.buses.bus.values.tolist(), network.buses.vn_kv.values.tolist(), strict=True))
    rows_with_built(rows, mine, vn_kv, fed_through(network))
    return replace(network, branch_columns={c: np.array([rows[n][c] for n in names]) for c in columns})


def built_system(system: System, built: xr.Dataset) -> System:
    """The system with some options built in its networks below the top, and none left to decide about.

    What is built in the transmission network is in its tables before operation (``with_transmission_built``).
    """
    below = [node for node in system.nodes.node.values.tolist() if node != system.top]
    none = system.options.isel(option=np.zeros(0, dtype=int))
    return system.replace(branches=branches_with_built(system, below, built), options=none)
