"""What the prosumers of a platform decide: one function per asset, all over arrays (prosumer, period)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
from multiscale.system import Economics, Fleet

Coordinates = dict[str, np.ndarray]


@dataclass(frozen=True)
class Adoption:
    """Limits of capacity that prosumers may buy in answer to the prices.

    Attributes:
        pv_kw: largest new photovoltaic power of each prosumer [kW].
        battery_kwh: largest new battery of each prosumer [kWh], with a converter of half its energy per hour.
        pv_yield: available power of each new kW in every period [1].
    """

    pv_kw: np.ndarray
    battery_kwh: np.ndarray
    pv_yield: np.ndarray


def _chosen(has: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the prosumers that have a device, and the map from prosumer to that position (-1 without)."""
    owners = np.flatnonzero(has)
    place = np.full(len(has), -1)
    place[owners] = np.arange(len(owners))
    return owners, place


def _spread(columns: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Positions (prosumer, period) of a block over its owners only; -1 where a prosumer has none."""
    out = np.full((len(place), columns.shape[1]), -1)
    out[place >= 0] = columns[place[place >= 0]]
    return out


def _axes(fleet: Fleet, owners: np.ndarray, dimension: str) -> Coordinates:
    return {dimension: fleet.data.prosumer.values[owners], "period": fleet.horizon.labels}


def add_photovoltaics(builder: ProgramBuilder, fleet: Fleet, economics: Economics) -> list[Term]:
    """Use of available PV, ``0 <= pv <= available`` [kW]; what is not used costs ``curtailment_cost``."""
    hours = fleet.horizon.hours_per_year
    available = fleet.data.pv.values
    owners, place = _chosen(available.max(axis=1, initial=0.0) > 0)
    if not len(owners):
        return []
    pv = builder.add_columns(
        "pv",
        _axes(fleet, owners, "pv_owner"),
        unit="kW",
        upper=available[owners],
        cost=-economics.curtailment_cost * hours,
        description="PV power used",
    )
    builder.add_constant_cost(float(economics.curtailment_cost * (available * hours).sum()))
    return [(1.0, _spread(pv, place))]


def add_batteries(builder: ProgramBuilder, fleet: Fleet, economics: Economics) -> list[Term]:
    """Batteries, cyclic over each day: ``e_t = (1 - loss D) e_(t-1) + D (eta charge_t - discharge_t / eta)``, ``0 <= e <= E`` [kWh]."""
    data, horizon = fleet.data, fleet.horizon
    owners, place = _chosen(data.battery_energy.values > 0)
    if not len(owners):
        return []
    step, wear = horizon.step_hours, economics.battery_wear * horizon.hours_per_year
    axes = _axes(fleet, owners, "battery_owner")
    power, energy = data.battery_power.values[owners, None], data.battery_energy.values[owners, None]
    eta, loss = data.battery_efficiency.values[owners, None], data.battery_loss.values[owners, None]
    charge = builder.add_columns("charge", axes, unit="kW", upper=power, cost=wear, description="battery charging")
    discharge = builder.add_columns("discharge", axes, unit="kW", upper=power, cost=wear, description="battery discharging")
    stored = builder.add_columns("stored", axes, unit="kWh", upper=energy, description="energy in the battery at the end of the period")
    before = stored[:, horizon.previous]
    terms: list[Term] = [(1.0, stored), (loss * step - 1.0, before), (-eta * step, charge), (step / eta, discharge)]
    builder.add_rows("battery_energy", axes, terms, "==", 0.0, unit="kWh", description="battery energy balance")
    return [(1.0, _spread(discharge, place)), (-1.0, _spread(charge, place))]


@dataclass(frozen=True)
class Deferrable:
    """Demand that may be served earlier or later than its reference course, as a backlog of energy.

        backlog_t = (1 - loss D) backlog_(t-1) + D (reference_t - power_t),   cyclic per day,   0 <= power_t <= rated
        -(reference energy of the next ``earlier_hours``) <= backlog_t <= (reference energy of the last ``later_hours``)   [kWh]

    For an electric vehicle (later only) the backlog is what has arrived and is not charged yet; for a heat pump it is heat owed to
    (positive) or kept in (negative) the building. The band is the comfort; each kWh moved costs ``shift_discomfort`` per hour.

    Attributes:
        name: name of the columns.
        reference, rated: fields of the fleet with the reference course [kW] and the rated power [kW].
        earlier_hours, later_hours: how far demand may move [h].
        loss_per_hour: share of the backlog that fades in an hour [1/h].
    """

    name: str
    reference: str
    rated: str
    earlier_hours: float
    later_hours: float
    loss_per_hour: float

    def bands(self, fleet: Fleet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Largest energy late, largest energy early [kWh] and largest power [kW] of every prosumer, (prosumer, period).

        The power is limited by the rating, and by what can be due: the reference and both bands.
        """
        horizon, course = fleet.horizon, fleet.data[self.reference].values
        late = self._energy(course, fleet, self.later_hours, ahead=False)
        early = self._energy(course, fleet, self.earlier_hours, ahead=True)
        due = course + (late[:, horizon.previous] + early) / horizon.step_hours
        return late, early, np.minimum(np.maximum(fleet.data[self.rated].values[:, None], course), due)

    @staticmethod
    def _energy(course: np.ndarray, fleet: Fleet, within_hours: float, *, ahead: bool) -> np.ndarray:
        """Energy [kWh] of the reference within so many hours behind (or ahead), around midnight of the same day."""
        steps, step = fleet.horizon.steps, fleet.horizon.step_hours
        count = min(round(within_hours / step), steps - 1)
        total = np.zeros_like(course)
        by_day = course.reshape(course.shape[0], -1, steps)
        for k in range(count):
            total += step * np.roll(by_day, -(k + 1) if ahead else k, axis=2).reshape(course.shape)
        return total

    def __call__(self, builder: ProgramBuilder, fleet: Fleet, economics: Economics) -> list[Term]:
        """Add the columns and rows."""
        horizon = fleet.horizon
        course = fleet.data[self.reference].values
        owners, place = _chosen(course.max(axis=1, initial=0.0) > 0)
        if not len(owners):
            return []
        step, cost = horizon.step_hours, economics.shift_discomfort * horizon.hours_per_year
        late, early, limit = (values[owners] for values in self.bands(fleet))
        axes = _axes(fleet, owners, f"{self.name}_owner")
        label = self.name.replace("_", " ")
        power = builder.add_columns(self.name, axes, unit="kW", upper=limit, description=f"{label} power")
        terms: list[Term] = [(step, power)]
        for sign, word, band in ((1.0, "late", late), (-1.0, "early", early)):
            if band.max(initial=0.0) > 0:
                owed = builder.add_columns(f"{self.name}_{word}", axes, unit="kWh", upper=band, cost=cost, description=f"{label} energy {word}")
                terms += [(sign, owed), (sign * (self.loss_per_hour * step - 1.0), owed[:, horizon.previous])]
        builder.add_rows(f"{self.name}_energy", axes, terms, "==", step * course[owners], unit="kWh", description=f"{label} energy balance")
        return [(-1.0, _spread(power, place))]


ELECTRIC_VEHICLE = Deferrable("ev", "ev", "ev_power", earlier_hours=0.0, later_hours=6.0, loss_per_hour=0.0)
HEAT_PUMP = Deferrable("heat_pump", "heat_pump", "heat_pump_power", earlier_hours=2.0, later_hours=2.0, loss_per_hour=0.02)


def add_adoption(builder: ProgramBuilder, fleet: Fleet, economics: Economics, adoption: Adoption) -> list[Term]:
    """New PV [kW] and batteries [kWh] at their annuities, the same size on every day of the year."""
    horizon = fleet.horizon
    step, hours = horizon.step_hours, horizon.hours_per_year
    wear = economics.battery_wear * hours
    who = {"prosumer": fleet.data.prosumer.values}
    axes = {**who, "period": horizon.labels}
    terms: list[Term] = []
    if adoption.pv_kw.max(initial=0.0) > 0:
        annuity = economics.pv_cost * economics.annuity(economics.pv_lifetime)
        size = builder.add_columns("new_pv", who, unit="kW", upper=adoption.pv_kw, cost=annuity, description="PV bought")
        used = builder.add_columns(
            "new_pv_power", axes, unit="kW", upper=adoption.pv_kw[:, None] * adoption.pv_yield, description="power of PV bought"
        )
        builder.add_rows(
            "new_pv_available", axes, [(1.0, used), (-adoption.pv_yield, size[:, None])], "<=", 0.0, unit="kW", description="yield of PV bought"
        )
        terms.append((1.0, used))
    if adoption.battery_kwh.max(initial=0.0) > 0:
        annuity = economics.battery_cost * economics.annuity(economics.battery_lifetime)
        largest, per_energy, eta = adoption.battery_kwh, 0.5, 0.95
        size = builder.add_columns("new_battery", who, unit="kWh", upper=largest, cost=annuity, description="battery bought")
        limit = largest[:, None]
        charge = builder.add_columns("new_charge", axes, unit="kW", upper=per_energy * limit, cost=wear, description="charging of batteries bought")
        given = "discharging of batteries bought"
        discharge = builder.add_columns("new_discharge", axes, unit="kW", upper=per_energy * limit, cost=wear, description=given)
        stored = builder.add_columns("new_stored", axes, unit="kWh", upper=limit, description="energy in batteries bought")
        for name, column, per_kwh in (("charge", charge, per_energy), ("discharge", discharge, per_energy), ("stored", stored, 1.0)):
            sized: list[Term] = [(1.0, column), (-per_kwh, size[:, None])]
            builder.add_rows(f"new_{name}_limit", axes, sized, "<=", 0.0, unit="kW", description="size of batteries bought")
        energy: list[Term] = [(1.0, stored), (-1.0, stored[:, horizon.previous]), (-eta * step, charge), (step / eta, discharge)]
        builder.add_rows("new_battery_energy", axes, energy, "==", 0.0, unit="kWh", description="energy balance of batteries bought")
        terms += [(1.0, discharge), (-1.0, charge)]
    return terms


ASSETS: dict[str, Callable[[ProgramBuilder, Fleet, Economics], list[Term]]] = {
    "photovoltaics": add_photovoltaics,
    "battery": add_batteries,
    "electric_vehicle": ELECTRIC_VEHICLE,
    "heat_pump": HEAT_PUMP,
}
"""Assets behind a meter: name -> function that adds its columns and rows and returns its terms in the prosumer's balance (supply positive)."""


def largest_consumption(fleet: Fleet) -> np.ndarray:
    """Upper bound on what each prosumer can draw [kW], (prosumer, period)."""
    data = fleet.data
    battery = np.where(data.battery_energy.values > 0, data.battery_power.values, 0.0)
    return data.demand.values + ELECTRIC_VEHICLE.bands(fleet)[2] + HEAT_PUMP.bands(fleet)[2] + battery[:, None]


def largest_supply(fleet: Fleet) -> np.ndarray:
    """Upper bound on what each prosumer can feed in [kW], (prosumer, period)."""
    battery = np.where(fleet.data.battery_energy.values > 0, fleet.data.battery_power.values, 0.0)
    return fleet.data.pv.values + battery[:, None]
