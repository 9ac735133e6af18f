"""The batched solution of a community: equal to the ordinary program on fleets of every device, certified, and refused where it is not exact."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from multiscale.devices import Device, device_settings
from multiscale.devices.fleet import fleet_variables
from multiscale.markets import Community, TimeOfUse
from multiscale.markets.batched.batch import Batch, Pool, one
from multiscale.markets.batched.community_clearing import clear_community
from multiscale.markets.batched.fleet_pool import applies
from multiscale.markets.batched.master import Boundary
from multiscale.markets.batched.platform_terms import NotCarriedError
from multiscale.markets.batched.pool_clearing import clear_pool
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram, ProgramError
from multiscale.system import Economics
from multiscale.tariffs import Capacity, Peer, Tariff, Volumetric
from tests.markets.random_fleets import prices, random_fleet

FREE = Tariff({"network_charge": Volumetric(price=0.05)})
FEE = Tariff({"network_charge": Volumetric(), "trading_fee": Peer(price=0.01, receiver="platform operators")})
CHARGE = {"network_charge": np.array(0.05)}


def by_program(fleet, economics, market, limit=np.inf):
    program = platform_program(fleet, economics, market)
    imports, exports = prices(fleet.horizon.periods)
    none = {"import_limit": np.minimum(limit, 1e7), "export_limit": 1e7, "planned": 0.0, "deviation_price": 0.0}
    decided = dict.fromkeys(economics.tariff.decided, 0.05)
    return CompiledProgram(program).solve_optimal(none | decided | {"import_price": imports, "export_price": exports})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("tariff", "several"), [(FEE, False), (FREE, True), (FEE, True)], ids=["fee, one each", "no fee, several", "fee, several"])
def test_cost_is_that_of_the_ordinary_program(tariff, several, seed):
    fleet, economics = random_fleet(100 if seed == 0 else 25, 24 if seed < 2 else 12, seed, several=several), Economics(tariff=tariff)
    exact = by_program(fleet, economics, Community())
    found = clear_community(fleet, economics, Community(), *prices(fleet.horizon.periods), prices=CHARGE, gap=1e-6)
    assert found.cost == pytest.approx(exact.objective, rel=1e-5)
    assert found.bound <= exact.objective * (1 + 1e-9)
    assert found.cost >= exact.bound * (1 - 1e-9)


def test_what_members_value_beyond_money_is_carried_or_refused():
    fleet, economics = random_fleet(25, 12, seed=3), Economics(tariff=FEE)
    market = Community(import_penalty=0.04, autonomy_penalty=0.01, preference="social")
    exact = by_program(fleet, economics, market)
    found = clear_community(fleet, economics, market, *prices(12), prices=CHARGE, gap=1e-6)
    assert exact.objective > 1.05 * by_program(fleet, economics, Community()).objective
    assert found.cost == pytest.approx(exact.objective, rel=1e-5)
    assert "more than trade with one pool" in applies(fleet, Community(transaction_cost=0.01), FEE)


def test_an_import_limit_is_kept_and_priced():
    fleet, economics = random_fleet(60, seed=7), Economics(tariff=FEE)
    free = clear_community(fleet, economics, Community(), *prices(24), prices=CHARGE)
    limit = 0.9 * free.exchange.max()
    exact = by_program(fleet, economics, Community(), limit)
    found = clear_community(fleet, economics, Community(), *prices(24), prices=CHARGE, import_limit=limit, gap=1e-6)
    assert found.cost == pytest.approx(exact.objective, rel=1e-5)
    assert found.exchange.max() <= limit * (1 + 1e-6)
    # The price of the pool is the dual of its balance, where it is unique: the import price and charge, and more where the limit binds.
    dual = exact.dual("pool").values / fleet.horizon.hours_per_year
    assert (np.abs(np.abs(dual) - found.price) < 1e-4).mean() > 0.7


@pytest.mark.parametrize(
    ("periods", "seed", "share", "export_price", "several"), [(6, 9, 0.7, 0.0, True), (8, 17, 0.3, 0.0, True), (8, 5, 0.7, 0.1, False)]
)
def test_what_is_written_is_what_was_said_where_many_answers_cost_the_same(periods, seed, share, export_price, several):
    """Batteries without losses, one price all day: schedules keep the import limit and reach the gap, whichever answer members find."""
    fleet = random_fleet(40, periods, seed, several=several).changed({"battery_efficiency": np.ones(40), "battery_loss": np.zeros(40)})
    limit = share * fleet.arrays["demand"].sum(axis=0).max()
    found = clear_community(fleet, Economics(tariff=FEE), Community(), 0.2, export_price, prices=CHARGE, import_limit=limit, gap=1e-5)
    assert found.exchange.max() <= limit * (1 + 1e-6)
    assert -1e-7 <= found.gap <= 1e-5


def test_without_trade_every_member_answers_alone():
    fleet, economics = random_fleet(40, 12, seed=3), Economics(tariff=FREE)
    exact = by_program(fleet, economics, TimeOfUse())
    found = clear_community(fleet, economics, TimeOfUse(), *prices(12))
    assert found.cost == pytest.approx(exact.objective, rel=1e-9)
    assert found.bound == pytest.approx(exact.objective, rel=1e-8)


def test_schedules_of_prosumers_balance_and_sum_to_the_exchange():
    fleet = random_fleet(50, seed=5)
    found = clear_community(fleet, Economics(tariff=FEE), Community(), *prices(24), prices=CHARGE)
    devices = sum(found.drawn.values()) - sum(found.supplied.values())
    net = fleet.data.demand.values + devices - found.used - found.unserved
    np.testing.assert_allclose(found.bought - found.sold, net, atol=1e-12)
    np.testing.assert_allclose(net.sum(axis=0), found.exchange, atol=1e-9)
    assert (found.used <= fleet.data.pv.values + 1e-12).all()
    assert set(found.drawn) == {"battery", "electric_vehicle", "heat_pump", "thermal_heat_pump"}


def test_a_sample_finds_prices_for_many():
    fleet = random_fleet(3000, 12, seed=2)
    found = clear_community(fleet, Economics(tariff=FEE), Community(), *prices(12), prices=CHARGE)
    assert found.gap <= 1e-3
    assert found.bound <= found.cost
    assert found.rounds <= 15


def test_shortage_is_served_as_far_as_it_goes():
    fleet, economics = random_fleet(20, 12, seed=4), Economics(tariff=FEE)
    exact = by_program(fleet, economics, Community(), 2.0)
    found = clear_community(fleet, economics, Community(), *prices(12), prices=CHARGE, import_limit=2.0, gap=1e-6)
    assert found.unserved.sum() > 0
    assert found.cost == pytest.approx(exact.objective, rel=1e-5)


def test_connections_and_fees_of_single_members():
    """Four members of a kind each for which the answer is known: the import price is 0.3, the export price 0.1 EUR/kWh."""
    pool = Pool(np.full(2, 1.0), 1.0, 3.0, 0.0)
    names, demand = np.array(["a"]), np.array([[1.0, 1.0]])
    boundary = Boundary(np.full(2, 0.3), np.full(2, 0.1), np.full(2, np.inf), np.full(2, np.inf), np.zeros(2))
    connection = Batch(names, demand, np.zeros((1, 2)), cap_in=one(0.4))
    assert clear_pool(pool, [connection], boundary, gap=1e-8).cost == pytest.approx(2 * (0.4 * 0.3 + 0.6 * 3.0))
    curtailed = Batch(names, np.zeros((1, 2)), np.array([[5.0, 0.0]]), cap_out=one(2.0))
    assert clear_pool(pool, [curtailed], boundary, gap=1e-8).cost == pytest.approx(-2 * 0.1)
    unsold = Batch(names, np.zeros((1, 2)), np.array([[5.0, 0.0]]), fee_out=one(0.15))
    assert clear_pool(pool, [unsold], boundary).cost == pytest.approx(0.0, abs=1e-9)
    seller = Batch(np.array(["b"]), np.zeros((1, 2)), np.array([[5.0, 0.0]]))
    both = clear_pool(pool, [Batch(names, demand, np.zeros((1, 2)), fee_in=one(0.05)), seller], boundary, gap=1e-8)
    assert both.cost == pytest.approx(2 * 0.05 - 4 * 0.1 + 0.3)


def test_what_is_not_carried_is_refused_with_its_name():
    fleet = random_fleet(30, 12, seed=1, several=True)
    assert not applies(fleet, Community(), FEE)
    assert not applies(fleet, Community(), FREE)
    capacity = Tariff({"capacity": Capacity(price=10.0)})
    assert "'capacity'" in applies(fleet, Community(), capacity)
    with pytest.raises(NotCarriedError, match="couples periods; use the ordinary program"):
        clear_community(fleet, Economics(tariff=capacity), Community(), *prices(12))


def test_burning_energy_is_refused():
    fleet = random_fleet(20, 12, seed=1, owning=["battery"])
    with pytest.raises(ProgramError, match=r"member 'p\d+' with battery: .*ordinary program"):
        clear_community(fleet, Economics(tariff=FREE), TimeOfUse(), -1.0, -1.0)


def test_several_devices_are_answered_where_energy_is_burned_too():
    """At prices far below zero the linear program of a member charges and discharges at once, as the ordinary program does."""
    owned = random_fleet(30, 12, seed=2, owning=["battery"]), random_fleet(30, 12, seed=2, owning=["heat_pump"])
    battery, heat = (np.flatnonzero(f.devices[key].owners(f)) for f, key in zip(owned, ("battery", "heat_pump"), strict=True))
    count = min(len(battery), len(heat))
    data = owned[0].data.isel(prosumer=battery[:count]).copy()
    for name in fleet_variables({"heat_pump": owned[0].devices["heat_pump"]}):
        data[name] = (data[name].dims, owned[1].data[name].values[heat[:count]])
    fleet = dataclasses.replace(owned[0], data=data)
    program = CompiledProgram(platform_program(fleet, Economics(tariff=FEE), Community()))
    none = {"import_limit": 1e7, "export_limit": 1e7, "planned": 0.0, "deviation_price": 0.0}
    exact = program.solve_optimal(none | CHARGE | {"import_price": -1.0, "export_price": -1.0})
    found = clear_community(fleet, Economics(tariff=FEE), Community(), -1.0, -1.0, prices=CHARGE, gap=1e-6)
    assert found.cost == pytest.approx(exact.objective, rel=1e-5)
    assert np.minimum(found.drawn["battery"], found.supplied["battery"]).max() > 0.01


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"demand": np.array([[np.nan, 1.0]])}, "demand in period 0"),
        ({"pv": np.array([[1.0, -2.0]])}, "pv in period 1 is -2 kW"),
        ({"fee_in": one(-0.1)}, "fee_in"),
        ({"cap_in": one(np.nan)}, "cap_in"),
        ({"demand": np.ones((3, 2))}, "shape"),
    ],
)
def test_bad_members_are_named(changed, words):
    good = {"names": np.array(["a"]), "demand": np.ones((1, 2)), "pv": np.zeros((1, 2))}
    with pytest.raises(ValueError, match=words):
        Batch(**(good | changed))


def test_a_boundary_that_pays_more_than_it_costs_is_refused():
    pool = Pool(np.full(2, 1.0), 1.0, 3.0, 0.0)
    member = Batch(np.array(["a"]), np.ones((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ProgramError, match="period 1 export earns more"):
        clear_pool(pool, [member], Boundary(np.array([0.3, 0.1]), np.array([0.1, 0.2]), *np.full((2, 2), np.inf), np.zeros(2)))


def test_a_pool_without_members_or_with_a_gap_of_nothing_is_refused():
    pool, boundary = Pool(np.full(2, 1.0), 1.0, 3.0, 0.0), Boundary(*np.full((2, 2), 0.1), *np.full((2, 2), np.inf), np.zeros(2))
    with pytest.raises(ValueError, match="no members"):
        clear_pool(pool, [], boundary)
    with pytest.raises(ValueError, match="gap of 0"):
        clear_pool(pool, [Batch(np.array(["a"]), np.ones((1, 2)), np.zeros((1, 2)))], boundary, gap=0.0)


def test_a_device_without_a_single_state_is_named():
    class Other(type(device_settings()["battery"])):
        one_state = Device.one_state

    fleet = random_fleet(10, 12, seed=1)
    fleet.devices["battery"] = Other()
    assert "'battery' has no single state" in applies(fleet, Community(), FREE)
