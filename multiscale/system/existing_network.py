"""What the network of today costs in a year, whatever is added to what it supplies."""

from __future__ import annotations

import numpy as np

from multiscale.system.costs import Economics
from multiscale.system.system import System
from multiscale.timeline import Horizon


def existing_network_cost(system: System, dso: str, horizon: Horizon, economics: Economics) -> float:
    """Yearly cost of a DSO's existing network, low-voltage networks of its platforms included [EUR/a].

    A cost per kWh of the yearly demand that the network was built for, ``costs.existing_network_cost * demand_today``. A growth scenario does not
    change it: more demand uses the existing network more, and whatever it needs beyond that is reinforcement.
    """
    return economics.existing_network_cost * demand_today(system, dso, horizon)


def demand_today(system: System, dso: str, horizon: Horizon) -> float:
    """Energy that all customers of a DSO draw in the year when no device is controlled, without what a growth scenario adds [kWh/a]."""
    today = without_growth(system)
    passive = float((today.passive(dso, horizon).demand.values * horizon.hours_per_year).sum())
    return passive + sum(today.fleet(child, horizon).yearly_reference_demand() for child in today.children(dso))


def without_growth(system: System) -> System:
    """The system with the devices of today: those that a growth scenario added are not there, and ratings are what they were."""
    devices = system.devices
    rating = devices.p_kw.values - devices.added_kw.values
    if not devices.added_kw.values.any():
        return system
    there = np.flatnonzero((rating != 0) | (devices.added_kw.values == 0))
    values = {"p_kw": rating, "added_kw": np.zeros_like(rating)}
    before = devices.assign({name: ("device", array, devices[name].attrs) for name, array in values.items()})
    return system.replace(devices=before.isel(device=there))
