import numpy as np
import pandas as pd
import pytest

from multiscale.system import InvalidSystemError
from multiscale.system.yearly import yearly_profiles
from multiscale.timeline import Horizon


def test_profiles_are_the_fleets_and_passive_customers_of_the_day(system):
    profiles = yearly_profiles(system, ["east"])
    day = Horizon((pd.Timestamp("2016-03-08"),), (366.0,), 1.0)
    here = profiles.loc["2016-03-08"]
    passive = system.passive("east", day)
    data = [system.fleet(p, day).data for p in ("east 1", "east 2")]
    demand = passive.demand.sum("bus") + sum((d.demand + d.ev + d.heat_pump).sum("prosumer") for d in data)
    pv = passive.generation.sum("bus") + sum(d.pv.sum("prosumer") for d in data)
    np.testing.assert_allclose(here["demand"], demand.values, rtol=1e-5)
    np.testing.assert_allclose(here["pv"], pv.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(here["net load"], (demand - pv).values, rtol=1e-5, atol=1e-3)


def test_profiles_of_all_systems_add_up(system):
    parts = [yearly_profiles(system, [d]) for d in system.at_level("dso")]
    whole = yearly_profiles(system, system.at_level("dso"))
    np.testing.assert_allclose(sum(p["net load"] for p in parts), whole["net load"], rtol=1e-9)
    assert len(whole) == 366 * 24


def test_steps_longer_than_an_hour_are_held(system):
    """Two-hour profiles: every hour has a demand, the energy is that of the steps."""
    coarse = system.replace(profiles=system.profiles.isel(time=slice(0, None, 2)))
    fine, held = (yearly_profiles(s, ["east"]) for s in (system, coarse))
    assert held.index.equals(fine.index)
    np.testing.assert_allclose(held.iloc[::2], fine.iloc[::2], rtol=1e-9)
    np.testing.assert_allclose(held.iloc[1::2], fine.iloc[::2], rtol=1e-9)


@pytest.mark.parametrize("minutes", [40, 90])
def test_a_step_that_does_not_fit_the_hour_is_refused(system, minutes):
    time = pd.date_range("2016-01-01", periods=system.profiles.sizes["time"], freq=f"{minutes}min")
    odd = system.replace(profiles=system.profiles.assign_coords(time=time))
    with pytest.raises(InvalidSystemError, match=f"profile 'time': step {minutes} min neither divides an hour"):
        yearly_profiles(odd, ["east"])
