"""SimBench: any of its codes as a system, converted once and kept.

Source: S. Meinecke et al., SimBench - A Benchmark Dataset of Electric Power Systems to Compare Innovative Solutions Based on Power
Flow Analysis, Energies 13 (2020) 3290; data under the Open Database License.
"""

from __future__ import annotations

import difflib
import logging
import warnings
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from multiscale.content import content_key
from multiscale.settings import OneOf
from multiscale.sources.cache import cached
from multiscale.sources.defaults import with_defaults
from multiscale.sources.generation_costs import CO2_PRICE, priced
from multiscale.sources.pandapower_tables import between_buses, columns_of, coordinates, drop_unconnected, fused_buses, line_frame, unique_names
from multiscale.sources.pandapower_transformers import transformer_frame
from multiscale.sources.settings import SystemSettings
from multiscale.sources.simbench_devices import PROSUMERS, RENEWABLE_SUFFIX, device_frame, device_owner, generator_frame, prosumer_category
from multiscale.system.approximation import Approximation, several
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import table
from multiscale.system.system import System

AUTOMATIC_TAP_SETPOINT = 1.025
"""Voltage [pu] of the automatic tap changers for which SimBench states none: the value it states for all other HV/MV ones."""

GRID = "grid"
"""Name of the top where a case has no network above its distribution."""

_log = logging.getLogger(__name__)


class SimbenchSettings(SystemSettings):
    """A case of the SimBench package."""

    kind: Literal["simbench"] = "simbench"
    code: str = Field(description="code of the case, e.g. 1-EHVHVMVLV-mixed-all-2-sw")
    prosumers: Annotated[str, OneOf(PROSUMERS)] = Field(
        PROSUMERS[0],
        description="who is a prosumer; connection_points: every low-voltage bus with a device; customers: every plain load, the other devices of "
        "its bus distributed over them",
    )

    @property
    def packages(self) -> dict[str, str]:
        """What the installed package provides -> name of the package."""
        return {f"simbench:{self.code}": "simbench"}

    @model_validator(mode="after")
    def _code_given(self) -> SimbenchSettings:
        if not self.code:
            raise ValueError("code is empty; a simbench system needs one, e.g. code=1-EHVHVMVLV-mixed-all-2-sw")
        return self


def simbench_source(settings: SimbenchSettings, co2_price: float) -> System:
    """The system that the settings name."""
    return simbench_system(settings.code, co2_price=co2_price, prosumers=settings.prosumers)


def simbench_system(
    code: str,
    cache: Path | None = None,
    co2_price: float = CO2_PRICE,
    costs: pd.DataFrame | None = None,
    prosumers: str = PROSUMERS[0],
) -> System:
    """A SimBench network as a system.

    One node for everything above the HV/MV transformers, one DSO per MV network, one platform per LV network; a code with fewer levels
    has a single bus ``grid`` in place of what is missing above. ``docs/data.md`` says what becomes of every table.

    Args:
        code: SimBench code, e.g. ``1-EHVHVMVLV-mixed-all-2-sw``.
        cache: folder of converted systems; default: environment variable MULTISCALE_CACHE, else the user's cache folder.
        co2_price: for the marginal costs of the wholesale generators [EUR/t].
        costs: table of fuels in place of the one that comes along.
        prosumers: ``connection_points``: every low-voltage bus with a device is one; ``customers``: every plain load, see ``device_owner``.

    Raises:
        InvalidSystemError: an unknown code (with the close ones), or choice of prosumers.
    """
    if prosumers not in PROSUMERS:
        raise InvalidSystemError([Problem("system", code, "prosumers", repr(prosumers), "", f"is unknown; choose from {', '.join(PROSUMERS)}")])
    content = content_key(code, prosumers, metadata.version("simbench"), metadata.version("pandapower"), *_converter_texts())
    key = f"simbench-{code}-{content[:20]}"
    return priced(cached(key, lambda: convert(load_network(code), code, prosumers), cache), co2_price, costs)


def _converter_texts() -> list[str]:
    """What the conversion is made of: when one of these changes, kept systems are converted anew."""
    package = resources.files("multiscale")
    parts = ("defaults.py", "simbench.py", "simbench_devices.py", "pandapower_tables.py", "pandapower_transformers.py")
    files = [package / "sources" / part for part in parts] + [package / "system" / part for part in ("approximation.py", "schema.py", "system.py")]
    return [file.read_text(encoding="utf-8") for file in files]


def load_network(code: str) -> Any:
    """SimBench's own pandapower network with its profiles.

    Raises:
        InvalidSystemError: an unknown code (with the close ones).
    """
    import simbench

    known = simbench.collect_all_simbench_codes()
    if code not in known:
        close = difflib.get_close_matches(code, known, n=3)
        message = f"does not exist; close: {', '.join(close) or 'none'}; give one that exists, e.g. 1-MVLV-rural-all-0-sw"
        raise InvalidSystemError([Problem("SimBench case", code, "system.code", repr(code), "", message)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return simbench.get_simbench_net(code)


def convert(net: Any, name: str, prosumers: str = "connection_points") -> System:
    """A SimBench network (with its profiles) as a system; marginal costs are those of the table that comes along."""
    notes: list[str] = []
    subnet = net.bus["subnet"].astype(str).str.split("_").str[0]
    level = subnet.str.extract(r"^(EHV|HV|MV|LV)", expand=False).map({"EHV": "tso", "HV": "tso", "MV": "dso", "LV": "platform"})
    owner_of_trafo = net.trafo["subnet"].astype(str)
    representative = fused_buses(net, _substation_pairs(net, owner_of_trafo, notes))

    tree, node_of_bus = _tree(net, subnet, level, owner_of_trafo)
    bus_name = unique_names(net.bus["name"], "bus")
    name_of = bus_name.reindex(representative).set_axis(net.bus.index)
    buses = _bus_frame(net, representative, bus_name, node_of_bus)

    branches = _branch_frame(net, name_of, tree, owner_of_trafo, notes)
    devices = device_frame(net, name_of, notes)
    generators = generator_frame(net, name_of, branches, notes, grid_only=tree.index[0] == GRID)
    buses = drop_unconnected(buses, branches, pd.concat([devices["bus"], generators["bus"]]), notes)
    lost = ~branches["from_bus"].isin(buses.index) | ~branches["to_bus"].isin(buses.index)
    branches = branches[~lost]

    platforms = set(tree.index[tree["level"] == "platform"])
    on_platform = devices["bus"].map(buses["node"]).isin(platforms)
    devices["prosumer"] = ""
    devices.loc[on_platform, "prosumer"] = device_owner(devices[on_platform], prosumers)
    members = prosumer_category(devices[on_platform])
    if prosumers == "customers":
        notes.append(f"every plain load is a prosumer: {len(members)} customers at {members['bus'].nunique()} connection points")
    nodes = _node_columns(tree, name_of)
    profiles = _profiles(net, devices["profile"].unique())
    changed: list[Approximation] = []
    buses["v_root_pu"] = _root_voltages(net, name_of, buses, nodes, changed)
    if len(net.dcline):
        done = "excluded: SimBench gives no rating and no power for direct-current lines"
        changed.append(Approximation(several("dcline", net.dcline["name"].astype(str).tolist()), "", done))
    system = System(
        name=f"SimBench {name}",
        nodes=table("node", nodes.index, columns_of(nodes)),
        buses=table("bus", buses.index, columns_of(buses)),
        branches=table("branch", branches.index, columns_of(branches)),
        prosumers=table("prosumer", members.index, {"node": members["bus"].map(buses["node"]).to_numpy(), **columns_of(members)}),
        devices=table("device", devices.index, columns_of(devices)),
        generators=table("generator", generators.index, columns_of(generators)),
        options=table("option", [], {k: [] for k in ("branch", "added_rating_kva", "cost_eur")}),
        profiles=profiles,
        notes=tuple(notes),
        approximations=tuple(changed),
    )
    return priced(system)


def _root_voltages(net: Any, name_of: pd.Series, buses: pd.DataFrame, nodes: pd.DataFrame, changed: list[Approximation]) -> np.ndarray:
    """Voltage of the external grid at the boundary buses of the DSOs, 1 pu where another network lies between [pu], (bus)."""
    grids = net.ext_grid[net.ext_grid["in_service"].astype(bool)]
    held = pd.Series(grids["vm_pu"].to_numpy(float), index=name_of.reindex(grids["bus"]).to_numpy())
    held = held[~held.index.duplicated()].reindex(buses.index)
    boundary = pd.Index(nodes.loc[nodes["level"] == "dso", "boundary_bus"].unique())
    silent = boundary[held.reindex(boundary).isna()]
    if len(silent):
        done = "held at 1 pu: the network above is operated by a linear flow, which has no voltages"
        changed.append(Approximation(several("boundary bus", silent.tolist()), "vm_pu", done))
    return np.where(buses.index.isin(boundary), held.fillna(1.0), 1.0)


def _substation_pairs(net: Any, owner: pd.Series, notes: list[str]) -> np.ndarray:
    """Pairs of HV busbar sections that feed the transformers of one MV network: one substation, made one bus."""
    joined = fused_buses(net)
    feeding = net.trafo[owner.str.startswith("MV")]
    pairs = []
    for name, group in feeding.groupby(owner[feeding.index])["hv_bus"]:
        sections = joined.loc[group.to_numpy()].unique()
        if len(sections) > 1:
            pairs += [(int(sections[0]), int(other)) for other in sections[1:]]
            notes.append(f"the {len(sections)} HV busbar sections of the substation of {name} are one bus")
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _tree(net: Any, subnet: pd.Series, level: pd.Series, owner_of_trafo: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Nodes (level, parent, buses at the boundary) and the node of every bus."""
    above = level == "tso"
    # A pure LV case has nothing above its MV/LV transformers: the bus they hang on is the grid.
    grid_only = not above.any()
    if grid_only:
        above = pd.Series(net.bus.index.isin(net.trafo["hv_bus"]), index=net.bus.index)
    top = "transmission" if len(net.line[net.line["subnet"].astype(str).str.match("E?HV")]) else GRID
    node_of_bus = subnet.where(~above, top)
    rows: dict[str, tuple[str, str, int]] = {top: ("tso", "", -1)}
    for k, name in owner_of_trafo.items():
        high, low = int(net.trafo.at[k, "hv_bus"]), int(net.trafo.at[k, "lv_bus"])
        if name.startswith("MV"):
            rows.setdefault(name, ("dso", top, high))
    for k, name in owner_of_trafo.items():
        high, low = int(net.trafo.at[k, "hv_bus"]), int(net.trafo.at[k, "lv_bus"])
        if name.startswith("LV"):
            parent = subnet.loc[high]
            rows.setdefault(parent, ("dso", top, high))
            rows.setdefault(name, ("platform", parent, low))
    tree = pd.DataFrame.from_dict(rows, orient="index", columns=["level", "parent", "boundary"])
    order = tree["level"].map({"tso": 0, "dso": 1, "platform": 2})
    return tree.iloc[np.argsort(order.to_numpy(), kind="stable")], node_of_bus


def _bus_frame(net: Any, representative: pd.Series, bus_name: pd.Series, node_of_bus: pd.Series) -> pd.DataFrame:
    kept = representative.index[representative.to_numpy() == representative.index.to_numpy()]
    bus = net.bus.loc[kept]
    return pd.DataFrame(
        {
            "node": node_of_bus.loc[kept].to_numpy(),
            "vn_kv": bus["vn_kv"].to_numpy(float),
            "v_min_pu": bus["min_vm_pu"].astype(float).fillna(0.9).to_numpy(),
            "v_max_pu": bus["max_vm_pu"].astype(float).fillna(1.1).to_numpy(),
            **columns_of(coordinates(net).loc[kept]),
        },
        index=pd.Index(bus_name.loc[kept].to_numpy(), name="bus"),
    )


def _branch_frame(net: Any, name_of: pd.Series, tree: pd.DataFrame, owner_of_trafo: pd.Series, notes: list[str]) -> pd.DataFrame:
    top = tree.index[0]
    lines, units = line_frame(net, name_of), transformer_frame(net, name_of, untyped_taps=True)
    line_owner = net.line["subnet"].astype(str).str.split("_").str[0]
    lines["node"] = line_owner.where(line_owner.isin(tree.index), top)
    # An MV/LV transformer belongs to the DSO above its platform, an HV/MV transformer to the DSO it feeds.
    unit_owner = owner_of_trafo.map(lambda name: tree.at[name, "parent"] if name.startswith("LV") else name)
    units["node"] = unit_owner.where(unit_owner.isin(tree.index), top)
    setpoint = pd.to_numeric(net.trafo["autoTapSetp"], errors="coerce") if "autoTapSetp" in net.trafo else pd.Series(np.nan, index=net.trafo.index)
    automatic = pd.to_numeric(net.trafo["autoTap"], errors="coerce").fillna(0) == 1 if "autoTap" in net.trafo else setpoint.notna()
    low_kv = net.bus["vn_kv"].reindex(net.trafo["lv_bus"]).set_axis(net.trafo.index)
    silent = automatic & setpoint.isna() & (low_kv <= 110.0)
    if silent.any():
        notes.append(
            f"{int(silent.sum())} automatic tap changers have no set point in SimBench ({', '.join(sorted(owner_of_trafo[silent].unique())[:6])}): "
            f"{AUTOMATIC_TAP_SETPOINT} pu is taken, as at all others"
        )
    units["v_setpoint_pu"] = setpoint.where(automatic).mask(silent, AUTOMATIC_TAP_SETPOINT)
    lines.index = pd.Index(unique_names(net.line["name"], "line"))
    units.index = pd.Index(unique_names(net.trafo["name"], "transformer"))
    return between_buses(with_defaults("branch", pd.concat([lines, units])), notes)


def _node_columns(tree: pd.DataFrame, name_of: pd.Series) -> pd.DataFrame:
    boundary = [str(name_of.loc[b]) if b >= 0 else "" for b in tree["boundary"]]
    step = tree["level"].map({"tso": 60.0, "dso": 60.0, "platform": 15.0})
    nodes = pd.DataFrame({"level": tree["level"], "parent": tree["parent"], "boundary_bus": boundary, "step_minutes": step})
    nodes.index.name = "node"
    return nodes


def _profiles(net: Any, used: np.ndarray) -> xr.Dataset:
    """The profiles that devices follow, ``p`` and ``q``, dims (time, profile), 35,136 quarter hours of 2016.

    SimBench's time stamps jump with daylight saving time; its rows are evenly spaced, so they get standard time (UTC+1) all year.
    """
    names = sorted(str(name) for name in used if name)
    load, renewables = net.profiles["load"], net.profiles["renewables"]
    start = pd.to_datetime(load["time"].iloc[0], format="%d.%m.%Y %H:%M")
    time = pd.date_range(start, periods=len(load), freq="15min").to_numpy()
    p = np.ones((len(time), len(names)), dtype=np.float32)
    q = np.ones_like(p)
    for j, name in enumerate(names):
        if f"{name}_pload" in load:
            p[:, j], q[:, j] = load[f"{name}_pload"], load[f"{name}_qload"]
            np.maximum(p[:, j], 0.0, out=p[:, j])
        else:
            p[:, j] = renewables[name.removesuffix(RENEWABLE_SUFFIX)].clip(lower=0.0)
            q[:, j] = p[:, j]
    attrs = {"units": "1"}
    return xr.Dataset(
        {
            "p": (("time", "profile"), p, attrs | {"long_name": "active power relative to the rating"}),
            "q": (("time", "profile"), q, attrs | {"long_name": "reactive power relative to the rating"}),
        },
        coords={"time": time.astype("datetime64[ns]"), "profile": np.array(names, dtype=str)},
    )
