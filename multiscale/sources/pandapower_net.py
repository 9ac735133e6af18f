"""Any pandapower network as a system: the hierarchy is read off its voltage levels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.sources.generation_costs import generation_costs, marginal_costs
from multiscale.sources.pandapower_tables import columns_of, coordinates, drop_unconnected, fused_buses, line_frame, transformer_frame, unique_names
from multiscale.system.schema import table
from multiscale.system.system import System
from multiscale.system.validation import InvalidSystemError, Problem

HIGH_VOLTAGE_KV = 60.0
LOW_VOLTAGE_KV = 1.0
UPSTREAM_MARGIN = 10.0
"""An external grid without a limit supplies this multiple of the branches at its bus."""

_GENERATION = {"pv": "pv", "so": "pv", "wp": "wind", "wi": "wind", "hy": "hydro", "wa": "hydro", "bi": "biomass", "ch": "biomass"}
_CLASSES = ("tso", "dso", "platform")


def pandapower_system(path: Any, profiles: pd.DataFrame | str | Path | None = None, name: str = "") -> System:
    """A pandapower network as a system.

    The tree follows the voltage: everything above 60 kV is the transmission level; each network between 1 and 60 kV that hangs on it
    by transformers at one bus is a DSO (and owns those transformers); each network up to 1 kV is a platform (its transformer belongs
    to the DSO above), with one prosumer per bus that has a device. A network without high voltage has the bus of its external grid
    as top. A DSO with no low voltage below it gets one platform per bus with a device: the customers of that substation, one
    prosumer per load. A lower network that is fed at several buses, or in which power stations feed, counts as part of the level above;
    a power station inside a DSO of a network without high voltage is a constant source there.

    Args:
        path: pandapower network, or the path of one: JSON (``.json``), Excel (``.xlsx``), MATPOWER (``.m``).
        profiles: time series [1] in columns, evenly spaced time stamps in the index (or first column of a CSV file). A load or
            generator follows the column named in its ``profile`` column, else the one of its own name, else a constant 1.
        name: title of the system; default: the network's own.

    Raises:
        InvalidSystemError: a file that cannot be read, or elements without a counterpart here (three-winding transformers), all of them listed.
    """
    net = _read(path)
    _refuse_unsupported(net)
    notes: list[str] = []
    representative = fused_buses(net, _grid_pairs(net, notes))
    bus_name = unique_names(net.bus["name"] if "name" in net.bus else pd.Series("", index=net.bus.index), "bus")
    name_of = bus_name.reindex(representative).set_axis(net.bus.index)
    branches = _branch_frame(net, name_of, notes)
    kept = representative.index[(representative.to_numpy() == representative.index.to_numpy()) & net.bus["in_service"].to_numpy(bool)]
    buses = pd.DataFrame(
        {
            "vn_kv": net.bus.loc[kept, "vn_kv"].to_numpy(float),
            "v_min_pu": _limit(net, kept, "min_vm_pu", 0.9, 0.5, 1.0),
            "v_max_pu": _limit(net, kept, "max_vm_pu", 1.1, 1.0, 1.5),
            **columns_of(coordinates(net).loc[kept]),
        },
        index=pd.Index(bus_name.loc[kept].to_numpy(), name="bus"),
    )
    branches = branches[branches["from_bus"].isin(buses.index) & branches["to_bus"].isin(buses.index)]
    sources = _sources(net, name_of)
    nodes = _hierarchy(buses, branches, sources, notes)
    branches = _without_ties(buses, branches, notes)
    courses = _profile_table(profiles)
    devices = _devices(net, name_of, courses, notes)
    embedded = _embedded(sources, buses, nodes, notes)
    sources = sources[~sources["name"].isin(embedded.index)]
    devices = pd.concat([devices[devices["bus"].isin(buses.index)], embedded]) if len(embedded) else devices[devices["bus"].isin(buses.index)]
    buses = drop_unconnected(buses, branches, pd.concat([devices["bus"], sources["bus"]]), notes)
    branches = branches[branches["from_bus"].isin(buses.index) & branches["to_bus"].isin(buses.index)]
    prosumers = _prosumers(nodes, buses, devices)
    generators = _generators(net, sources, buses, branches, notes)
    dropped = {k: len(net[k]) for k in ("dcline", "shunt", "ward", "xward", "svc", "tcsc", "ssc") if k in net and len(net[k])}
    if dropped:
        notes.append("left out: " + ", ".join(f"{count} {kind}" for kind, count in dropped.items()))
    return System(
        name=name or str(net.get("name") or "") or (Path(path).stem if isinstance(path, str | Path) else "pandapower network"),
        nodes=table("node", nodes.index, columns_of(nodes)),
        buses=table("bus", buses.index, columns_of(buses)),
        branches=table("branch", branches.index, columns_of(branches)),
        prosumers=table("prosumer", prosumers.index, columns_of(prosumers)),
        devices=table("device", devices.index, columns_of(devices)),
        generators=table("generator", generators.index, columns_of(generators)),
        options=table("option", [], {"branch": [], "added_rating_kva": [], "cost_eur": []}),
        profiles=courses,
        notes=tuple(notes),
    )


# -- reading ----------------------------------------------------------------------------------------------------------
def _read(path: Any) -> Any:
    if not isinstance(path, str | Path):
        return path
    import pandapower as pp

    file = Path(path)
    problem = ""
    if not file.is_file():
        problem = "does not exist; give the path of a pandapower JSON or Excel file or of a MATPOWER case"
    elif file.suffix not in (".json", ".xlsx", ".m"):
        problem = f"has the ending {file.suffix!r}; pandapower networks are read from .json, .xlsx and (MATPOWER) .m"
    if problem:
        raise InvalidSystemError([Problem("file", str(file), "", "", "", problem)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if file.suffix == ".json":
                net = pp.from_json(str(file))
            elif file.suffix == ".xlsx":
                net = pp.from_excel(str(file))
            else:
                from pandapower.converter.matpower import from_mpc

                net = from_mpc(str(file))
    except Exception as error:
        message = f"cannot be read as a pandapower network ({type(error).__name__}: {error}); write it with pandapower's to_json or to_excel"
        raise InvalidSystemError([Problem("file", str(file), "", "", "", message)]) from None
    if not hasattr(net, "bus") or not len(net.bus):
        raise InvalidSystemError([Problem("file", str(file), "bus", "", "", "table is missing or empty; the file holds no pandapower network")])
    return net


def _refuse_unsupported(net: Any) -> None:
    problems = []
    if "trafo3w" in net and len(net.trafo3w):
        for k in net.trafo3w.index:
            message = "has three windings; replace it by three transformers with two windings around an auxiliary bus"
            problems.append(Problem("trafo3w", str(net.trafo3w.at[k, "name"] or k), "", "", "", message))
    for kind, columns in {
        "line": ("length_km", "r_ohm_per_km", "x_ohm_per_km", "max_i_ka"),
        "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent"),
    }.items():
        for column in columns:
            if column not in net[kind]:
                problems.append(Problem(kind, "all", column, "", "", "is missing; add the column"))
                continue
            problems += [
                Problem(kind, str(net[kind].at[k, "name"] or k), column, "nan", "", "is missing; give a number")
                for k in net[kind].index[net[kind][column].isna()]
            ]
    if not len(net.ext_grid) and not len(net.gen):
        problems.append(Problem("network", "all", "ext_grid", "", "", "and gen are empty; name the bus at which energy comes in"))
    if problems:
        raise InvalidSystemError(problems)


def _grid_pairs(net: Any, notes: list[str]) -> np.ndarray:
    """Pairs of buses of external grids that nothing in the network joins: above it, they are one grid."""
    fed = net.ext_grid.loc[net.ext_grid["in_service"].astype(bool), "bus"].unique()
    if len(fed) < 2:
        return np.zeros((0, 2), dtype=int)
    joined = fused_buses(net)
    vn = net.bus["vn_kv"]
    ends = [joined.loc[net[kind].loc[net[kind]["in_service"].astype(bool), columns].to_numpy().ravel()].to_numpy().reshape(-1, 2)
            for kind, columns in (("line", ["from_bus", "to_bus"]), ("trafo", ["hv_bus", "lv_bus"])) if len(net[kind])]  # fmt: skip
    edges = np.vstack(ends)
    # Through a lower voltage, or an open switch, two grids are not joined.
    level = min(float(vn.loc[fed].min()), HIGH_VOLTAGE_KV)
    edges = edges[(vn.loc[edges[:, 0]].to_numpy() >= level) & (vn.loc[edges[:, 1]].to_numpy() >= level)]
    position = pd.Series(np.arange(len(net.bus)), index=net.bus.index)
    start, end = position.loc[edges[:, 0]].to_numpy(), position.loc[edges[:, 1]].to_numpy()
    graph = sparse.coo_matrix((np.ones(len(start)), (start, end)), shape=(len(position), len(position)))
    part = csgraph.connected_components(graph, directed=False)[1][position.loc[joined.loc[fed].to_numpy()].to_numpy()]
    first = int(fed[0])
    others = [int(b) for b, number in zip(fed, part, strict=True) if number != part[0] and vn.loc[b] == vn.loc[first]]
    if others:
        notes.append(f"{len(others) + 1} external grids at buses that the network does not join are one grid")
    return np.array([(first, b) for b in others], dtype=int).reshape(-1, 2)


def _limit(net: Any, kept: pd.Index, column: str, default: float, low: float, high: float) -> np.ndarray:
    if column not in net.bus:
        return np.full(len(kept), default)
    given = pd.to_numeric(net.bus.loc[kept, column], errors="coerce")
    return given.where((given >= low) & (given <= high), default).to_numpy()


def _branch_frame(net: Any, name_of: pd.Series, notes: list[str]) -> pd.DataFrame:
    lines, units = line_frame(net, name_of), transformer_frame(net, name_of)
    lines.index = pd.Index(unique_names(net.line["name"], "line"))
    units.index = pd.Index(unique_names(net.trafo["name"], "transformer"))
    parts = [lines, units]
    if "impedance" in net and len(net.impedance):
        parts.append(_impedances(net, name_of))
    both = pd.concat([p for p in parts if len(p)])
    defaults: dict[str, object] = {
        "charged_from": "",
        "c_nf": 0.0,
        "length_km": 0.0,
        "pfe_kw": 0.0,
        "i0_percent": 0.0,
        "shift_degree": 0.0,
        "tap_side": "hv",
    }
    defaults |= dict.fromkeys(("tap_pos", "tap_min", "tap_max", "tap_step_percent"), 0.0)
    for column, value in defaults.items():
        both[column] = both[column].where(both[column].notna(), value) if column in both else value
    for column in ("vn_hv_kv", "vn_lv_kv"):
        if column not in both:
            both[column] = np.nan
    capacitive = both["i0_percent"] < 0
    if capacitive.any():
        notes.append(f"{int(capacitive.sum())} transformers with a capacitive shunt (line charging of a converted case) have it set to zero")
        both["i0_percent"] = both["i0_percent"].clip(lower=0.0)
    inside = both["from_bus"] == both["to_bus"]
    if inside.any():
        notes.append(f"{int(inside.sum())} branches within one busbar are left out")
    both = both[~inside]
    both.index = pd.Index(unique_names(pd.Series(both.index, index=both.index), "branch").to_numpy(), name="branch")
    return both


def _impedances(net: Any, name_of: pd.Series) -> pd.DataFrame:
    item = net.impedance
    base = net.bus["vn_kv"].reindex(item["from_bus"]).to_numpy(float) ** 2 / item["sn_mva"].to_numpy(float)
    return pd.DataFrame(
        {
            "kind": "line",
            "from_bus": name_of.reindex(item["from_bus"]).to_numpy(),
            "to_bus": name_of.reindex(item["to_bus"]).to_numpy(),
            "rating_kva": item["sn_mva"].to_numpy(float) * 1e3,
            "r_ohm": np.maximum(item["rft_pu"].to_numpy(float) * base, 0.0),
            "x_ohm": item["xft_pu"].to_numpy(float) * base,
            "in_service": item["in_service"].to_numpy(bool),
            "std_type": "impedance",
        },
        index=pd.Index(unique_names(item["name"], "impedance")),
    )


def _sources(net: Any, name_of: pd.Series) -> pd.DataFrame:
    """External grids and generators: columns element, index, name, bus, p_mw, max_p_mw, min_p_mw, type."""
    parts = []
    for element in ("ext_grid", "gen"):
        rows = net[element][net[element]["in_service"].astype(bool)]
        if not len(rows):
            continue
        frame = pd.DataFrame({"element": element, "row": rows.index, "bus": name_of.reindex(rows["bus"]).to_numpy()})
        frame["name"] = unique_names(rows["name"], element.replace("_", " ")).to_numpy()
        for column in ("p_mw", "max_p_mw", "min_p_mw"):
            frame[column] = pd.to_numeric(rows[column], errors="coerce").to_numpy() if column in rows else np.nan
        frame["type"] = rows["type"].astype(object).to_numpy() if "type" in rows else ""
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


# -- hierarchy --------------------------------------------------------------------------------------------------------
def _hierarchy(buses: pd.DataFrame, branches: pd.DataFrame, sources: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The node table; sets ``node`` of buses and branches."""
    position = pd.Series(np.arange(len(buses)), index=buses.index)
    vn = buses["vn_kv"].to_numpy()
    tier = np.where(vn >= HIGH_VOLTAGE_KV, 0, np.where(vn > LOW_VOLTAGE_KV, 1, 2))
    start, end = position.loc[branches["from_bus"]].to_numpy(), position.loc[branches["to_bus"]].to_numpy()
    on = branches["in_service"].to_numpy(bool)
    # An area is what hangs together within one tier; all of the transmission tier is one.
    same = on & (tier[start] == tier[end])
    graph = sparse.coo_matrix((np.ones(int(same.sum())), (start[same], end[same])), shape=(len(vn), len(vn)))
    area = csgraph.connected_components(graph, directed=False)[1]
    fed = position.reindex(sources["bus"]).dropna().to_numpy(int)
    grids = position.reindex(sources.loc[sources["element"] == "ext_grid", "bus"]).dropna().to_numpy(int)
    top_area = -1
    area[tier == 0] = top_area
    if (tier == 0).any():
        # Where power stations feed in, the network is part of the transmission level whatever its voltage.
        area[np.isin(area, area[fed])] = top_area
    if not (tier == 0).any():
        # Without high voltage the grid is the bus where energy comes in; its area hangs on it.
        feeding = grids if len(grids) else fed[:1]
        own_area = area[feeding].copy()
        area[feeding] = top_area
    else:
        feeding, own_area = np.zeros(0, dtype=int), np.zeros(0, dtype=int)

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
        root = np.where(np.isin(end, inside), end, start)[touching]
        rows[label[a]] = ("platform", above_label, str(names[root[0]]) if len(root) else str(names[at]))
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


def _without_ties(buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without the open branches between networks of different nodes, which are operated apart."""
    node_of = buses["node"]
    tie = ~branches["in_service"] & (node_of[branches["from_bus"]].to_numpy() != node_of[branches["to_bus"]].to_numpy())
    if tie.any():
        notes.append(f"{int(tie.sum())} open branches between different networks are left out")
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


# -- devices ----------------------------------------------------------------------------------------------------------
def _profile_table(given: pd.DataFrame | str | Path | None) -> xr.Dataset:
    if given is None:
        # Nothing varies: the hours of a year are there for representative days to be taken from.
        time = pd.date_range("2016-01-01", periods=366 * 24, freq="h").to_numpy()
        values, names = np.ones((len(time), 1), dtype=np.float32), ["constant"]
    else:
        frame = given if isinstance(given, pd.DataFrame) else pd.read_csv(given, index_col=0, parse_dates=True)
        time = pd.DatetimeIndex(frame.index).to_numpy()
        values, names = frame.to_numpy(np.float32), [str(c) for c in frame.columns]
    data = {
        v: (("time", "profile"), values.copy(), {"units": "1", "long_name": f"{kind} power relative to the rating"})
        for v, kind in (("p", "active"), ("q", "reactive"))
    }
    return xr.Dataset(data, coords={"time": time.astype("datetime64[ns]"), "profile": names})


def _devices(net: Any, name_of: pd.Series, courses: xr.Dataset, notes: list[str]) -> pd.DataFrame:
    known = set(courses.profile.values.tolist())
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
        named = rows["profile"].fillna("").astype(str).to_numpy() if "profile" in rows else np.full(len(rows), "")
        frame["profile"] = [_profile_of(n, d, known) for n, d in zip(named, names, strict=True)]
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
        return pd.DataFrame({c: [] for c in ("bus", "kind", "p_kw", "q_kvar", "profile", "prosumer")}, index=pd.Index([], name="device"))
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


def _embedded(sources: pd.DataFrame, buses: pd.DataFrame, nodes: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Generators that stand below the top level, as devices: the dispatch of the transmission level does not reach them."""
    below = (buses["node"].reindex(sources["bus"]) != nodes.index[0]).to_numpy() & (sources["element"] == "gen").to_numpy()
    chosen = sources[below & sources["bus"].isin(buses.index).to_numpy()]
    if len(chosen):
        notes.append(f"{len(chosen)} generators inside distribution networks are constant sources")
    kinds = {"kind": "biomass", "q_kvar": 0.0, "profile": "", "prosumer": "", "e_kwh": 0.0, "efficiency": 1.0}
    frame = pd.DataFrame(
        {"bus": chosen["bus"].to_numpy(), "p_kw": chosen["p_mw"].fillna(0.0).to_numpy() * 1e3}, index=pd.Index(chosen["name"], name="device")
    )
    return frame.assign(**kinds)


def _profile_of(named: str, device: str, known: set[str]) -> str:
    """The course a device follows; a name that the given table does not have stays, for the validation to report."""
    if named in known or (named and known != {"constant"}):
        return named
    return device if device in known else ""


def _prosumers(nodes: pd.DataFrame, buses: pd.DataFrame, devices: pd.DataFrame) -> pd.DataFrame:
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


def _generators(net: Any, sources: pd.DataFrame, buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
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
            "p_min_kw": 0.0,
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
