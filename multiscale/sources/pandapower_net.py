"""Any pandapower network as a system: the hierarchy is read off its voltage levels."""

from __future__ import annotations

import traceback
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.sources.followed_profiles import CONSTANT, STANDARD, constant_profiles, followed
from multiscale.sources.pandapower_allowed import foreign_objects, table_problems
from multiscale.sources.pandapower_devices import embedded_generators, network_devices, network_generators, network_prosumers
from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV, hierarchy, without_ties
from multiscale.sources.pandapower_tables import columns_of, coordinates, drop_unconnected, fused_buses, line_frame, transformer_frame, unique_names
from multiscale.sources.profile_files import read_profiles
from multiscale.sources.settings import PathSettings
from multiscale.sources.time_axis import known_zone
from multiscale.system.schema import table
from multiscale.system.system import System
from multiscale.system.validation import InvalidSystemError, Problem


class PandapowerSettings(PathSettings):
    """Any pandapower network (json, xlsx) or MATPOWER case (m)."""

    kind: Literal["pandapower"] = "pandapower"
    profiles: Literal["standard", "constant"] | Path = Field(
        "standard",
        description="courses of the loads and the generation: standard (SimBench's profiles by customer class), constant, or a CSV or Parquet file",
    )
    time_zone: str = Field("", description="zone of the file's local times, e.g. Europe/Berlin; empty: standard time all year, or as offsets say")

    @model_validator(mode="after")
    def _file_there(self) -> PandapowerSettings:
        if not self.path.exists():
            raise ValueError(f"path '{self.path}' does not exist")
        if isinstance(self.profiles, Path) and not self.profiles.is_file():
            raise ValueError(f"profiles '{self.profiles}' is no file; give standard, constant, or the path of a CSV or Parquet file")
        if self.time_zone and not known_zone(self.time_zone):
            raise ValueError(f"time_zone '{self.time_zone}' is no time zone; give a name such as Europe/Berlin, or nothing")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """The network and, where one is given, the file of profiles."""
        return (self.path, self.profiles) if isinstance(self.profiles, Path) else (self.path,)

    @property
    def packages(self) -> dict[str, str]:
        """Standard profiles come with the package of SimBench."""
        return {"standard profiles": "simbench"} if self.profiles == STANDARD else {}


def pandapower_source(settings: PandapowerSettings, co2_price: float) -> System:  # noqa: ARG001  the network states the costs of generators
    """The system that the settings name.

    Raises:
        InvalidSystemError: see ``pandapower_system``; or the network holds something that no converter foresaw.
    """
    try:
        return pandapower_system(settings.path, settings.profiles, time_zone=settings.time_zone)
    except InvalidSystemError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"cannot be converted ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}, at {Path(place.filename).name} line "
            f"{place.lineno}); look at the table it names, or write the network anew with pandapower's to_json"
        )
        raise InvalidSystemError([Problem("file", str(settings.path), "", "", "", message)]) from error


def pandapower_system(path: Any, profiles: pd.DataFrame | str | Path = CONSTANT, name: str = "", time_zone: str = "") -> System:
    """A pandapower network as a system.

    The tree follows the voltage: everything above 60 kV is the transmission level; each network between 1 and 60 kV that hangs on it
    by transformers at one bus is a DSO (and owns those transformers); each network up to 1 kV is a platform (its transformer belongs
    to the DSO above), with one prosumer per bus that has a device. A network without high voltage has the bus of its external grid
    as top. A DSO with no low voltage below it gets one platform per bus with a device: the customers of that substation, one
    prosumer per load. A lower network that is fed at several buses, or in which power stations feed, counts as part of the level above;
    a power station inside a DSO of a network without high voltage is a constant source there.

    Args:
        path: pandapower network, or the path of one: JSON (``.json``), Excel (``.xlsx``), MATPOWER (``.m``).
        profiles: ``constant``, ``standard`` (SimBench's profiles by customer class), or time series: a CSV or Parquet file, or a table with the time
            in its index. A load or generator follows the column named in its ``profile`` column, else the one of its own name, else that of its
            customer class, else the standard profile of its class.
        name: title of the system; default: the network's own.
        time_zone: of time stamps without an offset; empty: standard time all year.

    Raises:
        InvalidSystemError: a file that cannot be read, or elements without a counterpart here (three-winding transformers), all of them listed.
    """
    net = _read(path)
    wrong = table_problems(net)
    if wrong:
        raise InvalidSystemError(wrong)
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
    nodes = hierarchy(buses, branches, sources, notes)
    branches = without_ties(buses, branches, notes)
    devices = network_devices(net, name_of, notes)
    if isinstance(profiles, str) and profiles == CONSTANT:
        courses, devices = constant_profiles(), devices.assign(profile="").drop(columns="class")
        notes.append("constant: every load and source runs at the power that the network states, all year (system.profiles=constant)")
    else:
        wanted = None if isinstance(profiles, str) and profiles == STANDARD else profiles
        file = None if wanted is None else read_profiles(wanted if isinstance(wanted, pd.DataFrame) else Path(wanted), time_zone)
        notes += file.notes if file else ()
        devices, courses = followed(devices, net.bus["vn_kv"].set_axis(name_of.to_numpy()).groupby(level=0).first(), file, notes)
    embedded = embedded_generators(sources, buses, nodes, notes)
    sources = sources[~sources["name"].isin(embedded.index)]
    devices = pd.concat([devices[devices["bus"].isin(buses.index)], embedded]) if len(embedded) else devices[devices["bus"].isin(buses.index)]
    buses = drop_unconnected(buses, branches, pd.concat([devices["bus"], sources["bus"]]), notes)
    branches = branches[branches["from_bus"].isin(buses.index) & branches["to_bus"].isin(buses.index)]
    prosumers = network_prosumers(nodes, buses, devices)
    grid_only = not (branches["node"] == nodes.index[0]).any()
    generators = network_generators(net, sources, buses, branches, notes, grid_only)
    dropped = {k: len(net[k]) for k in ("dcline", "shunt", "ward", "xward", "svc", "tcsc", "ssc") if k in net and len(net[k])}
    if dropped:
        notes.append("omitted: " + ", ".join(f"{count} {kind}" for kind, count in dropped.items()))
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
    if file.suffix == ".json":
        try:
            foreign = foreign_objects(file)
        except (ValueError, RecursionError, OSError) as error:
            message = f"cannot be read as a pandapower network (it is no JSON: {error}); write it with pandapower's to_json"
            raise InvalidSystemError([Problem("file", str(file), "", "", "", message)]) from None
        if foreign:
            raise InvalidSystemError(foreign)
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
        notes.append(f"{int(inside.sum())} branches within one busbar are omitted")
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
