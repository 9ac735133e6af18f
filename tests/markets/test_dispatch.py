"""Dispatch at nodal prices: the parts of a price add up to it, are those of the limits that bind, and the rent goes back to the members."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.assessment.bills import prosumer_bills
from multiscale.assessment.payments import platform_payments
from multiscale.assessment.trading import pool_prices, trade_book
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community, Dispatch
from multiscale.markets.nodal_prices import PRICE_PARTS, price_parts
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram
from multiscale.system import Economics, Growth, grow
from multiscale.tariffs import Peer, Tariff, standard_components
from tests.operated import coordinate_days
from tests.variants import changed, charged

PLATFORM = "south 1"


def tight(system, rating=None, band=None):
    """A platform with a weak cable, or with buses that may hardly leave the nominal voltage."""
    mine = system.branches.branch.values[system.branches.node.values == PLATFORM].tolist()
    if rating is not None:
        system = changed(system, "branches", "rating_kva", {mine[-1]: rating})
    if band is not None:
        buses = system.buses.bus.values[system.buses.node.values == PLATFORM].tolist()
        for column, value in (("v_min_pu", 1.0 - band), ("v_max_pu", 1.0 + band)):
            system = changed(system, "buses", column, dict.fromkeys(buses, value))
    return system


@pytest.fixture(scope="module")
def grown(system):
    return grow(system, Growth(heat_pump_share=0.6, ev_share=0.5, pv_share=0.6, battery_share=0.3))


def solved(system, horizon, market=None, economics=None):
    fleet = system.fleet(PLATFORM, horizon)
    program = platform_program(fleet, economics or Economics(), market or Dispatch(), network=system.network(PLATFORM))
    n = horizon.periods
    price = 0.06 * (1.0 + 0.5 * np.sin(np.arange(n)))
    given = {"import_price": price, "export_price": 0.8 * price, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    return fleet, CompiledProgram(program).solve_optimal(given | {"planned": np.zeros(n), "deviation_price": 0.0})


@pytest.mark.parametrize(("limits", "part"), [({}, "energy"), ({"rating": 4.0}, "congestion"), ({"band": 0.012}, "voltage")])
def test_the_parts_add_up_to_the_price_and_name_what_binds(grown, summer, winter, limits, part):
    for horizon in (winter, summer):
        _, found = solved(tight(grown, **limits), horizon)
        hours, parts = horizon.hours_per_year, price_parts(found.program, found.y)
        np.testing.assert_allclose(parts.sum(axis=0) / hours, pool_prices(found.program, found.y) / hours, atol=1e-9)
        if part == "energy":
            np.testing.assert_allclose(parts[1:], 0.0, atol=1e-9)
    _, found = solved(tight(grown, **limits), winter)
    assert np.abs(price_parts(found.program, found.y)[PRICE_PARTS.index(part)]).max() > 1e-3


def test_a_nodal_price_is_the_cost_of_one_kwh_more_there(grown, winter):
    """A finite difference of the cost with respect to the demand of a member behind the weak cable."""
    system = tight(grown, rating=4.0)
    fleet, found = solved(system, winter)
    price = pool_prices(found.program, found.y)
    member, period = np.unravel_index(int(np.argmax(price)), price.shape)
    row = found.program.rows["prosumer_balance"].positions[member, period]
    step, costs = 1e-4, []
    for sign in (1.0, -1.0):
        b0 = found.program.b0.copy()
        b0[row] += sign * step
        n = winter.periods
        wave = 0.06 * (1.0 + 0.5 * np.sin(np.arange(n)))
        given = {"import_price": wave, "export_price": 0.8 * wave, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
        moved = CompiledProgram(replace(found.program, b0=b0)).solve_optimal(given | {"planned": np.zeros(n), "deviation_price": 0.0})
        costs.append(moved.objective)
    assert (costs[0] - costs[1]) / (2 * step) == pytest.approx(price[member, period], rel=1e-4)
    assert fleet.size == price.shape[0]


def test_without_a_fee_dispatch_is_the_community(grown, winter):
    """The optimum of the sum is the competitive equilibrium."""
    free = Economics(tariff=Tariff(standard_components() | {"trading_fee": Peer(price=0.0, receiver="platform operators")}))
    costs = [solved(tight(grown, rating=4.0), winter, market, free)[1].objective for market in (Dispatch(), Community())]
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_the_reduced_fleet_answers_as_the_members_do(grown, winter):
    fleet = grown.fleet(PLATFORM, winter)
    reduced = Dispatch().reduced(fleet, Economics().tariff)
    n = winter.periods
    for k in range(3):
        price = np.random.default_rng(k).uniform(-0.02, 0.2, n)
        given = {"import_price": price, "export_price": price, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
        costs = [
            CompiledProgram(platform_program(f, Economics(), Dispatch())).solve_optimal(given | {"planned": 0.0, "deviation_price": 0.0}).objective
            for f in (fleet, reduced)
        ]
        assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_in_the_hierarchy_bills_sum_to_what_is_owed_and_no_fee_is_kept(grown, winter, economics):
    platforms = [PLATFORM, "south 2"]
    here = tight(grown, rating=4.0).cut(platforms)
    fleets = {p: here.fleet(p, winter) for p in platforms}
    (day,) = coordinate_days(here, winter, economics, fleets, charged(["south"], 0.05), Dispatch(), SerialEngine(), references=False)
    (outcome,) = day.outcomes.values()
    for platform in platforms:
        book, owed = trade_book(day.tree, platform, outcome), platform_payments(day.tree, platform, outcome)
        assert owed["trading_fee"] == 0.0
        assert prosumer_bills(day.tree, platform, outcome).sum() == pytest.approx(sum(owed.values()), rel=1e-9)
        assert book.money_residual <= 1e-9
        assert book.price_parts.shape == (len(PRICE_PARTS), fleets[platform].size, winter.periods)
