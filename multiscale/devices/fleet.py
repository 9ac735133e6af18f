"""The prosumers of a platform as arrays over (prosumer, period): no object per prosumer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from multiscale.devices.device import Device, Rows, Variable
from multiscale.devices.prosumers import summed
from multiscale.devices.purchasable import Adoption, PurchasableDevice
from multiscale.devices.registry import DEVICES, device_settings
from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
from multiscale.timeline import Horizon

COMMON = {
    "demand": Variable("kW", "inflexible demand", by_period=True),
    "reactive": Variable("kvar", "reactive power drawn", by_period=True),
    "customers": Variable("1", "customers that the prosumer stands for"),
}
"""Variables that every prosumer has, whatever it owns."""

TEXTS = ("bus", "category")


def fleet_variables(devices: Mapping[str, Device | type[Device]]) -> dict[str, Variable]:
    """Name -> declaration of all variables of a fleet with such devices, the common ones first."""
    return COMMON | {name: declared for device in devices.values() for name, declared in device.variables.items()}


@dataclass(frozen=True)
class Fleet:
    """Prosumers of one platform over one horizon.

    Attributes:
        node: the platform.
        horizon: the periods.
        data: dataset with dims (prosumer, period) ``demand`` [kW], ``reactive`` [kvar], with dim (prosumer) ``customers`` [1], ``bus``,
            ``category`` (text), and the variables that the devices declare.
        devices: settings of the devices in force, as in the registry.
    """

    node: str
    horizon: Horizon
    data: xr.Dataset
    devices: Mapping[str, Device] = field(default_factory=device_settings)

    def __getstate__(self) -> dict[str, object]:
        """Plain arrays in place of the labelled ones, which take far longer to pack."""
        variables = {name: (variable.dims, variable.values, dict(variable.attrs)) for name, variable in self.data.variables.items()}
        changed = {key: device.model_dump(exclude_defaults=True) for key, device in self.devices.items()}
        return {"node": self.node, "horizon": self.horizon, "variables": variables, "devices": changed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Label them again."""
        variables = state["variables"]
        labels = {name: variables[name] for name in ("prosumer", "period")}
        data = xr.Dataset({name: content for name, content in variables.items() if name not in labels}, coords=labels)
        devices = {key: DEVICES[key](**changed) for key, changed in state["devices"].items()}
        for name, value in (("node", state["node"]), ("horizon", state["horizon"]), ("data", data), ("devices", devices)):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of prosumers."""
        return int(self.data.sizes["prosumer"])

    # -- power without control ------------------------------------------------------------------------------------------
    @property
    def reference_demand(self) -> np.ndarray:
        """Power drawn by uncontrolled devices [kW], (prosumer, period): inflexible demand and the reference of flexible devices."""
        return _plus(self.arrays["demand"], (d.reference_consumption(self) for d in self.devices.values()))

    @property
    def reference_generation(self) -> np.ndarray:
        """Power available to be fed in [kW], (prosumer, period)."""
        return _plus(np.zeros(self.arrays["demand"].shape), (d.reference_generation(self) for d in self.devices.values()))

    def yearly_reference_demand(self) -> float:
        """Energy drawn in the year when uncontrolled, of all prosumers [kWh/a]."""
        return float((self.reference_demand * self.horizon.hours_per_year).sum())

    # -- in a program ---------------------------------------------------------------------------------------------------
    def largest_consumption(self) -> np.ndarray:
        """Upper bound on what each prosumer can draw [kW], (prosumer, period)."""
        return self._largest[0]

    def largest_supply(self) -> np.ndarray:
        """Upper bound on what each prosumer can feed in [kW], (prosumer, period)."""
        return self._largest[1]

    @cached_property
    def _largest(self) -> tuple[np.ndarray, np.ndarray]:
        drawn = _plus(self.arrays["demand"], (d.largest_consumption(self) for d in self.devices.values()))
        return drawn, _plus(np.zeros(self.arrays["demand"].shape), (d.largest_supply(self) for d in self.devices.values()))

    def add_devices(self, builder: ProgramBuilder) -> dict[str, list[Term]]:
        """Add columns and rows of all devices; returns device -> its terms of the prosumers' balance, supply positive."""
        return {key: device.add(builder, self) for key, device in self.devices.items()}

    @property
    def decided(self) -> tuple[str, ...]:
        """Columns of a program that are decisions of a period."""
        return tuple(name for device in self.devices.values() for name in device.decided)

    @property
    def states(self) -> tuple[str, ...]:
        """Columns of a program that are states at the end of a period."""
        return tuple(name for device in self.devices.values() for name in device.states)

    # -- new capacity ---------------------------------------------------------------------------------------------------
    def offered(self, adoption: Adoption) -> dict[str, PurchasableDevice]:
        """The devices of an offer, in the order of the registry.

        Raises:
            KeyError: a device that is not in force, or that cannot be bought.
        """
        bought = {key: device for key, device in self.devices.items() if key in adoption and isinstance(device, PurchasableDevice)}
        wrong = sorted(set(adoption) - set(bought))
        if wrong:
            raise KeyError(f"fleet {self.node!r}: {wrong} cannot be bought; offer devices among {sorted(purchasable(self.devices))}")
        return bought

    def add_adoption(self, builder: ProgramBuilder, adoption: Adoption, annuity: Callable[[float], float]) -> dict[str, list[Term]]:
        """Add capacity that may be bought, at its yearly cost; returns device -> its terms of the prosumers' balance.

        Args:
            builder: of the program.
            adoption: what is offered.
            annuity: lifetime [a] -> yearly payment per EUR invested [1/a].
        """
        bought = self.offered(adoption).items()
        return {key: device.add_new(builder, self, adoption[key], device.yearly_cost(annuity)) for key, device in bought}

    def new_consumption(self, adoption: Adoption) -> np.ndarray:
        """Upper bound on what capacity that may be bought can draw [kW], (prosumer, period)."""
        none = np.zeros(self.arrays["demand"].shape)
        return _plus(none, (d.new_consumption(adoption[key]) for key, d in self.offered(adoption).items()))

    def new_supply(self, adoption: Adoption) -> np.ndarray:
        """Upper bound on what capacity that may be bought can supply [kW], (prosumer, period)."""
        none = np.zeros(self.arrays["demand"].shape)
        return _plus(none, (d.new_supply(adoption[key]) for key, d in self.offered(adoption).items()))

    def with_more(self, bought: Mapping[str, float | np.ndarray], adoption: Adoption) -> Fleet:
        """The fleet with new capacity.

        Args:
            bought: device -> new capacity [unit of its capacity], of every prosumer, (prosumer,), or in all: then it is shared in proportion to
                their reference demand over the horizon.
            adoption: what was offered, for the profiles that new capacity follows.
        """
        used = (self.reference_demand * self.horizon.hours_per_year).sum(axis=1)
        share, arrays = used / used.sum(), self.arrays
        changes: dict[str, np.ndarray] = {}
        for key, device in self.offered({key: adoption[key] for key in bought}).items():
            changes |= device.with_new(arrays, np.asarray(bought[key]) if np.ndim(bought[key]) else share * bought[key], adoption[key].profile)
        return self.changed(changes)

    # -- other fleets -----------------------------------------------------------------------------------------------------
    @cached_property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Variables and coordinates of the fleet without labels, by name: looking them up in the dataset takes longer than computing with them."""
        return {str(name): variable.values for name, variable in self.data.variables.items()}

    def changed(self, values: Mapping[str, np.ndarray]) -> Fleet:
        """The fleet with other values of some variables; nothing is changed in place."""
        data = self.data.copy(deep=True)
        for name, new in values.items():
            data[name].values[:] = new
        return replace(self, data=data)

    def scaled(self, demand: np.ndarray | float, consumption: np.ndarray | float, generation: np.ndarray | float) -> Fleet:
        """The fleet with inflexible demand, consumption of flexible devices and generation so many times what they were, (period,) [1]."""
        arrays = self.arrays
        changes = {"demand": arrays["demand"] * demand}
        for device in self.devices.values():
            changes |= device.scaled(arrays, consumption, generation)
        return self.changed(changes)

    def aggregate(self, groups: np.ndarray) -> Fleet:
        """One participant per group: powers and energies add up, efficiencies are averaged by energy.

        What the participant can do is exact where the devices of the group differ in size only (see ``Device.aggregate``); otherwise it is an
        outer approximation.

        Args:
            groups: name of the group of every prosumer.
        """
        names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        arrays, count = self.arrays, len(names)
        out = {name: summed(arrays[name], group, count) for name in COMMON}
        for device in self.devices.values():
            out |= device.aggregate(arrays, group, count)
        first = np.array([int(np.flatnonzero(group == g)[0]) for g in range(count)], dtype=int)
        texts = {name: self.arrays[name][first] for name in TEXTS}
        return replace(self, data=fleet_data(names, self.horizon, out, texts, self.devices))

    def day(self, number: int) -> Fleet:
        """The fleet on one of the horizon's days."""
        return self.within(self.horizon.day(number), np.flatnonzero(self.horizon.day_of == number))

    def within(self, horizon: Horizon, periods: np.ndarray) -> Fleet:
        """The fleet in some of its periods, given as positions, which are those of ``horizon``."""
        return replace(self, horizon=horizon, data=self.data.isel(period=periods))


def fleet_data(
    prosumers: np.ndarray, horizon: Horizon, values: Mapping[str, np.ndarray], texts: Mapping[str, np.ndarray], devices: Mapping[str, Device]
) -> xr.Dataset:
    """The dataset of a fleet: units and meanings attached.

    Args:
        prosumers: names.
        horizon: periods.
        values: variable -> values, (prosumer, period) or (prosumer,).
        texts: ``bus`` and ``category``.
        devices: settings in force.
    """
    data: dict[str, object] = {}
    for name, declared in fleet_variables(devices).items():
        dims = ("prosumer", "period") if declared.by_period else ("prosumer",)
        data[name] = (dims, values[name], {"units": declared.unit, "long_name": declared.meaning})
    for name, text in texts.items():
        data[name] = ("prosumer", text)
    return xr.Dataset(data, coords={"prosumer": prosumers, "period": horizon.labels})


def customers_of(fleet: Fleet) -> tuple[np.ndarray, np.ndarray]:
    """Names of the prosumers of a fleet, and how many customers each stands for [1], (prosumer,)."""
    return fleet.arrays["prosumer"], fleet.arrays["customers"]


def expand_fleet(
    node: str,
    prosumers: Mapping[str, np.ndarray],
    table: Mapping[str, np.ndarray],
    sample: Callable[[str, np.ndarray], np.ndarray],
    reactive: np.ndarray,
    horizon: Horizon,
    devices: Mapping[str, Device],
) -> Fleet:
    """Gather the rows of the device table by prosumer; every device expands its own.

    Args:
        node: the platform.
        prosumers, table: columns of the tables of prosumers and devices, in the rows of this platform.
        sample: column that names a profile, and positions of rows -> profiles, (position, period).
        reactive: reactive power of every row when it follows its profile [kvar], (row, period).
        horizon: periods.
        devices: settings in force.
    """
    names, kind = prosumers["prosumer"], table["kind"]
    at = {name: i for i, name in enumerate(names.tolist())}
    owner = np.array([at[name] for name in table["prosumer"].tolist()], dtype=int)
    count = len(names)
    load = np.flatnonzero(kind == "load")
    consuming = np.flatnonzero(np.isin(kind, ["load", *(k for d in devices.values() if d.role == "consumption" for k in d.kinds)]))
    values = {
        "demand": summed(table["p_kw"][load, None] * sample("profile", load), owner[load], count),
        "reactive": summed(reactive[consuming], owner[consuming], count),
        "customers": np.ones(count),
    }
    for device in devices.values():
        values |= device.expand(rows_of(device, table, sample, owner, count))
    data = fleet_data(names, horizon, values, {name: prosumers[name] for name in TEXTS}, devices)
    return Fleet(node, horizon, data, devices)


def rows_of(
    device: Device | type[Device], table: Mapping[str, np.ndarray], sample: Callable[[str, np.ndarray], np.ndarray], owner: np.ndarray, owners: int
) -> Rows:
    """The rows of a device table that belong to a kind of device; see ``expand_fleet``."""
    mine = np.flatnonzero(np.isin(table["kind"], device.kinds))
    return Rows({name: column[mine] for name, column in table.items()}, lambda column: sample(column, mine), owner[mine], owners)


def _plus(start: np.ndarray, parts: Iterable[np.ndarray | float]) -> np.ndarray:
    """A sum in the order of the registry."""
    total = start
    for part in parts:
        total = total + part
    return total


def purchasable(devices: Mapping[str, Device]) -> dict[str, PurchasableDevice]:
    """The devices that prosumers may buy."""
    return {key: device for key, device in devices.items() if isinstance(device, PurchasableDevice)}
