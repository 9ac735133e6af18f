"""Any pandapower network as a system: the hierarchy is read off its voltage levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from multiscale.sources.followed_profiles import CONSTANT, STANDARD, constant_profiles, followed
from multiscale.sources.open_ends import charging_within_busbars, taken_at_open_ends
from multiscale.sources.opendss_script import read_script
from multiscale.sources.pandapower_branches import branch_frame
from multiscale.sources.pandapower_checks import table_problems
from multiscale.sources.pandapower_devices import drawn_power, embedded_generators, network_devices, network_prosumers
from multiscale.sources.pandapower_elements import plain_network
from multiscale.sources.pandapower_files import APPROXIMATED, read_network
from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV, LOW_VOLTAGE_KV, held_above, hierarchy, without_ties
from multiscale.sources.pandapower_supply import grid_pairs, network_generators, source_frame
from multiscale.sources.pandapower_tables import columns_of, coordinates, drop_unconnected, fused_buses, unique_names
from multiscale.sources.profile_files import read_profiles
from multiscale.sources.rings import opened_rings
from multiscale.sources.settings import LocalTimeSettings
from multiscale.system.approximation import Approximation, several
from multiscale.system.problem import InvalidSystemError
from multiscale.system.schema import table
from multiscale.system.system import System


class PandapowerSettings(LocalTimeSettings):
    """Any pandapower network (json, xlsx), MATPOWER case (m) or balanced OpenDSS model (dss)."""

    kind: Literal["pandapower"] = "pandapower"
    profiles: Literal["standard", "constant"] | Path = Field(
        "standard",
        description="profiles of the loads and the generation: standard (SimBench's profiles by customer class), constant, or a CSV or Parquet file",
    )

    @model_validator(mode="after")
    def _file_there(self) -> PandapowerSettings:
        if not self.path.exists():
            raise ValueError(f"path '{self.path}' does not exist")
        if isinstance(self.profiles, Path) and not self.profiles.is_file():
            raise ValueError(f"profiles '{self.profiles}' is no file; give standard, constant, or the path of a CSV or Parquet file")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """The network, an OpenDSS model with all files that it reads, and, where one is given, the file of profiles."""
        network = read_script(self.path).files if self.path.suffix.lower() == ".dss" else (self.path,)
        return (*network, self.profiles) if isinstance(self.profiles, Path) else network

    @property
    def packages(self) -> dict[str, str]:
        """Standard profiles come with the package of SimBench."""
        return {"standard profiles": "simbench"} if self.profiles == STANDARD else {}


def pandapower_source(settings: PandapowerSettings, co2_price: float) -> System:  # noqa: ARG001  the network states the costs of generators
    """The system that the settings name; see ``pandapower_system``."""
    return pandapower_system(settings.path, settings.profiles, time_zone=settings.time_zone)


def pandapower_system(path: Any, profiles: pd.DataFrame | str | Path = CONSTANT, name: str = "", time_zone: str = "") -> System:
    """A pandapower network as a system.

    The tree follows the voltage: everything from 60 kV on is the transmission level; each network between 1 and 60 kV that hangs on it
    by transformers at one bus is a DSO (and owns those transformers); each network up to 1 kV is a platform (its transformer belongs
    to the DSO above), with one prosumer per bus that has a device. A network without high voltage has the bus of its external grid
    as top. A DSO with no low voltage below it gets one platform per bus with a device: the customers of that substation, one
    prosumer per load. Closed rings of the lower levels are opened where the least current flows; a meshed network with power stations counts as
    part of the level above; a power station inside a DSO is a constant source there. What is approximated or excluded is in ``approximations``.

    Args:
        path: pandapower network, or the path of one: JSON (``.json``), Excel (``.xlsx``), MATPOWER (``.m``), OpenDSS (``.dss``).
        profiles: ``constant``, ``standard`` (SimBench's profiles by customer class), or time series: a CSV or Parquet file, or a table with the time
            in its index. A load or generator follows the column named in its ``profile`` column, else the one of its own name, else that of its
            customer class, else the standard profile of its class.
        name: title of the system; default: the network's own.
        time_zone: of time stamps without an offset; empty: standard time all year.

    Raises:
        InvalidSystemError: a file that cannot be read, or tables that lack what they need, all of it listed.
    """
    given = read_network(Path(path)) if isinstance(path, str | Path) else path
    changed: list[Approximation] = [a for a in given.get(APPROXIMATED, ()) if isinstance(a, Approximation)]
    wrong = table_problems(given)
    if wrong:
        raise InvalidSystemError(wrong)
    notes: list[str] = []
    net = plain_network(given, changed)
    representative = fused_buses(net, grid_pairs(net, notes, changed))
    bus_name = unique_names(net.bus["name"] if "name" in net.bus else pd.Series("", index=net.bus.index), "bus")
    name_of = bus_name.reindex(representative).set_axis(net.bus.index)
    charging_within_busbars(net, name_of)
    branches = branch_frame(net, name_of, notes, changed)
    kept = representative.index[(representative.to_numpy() == representative.index.to_numpy()) & net.bus["in_service"].to_numpy(bool)]
    buses = _bus_frame(net, kept, bus_name, name_of, changed)
    branches = _between(branches, buses, notes)
    sources = source_frame(net, name_of)
    sources = sources[sources["bus"].isin(buses.index)]
    devices = network_devices(net, name_of, notes, changed)
    devices, series = _followed(devices[devices["bus"].isin(buses.index)], buses, profiles, time_zone, notes)
    drawn = drawn_power(devices)
    branches = opened_rings(buses, branches, held_above(buses, branches, sources, drawn), drawn, changed)
    nodes = hierarchy(buses, branches, sources, drawn, changed)
    branches = without_ties(nodes, buses, branches, notes)
    embedded = embedded_generators(sources, buses, nodes, devices.index, changed)
    sources = sources.drop(sources.index[sources["key"].isin(embedded["key"])])
    devices = pd.concat([devices, embedded.drop(columns="key")]) if len(embedded) else devices
    buses = drop_unconnected(buses, branches, pd.concat([devices["bus"], sources["bus"]]), notes)
    branches = _between(branches, buses, notes)
    notes.append(_levels(buses))
    _hold_boundaries(net, nodes, buses, name_of, sources, changed)
    prosumers = network_prosumers(nodes, buses, devices)
    grid_only = not (branches["node"] == nodes.index[0]).any()
    generators = network_generators(net, sources, buses, branches, notes, changed, grid_only)
    return System(
        name=name or str(net.get("name") or "") or (Path(path).stem if isinstance(path, str | Path) else "pandapower network"),
        nodes=table("node", nodes.index, columns_of(nodes)),
        buses=table("bus", buses.index, columns_of(buses)),
        branches=table("branch", branches.index, columns_of(branches)),
        prosumers=table("prosumer", prosumers.index, columns_of(prosumers)),
        devices=table("device", devices.index, columns_of(devices)),
        generators=table("generator", generators.index, columns_of(generators)),
        options=table("option", [], {"branch": [], "added_rating_kva": [], "cost_eur": []}),
        profiles=series,
        notes=tuple(notes),
        approximations=tuple(changed),
    )


def _between(branches: pd.DataFrame, buses: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Branches between buses of the table; what those that are omitted take at open ends becomes a shunt."""
    kept = branches["from_bus"].isin(buses.index) & branches["to_bus"].isin(buses.index)
    taken_at_open_ends(buses, branches[~kept], notes)
    return branches[kept]


def _followed(
    devices: pd.DataFrame, buses: pd.DataFrame, profiles: pd.DataFrame | str | Path, time_zone: str, notes: list[str]
) -> tuple[pd.DataFrame, xr.Dataset]:
    """The devices with the profiles they follow (without their ``class``), and these profiles."""
    if isinstance(profiles, str) and profiles == CONSTANT:
        notes.append("constant: every load and source runs at the power that the network states, all year (system.profiles=constant)")
        return devices.assign(profile="").drop(columns="class"), constant_profiles()
    wanted = None if isinstance(profiles, str) and profiles == STANDARD else profiles
    file = None if wanted is None else read_profiles(wanted if isinstance(wanted, pd.DataFrame) else Path(wanted), time_zone)
    notes += file.notes if file else ()
    return followed(devices, buses["vn_kv"], file, notes)


def _levels(buses: pd.DataFrame) -> str:
    """How the voltages of the network were read as levels."""
    if (buses["vn_kv"] >= HIGH_VOLTAGE_KV).any():
        top = f"from {HIGH_VOLTAGE_KV:g} kV on transmission level"
    else:
        top = f"nothing from {HIGH_VOLTAGE_KV:g} kV on, so the bus of the external grid is the top"
    return f"levels by nominal voltage: {top}, below it distribution systems, up to {LOW_VOLTAGE_KV:g} kV platforms"


def _bus_frame(net: Any, kept: pd.Index, bus_name: pd.Series, name_of: pd.Series, changed: list[Approximation]) -> pd.DataFrame:
    """Buses with their limits, as given where they are, and their shunts."""
    buses = pd.DataFrame(
        {
            "vn_kv": net.bus.loc[kept, "vn_kv"].to_numpy(float),
            "v_min_pu": _limit(net, kept, "min_vm_pu", 0.9),
            "v_max_pu": _limit(net, kept, "max_vm_pu", 1.1),
            **columns_of(coordinates(net).loc[kept]),
        },
        index=pd.Index(bus_name.loc[kept].to_numpy(), name="bus"),
    )
    buses["shunt_p_kw"], buses["shunt_q_kvar"] = 0.0, 0.0
    rows = net.shunt[net.shunt["in_service"].astype(bool)] if len(net.shunt) else net.shunt
    if len(rows):
        at = name_of.reindex(rows["bus"]).to_numpy()
        nominal = net.bus["vn_kv"].reindex(rows["bus"]).to_numpy(float)
        rated = pd.to_numeric(rows["vn_kv"], errors="coerce").to_numpy(float) if "vn_kv" in rows else nominal
        scale = pd.to_numeric(rows["step"], errors="coerce").fillna(1.0).to_numpy() if "step" in rows else 1.0
        scale = scale * 1e3 * (nominal / np.where(np.isfinite(rated), rated, nominal)) ** 2
        for column, given in (("shunt_p_kw", "p_mw"), ("shunt_q_kvar", "q_mvar")):
            total = pd.Series(rows[given].to_numpy(float) * scale).groupby(at).sum()
            buses[column] = total.reindex(buses.index).fillna(0.0).to_numpy()
        active = buses.index[buses["shunt_p_kw"] != 0]
        if len(active):
            done = f"{buses['shunt_p_kw'].sum():,.6g} kW at nominal voltage are in the AC power flow, and neglected in operation and planning"
            changed.append(Approximation(several("shunt of bus", list(active)), "p_mw", done))
    buses["v_root_pu"] = 1.0
    return buses


def _hold_boundaries(
    net: Any, nodes: pd.DataFrame, buses: pd.DataFrame, name_of: pd.Series, sources: pd.DataFrame, changed: list[Approximation]
) -> None:
    """Voltage at the boundary buses of the DSOs: that of the grid or generator there, else of the file's own power flow; sets ``v_root_pu``."""
    given = sources.drop_duplicates("bus").set_index("bus")["vm_pu"]
    solved = net.res_bus["vm_pu"] if "res_bus" in net and "vm_pu" in net.res_bus else pd.Series(dtype=float)
    found = pd.Series(solved.to_numpy(float), index=name_of.reindex(solved.index)).dropna() if len(solved) else solved
    found = found[~found.index.duplicated()]
    silent = []
    for bus in nodes.loc[nodes["level"] == "dso", "boundary_bus"].unique():
        if np.isfinite(given.get(bus, np.nan)):
            buses.loc[bus, "v_root_pu"] = given[bus]
        elif bus in found.index:
            buses.loc[bus, "v_root_pu"] = found[bus]
        else:
            silent.append(bus)
    held = [bus for bus in nodes.loc[nodes["level"] == "dso", "boundary_bus"].unique() if bus not in given.index and bus not in silent]
    if held:
        done = "held at the voltage of the file's own power flow, whatever the transmission level does"
        changed.append(Approximation(several("boundary bus", held), "vm_pu", done))
    if silent:
        changed.append(Approximation(several("boundary bus", silent), "vm_pu", "not known: held at 1 pu"))


def _limit(net: Any, kept: pd.Index, column: str, default: float) -> np.ndarray:
    """A limit of voltages as given; the default where none is."""
    if column not in net.bus:
        return np.full(len(kept), default)
    given = pd.to_numeric(net.bus.loc[kept, column], errors="coerce")
    return given.where(np.isfinite(given), default).to_numpy(float)
