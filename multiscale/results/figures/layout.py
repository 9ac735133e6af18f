"""Where the buses of a network are drawn: on the map, networks that lie far apart next to each other, or as a tree where there are no coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from multiscale.results.data.dataset import has

LOW_VOLTAGE_KV = 1.0
HIGH_VOLTAGE_KV = 60.0
_FAR_APART = 0.35
"""Networks whose extents are below this share of the whole are drawn next to each other instead of where they lie."""
_WINDOW = 0.18
"""Side of the window that is looked at for crowding, as a share of the map."""
_CROWD = 0.2
"""Share of all buses in such a window from which on it is drawn again at a larger scale."""


class Window(NamedTuple):
    """A part of the map, in its coordinates."""

    left: float
    right: float
    bottom: float
    top: float


class Layout:
    """Where everything is drawn: the medium-voltage network with its low-voltage sites, or all of a network that has no medium-voltage lines.

    Attributes:
        x, y: coordinates of every bus.
        buses: bus -> whether it is drawn.
        branches: branch -> whether it is drawn as a line, both ends being drawn and the branch closed.
        open: the same for branches out of service.
        sites: branch -> whether it is a transformer drawn as a square, at the site that it feeds.
        substations: branch -> whether it feeds the network drawn from a higher voltage.
        schematic: whether positions say nothing but who is connected to whom.
        labels: what is written where, for networks drawn next to each other: text, x, y.
    """

    def __init__(self, data: xr.Dataset) -> None:
        vn = data.bus_vn_kv.values
        at = {bus: i for i, bus in enumerate(data.bus.values.tolist())}
        self.start = np.array([at.get(b, -1) for b in data.branch_from.values.tolist()], dtype=int)
        self.end = np.array([at.get(b, -1) for b in data.branch_to.values.tolist()], dtype=int)
        known = (self.start >= 0) & (self.end >= 0)
        closed = data.branch_in_service.values > 0 if has(data, "branch_in_service") else np.ones(len(self.start), dtype=bool)
        high, low = np.maximum(vn[self.start], vn[self.end]), np.minimum(vn[self.start], vn[self.end])
        steps = high > 1.5 * low
        medium = (vn >= LOW_VOLTAGE_KV) & (vn < HIGH_VOLTAGE_KV)
        lines = known & ~steps & medium[self.start] & medium[self.end]
        self.buses = medium if lines.any() else np.ones(len(vn), dtype=bool)
        between = known & self.buses[self.start] & self.buses[self.end] & (self.start != self.end)
        self.branches, self.open = between & closed, between & ~closed
        outside = known & closed & ~between & (self.start != self.end)
        self.sites = outside & (self.buses[self.start] != self.buses[self.end]) & (low < LOW_VOLTAGE_KV)
        self.substations = (outside & (high >= HIGH_VOLTAGE_KV)) | (self.branches & steps & ~lines.any())
        lower = np.where(vn[self.start] <= vn[self.end], self.start, self.end)
        self.site_bus = np.where(self.sites, np.where(self.buses[self.start], self.start, self.end), lower)
        self.labels: list[tuple[str, float, float]] = []
        self.x, self.y = data.bus_x.values.astype(float).copy(), data.bus_y.values.astype(float).copy()
        shown = self.buses & self._touched()
        self.buses = shown if shown.any() else self.buses
        x, y = self.x[self.buses], self.y[self.buses]
        located = bool(np.isfinite(x).all() and np.isfinite(y).all() and (np.ptp(x) > 0 or np.ptp(y) > 0)) if len(x) else False
        self.schematic = not located
        self._group = self._components()
        if self.schematic:
            self._as_tree()
            return
        if np.abs(y).max() <= 90 and np.ptp(x) < 5 and np.abs(y).max() > 5:
            self.x *= np.cos(np.radians(y.mean()))
        self._next_to_each_other(data.bus_node.values.astype(str) if has(data, "bus_node") else np.full(len(vn), ""))

    @property
    def drawable(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.branches.any())

    @property
    def apart(self) -> bool:
        """Whether networks are drawn next to each other instead of where they lie."""
        return bool(self.labels)

    @property
    def frame(self) -> Window:
        """What the map shows."""
        x, y = self.x[self.buses], self.y[self.buses]
        pad = 0.06 * max(np.ptp(x), np.ptp(y), 1e-9)
        return Window(x.min() - pad, x.max() + pad, y.min() - pad, y.max() + (2.5 if self.labels else 1.0) * pad)

    @property
    def aspect(self) -> float:
        """Height over width."""
        left, right, bottom, top = self.frame
        return float((top - bottom) / (right - left))

    def crowded(self) -> Window | None:
        """The part of the map that holds so many buses that they cannot be distinguished; None where there is none."""
        x, y = self.x[self.buses], self.y[self.buses]
        side = _WINDOW * max(np.ptp(x), np.ptp(y))
        if self.schematic or self.labels or len(x) < 12 or side <= 0:
            return None
        inside = (np.abs(x[:, None] - x) <= side / 2) & (np.abs(y[:, None] - y) <= side / 2)
        best = int(inside.sum(axis=1).argmax())
        if inside[best].sum() < _CROWD * len(x):
            return None
        members = inside[best]
        reach = 0.56 * max(np.ptp(x[members]), np.ptp(y[members]), side / 4)
        middle = (x[members].max() + x[members].min()) / 2, (y[members].max() + y[members].min()) / 2
        return Window(middle[0] - 1.6 * reach, middle[0] + 1.6 * reach, middle[1] - reach, middle[1] + reach)

    def segments(self, chosen: np.ndarray) -> np.ndarray:
        """Ends of the chosen branches, (branch, end, coordinate)."""
        first = np.stack([self.x[self.start[chosen]], self.y[self.start[chosen]]], axis=1)
        second = np.stack([self.x[self.end[chosen]], self.y[self.end[chosen]]], axis=1)
        return np.stack([first, second], axis=1)

    def point(self, branch: int) -> tuple[float, float]:
        """Where a branch is labelled: the middle of a line, the site of a transformer."""
        if self.branches[branch] and not self.substations[branch]:
            ends = [self.start[branch], self.end[branch]]
            return float(self.x[ends].mean()), float(self.y[ends].mean())
        bus = self.site_bus[branch]
        return float(self.x[bus]), float(self.y[bus])

    def draws(self, branch: int) -> bool:
        """Whether the branch is on the map."""
        return bool(self.branches[branch] or self.sites[branch] or self.substations[branch])

    def _touched(self) -> np.ndarray:
        """Buses at which something is drawn."""
        touched = np.zeros(len(self.buses), dtype=bool)
        for chosen in (self.branches, self.open):
            touched[self.start[chosen]] = touched[self.end[chosen]] = True
        touched[self.site_bus[self.sites | self.substations]] = True
        return touched

    def _graph(self) -> csr_array:
        chosen = np.flatnonzero(self.branches)
        return coo_array((np.ones(len(chosen)), (self.start[chosen], self.end[chosen])), shape=(len(self.buses),) * 2).tocsr()

    def _components(self) -> np.ndarray:
        return np.asarray(connected_components(self._graph(), directed=False)[1])

    def _as_tree(self) -> None:
        """Distance from the feeding bus to the right, every end of a feeder on a row of its own."""
        fed = np.zeros(len(self.buses), dtype=bool)
        fed[self.end[self.branches]] = True
        graph, row = self._graph(), 0.0
        for group in dict.fromkeys(self._group[self.buses].tolist()):
            members = np.flatnonzero((self._group == group) & self.buses)
            above = members[np.isin(members, self.start[self.substations])] if self.substations.any() else members[:0]
            sources = above if len(above) else members[~fed[members]] if (~fed[members]).any() else members
            order, before = breadth_first_order(graph, int(sources[0]), directed=False)
            children: dict[int, list[int]] = {int(bus): [] for bus in order}
            for bus in order[1:].tolist():
                children[int(before[bus])].append(bus)
                self.x[bus] = 0.0
            self.x[order[0]] = 0.0
            for bus in order[1:].tolist():
                self.x[bus] = self.x[before[bus]] + 1.0
            waiting = [(int(order[0]), False)]
            while waiting:
                bus, done = waiting.pop()
                if not children[bus]:
                    self.y[bus], row = -row, row + 1.0
                elif done:
                    self.y[bus] = np.mean([self.y[c] for c in children[bus]])
                else:
                    waiting += [(bus, True), *((c, False) for c in reversed(children[bus]))]
            row += 0.5
        wide, tall = np.ptp(self.x[self.buses]), np.ptp(self.y[self.buses])
        self.x, self.y = self.x / max(wide, 1.0), 0.85 * self.y / max(tall, 1.0)

    def _next_to_each_other(self, nodes: np.ndarray) -> None:
        """Networks that are small against the distances between them get places next to each other, at one scale."""
        groups = [np.flatnonzero((self._group == g) & self.buses) for g in dict.fromkeys(self._group[self.buses].tolist())]
        x, y = self.x, self.y
        sizes = [(float(np.ptp(x[g])), float(np.ptp(y[g]))) for g in groups]
        whole = max(np.ptp(x[self.buses]), np.ptp(y[self.buses]))
        if not 1 < len(groups) <= 16 or max(map(max, sizes)) >= _FAR_APART * whole:
            return
        columns = int(np.ceil(np.sqrt(len(groups))))
        wide, tall = (1.35 * max(*(size[k] for size in sizes), 0.4 * max(map(max, sizes))) for k in (0, 1))
        for place, (group, size) in enumerate(zip(groups, sizes, strict=True)):
            row, column = divmod(place, columns)
            left, bottom = column * wide + (wide - size[0]) / 2, -row * tall
            x[group], y[group] = x[group] - x[group].min() + left, y[group] - y[group].min() + bottom
            self.labels.append((nodes[group[0]], left + size[0] / 2, bottom + size[1]))
