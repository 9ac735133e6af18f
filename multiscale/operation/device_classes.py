"""The devices of a platform put together by their shape: few participants that can do exactly what its members can do together.

Devices of one shape differ in size only: the Minkowski sum of what they can do is what one device of the summed size can do (``Device.aggregate``).
So one participant stands for the inflexible demand, and one for every shape of every device; what a participant does is shared among the devices
behind it in proportion to their size, which every one of them can do. What is lost is what lies between the members: the low-voltage network,
the meters of single members and fees on what they trade.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multiscale.devices.fleet import COMMON, TEXTS, Fleet, customers_of, fleet_data, fleet_variables
from multiscale.operation.clearing import BEYOND_DEVICES, Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Metering, Tariff

DIGITS = 9
"""Shapes that agree to so many digits are one."""


@dataclass(frozen=True)
class DeviceClasses:
    """A platform as participants of one device each.

    Attributes:
        fleet: the participants.
        share: of what every participant draws, what falls on every member [1], (participant, member, period).
    """

    fleet: Fleet
    share: np.ndarray

    def of_members(self, drawn: np.ndarray) -> np.ndarray:
        """Power that members draw [kW], (member, period), from what participants draw, (participant, period)."""
        return np.einsum("pt,pmt->mt", drawn, self.share)


def device_classes(fleet: Fleet) -> DeviceClasses:
    """The participants of a platform: its inflexible demand, and one for every shape of every device."""
    arrays, declared, periods = fleet.arrays, fleet_variables(fleet.devices), fleet.horizon.periods
    rows: list[dict[str, np.ndarray]] = [{name: arrays[name].sum(axis=0) for name in COMMON}]
    shares, names = [_share(arrays["demand"], np.ones(fleet.size, dtype=bool))], [f"{fleet.node} demand"]
    for key, device in fleet.devices.items():
        owners = np.flatnonzero(device.owners(fleet))
        if not len(owners):
            continue
        _, group = np.unique(np.round(device.shape(fleet)[owners], DIGITS), axis=0, return_inverse=True)
        group, count = group.ravel(), int(group.max()) + 1
        values = device.aggregate({name: arrays[name][owners] for name in device.variables}, group, count)
        size = np.broadcast_to(device.largest_consumption(fleet) + device.largest_supply(fleet), (fleet.size, periods))
        for k in range(count):
            rows.append({name: content[k] for name, content in values.items()})
            shares.append(_share(size, np.isin(np.arange(fleet.size), owners[group == k])))
            names.append(f"{fleet.node} {key} {k + 1}")
    data = {}
    for name, variable in declared.items():
        absent = np.full(periods, variable.absent) if variable.by_period else np.asarray(variable.absent)
        data[name] = np.array([row.get(name, absent) for row in rows])
    texts = {name: np.full(len(names), str(fleet.arrays[name][0])) for name in TEXTS}
    return DeviceClasses(replace(fleet, data=fleet_data(np.array(names), fleet.horizon, data, texts, fleet.devices)), np.array(shares))


def _share(size: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Share of some members in their sum, (member, period); nothing where the sum is zero."""
    mine = np.where(of[:, None], size, 0.0)
    total = mine.sum(axis=0)
    return np.divide(mine, total, out=np.zeros_like(mine), where=total > 0)


class OneMeter:
    """A platform with one meter at its boundary and no fee inside: what participants that are devices trade is no trade (``Market``)."""

    kind = "one_meter"
    counted_losses = None

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Participants buy from and sell to a pool; its imports and exports are metered."""
        fleet = members.fleet
        period = {"period": fleet.horizon.labels}
        who = {"prosumer": fleet.arrays["prosumer"], **period}
        buy = builder.add_columns("buy", who, unit="kW", upper=members.draw + BEYOND_DEVICES, description="power bought")
        sell = builder.add_columns("sell", who, unit="kW", upper=members.supply + BEYOND_DEVICES, description="power sold")
        most = [side.sum(axis=0) + fleet.size * BEYOND_DEVICES + 1.0 for side in (members.draw, members.supply)]
        imported = builder.add_columns("import", period, unit="kW", upper=most[0], description="import from the parent")
        exported = builder.add_columns("export", period, unit="kW", upper=most[1], description="export to the parent")
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], None, {}, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)

    def weigh(self, builder: ProgramBuilder, members: Members, trade: Trade) -> None:
        """They value nothing beyond money."""

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """Participants are few already."""
        return fleet
