"""A file of time series: one column of time stamps, and a column per profile whose header states its unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from multiscale.sources.text_tables import TableError, header_parts, numbers, read_text_table
from multiscale.sources.time_axis import TimeError, time_axis, whole_days
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.validation import LARGEST_SHARE, outside_shares
from multiscale.units import UnitError, conversion_factor

_TIME = ("time", "timestamp", "datetime", "date", "zeit", "")
_FORMS = "'{0} [1]' or '{0} [%]' (share of the rating), '{0} [kW]' or '{0} [kWh]' (energy of each step)"


@dataclass(frozen=True)
class TimeSeries:
    """One column of a file.

    Attributes:
        profile: its name.
        variable: ``p`` or ``q``.
        unit: ``1`` for shares of a rating, ``kW`` or ``kvar`` for powers; energies of a step have become powers.
        values: (time,).
    """

    profile: str
    variable: str
    unit: str
    values: np.ndarray


@dataclass(frozen=True)
class ProfileFile:
    """What a file holds.

    Attributes:
        time: standard time, from a midnight to a midnight.
        step: length of a step.
        series: by name and variable.
        notes: what was read as what.
    """

    time: pd.DatetimeIndex
    step: pd.Timedelta
    series: dict[tuple[str, str], TimeSeries]
    notes: tuple[str, ...]


def read_profiles(source: Path | pd.DataFrame, zone: str = "") -> ProfileFile:
    """Time series from a CSV or Parquet file, or a table whose index is the time.

    A header is ``name [unit]``, or ``name p [unit]`` and ``name q [unit]`` for active and reactive power. Units: ``1``, ``%`` for shares of the
    rating; kW, MW, ... for powers (kvar for reactive ones); kWh, MWh, ... for the energy of each step. Without a unit, values are shares.

    Args:
        source: file or table.
        zone: time zone of stamps without an offset; empty: standard time all year.

    Raises:
        InvalidSystemError: every problem, each with its first place.
    """
    file = source.name if isinstance(source, Path) else "profiles"
    try:
        frame = read_text_table(source, lambda _: True) if isinstance(source, Path) else source.reset_index(names="time")
    except (TableError, OSError) as error:
        message = str(error) if isinstance(error, TableError) else f"cannot be read ({error.strerror})"
        raise InvalidSystemError([Problem("file", file, "", "", "", message)]) from None
    problems: list[Problem] = []
    found = profile_columns(file, frame, zone, problems)
    if problems or found is None:
        raise InvalidSystemError(problems)
    return found


def profile_columns(
    file: str,
    frame: pd.DataFrame,
    zone: str,
    problems: list[Problem],
    physical: frozenset[str] = frozenset(),
    *,
    no_shares: frozenset[str] = frozenset(),
    stated_only: bool = False,
) -> ProfileFile | None:
    """What a table of time series holds; None where its time stamps or all of its columns cannot be read.

    Args:
        file: its name, for messages.
        frame: the table.
        zone: see ``read_profiles``.
        problems: extended by what is wrong.
        physical: further units, of profiles that are neither shares nor powers, e.g. ``degC``.
        no_shares: profiles that something needs in another unit than a share, whatever their header states.
        stated_only: whether a header must state its unit, and powers are refused.
    """
    names = [str(column) for column in frame.columns]
    stamp = next((k for k, name in enumerate(names) if name.strip().lower() in _TIME), None)
    if stamp is None:
        message = "column is missing; give the time stamps in a column 'time', e.g. 2016-01-01 00:15:00"
        problems.append(Problem("file", file, "time", "", "", message))
        return None
    axis = None
    try:
        axis = time_axis(frame.iloc[:, stamp], zone)
    except TimeError as error:
        problems.append(Problem("file", file, f"time, {error.place}:" if error.place != "time" else "time", error.value, "", error.message))
    hours = axis.step / pd.Timedelta(hours=1) if axis else 1.0
    keep = whole_days(axis.time, axis.step) if axis else slice(None)
    units = _Units(hours, physical, stated_only, no_shares)
    found: dict[tuple[str, str], TimeSeries] = {}
    for k, header in enumerate(names):
        if k == stamp:
            continue
        series = _series(file, header, frame.iloc[:, k], frame.iloc[:, stamp], units, problems)
        if series is None:
            continue
        key = (series.profile, series.variable)
        if key in found:
            problems.append(Problem("file", file, header, "", "", f"is the second column of profile {series.profile!r}; leave one of them out"))
        found[key] = TimeSeries(series.profile, series.variable, series.unit, series.values[keep])
    for profile, variable in found:
        if variable == "q" and (profile, "p") not in found and not any(p.identifier == profile or p.field.startswith(profile) for p in problems):
            problems.append(Problem("profile", profile, "p", "", "", f"column is missing; add '{profile} p [{'1' if stated_only else 'kW'}]'"))
    if not found and not problems and not stated_only:
        problems.append(Problem("file", file, "", "", "", "has no column but the time; add one per element or customer class, e.g. 'household [1]'"))
    if axis is None:
        return None
    notes = [f"{file}: {axis.note}"] if axis.note else []
    lost = len(axis.time) - len(axis.time[keep])
    if lost:
        notes.append(f"{file}: {lost} steps before the first midnight or after the last one are omitted")
    return ProfileFile(axis.time[keep], axis.step, found, tuple(notes))


@dataclass(frozen=True)
class _Units:
    """What units mean in a file.

    Attributes:
        hours: length of a step [h].
        physical: units of profiles that are neither shares nor powers.
        stated_only: whether a header must state its unit, and powers are refused.
        no_shares: profiles whose values are not judged as shares.
    """

    hours: float
    physical: frozenset[str]
    stated_only: bool
    no_shares: frozenset[str]

    def find(self, stated: str | None, variable: str) -> tuple[str, float] | None:
        """Unit of a series and what its numbers are multiplied with; None for a unit that no profile has."""
        if stated is None or not stated.strip():
            return None if self.stated_only or stated is not None else ("1", 1.0)
        if stated in self.physical:
            return stated, 1.0
        power = "kW" if variable == "p" else "kvar"
        choices = [("1", "1", 1.0)]
        if not self.stated_only:
            choices += [(power, power, 1.0)] + ([("kW", "kWh", 1.0 / self.hours)] if variable == "p" else [])
        for unit, wanted, scale in choices:
            try:
                return unit, conversion_factor(stated.strip(), wanted) * scale
            except UnitError:
                continue
        return None

    def forms(self, name: str) -> str:
        """Headers that would do."""
        return f"'{name} [1]' or '{name} [%]'" if self.stated_only else _FORMS.format(name)


def _series(file: str, header: str, given: pd.Series, time: pd.Series, units: _Units, problems: list[Problem]) -> TimeSeries | None:
    """The series of a column, in shares or powers; what is wrong with it is added to the problems."""
    name, stated = header_parts(header)
    variable = name[-1] if name.endswith((" p", " q")) else "p"
    profile = name[:-2].strip() if name.endswith((" p", " q")) else name
    found = units.find(stated, variable)
    if not profile or found is None:
        if not profile:
            what = "names no profile"
        elif units.stated_only:
            what = "column states no share as its unit"
        else:
            what = f"is in [{stated}], which is none of the units of a profile"
        problems.append(Problem("file", file, header, "", "", f"{what}; write its header as {units.forms(name or 'name')}"))
        return None
    unit, factor = found
    values, blank, wrong = numbers(given)
    for places, what in ((wrong, "is not a number; give numbers only"), (blank, "has no value; fill the gaps, or leave the column out")):
        if places.any():
            k = int(places.argmax())
            more = f" (the first of {int(places.sum())})" if places.sum() > 1 else ""
            message = f"in row {k + 1} of {file} ({time.iloc[k]}) {what}{more}"
            problems.append(Problem("profile", profile, variable, repr(str(given.iloc[k])) if what.startswith("is not") else "", "", message))
    if (wrong | blank).any():
        return None
    values = values * factor
    if variable == "p" and unit not in units.physical and profile not in units.no_shares:
        problems += _range_problems(file, profile, values, unit, stated, time, units)
    return TimeSeries(profile, variable, unit, values)


def _range_problems(file: str, profile: str, values: np.ndarray, unit: str, stated: str | None, time: pd.Series, units: _Units) -> list[Problem]:
    shown = "" if unit == "1" else unit
    limit = np.inf if unit != "1" else LARGEST_SHARE if stated is not None else 1.0 + 1e-6
    low, high = outside_shares(values, limit)
    found = []
    if low is not None:
        message = f"in row {low + 1} of {file} ({time.iloc[low]}) is below zero; give consumption and generation as elements of their own"
        found.append(Problem("profile", profile, "p", f"{values[low]:g}", shown, message))
    if high is not None:
        why = "is no share of a rating" if stated is not None else "is above 1, and the header states no unit"
        message = f"in row {high + 1} of {file} ({time.iloc[high]}) {why}; state the unit in the header: {units.forms(profile)}"
        found.append(Problem("profile", profile, "p", f"{values[high]:g}", "", message))
    return found
