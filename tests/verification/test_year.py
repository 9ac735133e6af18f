import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.config import load_config
from multiscale.representative_days import representative_days
from multiscale.sources.selection import study_system
from multiscale.sources.tiny import tiny_system
from multiscale.system.yearly import yearly_profiles
from multiscale.timeline import Horizon
from multiscale.verification import ac_power_flow, profile_injections
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.pandapower_flow import pandapower_power_flow
from multiscale.verification.pandapower_model import power_flow_model
from multiscale.verification.year import year_check, year_injections

DAYS = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-20")), (183.0, 183.0), 4.0)
FEEDER = ["north", "north 1", "north 2"]


def test_an_hour_without_a_solution_is_named_and_the_others_are_judged():
    system = tiny_system()
    injections = profile_injections(system, FEEDER, DAYS).rename(period="hour")
    p = injections.p.values.copy()
    p[:, 5] *= 300
    found = year_check(system, FEEDER, injections.assign(p=(("bus", "hour"), p)))
    assert found.diverged == (str(injections.hour.values[5]),)
    assert not found.violations.empty
    rows = found.violations[found.violations.component == "power flow"]
    assert rows.worst_hour.tolist() == [str(injections.hour.values[5])]
    assert int(found.result.violated[5]) == 1


def test_the_year_is_judged_hour_by_hour_as_pandapower_judges_single_hours():
    system = tiny_system()
    injections = profile_injections(system, FEEDER, DAYS).rename(period="hour")
    heavy = injections.assign(p=injections.p * 4, q=injections.q * 4)
    found = year_check(system, FEEDER, heavy)
    single = ac_power_flow(system, FEEDER, DAYS, heavy.rename(hour="period"), compute=pandapower_power_flow)
    over = (single.loading.values > 100 + 1e-3).sum(axis=1)
    np.testing.assert_array_equal(found.result.overloaded_hours.values, over)
    assert set(found.overloaded) == set(single.branch.values[over > 0].tolist())
    worst = found.violations[found.violations.component == "branch"].iloc[0]
    assert worst.value == pytest.approx(float(single.loading.max()), abs=1e-3)
    assert worst.value == pytest.approx(float(single.loading.sel(branch=worst.identifier, period=worst.worst_hour)), abs=1e-3)
    assert found.voltage_violations


def test_a_representative_day_keeps_its_operated_schedule_and_other_days_their_own_energy():
    system = tiny_system()
    aggregation = representative_days(yearly_profiles(system, ["north"]), 3, 1.0)
    horizon = aggregation.horizon
    own = profile_injections(system, FEEDER, horizon)
    # Every bus moves 1 kW from the evening to the night.
    moved = np.zeros(24)
    moved[2], moved[19] = 1.0, -1.0
    operated = own.assign(p=own.p + xr.DataArray(np.tile(moved, len(horizon.days)), dims="period"))
    with_response = year_injections(system, FEEDER, horizon, aggregation.nearest, operated)
    without = year_injections(system, FEEDER, horizon, aggregation.nearest, operated, response=False)
    assert with_response.sizes["hour"] == 366 * 24
    at = with_response.sel(hour=operated.period.values.tolist(), bus=operated.bus.values.tolist())
    np.testing.assert_allclose(at.p.values, operated.p.values, atol=1e-4)
    change = (with_response.p - without.p).sel(bus=operated.bus.values.tolist()).values.reshape(operated.sizes["bus"], 366, 24)
    np.testing.assert_allclose(change.sum(axis=2), 0.0, atol=1e-3)
    np.testing.assert_allclose(change[:, :, 2], 1.0, atol=1e-3)


def test_new_photovoltaics_feed_in_when_the_others_do():
    system = tiny_system()
    aggregation = representative_days(yearly_profiles(system, ["north"]), 1, 1.0)
    own = profile_injections(system, FEEDER, aggregation.horizon)
    bus = str(own.bus.values[0])
    before = year_injections(system, FEEDER, aggregation.horizon, aggregation.nearest, own, response=False)
    after = year_injections(system, FEEDER, aggregation.horizon, aggregation.nearest, own, {bus: 10.0}, response=False)
    fed_in = (before.p - after.p).sel(bus=bus).values
    profiles = yearly_profiles(system, system.at_level("dso"))
    rated = system.devices.p_kw.values[system.devices.kind.values == "pv"].sum()
    np.testing.assert_allclose(fed_in, 10.0 * profiles["pv"].to_numpy() / rated, rtol=1e-4)


@pytest.mark.slow  # the four-level case is read first
def test_hours_of_the_main_study_are_judged_as_by_pandapower():
    """A hundred hours of the year, those in which something is violated worst among them: what is violated, and by how much."""
    config = load_config(["horizon=two_days"])
    system = study_system(config.system, config.costs.co2_price)
    (dso,) = system.at_level("dso")
    nodes = [dso, *system.children(dso)]
    aggregation = representative_days(yearly_profiles(system, [dso]), 1, 1.0)
    own = profile_injections(system, nodes, aggregation.horizon)
    year = year_injections(system, nodes, aggregation.horizon, aggregation.nearest, own, response=False)
    checked = year_check(system, nodes, year)
    worst = checked.violations.worst_hour.unique().tolist()
    assert worst
    spread = year.hour.values[:: year.sizes["hour"] // (100 - len(worst))].tolist()
    hours = sorted({*worst, *spread})
    assert len(hours) >= 100
    model = power_flow_model(system, nodes)
    buses = pd.Index(model.buses.bus.values)
    p, q = (year[v].sel(hour=hours).to_pandas().reindex(buses, fill_value=0.0).to_numpy() for v in ("p", "q"))
    found, reference = batch_power_flow(model, p, q), pandapower_power_flow(model, p, q)
    assert found.converged.all()
    assert reference.converged.all()
    np.testing.assert_array_equal(found.tap, reference.tap)
    np.testing.assert_allclose(found.voltage, reference.voltage, atol=1e-6)
    np.testing.assert_allclose(found.loading, reference.loading, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.losses, reference.losses, rtol=1e-4)
    low, high = model.buses.v_min_pu.values[:, None], model.buses.v_max_pu.values[:, None]
    for tolerance, excess in ((1e-3, lambda f: f.loading - 100.0), (1e-6, lambda f: np.fmax(low - f.voltage, f.voltage - high))):
        ours, theirs = (excess(f) > tolerance for f in (found, reference))
        assert ours.any()
        np.testing.assert_array_equal(ours, theirs)
    # The year has found the same in these hours.
    at = [year.hour.values.tolist().index(hour) for hour in hours]
    over = (reference.loading > 100 + 1e-3).any(axis=0)
    outside = np.fmax(low - reference.voltage, reference.voltage - high)
    outside[model.roots] = 0.0
    np.testing.assert_array_equal(checked.result.violated.values[at], over | (outside > 1e-6).any(axis=0))
