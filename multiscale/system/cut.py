"""A part of a system: some nodes with their ancestors; what hangs below the others becomes passive where those were connected.

A transformer that only feeds a dropped node goes with it, and the demand then sits on its upper side. The dropped demand and
generation keep their profiles, summed per (bus, kind, profile): the aggregate is exact up to losses inside the dropped networks.
Dropped storage stands idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices import DEVICES
from multiscale.system.schema import COMPONENTS, IDLE_KINDS, table, with_rows


def cut_tables(tables: Mapping[str, xr.Dataset], nodes: Sequence[str], name: str) -> tuple[dict[str, xr.Dataset], tuple[str, ...]]:
    """Tables of the part that holds some nodes and their ancestors, and a note about what was dropped.

    Args:
        tables: of the whole system, as in ``System``.
        nodes: to be kept.
        name: of the system, for messages.

    Raises:
        KeyError: an unknown node.
    """
    tree, branches, buses, prosumers = (tables[t] for t in ("nodes", "branches", "buses", "prosumers"))
    parent = dict(zip(tree.node.values.tolist(), tree.parent.values.tolist(), strict=True))
    known = set(parent)
    unknown = sorted(set(nodes) - known)
    if unknown:
        raise KeyError(f"system {name!r} has no node {unknown}; there are {sorted(known)[:12]} ...")
    kept = set(nodes) | {n for n, above in parent.items() if above == ""}
    for node in nodes:
        kept.update(_ancestors(parent, node))
    connection, feeding = _connections(tree, branches, parent, kept)
    anchor: dict[str, str] = {}
    for node in sorted(known - kept):
        above = node
        while parent[above] not in kept:
            above = parent[above]
        anchor[node] = connection[above]

    keep_branch = np.isin(branches.node.values, list(kept)) & ~np.isin(branches.branch.values, feeding)
    branches = branches.isel(branch=np.flatnonzero(keep_branch))
    boundary = tree.boundary_bus.values[np.isin(tree.node.values, list(kept))]
    needed = set(branches.from_bus.values) | set(branches.to_bus.values) | set(boundary)
    bus_node = dict(zip(buses.bus.values.tolist(), buses.node.values.tolist(), strict=True))
    keep_bus = np.array([n in kept or b in needed for b, n in bus_node.items()])
    buses = buses.isel(bus=np.flatnonzero(keep_bus))
    # A busbar kept for the branch that feeds it now belongs to the node that owns that branch.
    owner = {n: next(a for a in _ancestors(parent, n) if a in kept) for n in anchor}
    owners = np.array([owner.get(n, n) for n in buses.node.values.tolist()], dtype=str)
    buses = buses.assign(node=("bus", owners, buses.node.attrs))

    gone = np.isin(prosumers.node.values, list(anchor))
    devices = tables["devices"].to_dataframe()
    lost = ~devices["bus"].isin(buses.bus.values) | devices["prosumer"].isin(prosumers.prosumer.values[gone])
    stay, moved = devices[~lost], devices[lost & ~devices["kind"].isin(IDLE_KINDS)].copy()
    moved["bus"] = [anchor.get(bus_node[b], b) for b in moved["bus"]]
    moved["prosumer"] = ""
    both = with_rows("device", stay, _summed_devices(moved))

    generators, options = tables["generators"], tables["options"]
    note = (f"cut to {len(kept)} of {len(known)} nodes: {len(anchor)} dropped nodes are passive demand and generation where they were connected",)
    part = {
        "nodes": tree.isel(node=np.flatnonzero(np.isin(tree.node.values, list(kept)))),
        "buses": buses,
        "branches": branches,
        "prosumers": prosumers.isel(prosumer=np.flatnonzero(~gone)),
        "devices": table("device", both.index, {c: both[c].to_numpy() for c in both.columns}),
        "generators": generators.isel(generator=np.flatnonzero(np.isin(generators.bus.values, buses.bus.values))),
        "options": options.isel(option=np.flatnonzero(np.isin(options.branch.values, branches.branch.values))),
    }
    return part, note if anchor else ()


def _connections(tree: xr.Dataset, branches: xr.Dataset, parent: Mapping[str, str], kept: set[str]) -> tuple[dict[str, str], list[str]]:
    """Where each topmost dropped node was connected, and the transformers that only feed such nodes."""
    boundary = dict(zip(tree.node.values.tolist(), tree.boundary_bus.values.tolist(), strict=True))
    connection: dict[str, str] = {}
    feeding: list[str] = []
    start, end, kind, owner = (branches[c].values for c in ("from_bus", "to_bus", "kind", "node"))
    for node in sorted(n for n, above in parent.items() if n not in kept and above in kept):
        bus = boundary[node]
        mine = np.flatnonzero(((start == bus) | (end == bus)) & (owner == parent[node]))
        if len(mine) and (kind[mine] == "transformer").all() and (end[mine] == bus).all():
            feeding += [str(b) for b in branches.branch.values[mine]]
            bus = str(start[mine[0]])
        connection[node] = bus
    return connection, feeding


def _summed_devices(devices: pd.DataFrame) -> pd.DataFrame:
    """Passive devices, those of a bus that share all that is no size (kind, profile, what their kind declares) summed to one."""
    declared = COMPONENTS["device"]
    sizes = [column for column in devices if declared[column].extensive]
    own = [c for kind in sorted(set(devices["kind"])) for d in DEVICES.values() if kind in d.kinds for c in d.columns]
    shared = ["bus", "kind", "profile", *(c for c in devices if c in own and c not in sizes)]
    total = devices.groupby(shared, as_index=False, dropna=False)[sizes].sum()
    again = total.groupby(["bus", "kind", "profile"]).cumcount().tolist()
    names = [f"{r.bus} {r.kind} {r.profile} {k + 1 if k else ''}".rstrip() for r, k in zip(total.itertuples(), again, strict=True)]
    total.index = pd.Index([f"{name} (passive)" for name in names], name="device")
    return total.assign(prosumer="")


def _ancestors(parent: Mapping[str, str], node: str) -> Iterator[str]:
    """The nodes above a node, nearest first."""
    while parent[node]:
        node = parent[node]
        yield node
