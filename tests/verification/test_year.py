import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest
import xarray as xr

from multiscale.config import load_config
from multiscale.representative_days import representative_days
from multiscale.sources.selection import study_system
from multiscale.sources.tiny import tiny_system
from multiscale.system.yearly import yearly_courses
from multiscale.timeline import Horizon
from multiscale.verification import ac_power_flow, profile_injections
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.pandapower_model import power_flow_model
from multiscale.verification.year import year_check, year_injections
from tests.variants import reinforced

DAYS = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-20")), (183.0, 183.0), 4.0)
FEEDER = ["north", "north 1", "north 2"]


@pytest.fixture(scope="module")
def cigre(tmp_path_factory):
    path = tmp_path_factory.mktemp("cigre") / "cigre.json"
    pp.to_json(pn.create_cigre_network_mv(with_der="pv_wind"), str(path))
    config = load_config(["system=pandapower", f"system.path={path}"])
    return study_system(config.system, config.costs.co2_price)


def drawn(model, injections):
    at = {bus: i for i, bus in enumerate(model.buses.bus.values.tolist())}
    values = np.zeros((2, len(at), injections.sizes["period"]))
    for k, bus in enumerate(injections.bus.values.tolist()):
        values[:, at[bus]] = injections.p.values[k], injections.q.values[k]
    return values


def compared(system, dso, built=None):
    nodes = [dso, *system.children(dso)]
    injections = profile_injections(system, nodes, DAYS)
    reference = ac_power_flow(system, nodes, DAYS, injections, built)
    model = power_flow_model(system, nodes, built)
    p, q = drawn(model, injections)
    found, free = batch_power_flow(model, p, q, reference.tap.values), batch_power_flow(model, p, q)
    assert found.converged.all()
    np.testing.assert_allclose(found.voltage, reference.voltage.values, atol=1e-6)
    np.testing.assert_allclose(found.loading, reference.loading.values, atol=1e-3)
    np.testing.assert_array_equal(free.tap, reference.tap.values)


@pytest.mark.parametrize("added", [None, {"north 1 MV/LV transformer": 63.0, "north 1 line 1": 98.4}])
@pytest.mark.parametrize("dso", ["north", "east", "south"])
def test_voltages_and_loadings_are_those_of_pandapower(dso, added):
    tiny = tiny_system()
    compared(tiny, dso, reinforced(tiny, added) if added and dso == "north" else None)


def test_voltages_and_loadings_of_the_cigre_network_are_those_of_pandapower(cigre):
    for dso in cigre.at_level("dso"):
        compared(cigre, dso)


@pytest.mark.parametrize("side", ["hv", "lv"])
@pytest.mark.parametrize("tap", [-4, 3])
def test_a_tap_on_either_side_acts_as_in_pandapower(side, tap):
    """The tap of the HV/MV transformer, off its neutral position and without a set point."""
    system = tiny_system()
    columns = {name: system.branches[name].values.copy() for name in ("tap_side", "tap_pos", "v_setpoint_pu")}
    at = system.branches.branch.values == "north HV/MV transformer"
    columns["tap_side"] = np.where(at, side, columns["tap_side"])
    columns["tap_pos"] = np.where(at, tap, columns["tap_pos"])
    columns["v_setpoint_pu"] = np.where(at, np.nan, columns["v_setpoint_pu"])
    branches = system.branches.assign({name: ("branch", values, system.branches[name].attrs) for name, values in columns.items()})
    compared(system.replace(branches=branches), "north")


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
    single = ac_power_flow(system, FEEDER, DAYS, heavy.rename(hour="period"))
    over = (single.loading.values > 100 + 1e-3).sum(axis=1)
    np.testing.assert_array_equal(found.result.overloaded_hours.values, over)
    assert set(found.overloaded) == set(single.branch.values[over > 0].tolist())
    worst = found.violations[found.violations.component == "branch"].iloc[0]
    assert worst.value == pytest.approx(float(single.loading.max()), abs=1e-3)
    assert worst.value == pytest.approx(float(single.loading.sel(branch=worst.identifier, period=worst.worst_hour)), abs=1e-3)
    assert found.voltage_violations


def test_a_representative_day_keeps_its_operated_schedule_and_other_days_their_own_energy():
    system = tiny_system()
    aggregation = representative_days(yearly_courses(system, ["north"]), 3, 1.0)
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
    aggregation = representative_days(yearly_courses(system, ["north"]), 1, 1.0)
    own = profile_injections(system, FEEDER, aggregation.horizon)
    bus = str(own.bus.values[0])
    before = year_injections(system, FEEDER, aggregation.horizon, aggregation.nearest, own, response=False)
    after = year_injections(system, FEEDER, aggregation.horizon, aggregation.nearest, own, {bus: 10.0}, response=False)
    fed_in = (before.p - after.p).sel(bus=bus).values
    courses = yearly_courses(system, system.at_level("dso"))
    rated = system.devices.p_kw.values[system.devices.kind.values == "pv"].sum()
    np.testing.assert_allclose(fed_in, 10.0 * courses["pv"].to_numpy() / rated, rtol=1e-4)
