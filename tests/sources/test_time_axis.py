import numpy as np
import pandas as pd
import pytest

from multiscale.sources.time_axis import TimeError, time_axis, whole_days

YEAR = pd.date_range("2016-01-01", periods=366 * 24, freq="h")


def _berlin(form: str) -> pd.Series:
    """A year of hours of UTC+1 as the clocks of Berlin show them, or with their offsets."""
    moments = YEAR.tz_localize("Etc/GMT-1").tz_convert("Europe/Berlin")
    return pd.Series([m.isoformat() if form == "offsets" else m.strftime("%Y-%m-%d %H:%M") for m in moments])


@pytest.mark.parametrize(("form", "zone"), [("offsets", ""), ("offsets", "Europe/Berlin"), ("local", "Europe/Berlin")])
def test_clock_changes_leave_standard_time_all_year(form, zone):
    axis = time_axis(_berlin(form), zone)
    pd.testing.assert_index_equal(axis.time, YEAR, check_names=False, exact=False)
    assert "UTC+1" in axis.note


def test_utc_is_taken_as_it_is_or_becomes_standard_time_of_the_zone():
    text = pd.Series([f"{t.isoformat()}Z" for t in YEAR])
    pd.testing.assert_index_equal(time_axis(text).time, YEAR, check_names=False)
    pd.testing.assert_index_equal(time_axis(text, "Europe/Berlin").time, YEAR + pd.Timedelta(hours=1), check_names=False, exact=False)
    aware = pd.Series(YEAR.tz_localize("UTC"))
    pd.testing.assert_index_equal(time_axis(aware, "Europe/Berlin").time, YEAR + pd.Timedelta(hours=1), check_names=False, exact=False)


def test_days_of_dotted_dates_come_first():
    axis = time_axis(pd.Series([t.strftime("%d.%m.%Y %H:%M") for t in YEAR]))
    pd.testing.assert_index_equal(axis.time, YEAR, check_names=False)


def _without(*rows: int) -> pd.Series:
    return pd.Series(YEAR.strftime("%Y-%m-%d %H:%M")).drop(list(rows)).reset_index(drop=True)


def _changed(row: int, value: str) -> pd.Series:
    text = _without()
    text[row] = value
    return text


@pytest.mark.parametrize(
    ("given", "zone", "place", "words"),
    [
        (_without(100, 101, 5000), "", "row 101", "2 time stamps are missing, where the step of the file is 60 min (the first of 2 such places)"),
        (_changed(10, "2016-01-01 09:00"), "", "row 11", "repeats the time stamp above it"),
        (_changed(10, "2016-01-01 03:00"), "", "row 11", "is before the time stamp above it"),
        (_changed(10, "2016-01-01 10:20"), "", "row 11", "the step is 80 min, where the step of the file is 60 min"),
        (_changed(10, "01/02/2016 10:00"), "", "row 11", "is no time stamp"),
        (_changed(10, "2016-02-30 10:00"), "", "row 11", "is no time stamp"),
        (_changed(10, "2016-01-01 10:00+01:00"), "", "row 11", "only one states its offset"),
        (_berlin("local"), "", "row 2067", "give the zone (system.time_zone=Europe/Berlin)"),
        (_without(), "Europe/Berlin", "row 2067", "the hour in which clocks are put forward does not occur"),
        (_berlin("local").drop(7274), "Europe/Berlin", "row 7274", "the hour in which clocks are put back must occur twice"),
        (pd.Series(YEAR.tz_localize("UTC")).where(np.arange(len(YEAR)) != 10), "", "row 11", "has no time stamp"),
        (pd.Series(YEAR).where(np.arange(len(YEAR)) != 10), "", "row 11", "has no time stamp"),
        (_berlin("offsets").where(np.arange(len(YEAR)) != 10), "Europe/Berlin", "row 11", "is no time stamp"),
        (pd.Series(pd.date_range("2016-01-01", periods=500, freq="7min").astype(str)), "", "time", "neither divides an hour"),
        (pd.Series(pd.date_range("2016-01-01", periods=500, freq="90min").astype(str)), "", "time", "neither divides an hour"),
        (pd.Series(YEAR[:20].astype(str)), "", "time", "do not make a day"),
        (pd.Series(YEAR[12:40].astype(str)), "", "time", "hold no whole day from midnight to midnight"),
        (pd.Series([], dtype=str), "", "time", "give at least one whole day"),
        (pd.Series(YEAR.astype(str)), "Europe/Berln", "zone", "is no time zone; give an IANA name"),
    ],
)
def test_what_makes_no_even_axis_is_named_with_its_first_place(given, zone, place, words):
    with pytest.raises(TimeError) as caught:
        time_axis(given, zone)
    assert caught.value.place == place
    assert words in str(caught.value)


def test_whole_days_run_from_midnight_to_midnight():
    time = pd.date_range("2016-01-01 07:00", periods=100, freq="h")
    kept = time[whole_days(time, pd.Timedelta(hours=1))]
    assert (kept[0], len(kept)) == (pd.Timestamp("2016-01-02"), 72)
    assert np.all(np.diff(kept) == np.timedelta64(1, "h"))
