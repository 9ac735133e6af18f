"""What is wrong with networks as a whole: islands, loops below the top, and powers out of proportion to the branches that supply them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.system.network import Network
from multiscale.system.problem import Problem, number_text
from multiscale.system.system import System

IMPLAUSIBLE_RATIO = 20.0
"""Rated power behind a branch, as a multiple of the rating of what supplies it, from which on a wrong unit is suspected."""


def topology_problems(system: System) -> Iterator[Problem]:
    """Islands of every node's network, loops of those below the top; full path searches only where a count says there is one."""
    branches = system.branches
    on = branches.in_service.values
    # The far end of an open tie is no part of the network.
    owner = branches.node.values[on].astype(object)
    boundary, parent = system.nodes.boundary_bus.values.astype(object), system.nodes.parent.values.astype(object)
    below = boundary != ""
    # A node is supplied where the network of its parent has its boundary bus; a top without branches has no network.
    fed = below & np.isin(parent, np.unique(owner.astype(str)))
    ends = np.concatenate([branches.from_bus.values[on], branches.to_bus.values[on], system.buses.bus.values, boundary[fed]]).astype(object)
    owners = np.concatenate([owner, owner, system.buses.node.values.astype(object), parent[fed]])
    node_code = pd.Index(system.nodes.node.values.astype(object))
    bus_code = pd.Index(system.buses.bus.values.astype(object))
    width = len(bus_code)
    key = node_code.get_indexer(np.concatenate([owners, system.nodes.node.values[below].astype(object)])) * width
    key += bus_code.get_indexer(np.concatenate([ends, boundary[below]]))
    vertex, vertices = pd.factorize(key)
    m = len(owner)
    start, end = vertex[:m], vertex[m : 2 * m]
    graph = sparse.coo_matrix((np.ones(len(start)), (start, end)), shape=(len(vertices), len(vertices)))
    count, part = csgraph.connected_components(graph, directed=False)
    node_of = vertices // width
    root = np.full(len(node_code), -1)
    root[below] = part[vertex[len(owners) :]]
    for number in np.flatnonzero(~below):
        inside = pd.Series(part[node_of == number], index=bus_code[vertices[node_of == number] % width])
        # The network of the top is where most power can be generated; of equal parts the largest.
        power = pd.Series(system.generators.p_max_kw.values, index=system.generators.bus.values.astype(object)).groupby(level=0).sum()
        size = pd.DataFrame({"power": power.reindex(inside.index).fillna(0.0), "buses": 1}).groupby(inside.to_numpy()).sum()
        root[number] = size.sort_values(["power", "buses"]).index[-1] if len(size) else -1
    for k in np.unique(part[part != root[node_of]]):
        members = np.flatnonzero(part == k)
        node = str(node_code[node_of[members[0]]])
        names = [str(bus_code[v % width]) for v in vertices[members]]
        target = "boundary bus" if below[node_of[members[0]]] else "network"
        shown = ", ".join(repr(n) for n in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        message = (
            f"{len(names)} bus{'es' if len(names) > 1 else ''} without a connection to its {target}; close a branch that leads there, or remove them"
        )
        yield Problem("node", node, "island", shown, "", f"is {message}")
    pairs = pd.DataFrame({"a": np.minimum(start, end), "b": np.maximum(start, end)}).drop_duplicates()
    surplus = np.bincount(part[pairs["a"]], minlength=count) - np.bincount(part, minlength=count) + 1
    top = system.top
    for number in np.unique(node_of[np.isin(part, np.flatnonzero(surplus > 0))]):
        node = str(node_code[number])
        if node == top:
            continue
        network: Network = system.network(node)
        for loop in network.loops():
            closed = ", ".join(repr(b) for b in loop)
            message = "is closed; a network below the top is operated radially: set in_service to false for one of these branches"
            yield Problem("node", node, "loop", closed, "", message)


def proportion_problems(system: System) -> Iterator[Problem]:
    """Rated power at a bus, and below a node, against the rating of the branches that supply it."""
    branches = system.branches.to_dataframe()
    branches = branches[branches["in_service"] & np.isfinite(branches["rating_kva"])]
    supply = pd.concat([branches.set_index(end)["rating_kva"] for end in ("from_bus", "to_bus")]).groupby(level=0).sum()
    devices = system.devices.to_dataframe()[["bus", "p_kw"]]
    top = system.top
    node_of = pd.Series(system.buses.node.values, index=system.buses.bus.values)
    lower = devices[devices["bus"].map(node_of).to_numpy() != top]
    at_bus = lower.groupby("bus")["p_kw"].sum()
    rated = supply.reindex(at_bus.index).to_numpy()
    suspects = at_bus.index[at_bus.to_numpy() > IMPLAUSIBLE_RATIO * rated]
    flagged = set()
    for bus in suspects:
        name = str(lower.index[lower["bus"] == bus][lower.loc[lower["bus"] == bus, "p_kw"].to_numpy().argmax()])
        power = float(lower.loc[name, "p_kw"])
        flagged.add(str(node_of[bus]))
        message = f"is out of proportion to the {supply[bus]:g} kVA of the branches at bus {bus!r}; is it in kW?"
        yield Problem("device", name, "p_kw", number_text(power), "kW", message)
    power_of = lower.groupby(lower["bus"].map(node_of).to_numpy())["p_kw"].sum()
    away, into = (branches.groupby(["node", end])["rating_kva"].sum() for end in ("from_bus", "to_bus"))
    for node, parent, boundary in zip(*(system.nodes[c].values.tolist() for c in ("node", "parent", "boundary_bus")), strict=True):
        # What feeds a node: its own branches from the boundary bus (HV/MV transformers), or its parent's into it (MV/LV transformers).
        feeding = away.get((node, boundary), 0.0) if node_of.get(boundary) != node else into.get((parent, boundary), 0.0)
        rating, total = float(feeding or supply.get(boundary, np.nan)), float(power_of.get(node, 0.0))
        if node not in flagged and total > IMPLAUSIBLE_RATIO * rating:
            message = f"of all devices is out of proportion to the {rating:g} kVA of the branches at boundary bus {boundary!r}; is it in kW?"
            yield Problem("node", node, "rated power", number_text(total), "kW", message)
