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
        "pv", _axes(fleet, owners, "pv_owner"), unit="kW", upper=available[owners], cost=-economics.curtailment_cost * hours, description="PV power used"
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


def add_deferrable(
    name: str, reference: str, rated: str, earlier_hours: float, later_hours: float, loss_per_hour: float
) -> Callable[[ProgramBuilder, Fleet, Economics], list[Term]]:
    """Demand that may be served earlier or later than its reference course, as a backlog of energy.

        backlog_t = (1 - loss D) backlog_(t-1) + D (reference_t - power_t),   cyclic per day,   0 <= power_t <= rated
        -(reference energy of the next ``earlier_hours``) <= backlog_t <= (reference energy of the last ``later_hours``)   [kWh]

    For an electric vehicle (later only) the backlog is what has arrived and is not charged yet; for a heat pump it is heat owed to
    (positive) or kept in (negative) the building. The band is the comfort; each kWh moved costs ``shift_discomfort`` per hour.
    """

    def add(builder: ProgramBuilder, fleet: Fleet, economics: Economics) -> list[Term]:
        horizon = fleet.horizon
        course = fleet.data[reference].values
        owners, place = _chosen(course.max(axis=1, initial=0.0) > 0)
        if not len(owners):
            return []
        step, hours = horizon.step_hours, horizon.hours_per_year
        course = course[owners]
        axes = _axes(fleet, owners, f"{name}_owner")
        limit = np.maximum(fleet.data[rated].values[owners, None], course)
        power = builder.add_columns(name, axes, unit="kW", upper=limit, description=f"{name.replace('_', ' ')} power")
        late = _neighbouring_energy(course, horizon.steps, step, later_hours, forward=False)
        early = _neighbouring_energy(course, horizon.steps, step, earlier_hours, forward=True)
        terms: list[Term] = [(step, power)]
        for sign, word, band in ((1.0, "late", late), (-1.0, "early", early)):
            if band.max(initial=0.0) <= 0:
                continue
            cost = economics.shift_discomfort * hours / step
            owed = builder.add_columns(f"{name}_{word}", axes, unit="kWh", upper=band, cost=cost, description=f"{name.replace('_', ' ')} energy {word}")
            terms += [(sign, owed), (sign * (loss_per_hour * step - 1.0), owed[:, horizon.previous])]
        builder.add_rows(f"{name}_energy", axes, terms, "==", step * course, unit="kWh", description=f"{name.replace('_', ' ')} energy balance")
        return [(-1.0, _spread(power, place))]

    return add


def _neighbouring_energy(course: np.ndarray, steps: int, step: float, within_hours: float, *, forward: bool) -> np.ndarray:
    """Energy [kWh] of the reference in the periods within so many hours behind (or ahead), around midnight of the same day."""
    count = min(round(within_hours / step), steps - 1)
    total = np.zeros_like(course)
    by_day = course.reshape(course.shape[0], -1, steps)
    for k in range(count):
        shifted = np.roll(by_day, -(k + 1) if forward else k, axis=2)
        total += step * shifted.reshape(course.shape)
    return total


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
        discharge = builder.add_columns("new_discharge", axes, unit="kW", upper=per_energy * limit, cost=wear, description="discharging of batteries bought")
        stored = builder.add_columns("new_stored", axes, unit="kWh", upper=limit, description="energy in batteries bought")
        for name, column, per_kwh in (("charge", charge, per_energy), ("discharge", discharge, per_energy), ("stored", stored, 1.0)):
            builder.add_rows(f"new_{name}_limit", axes, [(1.0, column), (-per_kwh, size[:, None])], "<=", 0.0, unit="kW", description="size of batteries bought")
        energy: list[Term] = [(1.0, stored), (-1.0, stored[:, horizon.previous]), (-eta * step, charge), (step / eta, discharge)]
        builder.add_rows("new_battery_energy", axes, energy, "==", 0.0, unit="kWh", description="energy balance of batteries bought")
        terms += [(1.0, discharge), (-1.0, charge)]
    return terms


ASSETS: dict[str, Callable[[ProgramBuilder, Fleet, Economics], list[Term]]] = {
    "photovoltaics": add_photovoltaics,
    "battery": add_batteries,
    "electric_vehicle": add_deferrable("ev", "ev", "ev_power", earlier_hours=0.0, later_hours=6.0, loss_per_hour=0.0),
    "heat_pump": add_deferrable("heat_pump", "heat_pump", "heat_pump_power", earlier_hours=2.0, later_hours=2.0, loss_per_hour=0.02),
}
"""Assets behind a meter: name -> function that adds its columns and rows and returns its terms in the prosumer's balance (supply positive)."""


def largest_consumption(fleet: Fleet) -> np.ndarray:
    """Upper bound on what each prosumer can draw [kW], (prosumer, period)."""
    data = fleet.data
    ev = np.where(data.ev.values.max(axis=1, initial=0.0) > 0, np.maximum(data.ev_power.values, data.ev.values.max(axis=1, initial=0.0)), 0.0)
    pump = data.heat_pump.values.max(axis=1, initial=0.0)
    pump = np.where(pump > 0, np.maximum(data.heat_pump_power.values, pump), 0.0)
    battery = np.where(data.battery_energy.values > 0, data.battery_power.values, 0.0)
    return data.demand.values + (ev + pump + battery)[:, None]


def largest_supply(fleet: Fleet) -> np.ndarray:
    """Upper bound on what each prosumer can feed in [kW], (prosumer, period)."""
    battery = np.where(fleet.data.battery_energy.values > 0, fleet.data.battery_power.values, 0.0)
    return fleet.data.pv.values + battery[:, None]
