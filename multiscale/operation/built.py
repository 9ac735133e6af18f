"""Options in a network: what may be built in its program, and the network with what is built."""

from __future__ import annotations

from collections.abc import Mapping
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


def with_transmission_built(system: System, built: xr.Dataset) -> System:
    """The system whose transmission network has the options built that are on its branches."""
    top = system.top
    table = system.branches.to_dataframe()
    mine = np.flatnonzero(np.isin(built.branch.values, table.index[table["node"] == top]))
    if not len(mine):
        return system
    here = built.isel(option=mine)
    vn_kv = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    rows = {name: {"branch": name, **table.loc[name].to_dict()} for name in here.branch.values.tolist()}
    rows_with_built(rows, here, vn_kv, {})
    at = [system.branches.branch.values.tolist().index(name) for name in rows]
    changed = {}
    for column in system.branches.data_vars:
        values = system.branches[column].values.copy()
        values[at] = [row[str(column)] for row in rows.values()]
        changed[str(column)] = ("branch", values, system.branches[column].attrs)
    return system.replace(branches=system.branches.assign(changed))


def built_network(system: System, node: str, built: xr.Dataset) -> Network:
    """The network of a node with the options that are built in it."""
    network = system.network(node)
    mine = built.isel(option=np.flatnonzero(np.isin(built.branch.values, network.branches.branch.values)))
    if not mine.sizes["option"]:
        return network
    columns = network.branch_columns
    names = columns["branch"].tolist()
    rows = {name: {c: values[k] for c, values in columns.items()} for k, name in enumerate(names)}
    vn_kv = dict(zip(network.buses.bus.values.tolist(), network.buses.vn_kv.values.tolist(), strict=True))
    rows_with_built(rows, mine, vn_kv, fed_through(network))
    return replace(network, branch_columns={c: np.array([rows[n][c] for n in names]) for c in columns})


def built_system(system: System, built: xr.Dataset) -> System:
    """The system with some options built in its networks, and none left to decide about."""
    branches = {name: values.values.copy() for name, values in system.branches.data_vars.items()}
    position = {str(name): k for k, name in enumerate(system.branches.branch.values.tolist())}
    at_options = np.isin(system.branches.branch.values, built.branch.values)
    for node in np.unique(system.branches.node.values[at_options]).tolist():
        columns = built_network(system, str(node), built).branch_columns
        rows = np.array([position[str(name)] for name in columns["branch"].tolist()], dtype=int)
        for name, values in columns.items():
            if name != "branch":
                branches[name] = branches[name].astype(np.result_type(branches[name], values))
                branches[name][rows] = values
    changed = {name: (system.branches[name].dims, values, system.branches[name].attrs) for name, values in branches.items()}
    return system.replace(branches=system.branches.assign(changed), options=system.options.isel(option=np.zeros(0, dtype=int)))
