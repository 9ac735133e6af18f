"""Days of the year that are operated in truth, beyond the representative ones, because the AC power flow of the year is violated on them.

A day that was not operated has the response of the day that resembles it most, which may not be what that day asks for: photovoltaics are not
curtailed though they yield more, vehicles are charged at an hour that is already heavily loaded. Where that violates a limit,

1. the responses of other operated days are tried, the more alike first: one that violates nothing shows that the day can be operated within limits;
2. a few of the days that are left are operated in truth, so that their response is their own, and theirs are tried on the others.

Days on which nothing is violated keep the response they have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from multiscale.timeline import Horizon
from multiscale.verification.year import YearVerification


@dataclass(frozen=True)
class OperatedDays:
    """What is known of the operation of a year, and what its AC power flow says.

    Attributes:
        horizon: the operated days, the representative ones first; weights of the others are 1.
        nearest: calendar day -> position of the operated day whose response it has.
        operated: ``p`` [kW] and ``q`` [kvar] drawn on the operated days, (bus, period of the horizon).
        check: AC power flow of the year under them.
    """

    horizon: Horizon
    nearest: Mapping[pd.Timestamp, int]
    operated: xr.Dataset
    check: YearVerification

    @property
    def not_operated(self) -> tuple[pd.Timestamp, ...]:
        """Violated days that have not been operated: what their own operation would look like is not known."""
        return tuple(day for day in violated_days(self.check) if day not in self.horizon.days)


def operate_further_days(
    known: OperatedDays,
    distance: pd.DataFrame,
    operate: Callable[[tuple[pd.Timestamp, ...]], xr.Dataset],
    checked: Callable[[Horizon, Mapping[pd.Timestamp, int], xr.Dataset], YearVerification],
    *,
    most: int,
    at_once: int = 8,
    tried: int = 4,
) -> OperatedDays:
    """Operate the days that are violated worst, a few at a time, until every violated day has been operated or the number of days is reached.

    Args:
        known: the representative days.
        distance: of the courses of every two days, see ``representative_days.resemblance``.
        operate: days -> what the buses draw on them under the plan, as ``OperatedDays.operated``.
        checked: horizon, nearest, operated -> AC power flow of the year.
        most: largest number of days operated beyond the representative ones.
        at_once: how many days are operated before the year is looked at again.
        tried: see ``with_other_responses``.
    """
    first = len(known.horizon.days)
    known = with_other_responses(known, distance, checked, tried=tried)
    while left := most - (len(known.horizon.days) - first):
        days = worst_days(known.check, known.horizon.days, min(at_once, left))
        if not days:
            break
        operated = xr.concat([known.operated, operate(days)], dim="period", join="exact")
        before = known.horizon
        horizon = Horizon((*before.days, *days), (*before.weights, *(1.0,) * len(days)), before.step_hours)
        nearest = {**known.nearest, **{day: len(before.days) + k for k, day in enumerate(days)}}
        known = OperatedDays(horizon, nearest, operated, checked(horizon, nearest, operated))
        known = with_other_responses(known, distance, checked, tried=tried)
    return known


def with_other_responses(
    known: OperatedDays,
    distance: pd.DataFrame,
    checked: Callable[[Horizon, Mapping[pd.Timestamp, int], xr.Dataset], YearVerification],
    *,
    tried: int = 4,
) -> OperatedDays:
    """The same where violated days that were not operated have the response of another operated day, if one of the most alike violates nothing.

    Args:
        known: what is known.
        distance: of the courses of every two days.
        checked: horizon, nearest, operated -> AC power flow of the days in ``nearest``.
        tried: how many operated days are tried on each day, the one it has first.
    """
    found: dict[pd.Timestamp, int] = {}
    left = list(known.not_operated)
    order = distance.loc[left, list(known.horizon.days)].to_numpy().argsort(axis=1, kind="stable")
    ranks = dict(zip(left, order.tolist(), strict=True))
    for rank in range(min(tried, len(known.horizon.days))):
        trial = {day: ranks[day][rank] for day in left if ranks[day][rank] != known.nearest[day]}
        if trial:
            bad = set(violated_days(checked(known.horizon, trial, known.operated)))
            found |= {day: k for day, k in trial.items() if day not in bad}
            left = [day for day in left if day not in found]
    if not found:
        return known
    nearest = {**known.nearest, **found}
    return OperatedDays(known.horizon, nearest, known.operated, checked(known.horizon, nearest, known.operated))


def worst_days(check: YearVerification, operated: Collection[pd.Timestamp], count: int) -> tuple[pd.Timestamp, ...]:
    """Violated days that have not been operated, by date; at most ``count``.

    Days that are the worst for the largest number of branches and buses come first, then those with the most violated hours.

    Args:
        check: the year.
        operated: days whose injections are their own.
        count: largest number.
    """
    worst = pd.to_datetime(check.violations["worst_hour"].astype(str)).dt.normalize().value_counts()
    hours = _violated_hours(check).normalize().value_counts()
    days = [day for day in hours.index if day not in operated]
    return tuple(sorted(sorted(days, key=lambda day: (-int(worst.get(day, 0)), -int(hours[day]), day))[:count]))


def violated_days(check: YearVerification) -> tuple[pd.Timestamp, ...]:
    """Days with an hour in which a limit is violated or the power flow diverged, by date."""
    return tuple(_violated_hours(check).normalize().unique().sort_values())


def _violated_hours(check: YearVerification) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(check.result.hour.values[check.result.violated.values == 1].astype(str).tolist())
