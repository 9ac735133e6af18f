"""The whole system: a tree of nodes with their networks, prosumers and profiles, as immutable labelled tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices import Device, Photovoltaics, device_settings
from multiscale.devices.fleet import Fleet, expand_fleet, rows_of
from multiscale.devices.prosumers import summed
from multiscale.system.approximation import Approximation
from multiscale.system.cut import cut_tables
from multiscale.system.network import Network
from multiscale.system.schema import GENERATION_KINDS, IDLE_KINDS, LOAD_KINDS
from multiscale.system.stored import TABLES, read_tables, write_tables
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class System:
    """Everything a study needs to know about the world, before any decision is taken.

    All tables are xarray datasets whose columns are declared in ``multiscale.system.schema`` (component in brackets).
    Methods return new systems; nothing is changed in place.

    Attributes:
        name: what it is, used in titles.
        nodes: (node) the tree.
        buses: (bus) connection points of all networks; electrically identical ones are already fused.
        branches: (branch) lines and transformers.
        prosumers: (prosumer) customers of the platforms.
        devices: (device) loads, generation and batteries, factored: rated power x profile.
        generators: (generator) wholesale generators, dispatched by the transmission level.
        options: (option) reinforcements the planner may choose.
        profiles: variables ``p`` and ``q``, dims (time, profile): active and reactive power relative to the rating [1], at an even step; or, in
            ``p``, another quantity that a column of the devices names, in the unit declared there (outdoor temperature).
        notes: what a source or a cut did that a reader of results must know.
        approximations: what of the data is approximated or excluded, since the model has no counterpart.
        device_settings: settings of every kind of device in force, as in the registry; no part of what is saved.
    """

    name: str
    nodes: xr.Dataset
    buses: xr.Dataset
    branches: xr.Dataset
    prosumers: xr.Dataset
    devices: xr.Dataset
    generators: xr.Dataset
    options: xr.Dataset
    profiles: xr.Dataset
    notes: tuple[str, ...] = field(default=())
    approximations: tuple[Approximation, ...] = field(default=())
    device_settings: Mapping[str, Device] = field(default_factory=device_settings)

    def __getstate__(self) -> dict[str, object]:
        """The tables without what is looked up in them: that is made anew where the object arrives."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __repr__(self) -> str:
        sizes = {"platforms": len(self.at_level("platform")), "DSOs": len(self.at_level("dso"))}
        sizes |= {"prosumers": self.prosumers.sizes["prosumer"], "buses": self.buses.sizes["bus"], "branches": self.branches.sizes["branch"]}
        return f"System {self.name!r}: " + ", ".join(f"{count:,} {what}" for what, count in sizes.items())

    # -- the tree ---------------------------------------------------------------------------------------------------
    @property
    def top(self) -> str:
        """The node without a parent."""
        return str(self.nodes.node.values[self.nodes.parent.values == ""][0])

    def at_level(self, level: str) -> list[str]:
        """Names of the nodes at a level, in table order."""
        return [str(n) for n in self.nodes.node.values[self.nodes.level.values == level]]

    def children(self, node: str) -> list[str]:
        """Names of the nodes directly below."""
        return [str(n) for n in self.nodes.node.values[self.nodes.parent.values == node]]

    def boundary_bus(self, node: str) -> str:
        """Bus at which the node meets its parent."""
        return self._boundary_buses[node]

    # -- what belongs to a node -------------------------------------------------------------------------------------
    def network(self, node: str) -> Network:
        """The branches a node owns and the buses at their ends (or its boundary bus, where it owns none)."""
        if node not in self._networks:
            self._networks[node] = self._network(node)
        return self._networks[node]

    def _network(self, node: str) -> Network:
        mine, buses = self._branches_of.get(node, _NONE), self._columns["bus"]
        own = {name: values[mine] for name, values in self._columns["branch"].items()}
        ends = pd.unique(np.concatenate([own["from_bus"], own["to_bus"], buses["bus"][self._buses_of.get(node, _NONE)]]))
        at = self._bus_names.get_indexer(pd.Index(ends))
        if (at < 0).any():
            raise KeyError(f"system {self.name!r}: branches of {node!r} end at unknown buses {ends[at < 0][:5].tolist()}")
        return Network(node, {name: values[at] for name, values in buses.items()}, own, self.boundary_bus(node))

    def fleet(self, node: str, horizon: Horizon) -> Fleet:
        """The prosumers of a platform over a horizon, as arrays (prosumer, period)."""
        prosumers, devices = self._columns["prosumer"], self._columns["device"]
        members, theirs = self._prosumers_of.get(node, _NONE), self._devices_of.get(node, _NONE)
        table = {name: values[theirs] for name, values in devices.items()}
        reactive = table["q_kvar"][:, None] * self._series(theirs, horizon)[1]
        people = {name: values[members] for name, values in prosumers.items()}
        return expand_fleet(node, people, table, self._sampler(theirs, horizon), reactive, horizon, self.device_settings)

    @property
    def curtailment_cost(self) -> float:
        """Cost of each kWh of available generation that is not used, of passive generation too [EUR/kWh]."""
        return Photovoltaics.of(self.device_settings).curtailment_cost

    def uncontrolled(self, devices: np.ndarray, horizon: Horizon) -> tuple[np.ndarray, np.ndarray]:
        """Active power [kW] and reactive power drawn [kvar] of uncontrolled devices, (position, period).

        Storage has no series of its own: the caller excludes it.

        Args:
            devices: positions in the table.
            horizon: periods.
        """
        table = {name: values[devices] for name, values in self._columns["device"].items()}
        p, q = self._series(devices, horizon)
        power, sample = table["p_kw"][:, None] * p, self._sampler(devices, horizon)
        for device in self.device_settings.values():
            mine = np.flatnonzero(np.isin(table["kind"], device.kinds))
            if device.role != "storage" and len(mine):
                power[mine] = device.reference(rows_of(device, table, sample, np.zeros(len(devices), dtype=int), 1))
        return power, table["q_kvar"][:, None] * q

    def passive(self, node: str, horizon: Horizon) -> xr.Dataset:
        """What is not traded, at the buses of a node's network, over a horizon; found once.

        Dataset with dims (bus, period): ``demand`` [kW], ``reactive`` [kvar, drawn] and ``generation`` [kW, available] of the devices without a
        prosumer. Storage without a prosumer stands idle.
        """
        found = self._passive_found
        if (key := (node, horizon)) not in found:
            found[key] = self._passive(node, horizon)
            while len(found) > PASSIVE_KEPT:
                del found[next(iter(found))]
        return found[key].copy()

    def _passive(self, node: str, horizon: Horizon) -> xr.Dataset:
        network = self.network(node)
        buses = [b for b in network.buses.bus.values.tolist() if b != self.boundary_bus(node) or node == self.top]
        at = {bus: i for i, bus in enumerate(buses)}
        theirs = np.sort(np.concatenate([_NONE, *(self._passive_devices.get(b, _NONE) for b in buses)]))
        devices = {name: values[theirs] for name, values in self._columns["device"].items()}
        rows = np.array([at[b] for b in devices["bus"].tolist()], dtype=int)
        power, drawn = self.uncontrolled(theirs, horizon)
        out = {}
        is_load, feeds_in = (np.isin(devices["kind"], kinds) for kinds in (LOAD_KINDS, GENERATION_KINDS))
        for name, chosen, values in (("demand", is_load, power), ("generation", feeds_in, power), ("reactive", is_load, drawn)):
            by_bus = summed(values[chosen], rows[chosen], len(buses))
            out[name] = (("bus", "period"), by_bus, {"units": "kvar" if name == "reactive" else "kW"})
        return xr.Dataset(out, {"bus": buses, "period": horizon.labels})

    # -- looked up once ---------------------------------------------------------------------------------------------
    @cached_property
    def _boundary_buses(self) -> dict[str, str]:
        return dict(zip(self.nodes.node.values.tolist(), self.nodes.boundary_bus.values.tolist(), strict=True))

    @cached_property
    def _networks(self) -> dict[str, Network]:
        return {}

    @cached_property
    def _passive_found(self) -> dict[tuple[str, Horizon], xr.Dataset]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, dict[str, np.ndarray]]:
        """Columns of the tables of which every node has its rows: taking rows of arrays is cheaper than of labelled tables."""
        tables = {"bus": self.buses, "branch": self.branches, "prosumer": self.prosumers, "device": self.devices}
        return {component: {str(n): v.values for n, v in data.variables.items()} for component, data in tables.items()}

    @cached_property
    def _bus_names(self) -> pd.Index:
        return pd.Index(self.buses.bus.values)

    @cached_property
    def _branches_of(self) -> dict[str, np.ndarray]:
        return _positions(self.branches.node.values)

    @cached_property
    def _buses_of(self) -> dict[str, np.ndarray]:
        return _positions(self.buses.node.values)

    @cached_property
    def _prosumers_of(self) -> dict[str, np.ndarray]:
        return _positions(self.prosumers.node.values)

    @cached_property
    def _devices_of(self) -> dict[str, np.ndarray]:
        """Node of a platform -> positions of its prosumers' devices."""
        owner = pd.Index(self.prosumers.prosumer.values).get_indexer(self.devices.prosumer.values)
        owned = np.flatnonzero(owner >= 0)
        return {node: owned[at] for node, at in _positions(self.prosumers.node.values[owner[owned]]).items()}

    @cached_property
    def _passive_devices(self) -> dict[str, np.ndarray]:
        """Bus -> positions of its devices without a prosumer, excluding storage, which stands idle."""
        at = np.flatnonzero((self.devices.prosumer.values == "") & ~np.isin(self.devices.kind.values, IDLE_KINDS))
        return {bus: at[here] for bus, here in _positions(self.devices.bus.values[at]).items()}

    @cached_property
    def _sampled(self) -> dict[Horizon, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        return {}

    def _series(self, devices: np.ndarray, horizon: Horizon, column: str = "profile") -> tuple[np.ndarray, np.ndarray]:
        """Profiles that a column names for the devices at some positions, (device, period): sampled once for all nodes, of the last horizon."""
        if horizon not in self._sampled:
            self._sampled.clear()
            self._sampled[horizon] = {}
        sampled = self._sampled[horizon]
        if column not in sampled:
            codes, names = pd.factorize(self.devices[column].values)
            sampled[column] = (codes, *horizon.sample(self.profiles, names))
        codes, p, q = sampled[column]
        return p[codes[devices]], q[codes[devices]]

    def _sampler(self, devices: np.ndarray, horizon: Horizon) -> Callable[[str, np.ndarray], np.ndarray]:
        """Column that names a profile, and positions among some devices -> those profiles, (position, period)."""
        return lambda column, positions: self._series(devices[positions], horizon, column)[0]

    # -- making other systems ---------------------------------------------------------------------------------------
    def replace(self, **changes: object) -> System:
        """A copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def restricted(self, horizon: Horizon) -> System:
        """The same system with the profiles of a horizon's days alone, which is what travels to a worker."""
        days = pd.DatetimeIndex(self.profiles.time.values).normalize().isin(pd.DatetimeIndex(horizon.days))
        other = self.replace(profiles=self.profiles.isel(time=np.flatnonzero(days)).copy(deep=True))
        # The other tables are the same objects, and so is what is looked up in them.
        other.__dict__.update({name: getattr(self, name) for name in _OF_TABLES})
        return other

    def cut(self, nodes: Sequence[str], name: str | None = None) -> System:
        """Keep the given nodes (ancestors included); what hangs below a dropped node becomes passive where that node was connected.

        See ``system/cut.py``.

        Raises:
            KeyError: an unknown node.
        """
        tables, note = cut_tables({t: getattr(self, t) for t in TABLES}, nodes, self.name)
        return self.replace(name=name or self.name, notes=self.notes + note, **tables)

    # -- files ------------------------------------------------------------------------------------------------------
    def save(self, folder: Path) -> None:
        """Write the tables as Parquet and the profiles as plain arrays (float32) into a folder."""
        write_tables(folder, self.name, {t: getattr(self, t) for t in TABLES}, self.profiles, self.notes, self.approximations)

    @classmethod
    def load(cls, folder: Path) -> System:
        """Read what ``save`` wrote; the profiles stay on disk until they are sampled."""
        return cls(**read_tables(folder))


_OF_TABLES = (
    "_boundary_buses",
    "_networks",
    "_columns",
    "_bus_names",
    "_branches_of",
    "_buses_of",
    "_prosumers_of",
    "_devices_of",
    "_passive_devices",
)
"""What is looked up in tables other than the profiles."""

_NONE = np.zeros(0, dtype=int)

PASSIVE_KEPT = 256
"""Nodes and horizons of which it is kept what is not traded; the oldest are found again."""


def _positions(owner: np.ndarray) -> dict[str, np.ndarray]:
    """Owner -> positions of what it owns, in order."""
    names, group = np.unique(owner, return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.searchsorted(group[order], np.arange(1, len(names))))
    return {str(name): part for name, part in zip(names.tolist(), parts, strict=True)} if len(names) else {}
