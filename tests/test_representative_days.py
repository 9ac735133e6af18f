import numpy as np
import pandas as pd
import pytest

from multiscale.aggregation import ErrorLimits, aggregation_warnings
from multiscale.representative_days import representative_days
from multiscale.system.yearly import yearly_profiles


@pytest.fixture(scope="module")
def year(system):
    return yearly_profiles(system, system.at_level("dso"))


@pytest.fixture(scope="module")
def profiles(year):
    """Ten weeks of winter and spring."""
    return year.iloc[: 70 * 24]


def year_of_sun_and_cold():
    """A year of demand high in winter evenings and sun high at summer noons; two branches are overloaded each way."""
    time = pd.date_range("2015-01-01", periods=365 * 24, freq="h")
    day, hour = np.arange(365).repeat(24), np.tile(np.arange(24), 365)
    rng = np.random.default_rng(3)
    weather = rng.uniform(0.6, 1.0, 365).repeat(24)
    demand = (60 + 30 * np.cos(2 * np.pi * day / 365)) * (1 + 0.5 * np.exp(-(((hour - 19) / 3) ** 2))) * (1.5 - 0.5 * weather)
    pv = 130 * weather * (1 - np.cos(2 * np.pi * day / 365)) / 2 * np.maximum(np.sin(np.pi * (hour - 6) / 12), 0)
    net = demand - pv
    overload = {
        ("cable", "load"): np.maximum(net - 130, 0),
        ("old cable", "load"): np.maximum(net - 142, 0),
        ("transformer", "feed-in"): np.maximum(-net - 60, 0),
        ("small transformer", "feed-in"): np.maximum(-net - 78, 0),
    }
    frame = pd.DataFrame(overload, index=time)
    frame.columns.names = ["branch", "direction"]
    return pd.DataFrame({"demand": demand, "pv": pv, "net load": net}, index=time), frame


def test_weights_sum_to_the_days_of_the_year_and_extreme_days_weigh_one(year):
    horizon = representative_days(year, 4, 1.0).horizon
    assert sum(horizon.weights) == pytest.approx(366, rel=1e-15)
    assert horizon.weights[:2] == (1.0, 1.0)
    assert min(horizon.weights) >= 0.5
    assert horizon.hours_per_year.sum() == pytest.approx(8784, rel=1e-12)
    assert len(set(horizon.days)) == 4


def test_extreme_days_are_kept_and_named(profiles):
    aggregation = representative_days(profiles, 4, 1.0)
    horizon = aggregation.horizon
    peak, least = profiles["demand"].idxmax().normalize(), profiles["net load"].idxmin().normalize()
    assert horizon.days[horizon.names.index("peak demand")] == peak
    assert least in horizon.days[:2]
    assert aggregation.peak_demand_error == pytest.approx(0, abs=1e-12)
    assert aggregation.peak_feed_in_error == pytest.approx(0, abs=1e-12)


def test_energy_above_the_ratings_is_met_where_the_days_only_resembling_the_profiles_miss_it():
    profiles, overload = year_of_sun_and_cold()
    aggregation = representative_days(profiles, 8, 1.0, overload)
    alone = representative_days(profiles, 8, 1.0)
    energy = overload.resample("1D").sum()
    np.testing.assert_allclose(aggregation.overload.year, energy.sum(), rtol=1e-9)
    weights = np.array(aggregation.horizon.weights)
    np.testing.assert_allclose(aggregation.overload.represented, weights @ energy.loc[list(aggregation.horizon.days)].to_numpy(), rtol=1e-9)
    blind = np.array(alone.horizon.weights) @ energy.loc[list(alone.horizon.days)].to_numpy() / energy.sum().to_numpy() - 1
    assert abs(aggregation.worst_overload_error[1]) < 20
    assert abs(aggregation.overload_error) < 5
    assert 100 * np.abs(blind).max() > 2 * abs(aggregation.worst_overload_error[1])
    assert aggregation.unseen == ()
    assert float(np.abs(aggregation.error.energy).max()) < 3


def test_a_branch_overloaded_on_none_of_the_days_is_named():
    profiles, overload = year_of_sun_and_cold()
    aggregation = representative_days(profiles, 2, 1.0, overload)
    assert aggregation.horizon.names == ("peak demand", "typical")
    assert set(aggregation.unseen) <= {"transformer", "small transformer"}
    assert "small transformer" in aggregation.unseen
    warned = aggregation_warnings(aggregation, ErrorLimits())
    (named,) = [text for text in warned if "of the 4 branches overloaded in the year are overloaded on none of the days" in text]
    assert "small transformer" in named
    assert any("peak feed-in: missed by" in text for text in warned)


def test_a_warning_is_given_above_its_limit_and_not_below():
    profiles, overload = year_of_sun_and_cold()
    aggregation = representative_days(profiles, 8, 1.0, overload)
    far = ErrorLimits(energy=10.0, peak=10.0, overload=10.0, duration=10.0)
    assert aggregation_warnings(aggregation, far) == []
    near = ErrorLimits(energy=0.0, peak=10.0, overload=0.0, duration=10.0)
    (energy, above) = aggregation_warnings(aggregation, near)
    assert "energy over the year: error of" in energy
    assert aggregation.worst_overload_error[0] in above


def test_one_day_is_typical_and_its_weight_is_the_year(year):
    aggregation = representative_days(year, 1, 1.0)
    assert aggregation.horizon.names == ("typical",)
    assert aggregation.horizon.weights == (366.0,)
    assert aggregation.peak_demand_error < 0


def test_all_days_have_no_error_and_weigh_one_each(profiles):
    january = profiles.iloc[: 31 * 24]
    for count in (31, 40):
        aggregation = representative_days(january, count, 1.0)
        assert aggregation.horizon.weights == (1.0,) * 31
        for name in ("energy", "peak", "lowest", "duration"):
            np.testing.assert_allclose(aggregation.error[name].values, 0.0, atol=1e-9)


def test_one_day_that_holds_both_extremes_is_kept_once(profiles):
    both = profiles[["demand"]].assign(**{"net load": -profiles["demand"]})
    horizon = representative_days(both, 3, 1.0).horizon
    assert horizon.names[0] == "peak demand, peak feed-in"
    assert len(set(horizon.days)) == 3


def test_a_system_without_generation_or_overload_is_represented(profiles):
    loads = profiles[["demand"]].assign(**{"net load": profiles["demand"]})
    aggregation = representative_days(loads, 5, 1.0)
    assert "least net load" in aggregation.horizon.names
    assert aggregation.overload_error == 0.0
    assert aggregation.worst_overload_error == ("", 0.0)
    assert float(np.abs(aggregation.error.energy).max()) < 2


def test_reported_energy_error_is_that_of_the_weighted_days(profiles):
    aggregation = representative_days(profiles, 5, 1.0)
    horizon = aggregation.horizon
    by_day = profiles["demand"].resample("1D").sum()
    weighted = sum(w * by_day[d] for d, w in zip(horizon.days, horizon.weights, strict=True))
    wanted = 100 * (weighted / by_day.sum() - 1)
    assert float(aggregation.error.energy.sel(feature="demand")) == pytest.approx(wanted, abs=1e-9)
    assert abs(wanted) < 2


def test_more_days_come_closer_to_the_duration_curve(profiles):
    error = [float(representative_days(profiles, n, 1.0, extremes=False).error.duration.mean()) for n in (1, 4, 12)]
    assert error[0] > error[1] > error[2]


def test_a_year_of_equal_days_needs_one_day_only():
    day = np.sin(np.linspace(0, np.pi, 24))
    same = pd.DataFrame({"demand": np.tile(day, 20)}, index=pd.date_range("2016-01-01", periods=480, freq="h"))
    aggregation = representative_days(same.assign(**{"net load": same["demand"]}), 1, 1.0)
    assert aggregation.horizon.weights == pytest.approx((20.0,))
    assert aggregation.horizon.days == (pd.Timestamp("2016-01-01"),)
    assert float(aggregation.error.duration.max()) == pytest.approx(0, abs=1e-9)


def test_every_day_belongs_to_the_representative_day_it_resembles_most(profiles):
    aggregation = representative_days(profiles, 4, 1.0)
    assert len(aggregation.nearest) == 70
    for k, day in enumerate(aggregation.horizon.days):
        assert aggregation.nearest[day] == k


def test_the_same_input_gives_the_same_days(profiles):
    again = profiles.copy(deep=True)
    assert representative_days(profiles, 6, 1.0).horizon == representative_days(again, 6, 1.0).horizon


def test_a_missing_value_is_named_with_its_time(profiles):
    broken = profiles.copy()
    broken.iloc[30, 0] = np.nan
    with pytest.raises(ValueError, match=rf"feature '{broken.columns[0]}' has no value at 2016-01-02 06:00:00"):
        representative_days(broken, 2, 1.0)


def test_less_than_a_day_of_data_is_refused(profiles):
    with pytest.raises(ValueError, match="5 hours of data hold no whole day"):
        representative_days(profiles.iloc[:5], 1, 1.0)
