"""A fleet with fewer participants and the same exact response to prices, where its low-voltage network can never bind.

A prosumer pays the trading fee on what it buys, so its meter matters only where it may sometimes buy and sometimes sell. Three exact steps,
with arrays over prosumers only; a device is asked for its role and its shape (see ``Device``):

- *Buyers*, whose generation never exceeds their inflexible demand and who own no storage, always buy: fee and price act on every kWh alike, and
  their demand, generation and flexible devices separate. Demand and generation add up.
- *Flexible devices of buyers* of one shape are homothetic: the Minkowski sum of their possible schedules is the schedules of one device of the
  summed size (bands and limits scale with the size, cost is linear). One device per shape is left.
- *Generators without flexibility* use their own power first (it saves the price and the fee) and sell the rest: a buyer with generation up to its
  demand, and a pure seller; all sellers add up.

All others (storage, and flexible devices with larger generation) stay as they are. Schedules of the merged follow in proportion to their
ratings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.devices.device import Device
from multiscale.devices.fleet import TEXTS, Fleet, fleet_data, fleet_variables


def reduced_fleet(fleet: Fleet) -> Fleet:
    """The fleet with buyers, homothetic devices and plain generators merged; exact wherever no network lies between the prosumers.

    Prices inside the platform are taken not to exceed the value of lost load.
    """
    arrays, declared = fleet.arrays, fleet_variables(fleet.devices)
    demand, generation = arrays["demand"], fleet.reference_generation
    by_role = {role: [d for d in fleet.devices.values() if d.role == role] for role in ("generation", "consumption", "storage")}
    flexible, storing = (_any_owner(fleet, by_role[role]) for role in ("consumption", "storage"))
    own_use_only = (generation <= demand + 1e-12).all(axis=1)
    buyer = ~storing & own_use_only
    generator = ~storing & ~own_use_only & ~flexible
    joined, alone = buyer | generator, np.flatnonzero(~buyer & ~generator)

    classes = [_classes(fleet, device, np.flatnonzero(buyer & device.owners(fleet))) for device in by_role["consumption"]]
    buyers = max([1, *(len(next(iter(values.values()))) for values in classes)])
    merged = {
        name: np.full((buyers + 1, fleet.horizon.periods) if variable.by_period else buyers + 1, variable.absent)
        for name, variable in declared.items()
    }
    merged["demand"][0] = demand[joined].sum(axis=0)
    merged["reactive"][0] = arrays["reactive"][joined].sum(axis=0)
    merged["customers"][0] = arrays["customers"][joined].sum()
    own_use = np.where(generator[:, None], np.minimum(generation, demand), generation)
    for device in by_role["generation"]:
        available = arrays[device.profile]
        used = own_use * np.divide(available, generation, out=np.zeros_like(available), where=generation > 0)
        merged[device.profile][0] = used[joined].sum(axis=0)
        merged[device.profile][buyers] = (available - used)[generator].sum(axis=0)
        for name in device.variables:
            if name != device.profile:
                merged[name][0] = arrays[name][joined].sum(axis=0)
    for values in classes:
        for name, content in values.items():
            merged[name][: len(content)] = content
    kept = (
        sum(
            np.abs(values - declared[name].absent).reshape(len(values), -1).sum(axis=1)
            for name, values in merged.items()
            if declared[name].by_period or name == "customers"
        )
        > 0
    )
    names = np.array([*(f"{fleet.node} buyers {k + 1}" for k in range(buyers)), f"{fleet.node} sellers"])[kept]
    data = {name: np.concatenate([values[kept], arrays[name][alone]]) for name, values in merged.items()}
    texts = {name: np.concatenate([[fleet.arrays[name][0]] * len(names), fleet.arrays[name][alone]]) for name in TEXTS}
    prosumers = np.concatenate([names, fleet.arrays["prosumer"][alone]]).astype(str)
    return replace(fleet, data=fleet_data(prosumers, fleet.horizon, data, texts, fleet.devices))


def _any_owner(fleet: Fleet, devices: list[Device]) -> np.ndarray:
    """Whether each prosumer owns one of some devices."""
    return np.any([np.zeros(fleet.size, dtype=bool), *(device.owners(fleet) for device in devices)], axis=0)


def _classes(fleet: Fleet, device: Device, members: np.ndarray) -> dict[str, np.ndarray]:
    """Variables of one device per shape that occurs among some owners."""
    shape = np.round(device.shape(fleet)[members], 9)
    _, group = np.unique(shape, axis=0, return_inverse=True)
    group = group.ravel()
    values = {name: fleet.arrays[name][members] for name in device.variables}
    return device.aggregate(values, group, int(group.max(initial=-1)) + 1)
