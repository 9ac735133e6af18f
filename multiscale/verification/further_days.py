"""Days of the year that the DSO dispatches individually, because the AC power flow of the year is violated on them.

A day that was not operated has the response of the representative day that resembles it most, which may not be what that day asks for: photovoltaics
are not curtailed though they yield more, vehicles are charged at an hour that is heavily loaded already. So, as long as hours are violated and the
number of dispatches allows, the days that are violated worst are dispatched, a few at a time: where limits inside a platform are violated that way,
once more with its members in its low-voltage network; and where a dispatched day still violates limits, under limits tightened as in a repair of the
plan. A dispatched day keeps its dispatch, whatever it violates. Days on which nothing is violated keep the response they have, and so do those that
the number of dispatches does not reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.operation.dispatched_days import DispatchedDay
from multiscale.timeline import Horizon
from multiscale.verification.year import OwnPower, YearFlows, with_response

Dispatch = Callable[[Mapping[pd.Timestamp, frozenset[str]]], Mapping[pd.Timestamp, DispatchedDay]]
"""Day -> platforms that take part member by member; leads to the days as they are dispatched under the limits in force."""

AT_ONCE = 48
"""Days that are dispatched before the year is looked at again."""

Tighten = Callable[[Mapping[pd.Timestamp, Mapping[str, xr.Dataset]]], bool]
"""Day -> DSO -> what was drawn on it, which violates limits -> whether there was anything to tighten."""


@dataclass
class OperatedYear:
    """What is known of the operation of a year.

    Attributes:
        step_hours: length of a period [h].
        operated: day -> DSO -> ``p`` [kW] and ``q`` [kvar] drawn on it, (bus, period); the representative days first.
        nearest: calendar day -> the operated day whose response it has.
        own: DSO -> what is drawn by profiles.
        flows: DSO -> AC power flow of all hours.
        within: day that was dispatched -> platforms that took part member by member.
        unserved: the same -> demand that is not served [kWh].
        under: the same -> how often limits had been tightened.
        work: number of dispatches.
        tightened: number of times that limits were tightened.
    """

    step_hours: float
    operated: dict[pd.Timestamp, Mapping[str, xr.Dataset]]
    nearest: dict[pd.Timestamp, pd.Timestamp]
    own: Mapping[str, OwnPower]
    flows: Mapping[str, YearFlows]
    within: dict[pd.Timestamp, frozenset[str]] = field(default_factory=dict)
    unserved: dict[pd.Timestamp, float] = field(default_factory=dict)
    under: dict[pd.Timestamp, int] = field(default_factory=dict)
    work: int = 0
    tightened: int = 0

    def violated(self) -> dict[pd.Timestamp, int]:
        """Violated day -> number of violated branches and buses, summed over its hours; the most first.

        An hour without a solution counts as all of them.
        """
        total = pd.concat([self._count(flows) for flows in self.flows.values()])
        by_day = total.groupby(total.index.normalize()).sum()
        return {day: int(n) for day, n in by_day[by_day > 0].sort_values(ascending=False, kind="stable").items()}

    @staticmethod
    def _count(flows: YearFlows) -> pd.Series:
        parts = flows.model.branches.sizes["branch"] + flows.model.buses.sizes["bus"]
        found = flows.overloaded().sum(axis=0) + flows.outside_band().sum(axis=0) + parts * ~flows.flows.converged
        return pd.Series(found, pd.DatetimeIndex(flows.hours.tolist()))

    def violated_parts(self) -> dict[pd.Timestamp, set[str]]:
        """Violated day -> branches and buses that are violated on it."""
        names: dict[pd.Timestamp, set[str]] = {}
        for flows in self.flows.values():
            day = pd.DatetimeIndex(flows.hours.tolist()).normalize()
            labels = flows.model.branches.branch.values, flows.model.buses.bus.values
            for label, found in zip(labels, (flows.overloaded(), flows.outside_band()), strict=True):
                part, hour = np.nonzero(found)
                for which, when in {*zip(label[part].tolist(), day[hour].tolist(), strict=True)}:
                    names.setdefault(pd.Timestamp(when), set()).add(str(which))
        return names

    def give(self, nearest: Mapping[pd.Timestamp, pd.Timestamp]) -> None:
        """Give days the response of operated days, and compute their power flow."""
        self.nearest |= nearest
        for dso, own in self.own.items():
            flows, parts = self.flows[dso], []
            for day in dict.fromkeys(nearest.values()):
                like = {other: 0 for other, of in nearest.items() if of == day}
                parts.append(with_response(own, Horizon((day,), (1.0,), self.step_hours), like, self.operated[day][dso]))
            flows.take(YearFlows.of(flows.model, flows.nodes, xr.concat(parts, "hour", join="exact")))

    def add(self, day: pd.Timestamp, found: DispatchedDay, within: frozenset[str]) -> None:
        """Keep a dispatched day; its power flow is left to ``give``."""
        self.work += 1
        self.operated[day], self.within[day] = found.injections, within
        self.unserved[day], self.under[day] = found.unserved, self.tightened


def dispatch_further_days(
    year: OperatedYear,
    node_of: Mapping[str, str],
    dispatch: Dispatch,
    tighten: Tighten,
    *,
    most: int,
    rounds: int,
    report_progress: Callable[[str], None],
) -> tuple[str, ...]:
    """Dispatch violated days, the worst first, until none is left or the number of dispatches is reached; ``year`` is changed in place.

    Args:
        year: under the representative days.
        node_of: branch or bus of a platform's network -> the platform.
        dispatch: how days are dispatched.
        tighten: tightens the limits of ``dispatch``.
        most: largest number of dispatches.
        rounds: largest number of times that limits are tightened on account of one day.
        report_progress: called with what is being done.

    Returns:
        Why violations are left, in words; empty where none is.
    """
    representative, again = frozenset(year.operated), dict.fromkeys(year.nearest, 0)
    while violated := [day for day in year.violated() if day not in representative]:
        todo, stuck = _next(year, violated, node_of)
        if stuck := [day for day in stuck if again[day] < rounds]:
            for day in stuck:
                again[day] += 1
            year.tightened += tighten({day: year.operated[day] for day in stuck})
            todo = _next(year, violated, node_of)[0]
        if not todo:
            why = f"{_left(len(violated))} although dispatched individually, under limits tightened {_counted(year.tightened, 'time')}"
            return why, *_representative(year, representative)
        left = most - year.work
        if left <= 0:
            why = f"{_left(len(violated))} after {_counted(most, 'dispatch', 'dispatches')} of single days (verification.further_days)"
            return why, *_representative(year, representative)
        fresh = list(todo)[: min(AT_ONCE, left)]
        report_progress(f"{_counted(year.work, 'day')} dispatched, {_left(len(violated))}")
        for day, found in dispatch({day: todo[day] for day in fresh}).items():
            year.add(day, found, todo[day])
        year.give({day: day for day in fresh})
    return _representative(year, representative)


def _representative(year: OperatedYear, representative: frozenset[pd.Timestamp]) -> tuple[str, ...]:
    """What is said of violated days that are operated under the mechanism, and so are not dispatched again."""
    count = sum(day in representative for day in year.violated())
    return (_left(count, "representative day"),) if count else ()


def _left(count: int, what: str = "day") -> str:
    return f"{_counted(count, what)} {'violates' if count == 1 else 'violate'} limits"


def _next(
    year: OperatedYear, violated: list[pd.Timestamp], node_of: Mapping[str, str]
) -> tuple[dict[pd.Timestamp, frozenset[str]], list[pd.Timestamp]]:
    """Violated days whose dispatch would be another one -> platforms that take part member by member; and those for which it would not."""
    todo, stuck, parts = {}, [], year.violated_parts()
    for day in violated:
        inner = frozenset(node_of[name] for name in parts.get(day, ()) if name in node_of)
        before = year.within.get(day)
        if before is None:
            todo[day] = inner
        elif inner - before or year.under[day] < year.tightened:
            todo[day] = inner | before
        else:
            stuck.append(day)
    return todo, stuck


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
