"""A battery: cyclic over each day, holds reserve for forecast errors, may be bought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from multiscale.attribute import Attribute, number
from multiscale.devices.device import Energy, Rows, Variable
from multiscale.devices.one_state import InProgram, OneState
from multiscale.devices.prosumers import Prosumers, axes_of, placed, spread
from multiscale.devices.purchasable import Capacity, Offer, PurchasableDevice
from multiscale.settings import quantity
from multiscale.symbols import Named

if TYPE_CHECKING:
    from multiscale.programs import ParametricProgram, ProgramBuilder
    from multiscale.programs.build import Term


class Battery(PurchasableDevice):
    """``e_t = (1 - loss D) e_(t-1) + D (eta charge_t - discharge_t / eta)``, ``0 <= e <= E`` [kWh], cyclic over each day; use costs wear."""

    kinds = ("battery",)
    role = "storage"
    columns: ClassVar[Mapping[str, Attribute]] = {
        "e_kwh": number("kWh", "battery: usable energy", 0.0, lower=0.0, extensive=True),
        "efficiency": number("1", "battery: one-way efficiency", 1.0, positive=True, upper=1.0),
        "loss_per_day": number("1/d", "battery: share of the stored energy lost in a day", 0.0, lower=0.0, upper=1.0),
    }
    variables: ClassVar[Mapping[str, Variable]] = {
        "battery_power": Variable("kW", "battery converter power"),
        "battery_energy": Variable("kWh", "usable battery energy"),
        "battery_efficiency": Variable("1", "one-way battery efficiency", weight="battery_energy", absent=1.0),
        "battery_loss": Variable("1/h", "share of stored energy lost in an hour", weight="battery_energy"),
    }
    decided = ("charge", "discharge")
    states = ("stored",)
    capacity = Capacity("new_battery", "storage", "kWh")

    investment: float = quantity(450.0, "EUR/kWh", "investment in new storage", above=0.0)
    lifetime: float = quantity(12.0, "a", "lifetime of storage", above=0.0, upper=100.0)
    upkeep: float = quantity(0.0, "EUR/kWh/a", "yearly cost of new storage in addition to annuity and wear", lower=0.0, upper=1000.0)
    largest_new: float = quantity(5.0, "kWh", "most new storage that a prosumer may buy (planning.adoption)", lower=0.0, upper=10000.0)
    new_power: float = quantity(0.5, "1/h", "converter power of a new battery per usable energy", above=0.0, upper=10.0)
    new_efficiency: float = quantity(0.95, "1", "one-way efficiency of a new battery", above=0.0, upper=1.0)
    wear: float = quantity(0.01, "EUR/kWh", "cost of each kWh charged and of each kWh discharged", lower=0.0, upper=10.0)

    def expand(self, rows: Rows) -> dict[str, np.ndarray]:
        """Batteries behind one meter are one: energies and powers add up, efficiencies are averaged by energy."""
        columns, energy = rows.columns, rows.columns["e_kwh"]
        return {
            "battery_power": rows.total(columns["p_kw"]),
            "battery_energy": rows.total(energy),
            "battery_efficiency": rows.mean(columns["efficiency"], energy, absent=1.0),
            "battery_loss": rows.mean(columns["loss_per_day"], energy, absent=0.0) / 24.0,
        }

    def shape(self, fleet: Prosumers) -> np.ndarray:
        """Efficiency, losses, and power per energy."""
        data = fleet.arrays
        energy = data["battery_energy"]
        per_energy = data["battery_power"] / np.where(energy > 0, energy, 1.0)
        return np.column_stack([data["battery_efficiency"], data["battery_loss"], per_energy])

    def owners(self, fleet: Prosumers) -> np.ndarray:
        """Where there is energy to store."""
        return fleet.arrays["battery_energy"] > 0

    def largest_consumption(self, fleet: Prosumers) -> np.ndarray:
        """The converter's power."""
        return np.where(self.owners(fleet), fleet.arrays["battery_power"], 0.0)[:, None]

    def largest_supply(self, fleet: Prosumers) -> np.ndarray:
        """The converter's power."""
        return self.largest_consumption(fleet)

    def one_state(self, fleet: Prosumers) -> OneState:
        """The energy in the battery."""
        data, owners = fleet.arrays, np.flatnonzero(self.owners(fleet))
        power, energy, eta, loss = (data[name][owners, None] for name in ("battery_power", "battery_energy", "battery_efficiency", "battery_loss"))
        one, none = np.ones((1, 1)), np.zeros((1, 1))
        keep = 1.0 - loss * fleet.horizon.step_hours
        return OneState(owners, power, power, one, eta, 1.0 / eta, keep, none, none, energy, self.wear)

    def in_program(self, fleet: Prosumers, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray) -> InProgram:
        """Charging, discharging, and what is stored."""
        del fleet
        return InProgram({"charge": drawn, "discharge": supplied, "stored": state}, "battery_energy", -1.0)

    def add(self, builder: ProgramBuilder, fleet: Prosumers) -> list[Term]:
        """Columns ``charge``, ``discharge`` [kW] and ``stored`` [kWh], at the end of each period."""
        data, horizon = fleet.arrays, fleet.horizon
        owners, place = placed(self.owners(fleet))
        if not len(owners):
            return []
        step, wear = horizon.step_hours, self.wear * horizon.hours_per_year
        axes = axes_of(fleet, owners, "battery_owner")
        power, energy = data["battery_power"][owners, None], data["battery_energy"][owners, None]
        eta, loss = data["battery_efficiency"][owners, None], data["battery_loss"][owners, None]
        charge = builder.add_columns("charge", axes, unit="kW", upper=power, cost=wear, description="battery charging")
        discharge = builder.add_columns("discharge", axes, unit="kW", upper=power, cost=wear, description="battery discharging")
        stored = builder.add_columns("stored", axes, unit="kWh", upper=energy, description="energy in the battery at the end of the period")
        before = stored[:, horizon.previous]
        kept = Named(loss * step - 1.0, "-(1 - \\lambda@ \\Delta)", "share of stored energy that a period leaves", "1")
        put, taken = _exchanged(eta, step)
        terms: list[Term] = [(1.0, stored), (kept, before), (put, charge), (taken, discharge)]
        builder.add_rows("battery_energy", axes, terms, "==", 0.0, unit="kWh", description="battery energy balance")
        return [(1.0, spread(discharge, place)), (-1.0, spread(charge, place))]

    def largest_reserve(self, fleet: Prosumers) -> float:
        """The converter's power."""
        return float(fleet.data.battery_power.sum())

    @property
    def use_cost(self) -> float:
        """Wear."""
        return self.wear

    def add_reserve(self, builder: ProgramBuilder, program: ParametricProgram, fleet: Prosumers, cost: np.ndarray) -> list[Term]:
        """Power left upward and downward, and one period's energy to give and room to take.

        reserve <= P - discharge + charge,   reserve <= P - charge + discharge,   reserve D / eta <= stored,   stored + eta D reserve <= E
        """
        if "charge" not in program.columns:
            return []
        axes = dict(program.columns["charge"].coords)
        charge, discharge, stored = (program.columns[name].positions for name in ("charge", "discharge", "stored"))
        eta = fleet.data.battery_efficiency.sel(prosumer=axes["battery_owner"]).values[:, None]
        power, energy, step = program.upper[charge], program.upper[stored], fleet.horizon.step_hours
        reserve = builder.add_columns("reserve", axes, unit="kW", upper=power, cost=cost, description="battery held back for forecast errors")
        up: list[Term] = [(1.0, reserve), (1.0, discharge), (-1.0, charge)]
        down: list[Term] = [(1.0, reserve), (-1.0, discharge), (1.0, charge)]
        builder.add_rows("reserve_up", axes, up, "<=", power, unit="kW", description="power left upward")
        builder.add_rows("reserve_down", axes, down, "<=", power, unit="kW", description="power left downward")
        builder.add_rows("reserve_full", axes, [(step / eta, reserve), (-1.0, stored)], "<=", 0.0, unit="kWh", description="energy to give")
        builder.add_rows("reserve_room", axes, [(step * eta, reserve), (1.0, stored)], "<=", energy, unit="kWh", description="room to take")
        return [(1.0, reserve.T)]

    def energy(self, fleet: Prosumers, total: Callable[[str], float]) -> Energy:
        """What is charged and not discharged is lost, since every day ends as it began."""
        del fleet
        return Energy(lost=total("charge") - total("discharge"))

    def firm_supply(self, fleet: Prosumers, hours: float) -> np.ndarray:
        """The power of the converter, or what the full battery supplies in that time after the loss of discharging, whichever is less."""
        data = fleet.arrays
        return np.minimum(data["battery_power"], data["battery_efficiency"] * data["battery_energy"] / hours)

    def new_firm_supply(self, hours: float) -> float:
        """The same of one kWh of a new battery."""
        return min(self.new_power, self.new_efficiency / hours)

    def add_new(self, builder: ProgramBuilder, fleet: Prosumers, offer: Offer, yearly_cost: float) -> list[Term]:
        """A battery of ``size`` [kWh], its converter in proportion: the rows of a battery, with limits that are its size."""
        if offer.largest.max(initial=0.0) <= 0:
            return []
        horizon, who = fleet.horizon, {"prosumer": fleet.arrays["prosumer"]}
        axes, step, wear = {**who, "period": horizon.labels}, horizon.step_hours, self.wear * horizon.hours_per_year
        per_energy, eta, limit = self.new_power, self.new_efficiency, offer.largest[:, None]
        size = builder.add_columns("new_battery", who, unit="kWh", upper=offer.largest, cost=yearly_cost, description="battery bought")
        most = per_energy * limit
        charge = builder.add_columns("new_charge", axes, unit="kW", upper=most, cost=wear, description="charging of batteries bought")
        discharge = builder.add_columns("new_discharge", axes, unit="kW", upper=most, cost=wear, description="discharging of batteries bought")
        stored = builder.add_columns("new_stored", axes, unit="kWh", upper=limit, description="energy in batteries bought")
        column_unit = {"charge": "kW", "discharge": "kW", "stored": "kWh"}
        for name, column, per_kwh in (("charge", charge, per_energy), ("discharge", discharge, per_energy), ("stored", stored, 1.0)):
            per_size = Named(-per_kwh, "-\\rho", f"largest {column_unit[name]} of {name} per kWh of size", f"{column_unit[name]}/kWh")
            sized: list[Term] = [(1.0, column), (per_size, size[:, None])]
            builder.add_rows(f"new_{name}_limit", axes, sized, "<=", 0.0, unit="kW", description="size of batteries bought")
        put, taken = _exchanged(eta, step)
        balance: list[Term] = [(1.0, stored), (-1.0, stored[:, horizon.previous]), (put, charge), (taken, discharge)]
        builder.add_rows("new_battery_energy", axes, balance, "==", 0.0, unit="kWh", description="energy balance of batteries bought")
        return [(1.0, discharge), (-1.0, charge)]

    def with_new(self, data: Mapping[str, np.ndarray], size: np.ndarray, profile: np.ndarray) -> dict[str, np.ndarray]:
        """A new battery joins an existing one; it has no losses at rest."""
        del profile
        old, efficiency, loss = data["battery_energy"], data["battery_efficiency"], data["battery_loss"]
        total = np.maximum(old + size, 1e-12)
        return {
            "battery_power": data["battery_power"] + self.new_power * size,
            "battery_energy": old + size,
            "battery_efficiency": np.where(size > 0, (old * efficiency + size * self.new_efficiency) / total, efficiency),
            "battery_loss": np.where(size > 0, old * loss / total, loss),
        }

    def new_consumption(self, offer: Offer) -> np.ndarray:
        """The converter of the largest size."""
        return self.new_power * offer.largest[:, None]

    def new_supply(self, offer: Offer) -> np.ndarray:
        """The converter of the largest size."""
        return self.new_consumption(offer)


def _exchanged(eta: np.ndarray | float, step: float) -> tuple[Named, Named]:
    """Coefficients of charging and discharging in the energy balance: energy stored per kW charged, and drawn from the store per kW discharged."""
    put = Named(-eta * step, "-\\eta@ \\Delta", "one-way efficiency times length of a period", "h")
    return put, Named(step / eta, "(\\Delta / \\eta@)", "length of a period over one-way efficiency", "h")
