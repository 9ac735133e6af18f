"""One node's network: its branches, their buses, and what can be said about their topology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import xarray as xr
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.system.rooted import RootedNetwork, rooted_network
from multiscale.system.schema import table


@dataclass(frozen=True)
class Network:
    """The branches a node owns and the buses at their ends.

    Attributes:
        node: owner.
        bus_columns: columns of the table of buses, that of the names among them.
        branch_columns: the same of the branches, also those out of service.
        root: bus at which the network meets its parent; empty for the top.
    """

    node: str
    bus_columns: Mapping[str, np.ndarray]
    branch_columns: Mapping[str, np.ndarray]
    root: str

    def __getstate__(self) -> dict[str, object]:
        """The columns without what was worked out from them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def buses(self) -> xr.Dataset:
        """The table of buses."""
        return _labelled("bus", self.bus_columns)

    @cached_property
    def branches(self) -> xr.Dataset:
        """The table of branches, also those out of service."""
        return _labelled("branch", self.branch_columns)

    @cached_property
    def active(self) -> xr.Dataset:
        """Branches in service."""
        return self.branches.isel(branch=np.flatnonzero(self.branches.in_service.values))

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (in ``buses``) of the from and to ends of the active branches."""
        return self._ends

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        at = {bus: i for i, bus in enumerate(self.buses.bus.values.tolist())}
        active = self.active
        start = np.array([at[b] for b in active.from_bus.values.tolist()], dtype=int)
        end = np.array([at[b] for b in active.to_bus.values.tolist()], dtype=int)
        return start, end

    @cached_property
    def rooted(self) -> RootedNetwork:
        """The network in the order from its root; errors as of ``rooted_network``."""
        return rooted_network(self)

    def components(self) -> np.ndarray:
        """Number of the connected component of every bus."""
        start, end = self.ends()
        n = self.buses.sizes["bus"]
        graph = sparse.coo_matrix((np.ones(len(start)), (start, end)), shape=(n, n))
        return csgraph.connected_components(graph, directed=False)[1]

    def islands(self) -> list[list[str]]:
        """Groups of buses without a connection to the root (or, at the top, to the largest component)."""
        parts = self.components()
        names = self.buses.bus.values
        if self.root:
            main = parts[np.flatnonzero(names == self.root)[0]] if (names == self.root).any() else -1
        else:
            main = np.bincount(parts).argmax() if len(parts) else 0
        return [[str(b) for b in names[parts == k]] for k in np.unique(parts) if k != main]

    def loops(self) -> list[list[str]]:
        """Branches (parallel ones between the same two buses count as one) that close a loop, one list per loop.

        Each loop is named by its branches: the one that closes it and those on the tree path between its ends.
        """
        start, end = self.ends()
        names = self.active.branch.values
        n = self.buses.sizes["bus"]
        parent, via, depth = np.full(n, -1), np.full(n, -1), np.full(n, -1)
        at: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        for k, (i, j) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
            at[i].append((j, k))
            at[j].append((i, k))
        tree = np.zeros(len(start), dtype=bool)
        for source in range(n):
            if depth[source] >= 0:
                continue
            depth[source], queue = 0, [source]
            for i in queue:
                for j, k in at[i]:
                    if depth[j] < 0:
                        depth[j], parent[j], via[j], tree[k] = depth[i] + 1, i, k, True
                        queue.append(j)
        found = []
        for k in np.flatnonzero(~tree).tolist():
            i, j = int(start[k]), int(end[k])
            if (parent[i] == j and i != j) or (parent[j] == i and i != j):
                continue
            loop = [str(names[k])]
            while i != j:
                if depth[i] < depth[j]:
                    i, j = j, i
                loop.append(str(names[via[i]]))
                i = int(parent[i])
            found.append(loop)
        return found


def _labelled(component: str, columns: Mapping[str, np.ndarray]) -> xr.Dataset:
    return table(component, columns[component], {name: values for name, values in columns.items() if name != component})
