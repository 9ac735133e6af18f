"""The regulatory account recomputed from the ledger closes, and says what the regime allowed and paid."""

from __future__ import annotations

import pytest

from multiscale.assessment.accounts import STAKEHOLDERS
from multiscale.assessment.regulation import INCENTIVES, operated_account, operated_years
from multiscale.planning.regimes import Regime
from multiscale.planning.regimes.incentive_fee import IncentiveFee
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.totex_sharing import TotexSharing
from tests.assessment.operated_studies import OperatedStudy, operated_study

PLACE = STAKEHOLDERS.index("distribution operators")
CASES: dict[str, tuple[Regime, tuple[str, ...]]] = {
    "allowed return, standing charge given": (
        RateOfReturn(spread=0.03),
        ("regime=rate_of_return", "+regime.spread=0.03", "+tariff.standing_charge.kind=fixed", "+tariff.standing_charge.price=0.1"),
    ),
    "sharing": (TotexSharing(), ("regime=totex_sharing",)),
    "fee, blocks given": (
        IncentiveFee(),
        ("regime=incentive_fee", "+regime.reference_price=0.06", "+tariff.evening.kind=time_of_use", "+tariff.evening.price=0.01"),
    ),
}


QUICK = "allowed return, standing charge given"


@pytest.fixture(scope="module", params=[pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in CASES])
def case(request) -> tuple[Regime, OperatedStudy]:
    regime, overrides = CASES[request.param]
    return regime, operated_study(*overrides, "planning.social_reference=true")


def test_the_account_of_operation_closes(case: tuple[Regime, OperatedStudy]):
    regime, one = case
    (plan,) = one.plans.values()
    found = operated_account(regime, one.plan.ledger, one.plans, one.case.economics)
    assert found.residual == pytest.approx(0.0, abs=1e-9 * found.revenue)
    assert one.plan.ledger.residual <= 1e-9
    booked = one.plan.ledger.money
    earning = [n.replace("_", " ") for n, c in one.case.economics.tariff.components.items() if c.receiver == "distribution operators"]
    assert found.revenue == pytest.approx(sum(float(booked[name][PLACE]) for name in earning), rel=1e-12)
    assert found.allowed == pytest.approx(plan.account.allowed, rel=1e-9)
    assert found.balance == pytest.approx(found.allowed - found.revenue, abs=1e-9 * found.allowed)
    assert found.payment == pytest.approx(plan.account.payment, abs=1e-9)
    assert found.payment == pytest.approx(float(booked[INCENTIVES][PLACE]) if INCENTIVES in booked else 0.0)
    assert found.profit == pytest.approx(plan.account.profit, abs=1e-6 * found.allowed)


def test_the_account_of_calendar_years_is_that_of_the_ledger(case: tuple[Regime, OperatedStudy]):
    """The same plan in two studied years: built once, collected in every year, and closed to 1e-9 of the revenue with interest from each year."""
    regime, one = case
    (plan,) = one.plans.values()
    years = dict.fromkeys((2030, 2035), (one.plan.ledger, one.plans))
    found = operated_years(regime, years, {2030: 5, 2035: 3}, one.case.economics)
    even, rate = operated_account(regime, one.plan.ledger, one.plans, one.case.economics), one.case.economics.discount_rate
    assert [year.year for year in found] == list(range(2030, 2038))
    carried = 0.0
    for year in found:
        carried = (1 + rate) * carried + year.allowed - even.revenue
        assert year.revenue == even.revenue
        assert year.residual == pytest.approx(0.0, abs=1e-9 * even.revenue)
        assert year.closing_balance == pytest.approx(carried, abs=1e-9 * even.revenue)
    if isinstance(regime, RateOfReturn):
        assert found[0].additions == pytest.approx(plan.investment, rel=1e-9)
        assert found[0].profit == pytest.approx(regime.spread * found[0].base, rel=1e-9)
    assert not any(year.additions for year in found[1:])


def test_the_account_of_the_plan_closes_and_recovers(case: tuple[Regime, OperatedStudy]):
    _, one = case
    (plan,) = one.plans.values()
    assert plan.account.residual == pytest.approx(0.0, abs=1e-9 * plan.revenue)
    assert -1e-6 <= (plan.revenue - plan.allowed_revenue) / plan.allowed_revenue <= 2e-5
    assert plan.objective == pytest.approx(-plan.account.profit, abs=1e-6 * plan.revenue)


def test_the_social_plan_is_found_next_to_that_of_the_regime(case: tuple[Regime, OperatedStudy]):
    _, one = case
    (plan,) = one.plans.values()
    assert plan.social is not None
    assert not plan.social.missing
    assert plan.social.bound <= plan.social.cost <= plan.social.bound + 50.0 + 1e-6
    assert plan.social_cost == pytest.approx(sum(plan.costs.values()))


def test_a_standing_charge_is_collected_as_planned(case: tuple[Regime, OperatedStudy]):
    _, one = case
    if "standing_charge" not in one.case.economics.tariff.components:
        assert "standing charge" not in one.plan.ledger.money
        return
    members = sum(fleet.size for fleet in one.case.fleets.values())
    passive = one.case.system.passive("north", one.case.horizon).demand.values
    connected = int((passive > 0).any(axis=1).sum())
    days = float(one.case.horizon.hours_per_year.sum()) / 24.0
    assert one.plan.ledger.money["standing charge"][PLACE] == pytest.approx(0.1 * days * (members + connected), rel=1e-9)
