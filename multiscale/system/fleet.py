"""The prosumers of a platform as arrays over (prosumer, period): no object per prosumer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from multiscale.timeline import Horizon

_SUMMED = {
    "demand": ("kW", "inflexible demand"),
    "reactive": ("kvar", "reactive power drawn"),
    "pv": ("kW", "available photovoltaic power"),
    "ev": ("kW", "charging of electric vehicles on arrival (reference)"),
    "heat_pump": ("kW", "consumption of heat pumps without flexibility (reference)"),
}
_RATED = {
    "pv_rating": ("kW", "rated photovoltaic power"),
    "ev_power": ("kW", "charging power of electric vehicles"),
    "heat_pump_power": ("kW", "electric power of heat pumps"),
    "battery_power": ("kW", "battery converter power"),
    "battery_energy": ("kWh", "usable battery energy"),
    "battery_efficiency": ("1", "one-way battery efficiency"),
    "battery_loss": ("1/h", "share of stored energy lost in an hour"),
}


@dataclass(frozen=True)
class Fleet:
    """Prosumers of one platform over one horizon.

    Attributes:
        node: the platform.
        horizon: the periods.
        data: dataset with dims (prosumer, period) ``demand``, ``reactive``, ``pv``, ``ev``, ``heat_pump`` [kW, kvar], and dim (prosumer)
            ``pv_rating``, ``ev_power``, ``heat_pump_power``, ``battery_power`` [kW], ``battery_energy`` [kWh], ``battery_efficiency`` [1],
            ``battery_loss`` [1/h] and ``bus``, ``category`` (text).
    """

    node: str
    horizon: Horizon
    data: xr.Dataset

    def __getstate__(self) -> dict[str, object]:
        """Plain arrays in place of the labelled ones, which take far longer to pack."""
        variables = {name: (variable.dims, variable.values, dict(variable.attrs)) for name, variable in self.data.variables.items()}
        return {"node": self.node, "horizon": self.horizon, "variables": variables}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Label them again."""
        variables = state["variables"]
        labels = {name: variables[name] for name in ("prosumer", "period")}
        data = xr.Dataset({name: content for name, content in variables.items() if name not in labels}, coords=labels)
        for name, value in (("node", state["node"]), ("horizon", state["horizon"]), ("data", data)):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of prosumers."""
        return int(self.data.sizes["prosumer"])

    def aggregate(self, groups: np.ndarray) -> Fleet:
        """One participant per group: powers and energies add up, efficiencies are averaged by energy.

        The aggregate battery is exact where the group's batteries share efficiency, losses and power per energy (then the Minkowski
        sum of the single ones is one battery); otherwise it is an outer approximation. The same holds for deferrable demand.

        Args:
            groups: name of the group of every prosumer.
        """
        names, inverse = np.unique(np.asarray(groups, dtype=str), return_inverse=True)

        def total(values: np.ndarray) -> np.ndarray:
            out = np.zeros((len(names), *values.shape[1:]))
            np.add.at(out, inverse, values)
            return out

        data: dict[str, object] = {}
        for name, (unit, meaning) in _SUMMED.items():
            data[name] = (("prosumer", "period"), total(self.data[name].values), {"units": unit, "long_name": meaning})
        energy = self.data.battery_energy.values
        weight = np.where(total(energy)[inverse] > 0, energy, 1e-12)
        for name, (unit, meaning) in _RATED.items():
            values = self.data[name].values
            if name in ("battery_efficiency", "battery_loss"):
                summed = total(weight * values) / total(weight)
            else:
                summed = total(values)
            data[name] = ("prosumer", summed, {"units": unit, "long_name": meaning})
        first = np.array([int(np.flatnonzero(inverse == g)[0]) for g in range(len(names))], dtype=int)
        for name in ("bus", "category"):
            data[name] = ("prosumer", self.data[name].values[first])
        return Fleet(self.node, self.horizon, xr.Dataset(data, coords={"prosumer": names, "period": self.data.period.values}))

    def with_more(self, pv_kw: float, battery_kwh: float, pv_yield: np.ndarray) -> Fleet:
        """The fleet with new PV and batteries, shared among the prosumers in proportion to their demand over the horizon.

        A new battery has a one-way efficiency of 0.95 and a converter of half its energy per hour; it joins an existing one.

        Args:
            pv_kw, battery_kwh: new capacity in all [kW, kWh].
            pv_yield: available power per new kW [1], (period,).
        """
        data = self.data.copy(deep=True)
        used = ((data.demand + data.ev + data.heat_pump).values * self.horizon.hours_per_year).sum(axis=1)
        share = used / used.sum()
        data["pv"].values += share[:, None] * pv_kw * pv_yield
        data["pv_rating"].values += share * pv_kw
        old, new = data.battery_energy.values.copy(), share * battery_kwh
        total = np.maximum(old + new, 1e-12)
        efficiency = data.battery_efficiency.values
        data["battery_efficiency"].values[:] = np.where(new > 0, (old * efficiency + new * 0.95) / total, efficiency)
        data["battery_loss"].values[:] = np.where(new > 0, old * data.battery_loss.values / total, data.battery_loss.values)
        data["battery_energy"].values += new
        data["battery_power"].values += 0.5 * new
        return Fleet(self.node, self.horizon, data)

    def day(self, number: int) -> Fleet:
        """The fleet on one of the horizon's days."""
        where = np.flatnonzero(self.horizon.day_of == number)
        return Fleet(self.node, self.horizon.day(number), self.data.isel(period=where))


def expand_fleet(
    node: str, prosumers: Mapping[str, np.ndarray], devices: Mapping[str, np.ndarray], p: np.ndarray, q: np.ndarray, horizon: Horizon
) -> Fleet:
    """Multiply ratings with profiles and gather them by prosumer.

    Args:
        node: the platform.
        prosumers, devices: columns of the tables of those names, in the rows of this platform.
        p, q: profiles of the devices, relative to their ratings [1], (device, period).
        horizon: periods.
    """
    names = prosumers["prosumer"]
    at = {name: i for i, name in enumerate(names.tolist())}
    owner = np.array([at[name] for name in devices["prosumer"].tolist()], dtype=int)
    p_kw, e_kwh, kind = devices["p_kw"], devices["e_kwh"], devices["kind"]
    power, reactive = p_kw[:, None] * p, devices["q_kvar"][:, None] * q
    shape = (len(names), horizon.periods)

    def gathered(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = np.zeros((len(names), *values.shape[1:]))
        np.add.at(out, owner[chosen], values[chosen])
        return out

    generation = np.isin(kind, ("pv", "wind", "hydro", "biomass"))
    battery = kind == "battery"
    energy = gathered(battery, e_kwh)
    safe = np.where(energy > 0, energy, 1.0)
    efficiency = np.where(energy > 0, gathered(battery, e_kwh * devices["efficiency"]) / safe, 1.0)
    loss = np.where(energy > 0, gathered(battery, e_kwh * devices["loss_per_day"]) / safe, 0.0) / 24.0
    summed = {
        "demand": gathered(kind == "load", power),
        "reactive": gathered(~generation & ~battery, reactive),
        "pv": gathered(generation, power),
        "ev": gathered(kind == "ev", power),
        "heat_pump": gathered(kind == "heat_pump", power),
    }
    rated = {
        "pv_rating": gathered(generation, p_kw),
        "ev_power": gathered(kind == "ev", p_kw),
        "heat_pump_power": gathered(kind == "heat_pump", p_kw),
        "battery_power": gathered(battery, p_kw),
        "battery_energy": energy,
        "battery_efficiency": efficiency,
        "battery_loss": loss,
    }
    data: dict[str, object] = {}
    for name, (unit, meaning) in _SUMMED.items():
        data[name] = (("prosumer", "period"), summed[name].reshape(shape), {"units": unit, "long_name": meaning})
    for name, (unit, meaning) in _RATED.items():
        data[name] = ("prosumer", rated[name], {"units": unit, "long_name": meaning})
    data["bus"] = ("prosumer", prosumers["bus"])
    data["category"] = ("prosumer", prosumers["category"])
    return Fleet(node, horizon, xr.Dataset(data, coords={"prosumer": names, "period": horizon.labels}))
