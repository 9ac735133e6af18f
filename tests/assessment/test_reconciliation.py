"""The cost of the plan and the cost of operation differ from the social cost by terms that are known to the cent."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from multiscale.assessment.accounts import STAKEHOLDERS
from multiscale.assessment.glossary import GLOSSARY, glossary_table
from multiscale.assessment.reconciliation import reconcile_operation, reconcile_plan
from multiscale.assessment.transfers import welfare_change
from tests.assessment.operated_studies import operated_study

CENT = 0.01
CASES = {
    "standard": (),
    "two operators, two days": ("system.dsos=[north,east]", "horizon=two_days", "horizon.step_hours=6 h"),
    "dear transfers, nobody trades": ("tariff.export_deduction=0.05", "tariff.trading_fee=0.03", "tariff.levy=0.2", "market=time_of_use"),
    "peer trade pays charges, charge on peaks": ("tariff=capacity", "market.peer_charge_share=0.5", "market.peer_levy_share=0.25"),
    "profit under a cap": ("regime=revenue_cap",),
    "scarce network": ("system.growth.load_factor=3", "system.growth.ev_share=1.0", "planning.adoption=false", "planning.candidates=0"),
    "negotiated": ("coordination=bidirectional",),
}


@pytest.fixture(scope="module")
def operated():
    """Name of a case -> the operated study; each is made once."""
    return cache(lambda name: operated_study(*CASES[name]))


@pytest.fixture(scope="module", params=CASES)
def case(request, operated):
    return request.param, operated(request.param)


def amounts(reconciliation):
    return {step.name: step.amount for step in reconciliation.steps}


def test_both_reconcile_to_the_cent(case):
    _, one = case
    for found in (
        reconcile_plan(one.plans, one.plan.operation, one.plan.ledger),
        reconcile_operation(one.plan.operation, one.plan.ledger),
    ):
        assert abs(found.residual) < CENT, found
        assert found.social_cost == one.plan.ledger.social_cost


def test_each_kind_of_cost_of_a_plan_is_named(case):
    name, one = case
    for plan in one.plans.values():
        if name != "profit under a cap":
            assert sum(plan.costs.values()) == pytest.approx(plan.objective, abs=CENT)
        assert set(plan.costs) == {"existing network", "reinforcement", "equipment", "energy", "unserved demand", "wear and discomfort"}
    found = amounts(reconcile_plan(one.plans, one.plan.operation, one.plan.ledger))
    # What is built and bought costs in the ledger what the plan says.
    assert max(abs(found[kind]) for kind in ("existing network", "reinforcement", "equipment")) < CENT
    # Production is convex: the kWh before the last one cost less than it does.
    assert found["production"] < CENT
    if name == "profit under a cap":
        assert abs(found["objective of the regime"]) > 1e5
    else:
        assert abs(found["objective of the regime"]) < CENT


def test_a_cost_that_is_booked_twice_shows(case):
    _, one = case
    before = reconcile_plan(one.plans, one.plan.operation, one.plan.ledger).residual
    one.plan.ledger.bear("network builders", "construction", 100.0)
    try:
        after = reconcile_plan(one.plans, one.plan.operation, one.plan.ledger).residual
    finally:
        one.plan.ledger.bear("network builders", "construction", -100.0)
    assert after - before == pytest.approx(100.0, abs=CENT)


def test_savings_and_transfers_add_up_to_every_gain(case):
    _, one = case
    before, after = one.existing.ledger, one.plan.ledger
    change = welfare_change(before, after)
    np.testing.assert_allclose(change.gain, after.welfare - before.welfare, atol=CENT)
    for flow, moved in change.transfers.items():
        assert abs(moved.sum()) < CENT, flow
    assert abs(change.net_transfers.sum()) < CENT
    assert change.saving == pytest.approx(before.social_cost - after.social_cost, abs=CENT)
    assert sum(change.saved_by_cost.values()) == pytest.approx(change.saving, abs=CENT)
    assert change.saving == pytest.approx(change.gain.sum(), abs=CENT)


def test_what_prosumers_avoid_under_the_tariff_others_lose(operated):
    """With trade and adoption prosumers pay less levies and charges: the state and passive customers lose what they gain by that."""
    one = operated("standard")
    change = welfare_change(one.existing.ledger, one.plan.ledger)
    under = dict(zip(STAKEHOLDERS, change.under(one.case.economics.tariff).tolist(), strict=True))
    assert under["supplier and state"] < -1000.0
    assert under["passive customers"] < -1000.0
    assert under["prosumers"] > 1000.0
    assert sum(under.values()) == pytest.approx(0.0, abs=CENT)


def test_the_glossary_stands_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    assert glossary_table() in text, "put the text of multiscale.assessment.glossary.glossary_table() into docs/results.md"
    assert len({one.name for one in GLOSSARY}) == len(GLOSSARY)
