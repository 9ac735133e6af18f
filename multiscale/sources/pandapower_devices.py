"""Loads, generation and storage of a pandapower network as devices and prosumers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_supply import constant_draws
from multiscale.sources.pandapower_tables import as_share, unique_names
from multiscale.system.approximation import Approximation, several
from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS

CONSTANT = "biomass"
"""Kind of a source that feeds in its rating all the time."""
_GENERATION = {
    "pv": ("pv", "solar", "photovoltaic", "photovoltaics", "photovoltaik"),
    "wind": ("wind", "wp", "windpark", "wka", "wea"),
    "hydro": ("hydro", "water", "hydropower", "ror"),
    "biomass": ("biomass", "biogas", "bm", "chp"),
}
"""Kind of generation -> the words, whole ones, by which the type of a source names it."""
ONE_WAY = 0.95
"""Efficiency of a storage in either direction where the data give none: 90 % of a full cycle, as of home storages."""


def kind_of_source(stated: str) -> str:
    """The kind of generation that the type of a static generator names; empty where it names none, or several."""
    words = set(re.findall("[a-z]+", stated.lower()))
    found = [kind for kind, known in _GENERATION.items() if words & set(known)]
    return found[0] if len(found) == 1 else ""


def network_devices(net: Any, name_of: pd.Series, notes: list[str], changed: list[Approximation]) -> pd.DataFrame:
    """Loads, static generators, storages and motors in the columns of ``device``; the network's words for profile and ``class``; index: name.

    Args:
        net: pandapower network.
        name_of: name of the (fused) bus by pandapower bus index.
        notes: extended by what was changed.
        changed: extended by what is not taken as given.
    """
    parts = []
    for element in ("load", "sgen", "storage", "motor"):
        if element not in net or not len(net[element]):
            continue
        rows = net[element][net[element]["in_service"].astype(bool)]
        rows = rows[net.bus["in_service"].reindex(rows["bus"]).fillna(False).to_numpy(bool)]
        if not len(rows):
            continue
        names = unique_names(rows["name"] if "name" in rows else pd.Series("", index=rows.index), element)
        scale = rows["scaling"].astype(float).fillna(1.0) if "scaling" in rows else 1.0
        if element == "motor":
            power = rows["pn_mech_mw"] / (rows["efficiency_percent"] / 100) * rows["loading_percent"].fillna(100.0) / 100 * scale
            reactive = power * np.tan(np.arccos(rows["cos_phi"].fillna(1.0)))
        else:
            power, reactive = rows["p_mw"] * scale, rows["q_mvar"].fillna(0.0) * scale if "q_mvar" in rows else 0.0
        frame = pd.DataFrame(
            {"bus": name_of.reindex(rows["bus"]).to_numpy(), "p_kw": np.asarray(power, float) * 1e3, "q_kvar": np.asarray(reactive, float) * 1e3}
        )
        frame.index = pd.Index(names, name="device")
        frame["profile"] = rows["profile"].fillna("").astype(str).to_numpy() if "profile" in rows else ""
        frame["class"] = _class_words(rows, element)
        kind: Any = "load"
        if element == "sgen":
            stated = rows["type"].astype(object).fillna("").astype(str) if "type" in rows else pd.Series("", index=rows.index)
            known_kind = stated.map(kind_of_source)
            unknown = (known_kind == "").to_numpy()
            if unknown.any():
                types = ", ".join(sorted({repr(t) for t in stated[unknown]}))
                done = f"{types} names no kind of generation: constant sources"
                changed.append(Approximation(several("sgen", names[unknown].tolist()), "type", done))
            kind = known_kind.where(~unknown, CONSTANT).to_numpy()
        frame["kind"] = kind
        if element == "sgen":
            frame["q_kvar"] *= -1
        if element == "storage":
            _storage_columns(frame, rows, changed)
        elif "sn_mva" in rows:
            rated = rows["sn_mva"].astype(float)
            apart = np.flatnonzero((rated > 0) & ~np.isclose(rated, np.abs(power)) & ~np.isclose(rated, np.hypot(power, reactive)))
            if len(apart):
                done = "is not used: the power of the file, times its scaling, is the rating"
                changed.append(Approximation(several(element, names.iloc[apart].tolist()), "sn_mva", done))
        parts.append(frame)
    if not parts:
        return pd.DataFrame({c: [] for c in ("bus", "kind", "p_kw", "q_kvar", "profile", "class", "prosumer")}, index=pd.Index([], name="device"))
    both = pd.concat(parts)
    for column, default in (("e_kwh", 0.0), ("efficiency", 1.0)):
        both[column] = both[column].fillna(default) if column in both else default
    negative = both["p_kw"] < 0
    if negative.any():
        # A load that feeds in is generation and the other way round.
        notes.append(f"{int(negative.sum())} loads or generators of negative power are taken as generation or load of the same size")
        flipped = np.where(both["kind"] == "load", CONSTANT, "load")
        both.loc[negative, "kind"] = flipped[negative.to_numpy()]
        both.loc[negative, "p_kw"] *= -1
    both.index = pd.Index(unique_names(pd.Series(both.index, index=both.index), "device").to_numpy(), name="device")
    both["prosumer"] = ""
    return both


def _storage_columns(frame: pd.DataFrame, rows: pd.DataFrame, changed: list[Approximation]) -> None:
    """Columns of storages: the largest power that the table names is the rating, that of ``sn_mva`` where it names none."""
    names = frame.index.astype(str).tolist()

    def column(name: str) -> np.ndarray:
        """Values of a column; NaN where nothing, or no limit, is given."""
        values = rows[name].to_numpy(float) if name in rows else np.full(len(rows), np.nan)
        return np.where(np.isinf(values), np.nan, values)

    def note(chosen: np.ndarray, field: str, done: str) -> None:
        if chosen.any():
            changed.append(Approximation(several("storage", [n for n, k in zip(names, chosen, strict=True) if k]), field, done))

    # To pandapower, the scaling is that of the power, not of its limits.
    powers = [column("p_mw") * rows["scaling"].to_numpy(float), column("max_p_mw"), column("min_p_mw")]
    power, rated = np.fmax.reduce(np.abs(powers)), column("sn_mva")
    # Neither a power nor a rating is named below: such a storage stands idle.
    frame["p_kw"] = np.where(power > 0, power, np.where(rated > 0, rated, 0.0)) * 1e3
    share = as_share(column("efficiency_percent"))
    frame["kind"], frame["profile"] = "battery", ""
    frame["efficiency"] = np.where(np.isnan(share), ONE_WAY, share)
    least = column("min_e_mwh")
    frame["e_kwh"] = (column("max_e_mwh") - np.where(np.isnan(least), 0.0, least)) * 1e3
    note((power > 0) & (rated > 0) & ~np.isclose(power, rated), "sn_mva", "is not used: the largest of p_mw, max_p_mw and min_p_mw is the rating")
    note(frame["p_kw"].to_numpy() == 0, "p_mw, max_p_mw, sn_mva", "give no power: the storage stands idle")
    note((column("p_mw") != 0) | (column("q_mvar") != 0), "p_mw, q_mvar", "are not kept: a storage is operated, or stands idle")
    note(np.isnan(share), "efficiency_percent", f"is not given: {ONE_WAY:g} in either direction")
    frame["q_kvar"] = 0.0


def drawn_power(devices: pd.DataFrame) -> pd.Series:
    """Complex power drawn at every bus with a device [kVA], at ratings, storage idle."""
    sign = np.isin(devices["kind"], LOAD_KINDS).astype(float) - np.isin(devices["kind"], GENERATION_KINDS)
    power = sign * devices["p_kw"].to_numpy(float) + 1j * devices["q_kvar"].to_numpy(float)
    return pd.Series(power, index=pd.Index(devices["bus"])).groupby(level=0).sum() if len(devices) else pd.Series([], dtype=complex)


def embedded_generators(
    sources: pd.DataFrame, buses: pd.DataFrame, nodes: pd.DataFrame, taken: pd.Index, changed: list[Approximation]
) -> pd.DataFrame:
    """Generators that are not dispatched, as devices, with their ``key``: those below the top level, and those that can only draw.

    Args:
        sources: external grids and generators.
        buses, nodes: tables by name.
        taken: names of the other devices.
        changed: extended by what is not taken as given.
    """
    below = (buses["node"].reindex(sources["bus"]) != nodes.index[0]).to_numpy() & (sources["element"] == "gen").to_numpy()
    chosen = sources[below | constant_draws(sources).to_numpy()]
    names = unique_names(pd.Series([*taken, *chosen["name"]]), "generator").to_numpy()[len(taken) :]
    if len(chosen):
        reactive = chosen["q_mvar"].fillna(0.0)
        done = f"constant sources of {chosen['p_mw'].sum() * 1e3:,.6g} kW and {reactive.sum() * 1e3:,.4g} kvar: what the file's own power flow gives"
        changed.append(Approximation(several("generator", list(names)), "vm_pu", f"{done}; they are not dispatched and do not control voltage"))
    power = chosen["p_mw"].to_numpy() * 1e3
    frame = pd.DataFrame({"bus": chosen["bus"].to_numpy(), "kind": np.where(power < 0, "load", CONSTANT), "p_kw": np.abs(power)}, index=names)
    frame.index.name = "device"
    frame["q_kvar"] = -chosen["q_mvar"].fillna(0.0).to_numpy() * 1e3
    kinds = {"profile": "", "prosumer": "", "e_kwh": 0.0, "efficiency": 1.0}
    return frame.assign(**kinds, key=chosen["key"].to_numpy())


def _class_words(rows: pd.DataFrame, element: str) -> np.ndarray:
    """What the network's table says of the customer: a column ``customer_class``, ``category`` or ``class``, else the type of a load."""
    columns = [c for c in ("customer_class", "category", "class", "type") if c in rows and (c != "type" or element == "load")]
    words = np.full(len(rows), "motor" if element == "motor" else "", dtype=object)
    for column in reversed(columns):
        given = rows[column].astype(object).where(rows[column].notna(), "").astype(str).to_numpy(object)
        words = np.where(given != "", given, words)
    return words


def network_prosumers(nodes: pd.DataFrame, buses: pd.DataFrame, devices: pd.DataFrame) -> pd.DataFrame:
    """Prosumers, and platforms for the DSOs that have none; adds rows to ``nodes``, sets ``prosumer`` of the devices."""
    rows: dict[str, tuple[str, str]] = {}
    with_platforms = set(nodes["parent"][nodes["level"] == "platform"])
    device_node = buses["node"].reindex(devices["bus"]).to_numpy()
    bare = nodes.index[(nodes["level"] == "dso") & ~nodes.index.isin(with_platforms)]
    for dso in bare:
        for bus in pd.unique(devices["bus"][device_node == dso]):
            platform = f"platform {bus}"
            while platform in nodes.index:
                platform += " (2)"
            nodes.loc[platform] = ["platform", dso, bus, 60.0]
            buses.loc[bus, "node"] = platform
            at = devices["bus"] == bus
            first = devices.index[at & (devices["kind"] == "load").to_numpy()]
            # What is no load stands behind the meter of the first load.
            for load in first:
                rows[f"customer {load}"] = (platform, bus)
            owner = f"customer {first[0]}" if len(first) else f"customer {bus}"
            rows.setdefault(owner, (platform, bus))
            devices.loc[at, "prosumer"] = owner
            for load in first:
                devices.loc[load, "prosumer"] = f"customer {load}"
    for platform in nodes.index[(nodes["level"] == "platform")]:
        inside = devices["bus"].isin(buses.index[buses["node"] == platform]) & (devices["prosumer"] == "")
        connection = {bus: str(bus) if str(bus) not in rows else f"connection {bus}" for bus in pd.unique(devices["bus"][inside])}
        rows |= {name: (platform, str(bus)) for bus, name in connection.items()}
        devices.loc[inside, "prosumer"] = devices.loc[inside, "bus"].map(connection)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["node", "bus"])
    frame["category"] = "customer"
    frame.index.name = "prosumer"
    return frame
