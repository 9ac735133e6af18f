"""All periods at once in power-grid-model, one after the other in pandapower: two solvers of the same equations."""

import numpy as np
import pandapower.networks as pn
import pandas as pd
import pytest
import xarray as xr

from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.tiny import tiny_system
from multiscale.timeline import Horizon
from multiscale.verification import ac_power_flow, profile_injections
from multiscale.verification.pandapower_flow import pandapower_power_flow
from tests.sources.simbench_networks import LV, MVLV, system
from tests.variants import changed, reinforced

DAYS = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-20")), (183.0, 183.0), 8.0)
FOUR_PERIODS = Horizon(DAYS.days, DAYS.weights, 12.0)
FEEDER = ["north", "north 1", "north 2"]
NETWORKS = {
    "CIGRE MV": lambda: pandapower_system(pn.create_cigre_network_mv(with_der="pv_wind")),
    "Kerber": lambda: pandapower_system(pn.create_kerber_landnetz_kabel_1()),
    "Oberrhein": lambda: pandapower_system(pn.mv_oberrhein()),
    "SimBench LV": lambda: system(LV),
    "SimBench MV and LV": lambda: system(MVLV),
}


def compared(system, nodes, built=None, slack=1.0, horizon=DAYS):
    injections = profile_injections(system, nodes, horizon)
    found, reference = (ac_power_flow(system, nodes, horizon, injections, built, slack, **c) for c in ({}, {"compute": pandapower_power_flow}))
    assert found.converged.all()
    np.testing.assert_array_equal(found.tap.values, reference.tap.values)
    np.testing.assert_array_equal(np.isnan(found.voltage.values), np.isnan(reference.voltage.values))
    np.testing.assert_allclose(found.voltage.values, reference.voltage.values, atol=1e-6)
    np.testing.assert_allclose(found.loading.values, reference.loading.values, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.losses.values, reference.losses.values, rtol=1e-4)
    np.testing.assert_allclose(found.exchange.values, reference.exchange.values, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(found.exchange_reactive.values, reference.exchange_reactive.values, rtol=1e-6, atol=1e-3)
    return found


@pytest.mark.parametrize("added", [None, {"north 1 MV/LV transformer": 63.0, "north 1 line 1": 98.4}])
@pytest.mark.parametrize("dso", ["north", "east", "south"])
def test_a_feeder_and_its_platforms(dso, added):
    tiny = tiny_system()
    compared(tiny, [dso, *tiny.children(dso)], reinforced(tiny, added) if added and dso == "north" else None)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "Oberrhein" else n for n in NETWORKS])
def test_a_published_network(name):
    network = NETWORKS[name]()
    for dso in network.at_level("dso"):
        compared(network, [dso, *network.children(dso)], horizon=FOUR_PERIODS)


def test_a_meshed_network():
    """The transmission level of the tiny case has loops."""
    tiny = tiny_system()
    compared(tiny, ["transmission"])


def test_several_feeders_with_a_voltage_each():
    tiny = tiny_system()
    nodes = [n for dso in ("north", "south") for n in (dso, *tiny.children(dso))]
    found = compared(tiny, nodes, slack={tiny.boundary_bus("north"): 1.02, tiny.boundary_bus("south"): 0.99})
    assert found.slack.values.sum() == 2


@pytest.mark.parametrize("side", ["hv", "lv"])
@pytest.mark.parametrize("tap", [-4, 3])
def test_a_tap_on_either_side(side, tap):
    """The tap of the HV/MV transformer, off its neutral position and without a set point."""
    tiny, unit = tiny_system(), "north HV/MV transformer"
    for column, value in {"tap_side": side, "tap_pos": tap, "v_setpoint_pu": np.nan}.items():
        tiny = changed(tiny, "branches", column, {unit: value})
    compared(tiny, FEEDER)


def test_a_part_without_supply_draws_nothing():
    tiny = changed(tiny_system(), "branches", "in_service", {"north 1 MV/LV transformer": False})
    found = compared(tiny, FEEDER)
    dark = np.isnan(found.voltage.values).all(axis=1)
    assert dark.any()
    assert not dark.all()
    injections = profile_injections(tiny, FEEDER, DAYS)
    served = injections.p.sel(bus=[b for b in injections.bus.values.tolist() if b not in found.bus.values[dark].tolist()])
    np.testing.assert_allclose(found.exchange.values, served.sum("bus").values + found.losses.values, rtol=1e-6)


def test_a_period_that_does_not_converge_is_the_same_in_both():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAYS)
    injections.p.loc[{"bus": "north 1 bus 4", "period": DAYS.labels[5]}] = 5000.0
    results = [ac_power_flow(tiny, FEEDER, DAYS, injections, **c) for c in ({}, {"compute": pandapower_power_flow})]
    for result in results:
        assert result.converged.values.tolist() == [t != 5 for t in range(DAYS.periods)]
        for name in ("loading", "voltage", "losses", "exchange", "exchange_reactive"):
            assert np.isnan(result[name].transpose(..., "period").values[..., 5]).all(), name


def test_what_is_found_for_a_period_does_not_depend_on_the_others():
    tiny = tiny_system()
    injections = profile_injections(tiny, FEEDER, DAYS) * 2.0
    whole = ac_power_flow(tiny, FEEDER, DAYS, injections)
    turned = injections.isel(period=slice(None, None, -1)).assign_coords(period=DAYS.labels)
    xr.testing.assert_allclose(whole, ac_power_flow(tiny, FEEDER, DAYS, turned).isel(period=slice(None, None, -1)).assign_coords(period=DAYS.labels))
