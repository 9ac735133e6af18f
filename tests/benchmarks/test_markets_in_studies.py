"""Every market in a whole study under every coordination mechanism: its checks pass, its ledger is whole, alone costs most.

pytest tests/benchmarks/test_markets_in_studies.py -m benchmark
"""

from __future__ import annotations

import pytest

from multiscale.config import load_config
from multiscale.markets import MARKETS
from multiscale.results.data.ledger_rows import balances
from multiscale.results.run.ledger_file import read_ledger, verify_ledger
from multiscale.study import run_study

pytestmark = pytest.mark.benchmark

SMALL = ("study=tiny", "horizon=one_day", "horizon.step_hours=3 h", "system.dsos=[north]", "output.report=false", "verification.year=false")
CROSSING_FEE = "+tariff.crossing_fee={kind: peer, crossing: communities, price: 0.004, receiver: platform operators}"
MORE = {"hybrid": (CROSSING_FEE,), "multiclass": ("market.low_income=[north 1 prosumer 1]", "market.philanthropic=[business]")}


def checked(folder, market, *overrides):
    result = run_study(load_config([*SMALL, f"output.folder={folder}", f"market={market}", *MORE.get(market, ()), *overrides]))
    assert verify_ledger(result.folder) == []
    rows = read_ledger(result.folder)
    for scenario in rows.scenario.unique():
        held = balances(rows[rows.scenario == scenario])
        assert abs(held.balance.sum()) <= 1e-9 * held.volume.sum()
    cost = result.dataset.market_cost.squeeze().dropna("node")
    alone, traded, whole = (cost.sel(market_case=case) for case in ("alone", "market", "integrated"))
    slack = 1e-9 * abs(alone)
    assert (alone >= whole - slack).all()
    if market != "multiclass":  # its cost holds what members prefer
        assert (alone >= traded - slack).all()
        assert (traded >= whole - slack).all()
    return result


@pytest.mark.parametrize("coordination", ["integrated", "bidirectional", "pricing", "predictive", "hybrid"])
@pytest.mark.parametrize("market", MARKETS)
def test_a_market_is_operated_under_every_mechanism(tmp_path, market, coordination):
    assert checked(tmp_path, market, f"coordination={coordination}", "planning=none").status == "optimal"


@pytest.mark.parametrize("market", MARKETS)
def test_a_market_is_planned_for(tmp_path, market):
    """The answer of the platforms at the plan is that of the market."""
    result = checked(tmp_path, market)
    assert result.status in ("optimal", "feasible")
    assert result.summary["plan.certificate.follower_gap"][0] <= 1e-6
