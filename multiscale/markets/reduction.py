"""A fleet with fewer participants and the same exact response to prices, where its low-voltage network can never bind.

A prosumer pays the trading fee on what it buys, so its meter matters only where it may sometimes buy and sometimes sell. Three exact steps,
with arrays over prosumers only:

- *Buyers*, whose generation never exceeds their demand and who own no battery, always buy: fee and price act on every kWh alike, and their demand,
  PV and flexible devices separate. Demand and PV add up.
- *Flexible devices of buyers* with proportional courses and ratings are homothetic: the Minkowski sum of their possible schedules is the schedules
  of one device of the summed rating (bands and limits scale with the rating, cost is linear). One device per class is left.
- *Generators without flexibility* use their own power first (it saves the price and the fee) and sell the rest: a buyer with PV up to its
  demand, and a pure seller; all sellers add up.

Everybody else (batteries, and flexible devices with larger PV) stays as it is. Schedules of the merged follow in proportion to their ratings.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from multiscale.system import Fleet

_DEFERRABLE = (("heat_pump", "heat_pump_power"), ("ev", "ev_power"))


def reduced_fleet(fleet: Fleet) -> Fleet:
    """The fleet with buyers, homothetic devices and plain generators merged; exact wherever no network lies between the prosumers.

    Prices inside the platform are taken not to exceed the value of lost load.
    """
    data = fleet.data
    demand, pv = data.demand.values, data.pv.values
    flexible = {name: data[name].values.max(axis=1, initial=0.0) > 0 for name, _ in _DEFERRABLE}
    battery = data.battery_energy.values > 0
    covered = (pv <= demand + 1e-12).all(axis=1)
    buyer = ~battery & covered
    generator = ~battery & ~covered & ~flexible["heat_pump"] & ~flexible["ev"]
    alone = np.flatnonzero(~buyer & ~generator)

    courses: dict[str, np.ndarray] = {}
    ratings: dict[str, np.ndarray] = {}
    for name, rated in _DEFERRABLE:
        members = np.flatnonzero(buyer & flexible[name])
        courses[name], ratings[name] = _classes(data[name].values[members], data[rated].values[members])
    merged = max(1, *(len(c) for c in courses.values()))
    periods = fleet.horizon.periods
    fields = {f: np.zeros((merged + 1, periods)) for f in ("demand", "reactive", "pv", "ev", "heat_pump")}
    rated_fields = {f: np.zeros(merged + 1) for f in ("pv_rating", "ev_power", "heat_pump_power", "battery_power", "battery_energy", "battery_loss")}
    joined = buyer | generator
    own_use = np.where(generator[:, None], np.minimum(pv, demand), pv)
    fields["demand"][0] = demand[joined].sum(axis=0)
    fields["reactive"][0] = data.reactive.values[joined].sum(axis=0)
    fields["pv"][0] = own_use[joined].sum(axis=0)
    fields["pv"][merged] = (pv - own_use)[generator].sum(axis=0)
    rated_fields["pv_rating"][0] = data.pv_rating.values[joined].sum()
    for name, rated in _DEFERRABLE:
        fields[name][: len(courses[name])] = courses[name]
        rated_fields[rated][: len(courses[name])] = ratings[name]
    used = sum(np.abs(values).sum(axis=1) for values in fields.values()) > 0
    fields = {f: values[used] for f, values in fields.items()}
    rated_fields = {f: values[used] for f, values in rated_fields.items()}
    labels = np.array([*(f"{fleet.node} buyers {k + 1}" for k in range(merged)), f"{fleet.node} sellers"])[used]
    names = np.concatenate([labels, data.prosumer.values[alone]])
    content: dict[str, object] = {}
    for name, values in fields.items():
        content[name] = (("prosumer", "period"), np.concatenate([values, data[name].values[alone]]), dict(data[name].attrs))
    for name, sums in rated_fields.items():
        content[name] = ("prosumer", np.concatenate([sums, data[name].values[alone]]), dict(data[name].attrs))
    ones = np.ones(len(labels))
    content["battery_efficiency"] = ("prosumer", np.concatenate([ones, data.battery_efficiency.values[alone]]), dict(data.battery_efficiency.attrs))
    for name in ("bus", "category"):
        content[name] = ("prosumer", np.concatenate([[data[name].values[0]] * len(labels), data[name].values[alone]]))
    coordinates = {"prosumer": names.astype(str), "period": data.period.values}
    return Fleet(fleet.node, fleet.horizon, xr.Dataset(content, coords=coordinates))


def _classes(course: np.ndarray, rated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Summed courses [kW] and ratings [kW] of every class of devices whose courses are proportional to their ratings."""
    if not len(course):
        return np.zeros((0, course.shape[1])), np.zeros(0)
    scale = np.where(rated > 0, rated, course.max(axis=1))
    shape = np.concatenate([course / scale[:, None], (rated / scale)[:, None]], axis=1)
    _, group = np.unique(np.round(shape, 9), axis=0, return_inverse=True)
    group = group.ravel()
    count = int(group.max()) + 1
    total, power = np.zeros((count, course.shape[1])), np.zeros(count)
    np.add.at(total, group, course)
    np.add.at(power, group, rated)
    return total, power
