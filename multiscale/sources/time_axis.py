"""Time stamps of people as an even axis of standard time: local time with its clock changes, explicit offsets, UTC, or standard time as it is."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass

import numpy as np
import pandas as pd

_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?P<offset>Z|\s?UTC|\s?[+-]\d{2}:?\d{2})?$")
_DOTTED = re.compile(r"^\d{2}\.\d{2}\.\d{4}(?: \d{2}:\d{2}(?::\d{2})?)?$")
_ADVICE = "where these are clock changes, give the zone (system.time_zone=Europe/Berlin) or write the offset behind every time stamp"
DAY = pd.Timedelta(days=1)


class TimeError(ValueError):
    """Time stamps that make no even axis.

    Attributes:
        place: where, e.g. ``row 12``.
        value: what stands there.
    """

    def __init__(self, place: str, value: str, message: str) -> None:
        super().__init__(f"{place}: {value} {message}")
        self.place, self.value, self.message = place, value, message


@dataclass(frozen=True)
class Axis:
    """An even axis.

    Attributes:
        time: standard time, without a zone.
        step: between any two stamps.
        note: what was read as what; empty where the stamps are taken as they are.
    """

    time: pd.DatetimeIndex
    step: pd.Timedelta
    note: str


def known_zone(name: str) -> bool:
    """Whether the name is a time zone of the IANA data base."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def time_axis(given: pd.Series, zone: str = "") -> Axis:
    """The axis that time stamps make.

    Stamps with offsets (``2016-01-01T00:00:00+01:00``, ``Z``) become standard time: that of the zone, or where none is named the least offset that
    occurs. Stamps without are local time of the zone, clock changes included, or where none is named standard time all year, as written.

    Args:
        given: texts, or dates and times.
        zone: IANA name, e.g. ``Europe/Berlin``; empty: none.

    Raises:
        TimeError: texts that are no time stamps, gaps, repetitions, steps of different length; each with the first place.
    """
    if zone and not known_zone(zone):
        raise TimeError("zone", repr(zone), "is no time zone; give an IANA name, e.g. Europe/Berlin")
    if not len(given):
        raise TimeError("time", "0", "time stamps; give at least one whole day")
    local, offset, aware = _parsed(given)
    if aware:
        moments = pd.DatetimeIndex(local - offset)
        standard = _standard_offset(pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone)) if zone else pd.Timedelta(offset.min())
        note = "" if not (zone or (offset != offset[0]).any()) else f"time stamps with offsets are read as standard time UTC{_signed(standard)}"
    elif zone:
        moments, standard = _from_local(local, zone)
        note = f"time stamps are local time of {zone}, read as standard time UTC{_signed(standard)}"
    else:
        moments, standard, note = pd.DatetimeIndex(local), pd.Timedelta(0), ""
    time = pd.DatetimeIndex(moments + standard)
    step = _even(time, given, "" if aware or zone else f"; {_ADVICE}")
    return Axis(time, step, note)


def _parsed(given: pd.Series) -> tuple[pd.DatetimeIndex, pd.TimedeltaIndex, bool]:
    """Wall-clock times, their offsets from UTC, and whether these are stated."""
    if pd.api.types.is_datetime64_any_dtype(given.dtype) and given.isna().any():
        raise TimeError(_row(int(given.isna().to_numpy().argmax())), "", "has no time stamp; give one")
    if isinstance(given.dtype, pd.DatetimeTZDtype):
        wall = pd.DatetimeIndex(given.dt.tz_localize(None))
        return wall, pd.TimedeltaIndex(wall - pd.DatetimeIndex(given.dt.tz_convert("UTC").dt.tz_localize(None))), True
    if pd.api.types.is_datetime64_dtype(given.dtype):
        return pd.DatetimeIndex(given), pd.TimedeltaIndex(np.zeros(len(given), dtype="timedelta64[ns]")), False
    text = given.astype(object).where(given.notna(), "").astype(str).str.strip()
    dotted = text.str.match(_DOTTED)
    wrong = ~(dotted | text.str.match(_ISO))
    found = text.str.extract(_ISO)["offset"].fillna("")
    bare = text.where(found == "", text.str.replace(r"(Z|\s?UTC|\s?[+-]\d{2}:?\d{2})$", "", regex=True).where(~dotted, text))
    wall = pd.to_datetime(bare.where(~dotted & ~wrong), format="ISO8601", errors="coerce")
    for pattern in ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"):
        wall = wall.fillna(pd.to_datetime(bare.where(dotted & ~wrong), format=pattern, errors="coerce"))
    wrong |= wall.isna()
    if wrong.any():
        k = int(wrong.to_numpy().argmax())
        message = "is no time stamp; write 2016-01-01 00:15:00 (with an offset: 2016-01-01T00:15:00+01:00), or 01.01.2016 00:15"
        raise TimeError(_row(k), repr(str(text.iloc[k])), message)
    stated = found != ""
    if stated.any() and not stated.all():
        k = int((stated != stated.iloc[0]).to_numpy().argmax())
        message = "and the first time stamp: only one states its offset from UTC; write it everywhere, or nowhere"
        raise TimeError(_row(k), repr(str(text.iloc[k])), message)
    sign = np.where(found.str.contains("-", regex=False), -1, 1)
    digits = found.str.replace(r"\D", "", regex=True).str.zfill(4)
    minutes = sign * (digits.str[:2].astype(int) * 60 + digits.str[2:4].astype(int)).to_numpy()
    return pd.DatetimeIndex(wall), pd.to_timedelta(minutes, unit="min"), bool(stated.any())


def _from_local(local: pd.DatetimeIndex, zone: str) -> tuple[pd.DatetimeIndex, pd.Timedelta]:
    """Moments in UTC of local times, and the zone's standard offset."""
    early, late = (local.tz_localize(zone, ambiguous=np.full(len(local), summer), nonexistent="NaT") for summer in (True, False))
    advice = "write the offset behind every time stamp, or leave system.time_zone empty for standard time all year"
    if early.isna().any():
        k = int(early.isna().argmax())
        message = f"is not local time of {zone}: the hour in which clocks are put forward does not occur; {advice}"
        raise TimeError(_row(k), repr(str(local[k])), message)
    summer = np.zeros(len(local), dtype=bool)
    twice = np.flatnonzero(early != late)
    for block in np.split(twice, np.flatnonzero(np.diff(twice) > 1) + 1) if len(twice) else []:
        back = np.flatnonzero(np.diff(local[block].to_numpy()) <= np.timedelta64(0))
        if len(back) != 1:
            message = f"is not local time of {zone}: the hour in which clocks are put back must occur twice; {advice}"
            raise TimeError(_row(int(block[0])), repr(str(local[block[0]])), message)
        summer[block[: back[0] + 1]] = True
    aware = local.tz_localize(zone, ambiguous=summer)
    return pd.DatetimeIndex(aware.tz_convert("UTC").tz_localize(None)), _standard_offset(aware)


def _standard_offset(aware: pd.DatetimeIndex) -> pd.Timedelta:
    moment = aware[0].to_pydatetime()
    offset, summer = moment.utcoffset(), moment.dst()
    return pd.Timedelta(offset or 0) - pd.Timedelta(summer or 0)


def _even(time: pd.DatetimeIndex, given: pd.Series, advice: str) -> pd.Timedelta:
    """The step of the axis."""
    if len(time) < 2:
        raise TimeError("time", str(len(time)), "time stamp makes no day; give at least one whole day, better a year")
    steps = np.diff(time.to_numpy())
    values, counts = np.unique(steps, return_counts=True)
    step = pd.Timedelta(values[counts.argmax()])
    minutes = step / pd.Timedelta(minutes=1)
    wrong = np.flatnonzero(steps != step.to_timedelta64())
    if step <= pd.Timedelta(0):
        raise TimeError(_row(1), repr(str(given.iloc[1])), "is not after the time stamp above it; give increasing time stamps")
    if len(time) * step < DAY:
        raise TimeError("time", str(len(time)), f"time stamps do not make a day at {minutes:g} min; give at least one whole day, better a year")
    if len(wrong) > len(steps) / 2:
        raise TimeError("time", "", "has no even step; give evenly spaced, increasing time stamps")
    if len(wrong):
        k = int(wrong[0])
        ratio = steps[k] / step.to_timedelta64()
        if ratio <= 0:
            what = "repeats the time stamp above it" if ratio == 0 else "is before the time stamp above it"
        elif ratio == round(ratio):
            what = f"follows {given.iloc[k]}: {ratio - 1:g} time stamps are missing, where the step of the file is {minutes:g} min"
        else:
            what = f"follows {given.iloc[k]}: the step is {ratio * minutes:g} min, where the step of the file is {minutes:g} min"
        message = f"{what} (the first of {len(wrong)} such places); give every time stamp once, at one resolution{advice}"
        raise TimeError(_row(k + 1), repr(str(given.iloc[k + 1])), message)
    if not usable_step(step):
        message = "is the step, which neither divides an hour nor is a whole number of hours that divides a day; give 60, 30, 15 min or the like"
        raise TimeError("time", f"{minutes:g} min", message)
    if whole_days(time, step) == slice(0, 0):
        raise TimeError("time", str(time[0]), "is no midnight, and the data hold no whole day from midnight to midnight; give one")
    return step


def usable_step(step: pd.Timedelta) -> bool:
    """Whether steps divide an hour, or are whole hours that divide a day."""
    hour = pd.Timedelta(hours=1)
    if step < pd.Timedelta(minutes=1):
        return False
    return hour % step == pd.Timedelta(0) if step < hour else step % hour == pd.Timedelta(0) and DAY % step == pd.Timedelta(0)


def whole_days(time: pd.DatetimeIndex, step: pd.Timedelta) -> slice:
    """The part of an even axis from the first midnight to the last; empty where that is no whole day."""
    per_day = round(DAY / step)
    midnight = np.flatnonzero(time[:per_day] == time[:per_day].normalize())
    first = int(midnight[0]) if len(midnight) else len(time)
    days = (len(time) - first) // per_day
    return slice(first, first + days * per_day) if days > 0 else slice(0, 0)


def _row(k: int) -> str:
    return f"row {k + 1}"


def _signed(offset: pd.Timedelta) -> str:
    hours = offset / pd.Timedelta(hours=1)
    return f"{hours:+g}" if hours else ""
