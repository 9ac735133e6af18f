"""Platforms are fed at the voltage that the network above has, period by period."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from multiscale.coordination.common.prepared import prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.operation.busbars import busbar_voltages, expected_busbar_voltages
from multiscale.operation.radial import radial_tree
from multiscale.planning.conventional import passive_flows
from multiscale.programs import solve
from multiscale.system import LoadingLimits
from multiscale.timeline import Horizon
from multiscale.verification import ac_verify, profile_injections
from tests.operation.linear_distflow import platform_model
from tests.variants import changed, charged, with_options

LIMITS = LoadingLimits()


@pytest.fixture(scope="module")
def two_days(system):
    """The northern DSO on a winter and a summer day."""
    horizon = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (183.0, 183.0), 2.0)
    return horizon, {child: system.fleet(child, horizon) for child in system.children("north")}


def test_the_linear_model_is_nearer_to_the_ac_power_flow_than_the_voltage_without_load(system, two_days):
    """What is left is mostly the step on which the tap changer above stands."""
    horizon, fleets = two_days
    above, nodes = radial_tree(system.network("north"), LIMITS), ["north", *system.children("north")]
    checked = ac_verify(system, nodes, horizon, profile_injections(system, nodes, horizon))
    idle = dict(zip(above.buses.tolist(), above.no_load_voltage()[:, 0].tolist(), strict=True))
    for child, linear in busbar_voltages(system, "north", above, *passive_flows(system, "north", horizon, fleets, above)).items():
        actual = checked.result.voltage.sel(bus=system.boundary_bus(child)).values
        assert np.abs(actual - linear).max() < 0.6 * np.abs(actual - idle[system.boundary_bus(child)]).max()
        assert np.abs(actual - linear).max() < 0.01


def test_without_flows_the_busbars_have_the_voltage_without_load(system, two_days):
    above = radial_tree(system.network("north"), LIMITS)
    idle = dict(zip(above.buses.tolist(), above.no_load_voltage()[:, 0].tolist(), strict=True))
    nothing, charging = np.zeros((len(above.buses), 3)), above.below(np.broadcast_to(above.charging[:, None], (len(above.buses), 3)))
    for child, voltage in busbar_voltages(system, "north", above, nothing, charging).items():
        np.testing.assert_allclose(voltage, idle[system.boundary_bus(child)], rtol=1e-12)


def test_what_is_built_raises_the_voltage_under_load_at_the_same_flows(system, winter, economics, fleets):
    """A larger transformer has less impedance."""
    offered = with_options(system, {"north 1 MV/LV transformer": (40.0, 8000.0)})
    (option,) = offered.options.option.values.tolist()
    (day,) = prepare_days(offered, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community(), SerialEngine())
    before, after = (
        expected_busbar_voltages(day.model.under(replace(day.model.design, built={option: yes})), day.forecast.distribution_x, day.forecast.exchange)
        for yes in (False, True)
    )
    drawn = day.forecast.exchange["north 1"] > 0
    assert drawn.any()
    assert (after["north 1"] > before["north 1"])[drawn].all()
    np.testing.assert_array_equal(after["north 2"], before["north 2"])


def test_a_platform_fed_at_another_voltage_every_period_is_that_written_out_in_full(system, fleets, economics, prices):
    """Low busbars in the evening: the voltage limit of the last bus binds then."""
    fleet, network = fleets["north 1"], system.network("north 1")
    hour = (np.arange(fleet.horizon.periods) + 0.5) * fleet.horizon.step_hours
    fed = np.where((hour > 16) & (hour < 22), 0.9215, 1.0)
    ours = solve(platform_program(fleet, economics, Community(), network=network, root_voltage=fed), prices)
    model = platform_model(fleet, network, economics, LIMITS, prices, fed)
    pyo.SolverFactory("appsi_highs").solve(model)
    assert ours.objective == pytest.approx(pyo.value(model.cost), rel=1e-7)
    stiff = solve(platform_program(fleet, economics, Community(), network=network), prices)
    assert ours.objective > stiff.objective * (1 + 1e-4)


def test_one_voltage_for_all_periods_is_the_same_as_a_number(fleets, system, economics, prices):
    fleet, network = fleets["north 1"], system.network("north 1")
    one, all_of_them = (
        platform_program(fleet, economics, Community(), network=network, root_voltage=v) for v in (0.93, np.full(fleet.horizon.periods, 0.93))
    )
    assert one.columns.size == all_of_them.columns.size
    np.testing.assert_array_equal(one.b0, all_of_them.b0)
    assert (one.A != all_of_them.A).nnz == 0


@pytest.mark.parametrize("fed", [0.5, 1.5])
def test_a_busbar_outside_the_band_leaves_a_platform_that_draws_and_feeds_in_nothing(system, fleets, economics, prices, fed):
    """It is the network above that must be corrected; the AC power flow shows the busbar."""
    fleet, network = fleets["north 1"], system.network("north 1")
    answer = solve(platform_program(fleet, economics, Community(), network=network, root_voltage=fed), prices)
    unserved = float(answer.primal("unserved").sum())
    if fed < 1.0:
        assert unserved > 0.9 * float(fleet.data.demand.sum())
    else:
        assert unserved < 1e-6


def test_a_prepared_day_is_fed_at_the_voltages_of_its_forecast(system, winter, economics, fleets):
    weak = changed(system, "branches", "r_ohm", {"north line 1": 2.0})
    (day,) = prepare_days(weak, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community(), SerialEngine())
    expected = expected_busbar_voltages(day.model, day.forecast.distribution_x, day.forecast.exchange)
    for child, data in day.tree.platforms.data.items():
        np.testing.assert_array_equal(data.root_voltage, expected[child])
        assert expected[child].std() > 0
