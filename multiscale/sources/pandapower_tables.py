"""From pandapower's tables to ours: joining buses over closed switches, names, coordinates, lines with their values summed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

_BUS_TYPE_RANK = {"db": 0, "b": 0, "n": 1, "m": 1, "auxiliary": 2}


def fused_buses(net: Any, join: np.ndarray | None = None) -> pd.Series:
    """The bus that stands for each bus: buses joined by closed bus-bus switches are one.

    A group is represented by its busbar if it has one, before nodes, before auxiliary buses; ties go to the first in the table. A bus out of
    service stands for itself alone.

    Args:
        net: pandapower network.
        join: further pairs of buses to make one, shape (n, 2).

    Returns:
        Representative (bus index) by bus index.
    """
    index = net.bus.index.to_numpy()
    position = pd.Series(np.arange(len(index)), index=index)
    switch = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)] if len(net.switch) else net.switch
    pairs = switch[["bus", "element"]].to_numpy(int)
    on = net.bus["in_service"].astype(bool)
    pairs = pairs[on.loc[pairs[:, 0]].to_numpy() & on.loc[pairs[:, 1]].to_numpy()]
    if join is not None and len(join):
        pairs = np.vstack([pairs, join])
    start, end = position.loc[pairs[:, 0]].to_numpy(), position.loc[pairs[:, 1]].to_numpy()
    graph = sparse.coo_matrix((np.ones(len(pairs)), (start, end)), shape=(len(index), len(index)))
    group = csgraph.connected_components(graph, directed=False)[1]
    rank = net.bus["type"].map(_BUS_TYPE_RANK).fillna(1).to_numpy()
    order = np.lexsort((np.arange(len(index)), rank, group))
    first = pd.Series(order).groupby(group[order]).first()
    return pd.Series(index[first.to_numpy()[group]], index=index)


def unique_names(names: pd.Series, fallback: str) -> pd.Series:
    """Names made unique: empty ones become ``fallback`` with the index, repeated ones get a number that no other has."""
    text = names.astype(object).where(names.notna(), "").astype(str)
    text = text.where(text != "", [f"{fallback} {i}" for i in text.index])
    taken, out = set(text), []
    seen: set[str] = set()
    for name in text:
        number, unique = 1, name
        while unique in seen or (number > 1 and unique in taken):
            number += 1
            unique = f"{name} ({number})"
        seen.add(unique)
        out.append(unique)
    return pd.Series(out, index=text.index, dtype=object)


def between_buses(branches: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Branches whose ends are different buses, by unique names; ``notes`` is extended by how many are not."""
    inside = branches["from_bus"] == branches["to_bus"]
    if inside.any():
        notes.append(f"{int(inside.sum())} branches within one busbar are omitted")
    kept = branches[~inside]
    return kept.set_axis(pd.Index(unique_names(pd.Series(kept.index, index=kept.index), "branch").to_numpy(), name="branch"))


def coordinates(net: Any) -> pd.DataFrame:
    """Columns ``x`` and ``y`` by bus index, from GeoJSON: a point, the middle of the points of any other shape; NaN where there is none."""
    if "geo" not in net.bus:
        return pd.DataFrame({"x": np.nan, "y": np.nan}, index=net.bus.index)
    return pd.DataFrame([_middle(g) for g in net.bus["geo"]], columns=["x", "y"], index=net.bus.index, dtype=float)


def _middle(given: Any) -> tuple[float, float]:
    try:
        shape = json.loads(given) if isinstance(given, str) and given else given
        points = np.array(_points(shape["coordinates"] if isinstance(shape, dict) else []), dtype=float)
    except (ValueError, KeyError, TypeError):
        return (np.nan, np.nan)
    return (float(points[:, 0].mean()), float(points[:, 1].mean())) if len(points) else (np.nan, np.nan)


def _points(coordinates: Any) -> list[list[float]]:
    """All points of nested coordinates."""
    if isinstance(coordinates, list) and len(coordinates) >= 2 and all(isinstance(c, int | float) for c in coordinates):
        return [coordinates[:2]]
    return [point for part in coordinates for point in _points(part)] if isinstance(coordinates, list) else []


def open_at(net: Any, element_type: str) -> np.ndarray:
    """Elements with an open switch at one of their ends."""
    if not len(net.switch):
        return np.zeros(0, dtype=int)
    switch = net.switch[(net.switch["et"] == element_type) & ~net.switch["closed"].astype(bool)]
    return switch["element"].to_numpy(int)


def filled(frame: pd.DataFrame, name: str, default: Any) -> np.ndarray:
    """A column with its gaps filled, or the default where there is none; a default of type float makes numbers."""
    if name not in frame:
        return np.full(len(frame), default)
    values = frame[name]
    return pd.to_numeric(values, errors="coerce").fillna(default).to_numpy() if isinstance(default, float) else values.fillna(default).to_numpy()


def as_share(percent: np.ndarray) -> np.ndarray:
    """Percent as a share; what is not above 1 is one already, as SimBench writes it."""
    return np.where(percent > 1.0, percent / 100.0, percent)


def line_frame(net: Any, bus: pd.Series) -> pd.DataFrame:
    """Lines in our columns: parallel systems summed, impedance of the whole length.

    ``rating = sqrt(3) V I_max df parallel``, ``z = z' length / parallel``, ``c = c' length parallel``.

    Args:
        net: pandapower network.
        bus: name of the bus by pandapower bus index.
    """
    line = net.line
    parallel, length = filled(line, "parallel", 1.0), line["length_km"].to_numpy(float)
    vn = net.bus["vn_kv"].reindex(line["from_bus"]).to_numpy(float)
    frame = pd.DataFrame(
        {
            "kind": "line",
            "from_bus": bus.reindex(line["from_bus"]).to_numpy(),
            "to_bus": bus.reindex(line["to_bus"]).to_numpy(),
            "rating_kva": np.sqrt(3.0) * vn * line["max_i_ka"].to_numpy(float) * filled(line, "df", 1.0) * parallel * 1e3,
            "r_ohm": line["r_ohm_per_km"].to_numpy(float) * length / parallel,
            "x_ohm": line["x_ohm_per_km"].to_numpy(float) * length / parallel,
            "c_nf": filled(line, "c_nf_per_km", 0.0) * length * parallel * float(net.f_hz) / 50.0,
            "g_us": filled(line, "g_us_per_km", 0.0) * length * parallel,
            "length_km": length,
            "std_type": filled(line, "std_type", "").astype(str),
            "in_service": line["in_service"].to_numpy(bool) & ~line.index.isin(open_at(net, "l")),
            "charged_from": charged_from(net, "line", "l", ("from_bus", "to_bus")),
        },
        index=line.index,
    )
    return frame


def charged_from(net: Any, kind: str, element_type: str, ends: tuple[str, str]) -> np.ndarray:
    """End at which a branch is closed while it is open at the other: it carries nothing, but it stays connected."""
    rows = net[kind]
    if not len(net.switch):
        return np.full(len(rows), "", dtype=object)
    switch = net.switch[(net.switch["et"] == element_type) & ~net.switch["closed"].astype(bool)]
    apart = pd.MultiIndex.from_arrays([switch["element"], switch["bus"]])
    start_open, end_open = (pd.MultiIndex.from_arrays([rows.index, rows[end]]).isin(apart) for end in ends)
    on = rows["in_service"].to_numpy(bool)
    return np.where(on & start_open & ~end_open, "to_bus", np.where(on & end_open & ~start_open, "from_bus", "")).astype(object)


def drop_unconnected(buses: pd.DataFrame, branches: pd.DataFrame, standing: pd.Series, notes: list[str]) -> pd.DataFrame:
    """Buses without those of parts of the network on which nothing stands (spare busbars, ends of open lines, lines that nothing feeds or uses).

    Args:
        buses, branches: tables by name.
        standing: buses of all devices and generators.
        notes: extended by what is omitted.
    """
    active = branches[branches["in_service"]]
    start, end = (buses.index.get_indexer(active[column]) for column in ("from_bus", "to_bus"))
    graph = sparse.coo_matrix((np.ones(len(start)), (start, end)), shape=(len(buses), len(buses)))
    part = csgraph.connected_components(graph, directed=False)[1]
    used = np.isin(part, part[buses.index.isin(standing.unique())])
    if not used.any() or used.all():
        return buses
    notes.append(f"{int((~used).sum())} buses of parts of the network on which nothing stands (spare busbars, ends of open lines) are omitted")
    return buses[used]


def columns_of(frame: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """A frame's columns as arrays."""
    return {str(c): frame[c].to_numpy() for c in frame.columns}
