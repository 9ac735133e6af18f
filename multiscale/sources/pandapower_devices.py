"""Loads, generation and storage of a pandapower network as devices and prosumers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_tables import unique_names
from multiscale.system.approximation import Approximation, several
from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS

CONSTANT = "biomass"
"""Kind of a source that feeds in its rating all the time."""
_GENERATION = {"pv": "pv", "so": "pv", "wp": "wind", "wi": "wind", "hy": "hydro", "wa": "hydro", "bi": "biomass", "ch": "biomass"}


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
            known_kind = stated.str.lower().str[:2].map(_GENERATION)
            if known_kind.isna().any():
                unknown = known_kind.isna().to_numpy()
                types = ", ".join(sorted({repr(t) for t in stated[unknown]}))
                done = f"{types} names no kind of generation: constant sources"
                changed.append(Approximation(several("sgen", names[unknown].tolist()), "type", done))
            kind = known_kind.fillna(CONSTANT).to_numpy()
        frame["kind"] = kind
        if element == "sgen":
            frame["q_kvar"] *= -1
        if element == "storage":
            frame["kind"] = "battery"
            limits = [rows[c].astype(float).abs() for c in ("p_mw", "max_p_mw", "min_p_mw") if c in rows]
            frame["p_kw"] = np.fmax.reduce([x.fillna(0.0).to_numpy() for x in limits]) * 1e3
            least = rows["min_e_mwh"].fillna(0.0) if "min_e_mwh" in rows else 0.0
            frame["e_kwh"] = np.maximum((rows["max_e_mwh"] - least).fillna(0.0).to_numpy(float), 0.0) * 1e3
            frame["efficiency"], frame["q_kvar"], frame["profile"] = 0.95, 0.0, ""
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


def drawn_power(devices: pd.DataFrame) -> pd.Series:
    """Complex power drawn at every bus with a device [kVA], at ratings, storage idle."""
    sign = np.isin(devices["kind"], LOAD_KINDS).astype(float) - np.isin(devices["kind"], GENERATION_KINDS)
    power = sign * devices["p_kw"].to_numpy(float) + 1j * devices["q_kvar"].to_numpy(float)
    return pd.Series(power, index=pd.Index(devices["bus"])).groupby(level=0).sum() if len(devices) else pd.Series([], dtype=complex)


def embedded_generators(
    sources: pd.DataFrame, buses: pd.DataFrame, nodes: pd.DataFrame, taken: pd.Index, changed: list[Approximation]
) -> pd.DataFrame:
    """Generators that stand below the top level, as devices, with their ``key``: the dispatch of the transmission level does not include them.

    Args:
        sources: external grids and generators.
        buses, nodes: tables by name.
        taken: names of the other devices.
        changed: extended by what is not taken as given.
    """
    below = (buses["node"].reindex(sources["bus"]) != nodes.index[0]).to_numpy() & (sources["element"] == "gen").to_numpy()
    chosen = sources[below]
    names = unique_names(pd.Series([*taken, *chosen["name"]]), "generator").to_numpy()[len(taken) :]
    if len(chosen):
        reactive = chosen["q_mvar"].fillna(0.0)
        done = f"constant sources of {chosen['p_mw'].sum() * 1e3:,.6g} kW and {reactive.sum() * 1e3:,.4g} kvar: what the file's own power flow gives"
        changed.append(Approximation(several("generator", list(names)), "vm_pu", f"{done}; they are not dispatched and hold no voltage"))
    power = chosen["p_mw"].fillna(0.0).to_numpy() * 1e3
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
