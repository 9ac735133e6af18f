"""Classes of energy: green energy at a premium, subsidised energy below the price of the pool, the rest from the grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from multiscale.assessment.trading import metered_positions, trade_book
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community, Multiclass
from multiscale.markets.multiclass import CLASSES
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram
from multiscale.system import Economics
from tests.operated import coordinate_days
from tests.variants import charged

ROLES = {"low_income": ("north 1 prosumer 1", "north 2 prosumer 1"), "philanthropic": ("business",)}


@pytest.fixture(scope="module")
def sunny(system, winter):
    """Members of two platforms, of whom two deliver at times: the business and one household."""
    fleets = {}
    for platform in ("north 1", "north 2"):
        fleet = system.fleet(platform, winter)
        factor = np.where(fleet.data.category.values == "business", 4.0, np.where(np.arange(fleet.size) == 3, 3.0, 0.0))
        pv = fleet.reference_demand * factor[:, None] * (np.arange(fleet.horizon.periods) % 3 > 0)
        fleets[platform] = replace(fleet, data=fleet.data.assign(pv=(("prosumer", "period"), pv)))
    return fleets


@pytest.fixture(scope="module")
def operated(system, winter, sunny):
    """A day of both platforms in the hierarchy under several settings."""

    def day(**settings):
        here, engine = system.cut(list(sunny)), SerialEngine()
        (found,) = coordinate_days(here, winter, Economics(), sunny, charged(["north"], 0.05), Multiclass(**settings), engine, references=False)
        return found.tree, next(iter(found.outcomes.values()))

    return day


def solved(fleet, market):
    n = fleet.horizon.periods
    given = {"import_price": np.linspace(0.05, 0.09, n), "export_price": 0.03, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    return CompiledProgram(platform_program(fleet, Economics(), market)).solve_optimal(given | {"planned": np.zeros(n), "deviation_price": 0.0})


def test_without_premium_it_is_the_community(sunny):
    for fleet in sunny.values():
        assert solved(fleet, Multiclass(green_premium=0.0)).objective == pytest.approx(solved(fleet, Community()).objective, rel=1e-9)


def test_the_premium_is_the_dual_of_the_balance_of_green_energy(sunny, operated):
    """Where green energy is short the dual is what members would pay for it, where it is not it is zero; the ledger settles at it."""
    tree, outcome = operated(green_premium=0.013)
    for platform in sunny:
        program, hours = tree.platforms[platform], tree.horizon.hours_per_year
        dual = -program.rows.values("green_balance", outcome.platform_y[platform]) / hours
        assert (dual >= -1e-9).all()
        assert (dual <= 0.013 + 1e-9).all()
        state, trades = metered_positions(tree, platform, outcome), trade_book(tree, platform, outcome).trades
        green = trades.energy_class == CLASSES.index("green")
        wanted, there = state.taken.sum(axis=0), np.minimum(state.delivered, state.generation).sum(axis=0)
        told_apart = np.abs(wanted - there)[trades.period] > 1e-6
        assert (green & told_apart).any()
        paid = trades.price - state.node_price[np.minimum(trades.seller, trades.outside - 1), trades.period]
        np.testing.assert_allclose(paid[green & told_apart], dual[trades.period[green & told_apart]], atol=1e-9)
        bought = np.zeros(tree.horizon.periods)
        np.add.at(bought, trades.period[green], trades.energy[green])
        planned = program.columns.values("green", outcome.platform_x[platform]).sum(axis=0) * tree.horizon.step_hours
        np.testing.assert_allclose(bought, planned, atol=1e-6)


def test_subsidised_energy_costs_less_and_the_donor_bears_it(operated, sunny):
    plain, given = operated(), operated(**ROLES, subsidy=0.03)
    found = 0.0
    for platform, low in zip(sunny, ROLES["low_income"], strict=True):
        books = [trade_book(tree, platform, outcome) for tree, outcome in (plain, given)]
        trades = books[1].trades
        own = trades.energy_class == CLASSES.index("subsidised")
        buyers, sellers = (set(trades.parties[side[own]]) for side in (trades.buyer, trades.seller))
        assert buyers <= {low}
        categories = dict(zip(sunny[platform].data.prosumer.values, sunny[platform].data.category.values, strict=True))
        assert {categories[name] for name in sellers} <= {"business"}
        found += float(trades.energy[own].sum())
        for book in books:
            assert book.energy_residual <= 1e-9
            assert book.money_residual <= 1e-9
        assert books[1].bills[0] < books[0].bills[0]
        assert not books[1].notes
    assert found > 1.0


def test_classes_are_sold_no_more_than_they_are_supplied(operated, sunny):
    tree, outcome = operated(**ROLES)
    for platform, fleet in sunny.items():
        trades = trade_book(tree, platform, outcome).trades
        sold = np.zeros(fleet.data.demand.shape)
        green = trades.energy_class == CLASSES.index("green")
        np.add.at(sold, (trades.seller[green], trades.period[green]), trades.energy[green])
        assert (sold <= fleet.reference_generation * tree.horizon.step_hours + 1e-9).all()


def test_a_class_that_no_member_supplies_is_named(operated, sunny):
    """Its members buy other classes, the ledger stays whole, and the run says so; names of no member stop the study."""
    only_north_1 = {"low_income": ROLES["low_income"], "philanthropic": ("north 1 prosumer 3",)}
    tree, outcome = operated(**only_north_1)
    book = trade_book(tree, "north 2", outcome)
    assert book.notes == ("class subsidised is wanted by 1 members and supplied by none; they buy energy of other classes",)
    assert book.energy_residual <= 1e-9
    (problem,) = Multiclass(low_income=("north 1 prosumer 1",)).problems(sunny)
    assert "no member supplies the class subsidised" in str(problem)
    (problem,) = Multiclass(green=("houshold",)).problems(sunny)
    assert "'houshold'" in str(problem)
    with pytest.raises(ValidationError, match="stand in philanthropic or green too"):
        Multiclass(low_income=("household",), philanthropic=("household",))
