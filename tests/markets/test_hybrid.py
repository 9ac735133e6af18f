"""Communities inside a platform: between one pool and pools apart, with a fee on what crosses from one to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.assessment.trading import trade_book
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community, Hybrid
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram
from multiscale.system import Economics
from multiscale.tariffs import Peer, Tariff, standard_components
from tests.operated import coordinate_days
from tests.variants import charged


def with_fee(price):
    """The standard tariff and a fee on what crosses communities [EUR/kWh]."""
    return Economics(
        tariff=Tariff(standard_components() | {"crossing_fee": Peer(price=price, crossing="communities", receiver="platform operators")})
    )


@pytest.fixture(scope="module")
def fleet(system, summer):
    """Six members in two communities, each with more photovoltaics than it needs at noon, on one side twice as much."""
    fleet = system.fleet("north 1", summer)
    group = np.where(np.arange(fleet.size) % 2 == 0, "even", "odd")
    pv = fleet.reference_demand * np.where(group == "even", 3.0, 0.2)[:, None] * (np.arange(fleet.horizon.periods) % 2)
    return replace(fleet, data=fleet.data.assign(pv=(("prosumer", "period"), pv), bus=("prosumer", group)))


def solved(fleet, market, economics):
    n = fleet.horizon.periods
    given = {"import_price": np.linspace(0.05, 0.09, n), "export_price": 0.03, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    return CompiledProgram(platform_program(fleet, economics, market)).solve_optimal(given | {"planned": np.zeros(n), "deviation_price": 0.0})


def test_without_a_fee_on_crossing_it_is_one_pool(fleet):
    assert solved(fleet, Hybrid(), Economics()).objective == pytest.approx(solved(fleet, Community(), Economics()).objective, rel=1e-9)


def test_with_a_prohibitive_fee_communities_are_platforms_of_their_own(fleet):
    apart = 0.0
    for name in ("even", "odd"):
        own = fleet.data.bus.values == name
        apart += solved(replace(fleet, data=fleet.data.isel(prosumer=np.flatnonzero(own))), Community(), Economics()).objective
    assert solved(fleet, Hybrid(), with_fee(5.0)).objective == pytest.approx(apart, rel=1e-9)


def test_prices_of_two_communities_differ_by_the_fee(fleet):
    fee = 0.004
    found = solved(fleet, Hybrid(), with_fee(fee))
    program, hours = found.program, fleet.horizon.hours_per_year
    enter, imported = program.columns.values("enter", found.x), program.columns.values("import", found.x)
    crossing = enter.sum(axis=0) - imported
    # A price is the cost of one kW less in the balance of the community, per hour.
    price = -program.rows.values("community", found.y) / hours
    buying = enter > 1e-6
    traded = (crossing > 1e-6) & (buying.sum(axis=0) == 1)
    assert traded.any()
    for t in np.flatnonzero(traded).tolist():
        (to,) = np.flatnonzero(buying[:, t]).tolist()
        assert price[to, t] - price[1 - to, t] == pytest.approx(fee, abs=1e-9)


def test_fees_of_both_levels_reach_the_operator(system, fleets, winter):
    """In the hierarchy: bills sum to what the platform owes, and the operator keeps the fees of both levels."""
    economics, platforms = with_fee(0.004), ["north 1", "north 2"]
    here = system.cut(platforms)
    own = {}
    for platform in platforms:
        fleet = fleets[platform]
        pv = fleet.reference_demand * np.where(fleet.data.category.values == "business", 6.0, 0.0)[:, None]
        own[platform] = replace(fleet, data=fleet.data.assign(pv=(("prosumer", "period"), pv)))
    (day,) = coordinate_days(
        here, winter, economics, own, charged(["north"], 0.05), Hybrid(community_of="category"), SerialEngine(), references=False
    )
    (outcome,) = day.outcomes.values()
    for platform in platforms:
        book = trade_book(day.tree, platform, outcome)
        assert book.energy_residual <= 1e-9
        assert book.money_residual <= 1e-9
        kept = (
            book.trades.fees() @ book.occurrences
            - book.rebate.sum()
            - sum(book.owed[n] for n in book.owed if book.receivers[n] != "platform operators")
        )
        assert kept == pytest.approx(book.owed["trading_fee"] + book.owed["crossing_fee"], rel=1e-6, abs=1e-6)
    assert book.owed["crossing_fee"] > 0
