"""The tree of nodes that the voltage levels of a network suggest."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

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

    With high voltage: all of it; lower networks into which an external grid feeds; those in which power stations stand and no customers; and those with
    power stations that are fed at several buses (a meshed network of its own).
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
    stations = np.setdiff1d(area[position.loc[sources["bus"]].to_numpy(int)], area[top])
    for a in stations.tolist():
        inside = area == a
        feeding = on & (inside[start] ^ inside[end])
        outer = np.where(inside[start], end, start)[feeding]
        above = np.unique(outer[tier[outer] < tier[inside][0]])
        if len(above) > 1 or not np.isin(area[customers], a).any():
            top |= inside
    return top


def hierarchy(buses: pd.DataFrame, branches: pd.DataFrame, sources: pd.DataFrame, drawn: pd.Series, notes: list[str]) -> pd.DataFrame:
    """The node table; sets ``node`` of buses and branches."""
    tier, area, start, end, on = _areas(buses, branches)
    vn, top_area = buses["vn_kv"].to_numpy(), -1
    top = held_above(buses, branches, sources, drawn)
    feeding, own_area = np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    if not (tier == 0).any():
        # Without high voltage the grid is the bus where energy comes in; its area hangs on it.
        feeding = np.flatnonzero(top)
        own_area = area[feeding].copy()
    area[top] = top_area

    anchors = _anchors(area, start, end, on)
    parent_of: dict[int, tuple[int, int]] = {}
    changed = True
    while changed:
        changed = False
        for a, links in anchors.items():
            above = {(int(area[b]), int(b)) for b in links if area[b] != a and (area[b] == top_area or tier[b] < tier[area == a].min())}
            above |= {(top_area, int(f)) for f, o in zip(feeding, own_area, strict=True) if o == a}
            if len(above) == 1:
                parent_of[a] = next(iter(above))
            elif len(above) > 1:
                # Fed from several buses: no radial network of its own, but part of the level above.
                parent = min(key[0] for key in above)
                size, level = int((area == a).sum()), float(vn[area == a][0])
                notes.append(f"the {level:g} kV network of {size} buses is fed at several buses: it counts to the level above")
                area[area == a] = parent
                anchors = _anchors(area, start, end, on)
                parent_of.clear()
                changed = True
                break

    label: dict[int, str] = {top_area: "transmission" if (tier == 0).sum() > 1 else "grid"}
    rows: dict[str, tuple[str, str, str]] = {label[top_area]: ("tso", "", "")}
    names = buses.index.to_numpy()
    lower = [a for a in pd.unique(area) if a != top_area]
    for a in sorted(lower, key=lambda a: (int(tier[area == a].min()), int(np.flatnonzero(area == a)[0]))):
        parent, at = parent_of.get(a, (top_area, -1))
        if at < 0:
            area[area == a] = top_area
            continue
        first = int(tier[area == a].min())
        if first == 1 or (first == 2 and label.get(parent) == label[top_area]):
            number = sum(row[0] == "dso" for row in rows.values()) + 1
            dso = f"DSO {number}"
            rows[dso] = ("dso", label[top_area], str(names[at]))
            if first == 1:
                label[a] = dso
                continue
            above_label = dso
        else:
            above_label = label[parent]
        number = sum(row[0] == "platform" for row in rows.values()) + 1
        label[a] = f"platform {number}"
        inside = np.flatnonzero(area == a)
        touching = on & (np.isin(start, inside) ^ np.isin(end, inside))
        root = np.unique(np.where(np.isin(end, inside), end, start)[touching])
        # Several feeders that leave the busbar of the grid itself meet their parent there.
        rows[label[a]] = ("platform", above_label, str(names[root[0]]) if len(root) == 1 else str(names[at]))
    buses["node"] = [label.get(int(a), label[top_area]) for a in area]
    nodes = pd.DataFrame.from_dict(rows, orient="index", columns=["level", "parent", "boundary_bus"])
    nodes["step_minutes"] = 60.0
    nodes = nodes.iloc[np.argsort(nodes["level"].map(_CLASSES.index).to_numpy(), kind="stable")]
    branches["node"] = _owners(nodes, buses, branches)
    return nodes


def _anchors(area: np.ndarray, start: np.ndarray, end: np.ndarray, on: np.ndarray) -> dict[int, set[int]]:
    """Area -> buses of other areas that a branch in service joins it to."""
    links: dict[int, set[int]] = {int(a): set() for a in np.unique(area) if a >= 0}
    for i, j in zip(start[on].tolist(), end[on].tolist(), strict=True):
        if area[i] != area[j]:
            if area[i] >= 0:
                links[int(area[i])].add(j)
            if area[j] >= 0:
                links[int(area[j])].add(i)
    return links


def without_ties(buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without the open branches between networks of different nodes, which are operated apart; what they take at their closed end is a shunt there."""
    node_of = buses["node"]
    tie = ~branches["in_service"] & (node_of[branches["from_bus"]].to_numpy() != node_of[branches["to_bus"]].to_numpy())
    if tie.any():
        notes.append(f"{int(tie.sum())} open branches between different networks are omitted")
    for _, row in branches[tie & (branches["kind"] == "line") & (branches["charged_from"] != "")].iterrows():
        bus, y = row[row["charged_from"]], row["g_us"] * 1e-6 + 2j * np.pi * 50.0 * row["c_nf"] * 1e-9
        if y:
            taken = np.conj(y / 2 + 1 / (row["r_ohm"] + 1j * row["x_ohm"] + 2 / y)) * buses.at[bus, "vn_kv"] ** 2 * 1e3
            buses.loc[bus, ["shunt_kw", "shunt_kvar"]] += np.array([taken.real, taken.imag])
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
