import copy

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
import xarray as xr

from multiscale.sources.pandapower_tables import fused_buses, unique_names
from multiscale.sources.tiny import tiny_system
from multiscale.system.schema import table
from multiscale.timeline import Horizon
from multiscale.verification import ac_power_flow, ac_verify, profile_injections
from tests.sources.simbench_networks import LV, MVLV, network, system
from tests.variants import reinforced

DAY = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 1.0)
NOON = Horizon((pd.Timestamp("2016-07-20"),), (366.0,), 0.25)
FEEDER = ["north", "north 1", "north 2"]


@pytest.mark.parametrize("code", [LV, MVLV])
def test_voltages_loadings_and_losses_are_those_of_pandapower_on_the_original_network(code):
    net, converted = copy.deepcopy(network(code)), system(code)
    nodes = converted.at_level("dso") + converted.at_level("platform")
    ours = ac_power_flow(converted, nodes, NOON, profile_injections(converted, nodes, NOON), slack_voltage_pu=float(net.ext_grid.vm_pu.iloc[0]))
    rated = {"p": net.load.p_mw.copy(), "q": net.load.q_mvar.copy(), "sgen": net.sgen.p_mw.copy()}
    # SimBench leaves the kind of tap changer open, and pandapower then ignores the tap position.
    net.trafo["tap_changer_type"] = "Ratio"
    net.storage["p_mw"] = 0.0
    names = unique_names(net.bus.name, "bus").reindex(fused_buses(net)).to_numpy()
    first = (NOON.days[0] - pd.Timestamp("2016-01-01")) // pd.Timedelta(minutes=15)
    for period in (0, 50):
        load, renewables = net.profiles["load"].loc[first + period], net.profiles["renewables"].loc[first + period]
        net.load["p_mw"] = rated["p"] * load.loc[net.load.profile + "_pload"].to_numpy(float)
        net.load["q_mvar"] = rated["q"] * load.loc[net.load.profile + "_qload"].to_numpy(float)
        net.sgen["p_mw"] = rated["sgen"] * renewables.loc[net.sgen.profile].to_numpy(float)
        net.trafo["tap_pos"] = ours.tap.sel(transformer=net.trafo.name.to_numpy()).values[:, period]
        pp.runpp(net, calculate_voltage_angles=True, init="dc", numba=False)
        voltage = ours.voltage.isel(period=period).to_series()
        reference = pd.Series(net.res_bus.vm_pu.to_numpy(), index=names).groupby(level=0).first()
        np.testing.assert_allclose(voltage.to_numpy(), reference[voltage.index].to_numpy(), atol=1e-6)
        closed = converted.branches.branch.values[converted.branches.in_service.values & (converted.branches.kind.values == "line")]
        loading = pd.Series(net.res_line.loading_percent.to_numpy(), index=net.line.name)
        np.testing.assert_allclose(ours.loading.isel(period=period).sel(branch=closed).values, loading[closed].to_numpy(), atol=1e-3)
        assert float(ours.losses[period]) == pytest.approx((net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1e3, abs=0.02)


def test_power_drawn_from_above_is_demand_plus_losses():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    result = ac_power_flow(tiny, FEEDER, DAY, injections)
    assert result.converged.all()
    np.testing.assert_allclose(result.exchange.values, injections.p.sum("bus").values + result.losses.values, rtol=1e-6)


def test_tap_changer_stands_on_the_step_nearest_to_its_set_point():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    result = ac_power_flow(tiny, FEEDER, DAY, injections)
    unit = "north HV/MV transformer"
    held = np.abs(result.voltage.sel(bus="north busbar").values - 1.025)
    columns = {str(c): tiny.branches[c].values.copy() for c in tiny.branches.data_vars}
    columns["v_setpoint_pu"] = np.full(len(tiny.branches.branch), np.nan)
    at = tiny.branches.branch.values == unit
    for step in (-1, 1):
        for period in (0, 18):
            columns["tap_pos"] = np.where(at, result.tap.sel(transformer=unit).values[period] + step, tiny.branches.tap_pos.values)
            moved = ac_power_flow(tiny.replace(branches=table("branch", tiny.branches.branch.values, columns)), FEEDER, DAY, injections)
            assert abs(float(moved.voltage.sel(bus="north busbar")[period]) - 1.025) > held[period] - 1e-9


def test_reinforcement_lowers_loading_and_losses():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    before = ac_power_flow(tiny, FEEDER, DAY, injections)
    after = ac_power_flow(tiny, FEEDER, DAY, injections, built=reinforced(tiny, {"north 1 MV/LV transformer": 63.0, "north 1 line 1": 98.4}))
    for branch in ("north 1 MV/LV transformer", "north 1 line 1"):
        np.testing.assert_allclose(after.loading.sel(branch=branch).values, before.loading.sel(branch=branch).values / 2, rtol=0.02)
    assert (after.voltage.sel(bus="north 1 bus 4").values[17:22] > before.voltage.sel(bus="north 1 bus 4").values[17:22]).all()


def test_a_doubled_line_is_two_lines_in_parallel():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    doubled = ac_power_flow(tiny, FEEDER, DAY, injections, built=reinforced(tiny, {"north line 1": 5900.0}))
    columns = {str(c): np.append(tiny.branches[c].values, tiny.branches[c].sel(branch="north line 1").item()) for c in tiny.branches.data_vars}
    parallel = tiny.replace(branches=table("branch", np.append(tiny.branches.branch.values, "twin"), columns))
    twin = ac_power_flow(parallel, FEEDER, DAY, injections)
    np.testing.assert_allclose(doubled.voltage.values, twin.voltage.sel(bus=doubled.bus).values, atol=1e-9)
    np.testing.assert_allclose(doubled.loading.sel(branch="north line 1").values, twin.loading.sel(branch="twin").values, rtol=1e-6)


def test_violations_are_listed_with_value_and_limit():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    checked = ac_verify(tiny, FEEDER, DAY, injections)
    assert checked.violations.empty
    assert (checked.max_line_overload, checked.max_voltage_violation) == (0.0, 0.0)
    heavy = injections.copy(deep=True)
    heavy.p.loc[{"bus": "north 1 bus 4"}] += 80.0
    checked = ac_verify(tiny, FEEDER, DAY, heavy)
    assert not checked.violations.empty
    assert {"north 1 MV/LV transformer"} <= set(checked.violations.identifier)
    worst = checked.violations[checked.violations.component == "branch"].iloc[0]
    assert worst.value == pytest.approx(100 + checked.max_line_overload)
    assert worst.value == pytest.approx(float(checked.result.loading.max()))
    low = checked.violations[checked.violations.component == "bus"]
    assert (low.value < low.limit).all()
    assert float((low.limit - low.value).max()) == pytest.approx(checked.max_voltage_violation)


def test_a_period_without_solution_is_a_violation_and_the_others_are_solved():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    injections.p.loc[{"bus": "north 1 bus 4", "period": DAY.labels[5]}] = 5000.0
    checked = ac_verify(tiny, FEEDER, DAY, injections)
    assert checked.result.converged.values.tolist() == [t != 5 for t in range(24)]
    assert checked.violations.component.tolist() == ["power flow"]
    assert checked.violations.period.tolist() == [DAY.labels[5]]
    assert np.isfinite(checked.result.voltage.values[:, 6:]).all()


def test_the_transmission_level_can_be_calculated_too():
    tiny = tiny_system()
    injections = profile_injections(tiny, ["transmission"], DAY)
    result = ac_power_flow(tiny, ["transmission"], DAY, injections)
    assert result.converged.all()
    assert result.loading.sizes["branch"] == 6


def test_what_does_not_belong_to_the_networks_is_refused():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAY)
    with pytest.raises(KeyError, match="has no node \\['nowhere'\\]"):
        ac_power_flow(tiny, ["nowhere"], DAY, injections)
    with pytest.raises(KeyError, match="'south line 1'"):
        ac_power_flow(tiny, FEEDER, DAY, injections, built=reinforced(tiny, {"south line 1": 1.0}))
    stray = xr.Dataset({v: (("bus", "period"), np.ones((1, 24))) for v in ("p", "q")}, coords={"bus": ["south bus 1"], "period": DAY.labels})
    with pytest.raises(KeyError, match="buses outside the networks: \\['south bus 1'\\]"):
        ac_power_flow(tiny, FEEDER, DAY, stray)
    with pytest.raises(KeyError, match="lack the periods"):
        ac_power_flow(tiny, FEEDER, DAY, injections.isel(period=slice(0, 5)))
