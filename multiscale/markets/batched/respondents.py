"""Answers of groups of members to prices of their pool, computed on threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from multiscale.devices.one_state import ARRAYS, OneState
from multiscale.markets.batched import members, several
from multiscale.markets.batched.batch import Answered, Batch, Group, Pool, Schedules, one
from multiscale.programs import ProgramError


class AnswerError(ProgramError):
    """A member has no exact answer to a price; the message names it and what to do."""


_NO, _ALL = one(0.0), one(1.0)
NO_DEVICE = OneState(np.zeros(0, dtype=int), _NO, _NO, _ALL, _ALL, _ALL, _ALL, _NO, _NO, _NO)
NO_START = np.zeros(0)
NO_VALUES = np.zeros((0, 0)), np.zeros((0, 0, 0))

# As their types do not know how many arguments stand behind a star.
answer_of_one: Callable[..., Any] = members.answer
answer_of_several: Callable[..., Any] = several.answer

Memory = tuple[np.ndarray, ...]
"""Of a batch, where searches begin: states [kWh], (member, device); of several devices the basis and where columns are, (member, ..), too."""


class Respondents:
    """Groups of members that answer prices.

    Many answers may cost the same, and which is found depends on where the search begins. Every search of a group begins where its first one ended:
    so an answer depends on nothing but the price, and what is written at a price is what was said at it.

    Args:
        pool: what they share.
        groups: who answers together.
        executor: threads; None: groups answer one after the other.
    """

    def __init__(self, pool: Pool, groups: Sequence[Group], executor: Executor | None = None) -> None:
        self.pool, self.groups, self._executor = pool, groups, executor
        self._batches = {id(g.batch): g.batch for g in groups}
        self._stacked = {key: stacked(batch.devices) for key, batch in self._batches.items() if len(batch.devices) > 1}
        self._memory: dict[int, Memory] = {}
        self._begun: list[Memory | None] = []
        self._forget()

    def begin_at(self, price: np.ndarray) -> None:
        """From now on begin every search where that at a price ends."""
        self._forget()
        self.at(price)

    def _forget(self) -> None:
        self._memory = {key: self._first(batch) for key, batch in self._batches.items()}
        self._begun = [None] * len(self.groups)

    def _first(self, batch: Batch) -> Memory:
        count, periods = batch.size, len(self.pool.hours)
        if not batch.devices:
            return (np.zeros((count, 0)),)
        if len(batch.devices) > 1:
            rows, columns = several.sizes(len(batch.devices), periods)
            return np.zeros((count, len(batch.devices))), np.full((count, rows), -1, dtype=np.int32), np.zeros((count, columns), dtype=np.int8)
        if batch.start is not None:
            return (np.array(batch.start, dtype=float)[:, None],)
        low = np.broadcast_to(batch.devices[0].low, (count, periods))
        return (np.maximum(low[:, -1:], 0.0),)

    def at(self, price: np.ndarray) -> list[Answered]:
        """The cheapest answer of every group to a price of the pool [EUR/kWh], (period,).

        Raises:
            AnswerError: a member has none that is exact.
        """
        nothing = Schedules.none(None, len(price))
        if self._executor is None:
            return [self._answer(g, price, 1.0, nothing) for g in range(len(self.groups))]
        return list(self._executor.map(lambda g: self._answer(g, price, 1.0, nothing), range(len(self.groups))))

    def write(self, group: int, price: np.ndarray, weight: float, into: Schedules) -> None:
        """Add so many times the schedules of a group at a price to those of its batch."""
        it = self.groups[group]
        self._answer(group, price, weight, into)
        into.start[it.members] += weight * self._memory[id(it.batch)][0][it.members]

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

    def _answer(self, number: int, price: np.ndarray, weight: float, into: Schedules) -> Answered:
        group, begun = self.groups[number], self._begun[number]
        batch, key, net = group.batch, id(group.batch), np.zeros(len(price))
        if begun is not None:
            for now, then in zip(self._memory[key], begun, strict=True):
                now[group.members] = then
        if len(batch.devices) > 1:
            starts, bases, places = self._memory[key]
            own, error, size, ended, who = answer_of_several(
                group.members, weight, *_meters(self.pool, batch, price), *self._stacked[key], bases, places, starts, net,
                into.drawn, into.supplied, into.used, into.unserved, *NO_VALUES,
            )  # fmt: skip
        else:
            device = batch.devices[0] if batch.devices else NO_DEVICE
            starts = self._memory[key][0][:, 0] if batch.devices else NO_START
            drawn, supplied = (into.drawn[0], into.supplied[0]) if len(into.drawn) else (NO_VALUES[0], NO_VALUES[0])
            own, error, size, ended, who = answer_of_one(
                group.members, weight, *_meters(self.pool, batch, price), bool(batch.devices), device.power_in, device.power_out, device.presence,
                device.gain_in, device.gain_out, device.keep, device.shift, device.low, device.high, device.wear, device.kink_below,
                device.kink_above, device.cost_below, device.cost_above, batch.start is not None, starts,
                net, drawn, supplied, into.used, into.unserved,
            )  # fmt: skip
        if ended != members.ANSWERED:
            raise AnswerError(f"member {str(batch.names[who])!r} with {batch.kind}: {_REASONS[ended]}; use the ordinary program of the platform")
        if begun is None:
            self._begun[number] = tuple(values[group.members] for values in self._memory[key])
        return Answered(group.scale * own, group.scale * net, group.scale * (error + 1e-10 * size))


def _meters(pool: Pool, batch: Batch, price: np.ndarray) -> tuple[Any, ...]:
    """Prices and meters, as the compiled answers take them."""
    shared = np.ascontiguousarray(price), pool.hours, pool.step_hours, pool.value_of_lost_load, pool.unused_cost
    return *shared, batch.demand, batch.pv, batch.fee_in, batch.fee_out, batch.cap_in, batch.cap_out


def stacked(devices: Sequence[OneState]) -> tuple[np.ndarray, ...]:
    """Several devices as ``several.answer`` takes them: every field over (device, member, period), then wear and holding costs."""
    fields = [np.broadcast_arrays(*(getattr(device, name) for device in devices)) for name in ARRAYS]
    rates = np.array([[device.wear, device.cost_below, device.cost_above] for device in devices])
    return *(np.stack(values) for values in fields), rates


def member_values(pool: Pool, batch: Batch, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prices at the meters [EUR/kWh], (member, period), and of the states [EUR/a per kWh], (device, member, period), of several devices each."""
    at_meter, at_state = np.zeros((batch.size, len(price))), np.zeros((len(batch.devices), batch.size, len(price)))
    rows, columns = several.sizes(len(batch.devices), len(price))
    memory = np.full((batch.size, rows), -1, dtype=np.int32), np.zeros((batch.size, columns), dtype=np.int8)
    none = Schedules.none(None, len(price))
    _, _, _, ended, who = answer_of_several(
        np.arange(batch.size), 0.0, *_meters(pool, batch, price), *stacked(batch.devices), *memory, np.zeros((batch.size, len(batch.devices))),
        np.zeros(len(price)), none.drawn, none.supplied, none.used, none.unserved, at_meter, at_state,
    )  # fmt: skip
    if ended != members.ANSWERED:
        raise AnswerError(f"member {str(batch.names[who])!r} with {batch.kind}: {_REASONS[ended]}; use the ordinary program of the platform")
    return at_meter, at_state


_REASONS = {
    members.BURNS: "at prices this far below zero it pays to charge and discharge at once, which the recursion does not do",
    members.STUCK: "no schedule keeps its state within its bounds and its power within its connection",
    members.CONNECTION: "its connection cannot let out what its device must supply",
    several.UNSOLVED: "the simplex method did not end within its steps",
}
