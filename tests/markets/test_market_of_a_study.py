"""A study with a market that has no program: same schedules and costs as with the community, its own trades, and both said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multiscale.config import load_config
from multiscale.results.run.ledger_file import read_ledger, verify_ledger
from multiscale.results.tables.market_tables import market_table
from multiscale.study import RunResult, run_study


def study(folder, market: str, *more: str) -> RunResult:
    small = ["study=tiny", "horizon=one_day", "horizon.step_hours=6", "system.dsos=[north]", "planning=none", "verification.year=false"]
    return run_study(load_config([*small, "output.report=false", f"output.folder={folder}", f"market={market}", *more]))


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Stage times of tests are not remembered for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def auction(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs"), "auction")


@pytest.mark.slow
def test_schedules_and_costs_are_those_of_the_community_and_bills_are_not(auction, tmp_path):
    pool = study(tmp_path, "community")
    for key in ("coordination.cost", "coordination.bound", "assess.social_cost_plan"):
        assert auction.value(key) == pytest.approx(pool.value(key), rel=1e-9)
    bills = [run.dataset.bill_part.sel(scenario="plan").sum("part_of_bill").values for run in (pool, auction)]
    assert bills[0].sum() == pytest.approx(bills[1].sum(), abs=1e-6)
    moved = np.abs(bills[1] - bills[0]).sum() / 2
    assert moved > 1.0
    assert pool.value("market.kind") is None
    assert market_table(pool) is None
    assert auction.value("market.bills_moved") == pytest.approx(moved, rel=1e-6)
    assert (bills[1] - bills[0]).max() == pytest.approx(auction.value("market.worst_rise"), rel=1e-6)


def test_what_is_the_markets_own_is_said(auction):
    assert auction.status == "optimal"
    statement = "market auction has no program of its own: plan, schedules, exchanges, network flows and real costs are those of market community"
    assert statement in auction.details["message"]
    assert sum(statement in note for note in auction.provenance()["notes"]) == 1
    assert auction.value("market.program") == "community"
    assert auction.value("market.traded") == pytest.approx(auction.value("market.tradable"))
    assert auction.value("market.certificate.welfare") == pytest.approx(auction.value("market.gain"))
    assert market_table(auction).note.startswith("Market auction has no program")


@pytest.mark.slow
def test_the_ledger_of_the_headline_alone_is_a_part_of_that_of_all_scenarios(auction, tmp_path):
    alone = read_ledger(study(tmp_path, "auction", "results.ledger=headline").folder)
    every = read_ledger(auction.folder)
    assert set(alone.scenario) == {"plan"}
    assert len(set(every.scenario)) > 3
    mine = every[every.scenario == "plan"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone, check_categorical=False, check_dtype=False)


def test_the_ledger_holds_the_trades_of_the_auction(auction):
    assert verify_ledger(auction.folder) == []
    rows = read_ledger(auction.folder)
    trades = rows[(rows.entry == "trade") & (rows.scenario == "plan")]
    local = trades[(trades.seller != "supplier") & (trades.buyer != "supplier")]
    assert (local.energy * local.occurrences).sum() == pytest.approx(auction.value("market.traded"))
    # One price for all trades of a platform in a period.
    assert (local.groupby(["platform", "period"], observed=True).price.agg(np.ptp) < 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("market", ["bilateral", "consensus"])
def test_the_other_markets_run_with_a_plan(market: str, tmp_path):
    result = study(tmp_path, market, "planning=dso")
    assert result.status in ("optimal", "feasible")
    assert result.value("market.kind") == market
    assert result.value("market.gain") >= 0.97 * result.value("market.most_gain")
    assert result.value("ledger.money_residual") <= 1e-9
