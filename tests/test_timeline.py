import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.timeline import Horizon


def profiles(step="30min", days=2):
    time = pd.date_range("2016-01-01", periods=int(days * pd.Timedelta("1D") / pd.Timedelta(step)), freq=step)
    rising = np.arange(len(time), dtype=float)
    data = np.stack([rising, np.ones(len(time))], axis=1)
    return xr.Dataset(
        {"p": (("time", "profile"), data), "q": (("time", "profile"), -data)}, coords={"time": time.to_numpy(), "profile": ["rising", "flat"]}
    )


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


def test_states_pass_midnight_between_consecutive_days_and_return_at_the_end_of_the_span():
    days = pd.Timestamp("2016-01-01"), pd.Timestamp("2016-01-02")
    horizon = Horizon(days, (1.0, 1.0), 6.0, consecutive=True)
    np.testing.assert_array_equal(horizon.previous, [7, 0, 1, 2, 3, 4, 5, 6])
    assert len(horizon.episodes(coupled=False)) == 1
    with pytest.raises(ValueError, match=r"2016-01-02', '2016-01-01'\] do not follow each other"):
        Horizon(days[::-1], (1.0, 1.0), 6.0, consecutive=True)
