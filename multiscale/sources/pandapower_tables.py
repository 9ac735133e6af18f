"""From pandapower's tables to ours: joining buses over closed switches, lines and transformers with their values referred and summed."""

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

    A group is represented by its busbar if it has one, before nodes, before auxiliary buses; ties go to the first in the table.

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
    """Names made unique: empty ones become ``fallback`` with the index, repeated ones get a number."""
    text = names.astype(object).where(names.notna(), "").astype(str)
    text = text.where(text != "", [f"{fallback} {i}" for i in text.index])
    repeat = text.groupby(text).cumcount()
    return text.where(repeat == 0, text + " (" + (repeat + 1).astype(str) + ")")


def coordinates(net: Any) -> pd.DataFrame:
    """Columns ``x`` and ``y`` by bus index, from the GeoJSON points; NaN where there are none."""
    if "geo" not in net.bus:
        return pd.DataFrame({"x": np.nan, "y": np.nan}, index=net.bus.index)
    points = [json.loads(g)["coordinates"][:2] if isinstance(g, str) and g else (np.nan, np.nan) for g in net.bus["geo"]]
    return pd.DataFrame(points, columns=["x", "y"], index=net.bus.index, dtype=float)


def _open_at(net: Any, element_type: str) -> np.ndarray:
    """Elements with an open switch at one of their ends."""
    if not len(net.switch):
        return np.zeros(0, dtype=int)
    switch = net.switch[(net.switch["et"] == element_type) & ~net.switch["closed"].astype(bool)]
    return switch["element"].to_numpy(int)


def _column(frame: pd.DataFrame, name: str, default: Any) -> np.ndarray:
    if name not in frame:
        return np.full(len(frame), default)
    values = frame[name]
    return pd.to_numeric(values, errors="coerce").fillna(default).to_numpy() if isinstance(default, float) else values.fillna(default).to_numpy()


def line_frame(net: Any, bus: pd.Series) -> pd.DataFrame:
    """Lines in our columns: parallel systems summed, impedance of the whole length.

    ``rating = sqrt(3) V I_max df parallel``, ``z = z' length / parallel``, ``c = c' length parallel``.

    Args:
        net: pandapower network.
        bus: name of the bus by pandapower bus index.
    """
    line = net.line
    parallel, length = _column(line, "parallel", 1.0), line["length_km"].to_numpy(float)
    vn = net.bus["vn_kv"].reindex(line["from_bus"]).to_numpy(float)
    frame = pd.DataFrame(
        {
            "kind": "line",
            "from_bus": bus.reindex(line["from_bus"]).to_numpy(),
            "to_bus": bus.reindex(line["to_bus"]).to_numpy(),
            "rating_kva": np.sqrt(3.0) * vn * line["max_i_ka"].to_numpy(float) * _column(line, "df", 1.0) * parallel * 1e3,
            "r_ohm": line["r_ohm_per_km"].to_numpy(float) * length / parallel,
            "x_ohm": line["x_ohm_per_km"].to_numpy(float) * length / parallel,
            "c_nf": _column(line, "c_nf_per_km", 0.0) * length * parallel,
            "length_km": length,
            "std_type": _column(line, "std_type", "").astype(str),
            "in_service": line["in_service"].to_numpy(bool) & ~line.index.isin(_open_at(net, "l")),
            "charged_from": _charged_from(net),
        },
        index=line.index,
    )
    return frame


def _charged_from(net: Any) -> np.ndarray:
    """End at which a line is closed while it is open at the other: it carries nothing, but its capacitance stays connected."""
    line = net.line
    if not len(net.switch):
        return np.full(len(line), "", dtype=object)
    switch = net.switch[(net.switch["et"] == "l") & ~net.switch["closed"].astype(bool)]
    apart = pd.MultiIndex.from_arrays([switch["element"], switch["bus"]])
    start_open = pd.MultiIndex.from_arrays([line.index, line["from_bus"]]).isin(apart)
    end_open = pd.MultiIndex.from_arrays([line.index, line["to_bus"]]).isin(apart)
    on = line["in_service"].to_numpy(bool)
    return np.where(on & start_open & ~end_open, "to_bus", np.where(on & end_open & ~start_open, "from_bus", "")).astype(object)


def transformer_frame(net: Any, bus: pd.Series) -> pd.DataFrame:
    """Two-winding transformers in our columns: ``z = vk V_lv^2 / S`` on the low side, parallel units summed, taps counted from neutral.

    Args:
        net: pandapower network.
        bus: name of the bus by pandapower bus index.
    """
    unit = net.trafo
    parallel = _column(unit, "parallel", 1.0)
    power = unit["sn_mva"].to_numpy(float) * parallel
    base = unit["vn_lv_kv"].to_numpy(float) ** 2 / power
    z, r = unit["vk_percent"].to_numpy(float) / 100 * base, unit["vkr_percent"].to_numpy(float) / 100 * base
    neutral = _column(unit, "tap_neutral", 0.0)
    side = _column(unit, "tap_side", "hv").astype(str)
    return pd.DataFrame(
        {
            "kind": "transformer",
            "from_bus": bus.reindex(unit["hv_bus"]).to_numpy(),
            "to_bus": bus.reindex(unit["lv_bus"]).to_numpy(),
            "rating_kva": power * _column(unit, "df", 1.0) * 1e3,
            "r_ohm": r,
            "x_ohm": np.sqrt(np.maximum(z**2 - r**2, 0.0)),
            "std_type": _column(unit, "std_type", "").astype(str),
            "in_service": unit["in_service"].to_numpy(bool) & ~unit.index.isin(_open_at(net, "t")),
            "vn_hv_kv": unit["vn_hv_kv"].to_numpy(float),
            "vn_lv_kv": unit["vn_lv_kv"].to_numpy(float),
            "pfe_kw": _column(unit, "pfe_kw", 0.0) * parallel,
            "i0_percent": _column(unit, "i0_percent", 0.0),
            "shift_degree": _column(unit, "shift_degree", 0.0),
            "tap_side": np.where(np.isin(side, ("hv", "lv")), side, "hv"),
            "tap_pos": _column(unit, "tap_pos", 0.0) - neutral,
            "tap_min": _column(unit, "tap_min", 0.0) - neutral,
            "tap_max": _column(unit, "tap_max", 0.0) - neutral,
            "tap_step_percent": _column(unit, "tap_step_percent", 0.0),
        },
        index=unit.index,
    )


def drop_unconnected(buses: pd.DataFrame, branches: pd.DataFrame, standing: pd.Series, notes: list[str]) -> pd.DataFrame:
    """Buses without those that no branch in service reaches and on which nothing stands (spare busbars, ends of open lines).

    Args:
        buses, branches: tables by name.
        standing: buses of all devices and generators.
        notes: extended by what is omitted.
    """
    active = branches[branches["in_service"]]
    idle = ~buses.index.isin(pd.concat([active["from_bus"], active["to_bus"], standing]).unique())
    if idle.all() or not idle.any():
        return buses
    notes.append(f"{int(idle.sum())} buses without a branch in service and without a device (spare busbars, ends of open lines) are omitted")
    return buses[~idle]


def columns_of(frame: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """A frame's columns as arrays."""
    return {str(c): frame[c].to_numpy() for c in frame.columns}
