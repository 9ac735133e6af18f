"""Members of a pool as arrays, in batches of one kind, and their answers to prices of the pool, computed on threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from multiscale.devices.one_state import OneState
from multiscale.markets.batched import members
from multiscale.programs import ProgramError


class AnswerError(ProgramError):
    """A member has no exact answer to a price; the message names it and what to do."""


def one(value: float) -> np.ndarray:
    """A number for all members and periods."""
    return np.full((1, 1), float(value))


@dataclass(frozen=True)
class Batch:
    """Members with a meter each, and a device with one state, of one kind, each, or none.

    Arrays are over (member, period); each dimension may have length 1, for all.

    Attributes:
        names: of the members, (member,).
        demand, pv: inflexible demand, and available generation [kW].
        fee_in, fee_out: on each kWh bought and sold, in addition to the price [EUR/kWh].
        cap_in, cap_out: most that the connection lets in and out [kW]; ``inf`` for none.
        device: what each owns (``owners`` is not used), or None.
        start: state at which each device begins and ends [kWh], (member,); None: free, but the same at both ends.
        kind: name of the device, for messages.
    """

    names: np.ndarray
    demand: np.ndarray
    pv: np.ndarray
    fee_in: np.ndarray = field(default_factory=lambda: one(0.0))
    fee_out: np.ndarray = field(default_factory=lambda: one(0.0))
    cap_in: np.ndarray = field(default_factory=lambda: one(np.inf))
    cap_out: np.ndarray = field(default_factory=lambda: one(np.inf))
    device: OneState | None = None
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

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.names)

    def largest(self, periods: int) -> tuple[np.ndarray, np.ndarray]:
        """Most that all of them buy, and sell, whatever they do [kW], (period,)."""
        shape = (self.size, periods)
        bought, sold = (np.broadcast_to(values, shape).sum(axis=0) for values in (self.demand, self.pv))
        if self.device is None:
            return bought, sold
        presence = np.broadcast_to(self.device.presence, shape)
        powers = (np.broadcast_to(power, shape) for power in (self.device.power_in, self.device.power_out))
        drawn, supplied = (np.einsum("it,it->t", power, presence) for power in powers)
        return bought + drawn, sold + supplied


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
        drawn, supplied: power of its devices [kW], (member, period).
        used: generation used [kW], (member, period).
        unserved: demand not served [kW], (member, period).
        start: state of its devices at start and end [kWh], (member,).
    """

    drawn: np.ndarray
    supplied: np.ndarray
    used: np.ndarray
    unserved: np.ndarray
    start: np.ndarray

    @classmethod
    def none(cls, batch: Batch | None, periods: int) -> Schedules:
        """Nothing yet; without a batch: nothing is to be written."""
        count = 0 if batch is None else batch.size
        drawn, supplied, used, unserved = (np.zeros((count, periods)) for _ in range(4))
        return cls(drawn, supplied, used, unserved, np.zeros(count))


_NO, _ALL = one(0.0), one(1.0)
NO_DEVICE = OneState(np.zeros(0, dtype=int), _NO, _NO, _ALL, _ALL, _ALL, _ALL, _NO, _NO, _NO)


class Respondents:
    """Groups of members that answer prices; remembers where their states began, where the next search begins.

    Args:
        pool: what they share.
        groups: who answers together.
        executor: threads; None: groups answer one after the other.
    """

    def __init__(self, pool: Pool, groups: Sequence[Group], executor: Executor | None = None) -> None:
        self.pool, self.groups, self._executor = pool, groups, executor
        self._starts = {id(g.batch): self._first(g.batch) for g in groups}
        self._begun: dict[int, np.ndarray] | None = None

    def begin_at(self, price: np.ndarray) -> None:
        """From now on begin every search where that at a price ended: answers then depend on nothing else, and what is written is what was said."""
        self._begun = None
        self._starts = {id(g.batch): self._first(g.batch) for g in self.groups}
        self.at(price)
        self._begun = {key: starts.copy() for key, starts in self._starts.items()}

    def _first(self, batch: Batch) -> np.ndarray:
        if batch.device is None:
            return np.zeros(batch.size)
        if batch.start is not None:
            return np.array(batch.start, dtype=float)
        low = np.broadcast_to(batch.device.low, (batch.size, len(self.pool.hours)))
        return np.maximum(low[:, -1], 0.0)

    def at(self, price: np.ndarray) -> list[Answered]:
        """The cheapest answer of every group to a price of the pool [EUR/kWh], (period,).

        Raises:
            AnswerError: a member has none that is exact.
        """
        nothing = Schedules.none(None, len(price))
        if self._executor is None:
            return [self._answer(g, price, 1.0, nothing) for g in self.groups]
        return list(self._executor.map(lambda g: self._answer(g, price, 1.0, nothing), self.groups))

    def write(self, group: int, price: np.ndarray, weight: float, into: Schedules) -> None:
        """Add so many times the schedules of a group at a price to those of its batch."""
        it = self.groups[group]
        self._answer(it, price, weight, into)
        into.start[it.members] += weight * self._starts[id(it.batch)][it.members]

    def write_all(self, tasks: Sequence[tuple[int, np.ndarray, float, Schedules]]) -> None:
        """``write`` for each group's tasks in their order, groups on threads."""
        by_group: dict[int, list[tuple[int, np.ndarray, float, Schedules]]] = {}
        for task in tasks:
            by_group.setdefault(task[0], []).append(task)

        def write(mine: Sequence[tuple[int, np.ndarray, float, Schedules]]) -> None:
            for task in mine:
                self.write(*task)

        if self._executor is None:
            for mine in by_group.values():
                write(mine)
        else:
            list(self._executor.map(write, by_group.values()))

    def _answer(self, group: Group, price: np.ndarray, weight: float, into: Schedules) -> Answered:
        batch, pool = group.batch, self.pool
        device = NO_DEVICE if batch.device is None else batch.device
        net = np.zeros(len(price))
        if self._begun is not None:
            self._starts[id(batch)][group.members] = self._begun[id(batch)][group.members]
        own, error, size, ended, who = members.answer(
            group.members, weight, np.ascontiguousarray(price), pool.hours, pool.step_hours, pool.value_of_lost_load, pool.unused_cost,
            batch.demand, batch.pv, batch.fee_in, batch.fee_out, batch.cap_in, batch.cap_out, batch.device is not None, device.power_in,
            device.power_out, device.presence, device.gain_in, device.gain_out, device.keep, device.shift, device.low, device.high, device.wear,
            device.kink_below, device.kink_above, device.cost_below, device.cost_above, batch.start is not None, self._starts[id(batch)],
            net, into.drawn, into.supplied, into.used, into.unserved,
        )  # fmt: skip
        if ended != members.ANSWERED:
            raise AnswerError(f"member {str(batch.names[who])!r} with {batch.kind}: {_REASONS[ended]}; use the ordinary program of the platform")
        return Answered(group.scale * own, group.scale * net, group.scale * (error + 1e-10 * size))


_REASONS = {
    members.BURNS: "at prices this far below zero it pays to charge and discharge at once, which the recursion does not do",
    members.STUCK: "no schedule keeps its state within its bounds",
    members.CONNECTION: "its connection cannot let out what its device must supply",
}
