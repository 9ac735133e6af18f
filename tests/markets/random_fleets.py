"""Random fleets that own every device of the registry, for the batched solution and its benchmarks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.devices import device_settings
from multiscale.devices.fleet import Fleet, fleet_data, fleet_variables
from multiscale.timeline import Horizon


def day(steps):
    return Horizon((pd.Timestamp("2016-06-15"),), (366.0,), 24.0 / steps, ("summer",))


def random_fleet(size, steps=24, seed=0, *, several=False, owning=None):
    """Prosumers with photovoltaics on half of them, and one of the other devices each, or ``several``: each device on a third of them.

    Only the devices named in ``owning`` (default: all).
    """
    random, horizon, devices = np.random.default_rng(seed), day(steps), device_settings()
    hour = (np.arange(steps) + 0.5) * horizon.step_hours

    def bell(at, width):
        return np.exp(-(((hour - at + 12) % 24 - 12) ** 2) / (2 * width**2))

    flexible = [key for key, d in devices.items() if d.role != "generation"]
    which = random.integers(0, len(flexible) + 1, size)
    owns = {key: (random.random(size) < 1 / 3 if several else which == k) & (owning is None or key in owning) for k, key in enumerate(flexible)}
    values = {name: np.full((size, steps) if v.by_period else size, v.absent, dtype=float) for name, v in fleet_variables(devices).items()}
    noise = random.uniform(0.7, 1.3, (size, steps))
    values["demand"] = (0.3 + 0.3 * bell(8, 1.5) + 0.8 * bell(19, 2.5)) * random.uniform(0.4, 1.6, (size, 1)) * noise
    rating = random.uniform(2, 6, size) * (random.random(size) < 0.5)
    values["pv"], values["pv_rating"] = rating[:, None] * np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * ((hour > 6) & (hour < 18)), rating
    own = owns["battery"]
    energy = np.where(own, random.uniform(3, 9, size), 0.0)
    values["battery_energy"], values["battery_power"] = energy, energy * random.uniform(0.25, 0.8, size)
    values["battery_efficiency"] = np.where(own, random.uniform(0.9, 1.0, size), 1.0)
    values["battery_loss"] = np.where(own & (random.random(size) < 0.5), 0.01 / 24, 0.0)
    for key, at, power in (("electric_vehicle", 18, 3.7), ("heat_pump", 6, 2.0)):
        name, kind = devices[key].name, devices[key]
        profile = owns[key][:, None] * random.uniform(0.3, 1.0, (size, 1)) * bell(at, 2.0) * random.uniform(0.5, 1.5, (size, steps))
        values[name], values[kind.rated] = profile, np.where(owns[key], power, 0.0)
    own = owns["thermal_heat_pump"]
    capacity, loss = np.where(own, random.uniform(3, 10, size), 0.0), np.where(own, random.uniform(0.05, 0.2, size), 0.0)
    outdoor = 2 - 6 * bell(4, 4)
    values["heat_capacity"], values["heat_loss"], values["heat_rating"] = capacity, loss, np.where(own, 2.0, 0.0)
    values["heat_need"] = loss[:, None] * (20 - outdoor)
    values["heat_cop"] = np.where(own[:, None], devices["thermal_heat_pump"].cop(outdoor), 1.0)
    names = np.array([f"p{i}" for i in range(size)])
    texts = {"bus": np.full(size, "bus"), "category": np.full(size, "household")}
    return Fleet("platform", horizon, fleet_data(names, horizon, values, texts, devices), devices)


def prices(steps):
    """Import price with an evening peak, and half of it for exports [EUR/kWh]."""
    hour = (np.arange(steps) + 0.5) * 24 / steps
    energy = np.where((hour > 17) & (hour < 22), 0.35, np.where(hour > 7, 0.25, 0.17)) + 0.01 * np.sin(hour)
    return energy, 0.5 * energy
