"""Loads, generation, storage and costs of a pandapower network as devices, prosumers and generators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.generation_costs import generation_costs, marginal_costs
from multiscale.sources.pandapower_tables import unique_names

UPSTREAM_MARGIN = 10.0
"""An external grid without a limit supplies this multiple of the branches at its bus."""

_GENERATION = {"pv": "pv", "so": "pv", "wp": "wind", "wi": "wind", "hy": "hydro", "wa": "hydro", "bi": "biomass", "ch": "biomass"}


def network_devices(net: Any, name_of: pd.Series, notes: list[str]) -> pd.DataFrame:
    """Loads, static generators, storages and motors in the columns of ``device``; the network's words for profile and ``class``; index: name.

    Args:
        net: pandapower network.
        name_of: name of the (fused) bus by pandapower bus index.
        notes: extended by what was changed.
    """
    parts = []
    for element in ("load", "sgen", "storage", "motor"):
        if element not in net or not len(net[element]):
            continue
        rows = net[element][net[element]["in_service"].astype(bool)]
        names = unique_names(rows["name"], element)
        scale = rows["scaling"].astype(float) if "scaling" in rows else 1.0
        if element == "motor":
            power = rows["pn_mech_mw"] / (rows["efficiency_percent"] / 100) * rows["loading_percent"].fillna(100.0) / 100 * scale
            reactive = power * np.tan(np.arccos(rows["cos_phi"].fillna(1.0)))
        else:
            power, reactive = rows["p_mw"] * scale, rows["q_mvar"] * scale if "q_mvar" in rows else 0.0
        frame = pd.DataFrame(
            {"bus": name_of.reindex(rows["bus"]).to_numpy(), "p_kw": np.asarray(power, float) * 1e3, "q_kvar": np.asarray(reactive, float) * 1e3}
        )
        frame.index = pd.Index(names, name="device")
        frame["profile"] = rows["profile"].fillna("").astype(str).to_numpy() if "profile" in rows else ""
        frame["class"] = _class_words(rows, element)
        kind = (
            rows["type"].astype(str).str.lower().str[:2].map(_GENERATION).fillna("pv").to_numpy() if element == "sgen" and "type" in rows else "load"
        )
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
    both = pd.concat(parts).fillna({"e_kwh": 0.0, "efficiency": 1.0})
    negative = both["p_kw"] < 0
    if negative.any():
        # A load that feeds in is generation and the other way round.
        notes.append(f"{int(negative.sum())} loads or generators of negative power are taken as generation or load of the same size")
        flipped = np.where(both["kind"] == "load", "biomass", "load")
        both.loc[negative, "kind"] = flipped[negative.to_numpy()]
        both.loc[negative, "p_kw"] *= -1
    both.index = pd.Index(unique_names(pd.Series(both.index, index=both.index), "device").to_numpy(), name="device")
    both["prosumer"] = ""
    return both


def embedded_generators(sources: pd.DataFrame, buses: pd.DataFrame, nodes: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Generators that stand below the top level, as devices: the dispatch of the transmission level does not include them."""
    below = (buses["node"].reindex(sources["bus"]) != nodes.index[0]).to_numpy() & (sources["element"] == "gen").to_numpy()
    chosen = sources[below & sources["bus"].isin(buses.index).to_numpy()]
    if len(chosen):
        notes.append(f"{len(chosen)} generators inside distribution networks are constant sources")
    kinds = {"kind": "biomass", "q_kvar": 0.0, "profile": "", "prosumer": "", "e_kwh": 0.0, "efficiency": 1.0}
    frame = pd.DataFrame(
        {"bus": chosen["bus"].to_numpy(), "p_kw": chosen["p_mw"].fillna(0.0).to_numpy() * 1e3}, index=pd.Index(chosen["name"], name="device")
    )
    return frame.assign(**kinds)


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
        for bus in pd.unique(devices["bus"][inside]):
            rows[str(bus)] = (platform, str(bus))
        devices.loc[inside, "prosumer"] = devices.loc[inside, "bus"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["node", "bus"])
    frame["category"] = "customer"
    frame.index.name = "prosumer"
    return frame


def network_generators(
    net: Any, sources: pd.DataFrame, buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str], grid_only: bool = False
) -> pd.DataFrame:
    """External grids and power stations in the columns of ``generator``; index: name.

    Args:
        net: pandapower network (its cost table).
        sources: external grids and generators with their buses and limits.
        buses, branches: tables by name.
        notes: extended by where the costs come from.
        grid_only: whether nothing lies above the distribution networks but the external grid, which then takes surplus as it supplies: at
            the same price, up to the same power.
    """
    sources = sources[sources["bus"].isin(buses.index)]
    active = branches[branches["in_service"]]
    supply = pd.concat([active.set_index(end)["rating_kva"] for end in ("from_bus", "to_bus")]).groupby(level=0).sum()
    limit = UPSTREAM_MARGIN * supply.reindex(sources["bus"]).fillna(0.0).to_numpy()
    p_max = sources["max_p_mw"].to_numpy() * 1e3
    p_max = np.where(np.isfinite(p_max) & (p_max > 0), p_max, np.where(sources["element"] == "ext_grid", limit, sources["p_mw"].to_numpy() * 1e3))
    fuels = generation_costs()
    fuel = sources["type"].astype(str).where(sources["type"].astype(str).isin(fuels.index), "upstream").to_numpy(str)
    cost = marginal_costs(fuel, np.nan_to_num(p_max), fuels)
    priced = _costs(net, sources, p_max / 1e3)
    known = np.isfinite(priced)
    if known.any():
        notes.append(f"{int(known.sum())} generators have the marginal cost of the network's cost table at mean output, its currency read as EUR")
    if (~known).any():
        notes.append(f"{int((~known).sum())} generators without a cost are priced by the table of fuels")
    frame = pd.DataFrame(
        {
            "bus": sources["bus"].to_numpy(),
            "fuel": fuel,
            "p_min_kw": np.where(sources["element"] == "ext_grid", -p_max, 0.0) if grid_only else 0.0,
            "p_max_kw": p_max,
            "cost_eur_per_kwh": np.where(known, priced, cost),
        },
        index=pd.Index(sources["name"].to_numpy(), name="generator"),
    )
    return frame[frame["p_max_kw"] > 0]


def _costs(net: Any, sources: pd.DataFrame, p_max_mw: np.ndarray) -> np.ndarray:
    """Marginal cost at half of the output [EUR/kWh] from pandapower's polynomial cost table: ``c1 + 2 c2 P / 2``; NaN without one."""
    out = np.full(len(sources), np.nan)
    if "poly_cost" not in net or not len(net.poly_cost):
        return out
    given = net.poly_cost.set_index(["et", "element"])
    for k, (element, row) in enumerate(zip(sources["element"], sources["row"], strict=True)):
        if (element, row) in given.index:
            entry = given.loc[[(element, row)]].iloc[0]
            quadratic = float(entry.get("cp2_eur_per_mw2", 0.0) or 0.0)
            out[k] = (float(entry["cp1_eur_per_mw"]) + quadratic * float(np.nan_to_num(p_max_mw[k]))) / 1e3
    return out
