import dataclasses

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from multiscale.devices import ElectricVehicle, HeatPump, Offer, Photovoltaics
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram, solve
from multiscale.system import LoadingLimits
from multiscale.system.rooted import MeshedNetworkError
from multiscale.system.schema import table
from multiscale.timeline import Horizon
from tests.operation.conftest import no_agreement
from tests.operation.linear_distflow import platform_model
from tests.variants import changed, priced


@pytest.fixture(scope="module")
def solution(system, fleets, economics, prices):
    return solve(platform_program(fleets["north 1"], economics, Community(), network=system.network("north 1")), prices)


def test_optimum_is_that_of_the_formulation_written_out_in_full(variant, fleets, economics, prices):
    """The network reduction drops only what cannot bind: the un-reduced problem in another modelling language costs the same."""
    fleet, network = fleets["north 1"], variant.network("north 1")
    ours = solve(platform_program(fleet, economics, Community(), network=network), prices)
    model = platform_model(fleet, network, economics, LoadingLimits(), prices)
    pyo.SolverFactory("appsi_highs").solve(model)
    assert ours.objective == pytest.approx(pyo.value(model.cost), rel=1e-7)


def test_a_network_that_binds_costs_something(system, fleets, economics, prices):
    fleet = fleets["north 1"]
    without = solve(platform_program(fleet, economics, Community()), prices).objective
    thin = changed(system, "branches", "rating_kva", {"north 1 line 2": 12.0, "north 1 line 4": 6.0}).network("north 1")
    low = changed(system, "buses", "v_min_pu", {"north 1 bus 4": 0.985}).network("north 1")
    wide = solve(platform_program(fleet, economics, Community(), network=system.network("north 1")), prices).objective
    assert wide == pytest.approx(without, rel=1e-9)
    assert solve(platform_program(fleet, economics, Community(), network=thin), prices).objective > 1.001 * without
    assert solve(platform_program(fleet, economics, Community(), network=low), prices).objective > 1.001 * without


def test_trading_with_neighbours_never_costs_more_than_going_alone(fleets, economics, prices):
    for fleet in fleets.values():
        together = solve(platform_program(fleet, economics, Community()), prices).objective
        alone = solve(platform_program(fleet, economics, TimeOfUse()), prices).objective
        assert together <= alone + 1e-6


def test_trade_pays_where_one_has_sun_and_another_needs_it(system, summer, economics, prices):
    fleet = system.fleet("north 1", summer)
    together = solve(platform_program(fleet, economics, Community()), prices)
    alone = solve(platform_program(fleet, economics, TimeOfUse()), prices)
    assert together.objective < alone.objective - 1.0
    traded = together.primal("buy").sum() - together.primal("import").sum()
    assert float(traded) > 1.0


def test_balance_of_every_prosumer_closes(solution, fleets):
    data = fleets["north 1"].data
    total = solution.primal("buy") - solution.primal("sell") + solution.primal("unserved") - data.demand
    for name, owner, sign in (("pv", "pv_owner", 1), ("discharge", "battery_owner", 1), ("charge", "battery_owner", -1), ("ev", "ev_owner", -1)):
        total = total + sign * solution.primal(name).rename({owner: "prosumer"}).reindex(prosumer=data.prosumer.values, fill_value=0.0)
    total = total - solution.primal("heat_pump").rename({"heat_pump_owner": "prosumer"}).reindex(prosumer=data.prosumer.values, fill_value=0.0)
    np.testing.assert_allclose(total.values, 0.0, atol=1e-7)


def test_price_of_a_prosumer_is_the_cost_of_one_kw_more(fleets, economics, prices):
    program = platform_program(fleets["north 1"], economics, Community())
    base = solve(program, prices)
    row = program.rows["prosumer_balance"].positions[3, 9]
    b0 = program.b0.copy()
    b0[row] += 1e-3
    more = solve(dataclasses.replace(program, b0=b0), prices)
    assert (more.objective - base.objective) / 1e-3 == pytest.approx(base.y[row], rel=1e-5)


def test_batteries_are_cyclic_and_conserve_energy(solution, fleets):
    data, step = fleets["north 1"].data, fleets["north 1"].horizon.step_hours
    for owner in solution.primal("charge").battery_owner.values.tolist():
        eta, loss = float(data.battery_efficiency.sel(prosumer=owner)), float(data.battery_loss.sel(prosumer=owner))
        charge, discharge, stored = (solution.primal(n).sel(battery_owner=owner).values for n in ("charge", "discharge", "stored"))
        np.testing.assert_allclose(stored, (1 - loss * step) * np.roll(stored, 1) + step * (eta * charge - discharge / eta), atol=1e-7)
        assert step * discharge.sum() == pytest.approx(eta * (eta * step * charge.sum() - loss * step * stored.sum()), abs=1e-6)
        assert np.minimum(charge, discharge).max() <= 1e-7


def test_batteries_are_used_when_prices_differ_enough(fleets, economics, prices):
    """The spread must pay both conversions and the wear; otherwise the battery stands idle apart from the sun."""
    program = platform_program(fleets["north 1"], economics, TimeOfUse())
    hour = np.arange(12) * 2.0
    flat, steep = (solve(program, prices | {"import_price": p, "export_price": p - 0.05}) for p in (np.full(12, 0.1), np.where(hour < 8, 0.05, 0.4)))
    assert float(steep.primal("discharge").sum()) > float(flat.primal("discharge").sum()) + 1.0


def test_vehicles_get_all_their_energy_and_never_before_they_arrive(solution, fleets):
    fleet = fleets["north 1"]
    step = fleet.horizon.step_hours
    for owner in solution.primal("ev").ev_owner.values.tolist():
        power, reference = solution.primal("ev").sel(ev_owner=owner).values, fleet.data.ev.sel(prosumer=owner).values
        late = solution.primal("ev_late").sel(ev_owner=owner).values
        assert power.sum() == pytest.approx(reference.sum(), rel=1e-9)
        np.testing.assert_allclose(late, np.roll(late, 1) + step * (reference - power), atol=1e-7)
        assert late.min() >= -1e-9
        recent = sum(step * np.roll(reference, k) for k in range(3))
        assert (late <= recent + 1e-7).all()


def test_heat_pumps_pay_for_the_heat_they_store(solution, fleets):
    """Heat kept in advance fades: energy drawn is the reference plus the loss of what was kept, less what was never owed."""
    fleet = fleets["north 1"]
    step = fleet.horizon.step_hours
    power, reference = float(solution.primal("heat_pump").sum()), float(fleet.data.heat_pump.sum())
    owed = float(solution.primal("heat_pump_late").sum() - solution.primal("heat_pump_early").sum())
    assert power == pytest.approx(reference - 0.02 * owed, rel=1e-9)
    assert step > 0


def test_bands_hold_the_reference(fleets):
    """Operation without demand response is feasible: no backlog, reference power."""
    for deferrable in (ElectricVehicle(), HeatPump()):
        late, early, limit = deferrable.bands(fleets["south 2"])
        assert (late >= 0).all()
        assert (early >= 0).all()
        assert (limit >= fleets["south 2"].data[deferrable.name].values - 1e-12).all()


def test_bands_of_nobody_are_empty(fleets):
    fleet = dataclasses.replace(fleets["south 2"], data=fleets["south 2"].data.isel(prosumer=slice(0, 0)))
    for deferrable in (ElectricVehicle(), HeatPump()):
        assert [band.size for band in deferrable.bands(fleet)] == [0, 0, 0]


@pytest.mark.parametrize("step", [1.0, 2.0])
def test_the_discomfort_of_a_shift_does_not_depend_on_the_step(system, economics, step):
    """Even demand from 16 to 20 h, forced into 18 to 22 h: 2 h of lateness of as many kWh, whatever the step."""
    horizon = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), step)
    fleet = system.fleet("north 1", horizon)
    data = fleet.data.copy(deep=True)
    hour = np.arange(horizon.periods) * step
    for name in ("demand", "reactive", "pv", "heat_pump", "battery_energy", "battery_power", "ev"):
        data[name].values[:] = 0.0
    data["ev"].values[1] = np.where((hour >= 16) & (hour < 20), 5.0, 0.0)
    data["ev_power"].values[1] = 5.0
    price = np.where((hour >= 16) & (hour < 18), 3.0, 0.1)
    program = platform_program(type(fleet)("north 1", horizon, data), economics, Community())
    solution = solve(program, {"import_price": price, "export_price": 0.0, "network_charge": 0.0, **no_agreement()})
    np.testing.assert_allclose(solution.primal("ev").values[0], np.where((hour >= 18) & (hour < 22), 5.0, 0.0), atol=1e-6)
    energy = 20.0 * 366 * (0.1 + economics.tariff.components["levy"].price)
    assert solution.objective - energy == pytest.approx(366 * ElectricVehicle().discomfort * 20.0 * 2.0, rel=1e-6)


def test_limit_of_the_connection_is_kept_and_priced(fleets, economics, prices):
    program = platform_program(fleets["north 1"], economics, Community())
    compiled = CompiledProgram(program)
    free = compiled.solve_optimal(prices)
    at_most = 0.8 * float(free.output("exchange").max())
    held = compiled.solve_optimal(prices | {"import_limit": at_most})
    assert float(held.output("exchange").max()) <= at_most + 1e-7
    step = 1e-4
    less = compiled.solve_optimal(prices | {"import_limit": at_most - step})
    position = program.parameters["import_limit"].positions
    assert (held.objective - less.objective) / step == pytest.approx(program.sensitivity(held.x, held.y)[position].sum(), rel=1e-4)
    assert held.objective > free.objective


def test_a_deviation_price_draws_the_exchange_to_the_plan(fleets, economics, prices):
    compiled = CompiledProgram(platform_program(fleets["north 1"], economics, Community()))
    planned = compiled.solve_optimal(prices | {"deviation_price": 0.0}).output("exchange").values + 2.0
    away = [
        float(np.abs(compiled.solve_optimal(prices | {"planned": planned, "deviation_price": price}).output("exchange").values - planned).sum())
        for price in (0.0, 0.02, 1.0)
    ]
    assert away[0] > away[1] >= away[2]
    assert away[2] < 0.3 * away[0]


def test_pv_is_bought_once_the_charge_makes_it_worth_its_annuity(system, economics):
    """Break-even: the yearly yield of one kW used behind the meter, times what it saves, is the annuity."""
    horizon = Horizon((pd.Timestamp("2016-06-15"),), (366.0,), 2.0)
    fleet = system.fleet("north 1", horizon)
    one = fleet.aggregate(np.full(fleet.size, "all"))
    one.data["pv"].values[:] = 0.0
    profile = horizon.sample(system.profiles, np.array(["pv"]))[0][0]
    small = {"photovoltaics": Offer(np.array([0.5]), profile)}
    program = platform_program(one, economics, Community(), adoption=small, agreements=False)
    annuity = Photovoltaics().yearly_cost(economics.annuity)
    break_even = annuity / float(profile @ horizon.hours_per_year) - economics.tariff.components["levy"].price
    for charge, bought in ((break_even - 0.002, 0.0), (break_even + 0.002, 0.5)):
        solution = solve(program, {"import_price": charge, "export_price": -1.0, "network_charge": 0.0})
        assert float(solution.primal("new_pv")[0]) == pytest.approx(bought, abs=1e-6)


def test_a_meshed_network_is_refused_with_the_loop_named(system, fleets, economics):
    old = system.branches
    data = {str(c): np.append(old[c].values, old[c].sel(branch="north 1 line 4").item()) for c in old.data_vars}
    data["from_bus"][-1] = "north 1 bus 2"
    meshed = system.replace(branches=table("branch", np.append(old.branch.values, "north 1 tie"), data))
    with pytest.raises(MeshedNetworkError, match="network of 'north 1' is meshed: loop through") as caught:
        platform_program(fleets["north 1"], economics, Community(), network=meshed.network("north 1"))
    for branch in ("north 1 tie", "north 1 line 3", "north 1 line 4"):
        assert branch in str(caught.value)
    assert "north 1 line 1" not in str(caught.value)


def test_an_islanded_network_is_refused_with_the_bus_named(system, fleets, economics):
    cut = changed(system, "branches", "in_service", {"north 1 line 4": False})
    with pytest.raises(MeshedNetworkError, match=r"buses \['north 1 bus 4'\] have no connection to 'north 1 busbar'"):
        platform_program(fleets["north 1"], economics, Community(), network=cut.network("north 1"))


def test_a_fee_on_trade_above_all_charges_earns_nobody_anything(fleets, economics, prices):
    """Power that is imported and exported again is not traded: a fee never lowers the cost, however high it is."""
    cost = {}
    for fee in (0.0, 0.05, 0.30):
        dear = dataclasses.replace(economics, tariff=priced(trading_fee=fee))
        program = platform_program(fleets["north 1"], dear, Community())
        found = solve(program, prices)
        cost[fee] = found.objective
        bought = found.primal("buy").sum("prosumer").to_numpy()
        assert (found.primal("import").to_numpy() <= bought + 1e-6).all()
    assert cost[0.0] <= cost[0.05] <= cost[0.30] + 1e-9 * abs(cost[0.30])
