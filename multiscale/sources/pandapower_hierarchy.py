"""The tree of nodes that the voltage levels of a network suggest."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.sources.open_ends import taken_at_open_ends
from multiscale.system.approximation import Approximation, several

HIGH_VOLTAGE_KV = 60.0
LOW_VOLTAGE_KV = 1.0
_CLASSES = ("tso", "dso", "platform")


def _areas(buses: pd.DataFrame, branches: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tier and area of every bus, and the branches: positions of their ends and whether they are in service.

    An area is what hangs together within one tier.
    """
    position = pd.Series(np.arange(len(buses)), index=buses.index)
    vn = buses["vn_kv"].to_numpy()
    tier = np.where(vn >= HIGH_VOLTAGE_KV, 0, np.where(vn > LOW_VOLTAGE_KV, 1, 2))
    start, end = position.loc[branches["from_bus"]].to_numpy(), position.loc[branches["to_bus"]].to_numpy()
    on = branches["in_service"].to_numpy(bool)
    same = on & (tier[start] == tier[end])
    graph = sparse.coo_matrix((np.ones(int(same.sum())), (start[same], end[same])), shape=(len(vn), len(vn)))
    return tier, csgraph.connected_components(graph, directed=False)[1], start, end, on


def held_above(buses: pd.DataFrame, branches: pd.DataFrame, sources: pd.DataFrame, drawn: pd.Series) -> np.ndarray:
    """Whether a bus belongs to the top level, (bus): its rings stay closed. Without high voltage, the buses of the grid.

    With high voltage: all of it; lower networks into which an external grid feeds; those in which power stations stand and no customers; and
    those with power stations that are fed at several buses (a meshed network of its own).
    """
    tier, area, start, end, on = _areas(buses, branches)
    position = pd.Series(np.arange(len(buses)), index=buses.index)
    grids = position.loc[sources.loc[sources["element"] == "ext_grid", "bus"]].to_numpy(int)
    if not (tier == 0).any():
        out = np.zeros(len(buses), dtype=bool)
        out[grids] = True
        return out
    top = (tier == 0) | np.isin(area, area[grids])
    customers = position.reindex(drawn.index[drawn.to_numpy() != 0]).dropna().to_numpy(int)
    with_customers = set(area[customers].tolist())
    stations = set(area[position.loc[sources["bus"]].to_numpy(int)].tolist())
    waiting = sorted(stations)
    while waiting:
        a = waiting.pop(0)
        inside = area == a
        if top[inside].any():
            continue
        outer = np.where(inside[start], end, start)[on & (inside[start] ^ inside[end])]
        if a in with_customers:
            reached = len(np.unique(outer[tier[outer] < tier[inside][0]])) > 1
        else:
            reached = bool(top[outer].any())
            # A network through which power stations feed is one in which they stand.
            beyond = set() if reached else set(area[outer].tolist()) - stations
            stations |= beyond
            waiting += sorted(beyond)
        if reached:
            top |= inside
            waiting += sorted(set(area[outer].tolist()) & stations)
    return top


def hierarchy(buses: pd.DataFrame, branches: pd.DataFrame, sources: pd.DataFrame, drawn: pd.Series, changed: list[Approximation]) -> pd.DataFrame:
    """The node table; sets ``node`` of buses and branches, and one boundary bus for what is fed at several buses of the top level.

    Args:
        buses, branches, sources: tables by name; the branches radial below the top level.
        drawn: power drawn at buses.
        changed: extended by what is not taken as given.
    """
    tier, area, start, end, on = _areas(buses, branches)
    top_area, top = -1, held_above(buses, branches, sources, drawn)
    area[top] = top_area
    parent_of = _parents(area, tier, start, end, on, top_area)

    label: dict[int, str] = {top_area: "transmission" if (tier == 0).sum() > 1 else "grid"}
    rows: dict[str, tuple[str, str, str]] = {label[top_area]: ("tso", "", "")}
    names = buses.index.to_numpy()
    lower = [a for a in pd.unique(area) if a != top_area]
    for a in sorted(lower, key=lambda a: (int(tier[area == a].min()), int(np.flatnonzero(area == a)[0]))):
        if a not in parent_of:
            # Not fed at all: the validation names the island.
            area[area == a] = top_area
            continue
        parent = parent_of[a]
        inside = area == a
        touching = on & (inside[start] ^ inside[end]) & ((area[start] == parent) | (area[end] == parent))
        outer = pd.unique(np.where(inside[start], end, start)[touching])
        at = int(outer[0])
        if len(outer) > 1:
            moved = touching & ~np.isin(np.where(inside[start], end, start), at)
            for column, position in (("from_bus", start), ("to_bus", end)):
                chosen = moved & ~inside[position]
                branches.loc[chosen, column], position[chosen] = names[at], at
            done = f"hang on bus {names[at]!r} in the model: what they feed together has one boundary bus"
            changed.append(Approximation(several("branch", list(branches.index[moved])), "bus", done))
        above_label = label[parent]
        root = np.unique(np.where(inside[end], end, start)[touching])
        # Low voltage that leaves the busbar of the grid in several feeders is a distribution network itself: nothing lies between it and the grid.
        is_dso = int(tier[inside].min()) == 1 or (parent == top_area and len(root) > 1)
        if is_dso or parent == top_area:
            dso = f"DSO {sum(row[0] == 'dso' for row in rows.values()) + 1}"
            rows[dso] = ("dso", label[top_area], str(names[at]))
            if is_dso:
                label[a] = dso
                continue
            above_label = dso
        label[a] = f"platform {sum(row[0] == 'platform' for row in rows.values()) + 1}"
        rows[label[a]] = ("platform", above_label, str(names[root[0]]))
    buses["node"] = [label.get(int(a), label[top_area]) for a in area]
    nodes = pd.DataFrame.from_dict(rows, orient="index", columns=["level", "parent", "boundary_bus"])
    nodes["step_minutes"] = 60.0
    nodes = nodes.iloc[np.argsort(nodes["level"].map(_CLASSES.index).to_numpy(), kind="stable")]
    branches["node"] = _owners(nodes, buses, branches)
    return nodes


def _parents(area: np.ndarray, tier: np.ndarray, start: np.ndarray, end: np.ndarray, on: np.ndarray, top: int) -> dict[int, int]:
    """Area -> the one it is fed through, from the top down. What is fed through a network of its own tier, or a lower one, is part of that one."""
    parent: dict[int, int] = {}
    level = {int(a): int(tier[area == a].min()) for a in np.unique(area)}
    waiting = [top]
    while waiting:
        a = waiting.pop(0)
        mine = area == a
        touching = on & (mine[start] ^ mine[end])
        for b in pd.unique(area[np.where(mine[start], end, start)[touching]]).tolist():
            if b == top or b in parent:
                continue
            if a != top and level[b] <= level[a]:
                area[area == b] = a
                level[a] = level[b]
                waiting.insert(0, a)
                break
            parent[b] = a
            waiting.append(b)
    return parent


def without_ties(nodes: pd.DataFrame, buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without the open branches between networks of different nodes, which are operated apart; what they take at their closed end is a shunt there.

    An open transformer in parallel with the one that feeds a network stays.
    """
    start, end = (buses["node"].reindex(branches[column]).to_numpy() for column in ("from_bus", "to_bus"))
    parent, root = (nodes[column].to_dict() for column in ("parent", "boundary_bus"))
    feeding = [
        any(parent[low] == high and root[low] == bus for low, high, bus in ((a, b, i), (b, a, j)))
        for a, b, i, j in zip(start, end, branches["from_bus"], branches["to_bus"], strict=True)
    ]
    tie = ~branches["in_service"] & (start != end) & ~np.array(feeding, dtype=bool)
    if tie.any():
        notes.append(f"{int(tie.sum())} open branches between different networks are omitted")
    taken_at_open_ends(buses, branches[tie], notes)
    return branches[~tie]


def _owners(nodes: pd.DataFrame, buses: pd.DataFrame, branches: pd.DataFrame) -> list[str]:
    """The lower node of its two ends owns a branch; but what feeds a platform belongs to the DSO above it."""
    depth = nodes["level"].map(_CLASSES.index)
    node_of = buses["node"]
    owners = []
    for i, j in zip(branches["from_bus"], branches["to_bus"], strict=True):
        a, b = node_of[i], node_of[j]
        low = a if depth[a] > depth[b] else b
        crossing = a != b and nodes.at[low, "level"] == "platform"
        root = nodes.at[low, "boundary_bus"]
        owners.append(nodes.at[low, "parent"] if crossing and root in (i, j) and node_of[root] == low else low)
    return owners
