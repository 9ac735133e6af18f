"""Members of a pool as arrays, in batches of one kind, and what they do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multiscale.devices.one_state import OneState


def one(value: float) -> np.ndarray:
    """A number for all members and periods."""
    return np.full((1, 1), float(value))


@dataclass(frozen=True)
class Batch:
    """Members with a meter each, and the same kinds of devices with one state each behind it, or none.

    Arrays are over (member, period); each dimension may have length 1, for all.

    Attributes:
        names: of the members, (member,).
        demand, pv: inflexible demand, and available generation [kW].
        fee_in, fee_out: on each kWh bought and sold, in addition to the price [EUR/kWh].
        cap_in, cap_out: most that the connection lets in and out [kW]; ``inf`` for none.
        devices: what each owns (``owners`` is not used).
        start: state at which the device begins and ends [kWh], (member,); None: free, but the same at both ends. Not for several devices.
        kind: name of the devices, for messages.
    """

    names: np.ndarray
    demand: np.ndarray
    pv: np.ndarray
    fee_in: np.ndarray = field(default_factory=lambda: one(0.0))
    fee_out: np.ndarray = field(default_factory=lambda: one(0.0))
    cap_in: np.ndarray = field(default_factory=lambda: one(np.inf))
    cap_out: np.ndarray = field(default_factory=lambda: one(np.inf))
    devices: tuple[OneState, ...] = ()
    start: np.ndarray | None = None
    kind: str = "no device"

    def __post_init__(self) -> None:
        count, known = len(self.names), {name: getattr(self, name) for name in ("demand", "pv", "fee_in", "fee_out", "cap_in", "cap_out")}
        for name, values in known.items():
            if values.ndim != 2 or values.shape[0] not in (1, count):
                raise ValueError(f"members with {self.kind}: {name} has shape {values.shape}; give ({count} or 1 members, periods or 1)")
            wrong = np.isnan(values) | (values < 0) if name not in ("fee_in", "fee_out") else ~np.isfinite(values)
            if wrong.any():
                i, t = (int(k) for k in np.argwhere(wrong)[0])
                unit = "EUR/kWh" if name.startswith("fee") else "kW"
                who = str(self.names[i]) if values.shape[0] > 1 else "all"
                raise ValueError(f"member {who!r}: {name} in period {t} is {values[i, t]:g} {unit}; it must be a number, of powers not negative")
        if (self.fee_in + self.fee_out < 0).any():
            raise ValueError(f"members with {self.kind}: fee_in + fee_out is negative, so buying and selling at once would pay; raise one of them")
        if self.start is not None and len(self.devices) > 1:
            raise ValueError(f"members with {self.kind}: a state is given at the start, but there are {len(self.devices)} devices; leave it free")

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.names)

    def largest(self, periods: int) -> tuple[np.ndarray, np.ndarray]:
        """Most that all of them buy, and sell, whatever they do [kW], (period,)."""
        shape = (self.size, periods)
        bought, sold = (np.broadcast_to(values, shape).sum(axis=0) for values in (self.demand, self.pv))
        for device in self.devices:
            presence = np.broadcast_to(device.presence, shape)
            powers = (np.broadcast_to(power, shape) for power in (device.power_in, device.power_out))
            drawn, supplied = (np.einsum("it,it->t", power, presence) for power in powers)
            bought, sold = bought + drawn, sold + supplied
        return bought, sold


@dataclass(frozen=True)
class Group:
    """Members of one batch that answer together.

    Attributes:
        batch: their batch.
        members: their positions in it.
        scale: how many members each stands for.
    """

    batch: Batch
    members: np.ndarray
    scale: float = 1.0


@dataclass(frozen=True)
class Pool:
    """What all members share.

    Attributes:
        hours: hours of the year of every period [h/a], (period,).
        step_hours: length of a period [h].
        value_of_lost_load: cost of each kWh not served [EUR/kWh].
        unused_cost: cost of each kWh of available generation not used [EUR/kWh].
    """

    hours: np.ndarray
    step_hours: float
    value_of_lost_load: float
    unused_cost: float


@dataclass(frozen=True)
class Answered:
    """What a group does at a price.

    Attributes:
        cost: its own cost [EUR/a].
        net: what it buys less what it sells [kW], (period,).
        error: by how much its least value may be lower [EUR/a].
    """

    cost: float
    net: np.ndarray
    error: float


@dataclass(frozen=True)
class Schedules:
    """Schedules of a batch.

    Attributes:
        drawn, supplied: power of its devices [kW], (device, member, period).
        used: generation used [kW], (member, period).
        unserved: demand not served [kW], (member, period).
        start: state of its devices at start and end [kWh], (member, device).
    """

    drawn: np.ndarray
    supplied: np.ndarray
    used: np.ndarray
    unserved: np.ndarray
    start: np.ndarray

    @classmethod
    def none(cls, batch: Batch | None, periods: int) -> Schedules:
        """Nothing yet; without a batch: nothing is to be written."""
        count, devices = (0, 0) if batch is None else (batch.size, len(batch.devices))
        drawn, supplied = (np.zeros((devices, count, periods)) for _ in range(2))
        used, unserved = (np.zeros((count, periods)) for _ in range(2))
        return cls(drawn, supplied, used, unserved, np.zeros((count, devices)))
