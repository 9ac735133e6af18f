"""SimBench's loads, generation and storage as devices, and its power plants as wholesale generators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_tables import as_share

RENEWABLE_SUFFIX = " renewable"
"""Appended to the names of renewable profiles that loads have as well (the equivalents, e.g. ``lv_rural1``)."""

UPSTREAM_MARGIN = 10.0
"""Supply from a grid outside the case is limited to this multiple of the branches at its bus: never what binds."""

PROSUMERS = ("connection_points", "customers")
"""Who is a prosumer: every low-voltage bus with a device, or every plain load."""

_HEAT_PUMP = ("Air", "Soil")
_EV = ("HLS", "APLS")
_GENERATION = {"PV": "pv", "WP": "wind", "BM": "biomass", "Hy": "hydro"}
_EQUIVALENT = {"lv": "pv", "mv": "wind"}
_CATEGORY = {"H": "household", "G": "business", "B": "business", "W": "business", "L": "agriculture"}
_BY_KIND = {
    "load": "other",
    "heat_pump": "heat pump",
    "ev": "charging point",
    "pv": "photovoltaic plant",
    "wind": "wind plant",
    "hydro": "hydro plant",
    "biomass": "biomass plant",
    "battery": "storage",
}


def load_kind(profile: pd.Series) -> pd.Series:
    """``heat_pump`` for the profiles Air* and Soil*, ``ev`` for HLS* (at home) and APLS* (at work and in public), else ``load``."""
    kind = pd.Series("load", index=profile.index)
    return kind.mask(profile.str.startswith(_HEAT_PUMP), "heat_pump").mask(profile.str.startswith(_EV), "ev")


def generation_kind(kind: pd.Series, profile: pd.Series) -> pd.Series:
    """Kind of a renewable generator: by profile (PV*, WP*, BM*, Hydro*); an equivalent by its type, else by what dominates it.

    SimBench's equivalents mix sources: those of LV networks (``lv_*``) correlate with the mean PV profile by 0.96-0.97 and count as PV;
    those of MV networks count as PV where their type says so, else as wind (their profiles correlate with the mean wind profile by
    0.6-0.9, except ``mv_urban``, which is PV).
    """
    by_profile = profile.str[:2].map(_GENERATION)
    by_type = kind.astype(str).str.lower().str[:2].map({"pv": "pv", "wi": "wind", "bi": "biomass", "hy": "hydro", "ru": "hydro"})
    by_equivalent = profile.str[:2].map(_EQUIVALENT).mask(profile == "mv_urban", "pv")
    return by_profile.fillna(by_type).fillna(by_equivalent).fillna("pv")


def device_frame(net: Any, bus: pd.Series, notes: list[str]) -> pd.DataFrame:
    """Loads, static generators and storages; index: name.

    Args:
        net: SimBench network.
        bus: name of the (fused) bus by pandapower bus index.
        notes: extended by what is omitted.
    """
    load, sgen, storage = (net[name][net[name]["in_service"].astype(bool)] for name in ("load", "sgen", "storage"))
    shared = set(net.profiles["load"].columns.str.replace("_[pq]load$", "", regex=True)) & set(net.profiles["renewables"].columns)
    profile = sgen["profile"].fillna("").astype(str)
    loads = pd.DataFrame(
        {
            "kind": load_kind(load["profile"].fillna("").astype(str)),
            "profile": load["profile"].fillna("").astype(str),
            "p_kw": load["p_mw"] * load["scaling"] * 1e3,
            "q_kvar": load["q_mvar"] * load["scaling"] * 1e3,
        }
    )
    generation = pd.DataFrame(
        {
            "kind": generation_kind(sgen["type"], profile),
            "profile": profile.where(~profile.isin(shared), profile + RENEWABLE_SUFFIX),
            "p_kw": sgen["p_mw"] * sgen["scaling"] * 1e3,
            "q_kvar": -sgen["q_mvar"] * sgen["scaling"] * 1e3,
        }
    )
    power = storage[["min_p_mw", "max_p_mw", "p_mw"]].astype(float).abs().max(axis=1)
    batteries = pd.DataFrame(
        {
            "kind": "battery",
            "profile": "",
            "p_kw": power.where(power > 0, storage["sn_mva"]) * 1e3,
            "q_kvar": 0.0,
            "e_kwh": (storage["max_e_mwh"] - storage["min_e_mwh"]).astype(float) * 1e3,
            # A fraction in spite of its name; read as one-way, so that a full cycle returns 90 %, as home storages do.
            "efficiency": as_share(storage["efficiency_percent"].to_numpy(float)),
            "loss_per_day": storage["self-discharge_percent_per_day"].astype(float) / 100,
        }
    )
    for frame, source in ((loads, load), (generation, sgen), (batteries, storage)):
        frame["bus"] = bus.reindex(source["bus"]).to_numpy()
        frame["device"] = source["name"].astype(str).to_numpy()
    both = pd.concat([loads, generation, batteries], ignore_index=True)
    both = both.fillna({"e_kwh": 0.0, "efficiency": 1.0, "loss_per_day": 0.0})
    idle = (both["p_kw"] == 0) | ((both["kind"] == "battery") & (both["e_kwh"] <= 0))
    if idle.any():
        notes.append(f"{int(idle.sum())} devices of zero power or storages of zero energy are omitted")
    both = both[~idle]
    repeat = both.groupby("device").cumcount()
    both["device"] = both["device"].where(repeat == 0, both["device"] + " (" + (repeat + 1).astype(str) + ")")
    return both.set_index("device")


def device_owner(devices: pd.DataFrame, prosumers: str) -> pd.Series:
    """Prosumer of every device of the platforms (columns ``bus``, ``kind``, ``p_kw``; index: name); every device has exactly one.

    ``connection_points``: the bus. ``customers``: every plain load is a customer with a contract of its own, named as the load. Heat pumps,
    vehicles, PV and batteries of a bus are distributed kind by kind, the largest first, to its customers one after the other, the largest
    load first, and round again: the largest battery goes where the largest PV is. A bus without a plain load is one customer, named as the bus.
    """
    if prosumers == "connection_points":
        return devices["bus"].copy()
    ranked = devices.rename_axis("device").reset_index().sort_values(["p_kw", "device"], ascending=[False, True], kind="stable")
    plain = ranked["kind"] == "load"
    customers = ranked[plain].groupby("bus")["device"].agg(list)
    others = ranked[~plain]
    turn = others.groupby(["bus", "kind"]).cumcount()
    owner = pd.Series(devices.index.to_numpy(), index=devices.index).where(devices["kind"] == "load")
    for device, bus, k in zip(others["device"], others["bus"], turn, strict=True):
        here = customers.get(bus, [bus])
        owner[device] = here[k % len(here)]
    return owner


def prosumer_category(devices: pd.DataFrame) -> pd.DataFrame:
    """Prosumers of the devices (columns ``bus``, ``category``; index: name of the prosumer), each classed by its largest plain load.

    H0* household, G*, BL* and WB* business, L* agriculture; without a plain load by what stands there.
    """
    ranked = devices.assign(plain=devices["kind"] == "load").reset_index()
    ranked = ranked.sort_values(["plain", "p_kw", "device"], ascending=[False, False, True], kind="stable")
    leading = ranked.groupby("prosumer", sort=False).first()
    leading = leading.loc[pd.unique(devices["prosumer"])]
    category = leading["profile"].str[:1].map(_CATEGORY).where(leading["plain"])
    category = category.where(~leading["profile"].str.startswith(("lv_", "mv_")), np.nan)
    frame = pd.DataFrame({"bus": leading["bus"].to_numpy(), "category": category.fillna(leading["kind"].map(_BY_KIND)).to_numpy()})
    return frame.set_index(pd.Index(leading.index, name="prosumer"))


def generator_frame(net: Any, bus: pd.Series, branches: pd.DataFrame, notes: list[str], grid_only: bool = False) -> pd.DataFrame:
    """Power plants, imports, and supply from outside the case as dispatchable generators; index: name.

    SimBench's plant profiles are schedules (70 % of the rating at most), not availabilities: plants are available at their rating all
    the time, and what they produce is decided by the dispatch. ``min_p_mw`` is the least output of a running unit; as units may stand
    still, the least output here is 0. Where the case is distribution only (``grid_only``), the grid above takes surplus as it supplies: at
    the same price, up to the same power.
    """
    parts = [net[name][net[name]["in_service"].astype(bool)] for name in ("gen", "ext_grid") if len(net[name])]
    rows = pd.concat([p[["name", "bus", "type", "max_p_mw"]] for p in parts], ignore_index=True)
    outside = rows["type"].isna() | rows["max_p_mw"].isna()
    at = bus.reindex(rows["bus"]).to_numpy()
    active = branches[branches["in_service"]]
    supply = pd.concat([active.set_index(end)["rating_kva"] for end in ("from_bus", "to_bus")]).groupby(level=0).sum()
    limit = UPSTREAM_MARGIN * supply.reindex(at).fillna(0.0).to_numpy()
    frame = pd.DataFrame(
        {
            "bus": at,
            "fuel": rows["type"].where(~outside, "upstream").astype(str),
            "p_min_kw": 0.0,
            "p_max_kw": np.where(outside, limit, rows["max_p_mw"].astype(float) * 1e3),
            "cost_eur_per_kwh": 0.0,
        }
    )
    if outside.any():
        notes.append(f"{int(outside.sum())} connections to a grid outside the case supply at the mean day-ahead price")
    if grid_only:
        frame["p_min_kw"] = np.where(outside, -frame["p_max_kw"], 0.0)
    frame.index = pd.Index(rows["name"].astype(str), name="generator")
    return frame[frame["p_max_kw"] > 0]
