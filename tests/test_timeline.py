import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.system.yearly import yearly_courses
from multiscale.timeline import Horizon, representative_days


@pytest.fixture(scope="module")
def year(system):
    return yearly_courses(system, system.at_level("dso"))


@pytest.fixture(scope="module")
def courses(year):
    """Ten weeks of winter and spring."""
    return year.iloc[: 70 * 24]


def profiles(step="30min", days=2):
    time = pd.date_range("2016-01-01", periods=int(days * pd.Timedelta("1D") / pd.Timedelta(step)), freq=step)
    rising = np.arange(len(time), dtype=float)
    data = np.stack([rising, np.ones(len(time))], axis=1)
    return xr.Dataset(
        {"p": (("time", "profile"), data), "q": (("time", "profile"), -data)}, coords={"time": time.to_numpy(), "profile": ["rising", "flat"]}
    )


def test_weights_sum_to_the_days_of_the_year_and_each_day_stands_for_itself_at_least(year):
    horizon = representative_days(year, 3, 1.0, {"demand": "peak demand"}).horizon
    assert sum(horizon.weights) == pytest.approx(366, rel=1e-12)
    assert min(horizon.weights) >= 1 - 1e-9
    assert horizon.hours_per_year.sum() == pytest.approx(8784, rel=1e-12)
    assert len(set(horizon.days)) == 3


def test_peak_days_are_kept_and_named(courses):
    aggregation = representative_days(courses, 4, 1.0, {"demand": "peak demand", "-net load": "peak feed-in"})
    horizon = aggregation.horizon
    peak, feed_in = courses["demand"].idxmax().normalize(), courses["net load"].idxmin().normalize()
    assert horizon.days[horizon.names.index("peak demand")] == peak
    assert horizon.days[horizon.names.index("peak feed-in")] == feed_in
    assert float(aggregation.error.peak.sel(feature="demand")) == pytest.approx(0, abs=1e-12)


def test_one_day_that_holds_two_peaks_is_kept_once(courses):
    twice = courses.assign(same=courses["demand"])
    horizon = representative_days(twice, 3, 1.0, {"demand": "peak demand", "same": "peak of the same"}).horizon
    assert "peak demand, peak of the same" in horizon.names
    assert len(set(horizon.days)) == 3


def test_all_days_have_no_error(courses):
    january = courses.iloc[: 31 * 24]
    aggregation = representative_days(january, 31, 1.0, {"demand": "peak demand"})
    np.testing.assert_allclose(aggregation.horizon.weights, 1.0, rtol=1e-9)
    for name in ("energy", "peak", "duration"):
        np.testing.assert_allclose(aggregation.error[name].values, 0.0, atol=1e-9)


def test_reported_energy_error_is_that_of_the_weighted_days(courses):
    aggregation = representative_days(courses, 5, 1.0, {"demand": "peak demand"})
    horizon = aggregation.horizon
    by_day = courses["demand"].resample("1D").sum()
    weighted = sum(w * by_day[d] for d, w in zip(horizon.days, horizon.weights, strict=True))
    wanted = 100 * (weighted / by_day.sum() - 1)
    assert float(aggregation.error.energy.sel(feature="demand")) == pytest.approx(wanted, abs=0.05)
    assert abs(wanted) < 2


def test_more_days_come_closer_to_the_duration_curve(courses):
    error = [float(representative_days(courses, n, 1.0).error.duration.mean()) for n in (1, 4, 12)]
    assert error[0] > error[1] > error[2]


def test_a_year_of_equal_days_needs_one_day_only():
    day = np.sin(np.linspace(0, np.pi, 24))
    same = pd.DataFrame({"demand": np.tile(day, 20)}, index=pd.date_range("2016-01-01", periods=480, freq="h"))
    aggregation = representative_days(same, 1, 1.0)
    assert aggregation.horizon.weights == pytest.approx((20.0,))
    assert float(aggregation.error.duration.max()) == pytest.approx(0, abs=1e-9)


def test_the_same_seed_gives_the_same_days(courses):
    assert representative_days(courses, 6, 1.0, seed=3).horizon == representative_days(courses, 6, 1.0, seed=3).horizon


def test_too_few_days_for_the_peaks_are_refused(courses):
    with pytest.raises(ValueError, match="1 representative days are too few for 1 peak days"):
        representative_days(courses, 1, 1.0, {"demand": "peak demand"})


def test_a_missing_value_is_named_with_its_time(courses):
    broken = courses.copy()
    broken.iloc[30, 0] = np.nan
    with pytest.raises(ValueError, match=rf"feature '{broken.columns[0]}' has no value at 2016-01-02 06:00:00"):
        representative_days(broken, 2, 1.0)


@pytest.mark.parametrize("step", [0.7, 5.0, 0.0, -1.0, 48.0])
def test_a_step_that_does_not_divide_the_day_is_refused(step):
    with pytest.raises(ValueError, match="does not divide a day"):
        Horizon((pd.Timestamp("2016-01-01"),), (1.0,), step)


def test_days_and_weights_must_be_of_one_length():
    with pytest.raises(ValueError, match="1 days but 2 weights"):
        Horizon((pd.Timestamp("2016-01-01"),), (1.0, 2.0), 1.0)


def test_sampling_takes_the_mean_over_the_period():
    horizon = Horizon((pd.Timestamp("2016-01-02"),), (366.0,), 3.0)
    p, q = horizon.sample(profiles(), np.array(["rising", "flat", "", "rising"]))
    wanted = 48 + np.arange(48.0).reshape(8, 6).mean(axis=1)
    np.testing.assert_allclose(p, [wanted, np.ones(8), np.ones(8), wanted])
    np.testing.assert_allclose(q[0], -wanted)


def test_energy_does_not_depend_on_the_step():
    energies = []
    for step in (0.5, 1.0, 4.0, 24.0):
        horizon = Horizon((pd.Timestamp("2016-01-01"), pd.Timestamp("2016-01-02")), (100.0, 266.0), step)
        energies.append(float(horizon.sample(profiles(), np.array(["rising"]))[0][0] @ horizon.hours_per_year))
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)


def test_an_unknown_profile_is_named():
    horizon = Horizon((pd.Timestamp("2016-01-02"),), (366.0,), 1.0)
    with pytest.raises(KeyError, match=r"unknown profiles \['risen'\]; there are \['flat', 'rising'\]"):
        horizon.sample(profiles(), np.array(["rising", "risen"]))


def test_profiles_coarser_than_a_period_are_refused():
    horizon = Horizon((pd.Timestamp("2016-01-02"),), (366.0,), 0.25)
    with pytest.raises(ValueError, match=r"profiles step 0.5 h: a period of 0.25 h is not a multiple"):
        horizon.sample(profiles(), np.array(["rising"]))


def test_a_day_outside_the_profiles_is_refused():
    horizon = Horizon((pd.Timestamp("2016-02-01"),), (366.0,), 1.0)
    with pytest.raises(ValueError, match="they do not cover 2016-02-01 00:00:00"):
        horizon.sample(profiles(), np.array(["rising"]))


def test_states_are_cyclic_within_each_day():
    horizon = Horizon((pd.Timestamp("2016-01-01"), pd.Timestamp("2016-01-02")), (1.0, 1.0), 6.0)
    np.testing.assert_array_equal(horizon.previous, [3, 0, 1, 2, 7, 4, 5, 6])
    assert horizon.day(1).labels.tolist() == horizon.labels[4:].tolist()
