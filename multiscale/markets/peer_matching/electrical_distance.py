"""How far apart members are connected: the resistance of the path between their buses."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.system import Network


def electrical_distance(network: Network, buses: np.ndarray) -> np.ndarray:
    """Resistance of the path between the buses of members [ohm], (member, member); NaN of a member without a bus of the network.

    Of several paths, which a network operated radially does not have, the one of least resistance counts. Buses that no path connects are at an
    infinite distance.

    Args:
        network: branches in service with their resistance.
        buses: bus of every member.
    """
    start, end = network.ends()
    names = network.buses.bus.values.astype(str)
    # A branch without resistance is a path too, where an explicit zero would be none.
    weights = np.maximum(network.active.r_ohm.values.astype(float), TINY)
    pairs = np.sort(np.stack([start, end], axis=1), axis=1)
    order = np.lexsort((weights, pairs[:, 1], pairs[:, 0]))
    # Of several branches between two buses the one of least resistance: a sparse matrix would add them up.
    _, first = np.unique(pairs[order], axis=0, return_index=True)
    kept = order[first]
    graph = sparse.coo_matrix((weights[kept], (pairs[kept, 0], pairs[kept, 1])), shape=(len(names), len(names)))
    at = {name: k for k, name in enumerate(names.tolist())}
    where = np.array([at.get(bus, -1) for bus in np.asarray(buses, dtype=str).tolist()], dtype=int)
    distance = np.full((len(where), len(where)), np.nan)
    inside = np.flatnonzero(where >= 0)
    known, row = np.unique(where[inside], return_inverse=True)
    if len(known):
        paths = csgraph.dijkstra(graph, directed=False, indices=known)[:, known]
        distance[np.ix_(inside, inside)] = paths[np.ix_(row, row)]
    return np.where(distance <= TINY * len(start), 0.0, distance)


TINY = 1e-12
"""Resistance [ohm] that stands for none."""
