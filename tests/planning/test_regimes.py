"""What every regime allows, pays and maximises, on a leader of one option; and regimes that contradict themselves."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from pydantic import ValidationError

from multiscale.config import load_config
from multiscale.config.errors import ConfigError
from multiscale.planning.regimes import REGIMES, Leader, Position, Regime, account_of
from multiscale.planning.regimes.capital import Capital
from multiscale.planning.regimes.incentive_fee import IncentiveFee
from multiscale.planning.regimes.output_incentive import OutputIncentive
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.totex_sharing import TotexSharing
from multiscale.planning.regimes.unregulated import Unregulated

EXISTING, ANNUITY, SHED, RATE, YARDSTICK = 100.0, 30.0, 20.0, 0.05, 125.0


def position(built: int, charge: float, *, saved: float = 45.0) -> Position:
    """One option of 30 EUR/a that ends 20 kWh/a of unserved energy; a charge in EUR/kWh on 1000 kWh/a; the existing network costs 100 EUR/a."""
    return Position(
        existing_cost=EXISTING,
        investment=ANNUITY * built,
        revenue=1000.0 * charge,
        resource_cost=500.0 - 50.0 * built,
        unserved=lambda: SHED * (1 - built),
        useful=lambda share: ANNUITY * built * (share <= 0.4),
        saved=lambda _: saved * built,
        discount_rate=RATE,
        yardstick=YARDSTICK,
    )


def leader() -> Leader:
    """The same as expressions."""
    model = pyo.ConcreteModel()
    model.built, model.charge = pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(0.0, 1.0))
    at = position(0, 0.0)
    return Leader(
        model=model,
        tolerance=0.01,
        existing_cost=EXISTING,
        investment=ANNUITY * model.built,
        revenue=1000.0 * model.charge,
        resource_cost=at.resource_cost - 50.0 * model.built,
        unserved=lambda: SHED * (1 - model.built),
        largest_unserved=lambda: 80.0,
        useful=lambda share: (ANNUITY if share <= 0.4 else 0.0) * model.built,
        saved=lambda _: 45.0 * model.built,
        discount_rate=RATE,
        yardstick=YARDSTICK,
    )


KINDS = [kind() for kind in REGIMES.values()]
KINDS += [RateOfReturn(used_share=0.5), RevenueCap(capital_adjustment=1.0, spread=0.02), TotexSharing(spread=0.01, capitalised_share=0.7)]
KINDS += [OutputIncentive(collar=None), OutputIncentive(target=30.0, incentive_cap=0.8), IncentiveFee(tuning=0.5)]


@pytest.mark.parametrize("regime", KINDS, ids=lambda r: f"{r.kind}-{len(r.model_fields_set)}")
@pytest.mark.parametrize("built", [0, 1])
def test_expressions_and_numbers_say_the_same(regime: Regime, built: int):
    """The objective of the leader's model at a decision is minus the profit of the account of the same numbers; social cost excepted."""
    stated, numbers = leader(), position(built, 0.12)
    regime.state(stated)
    stated.model.built.set_value(built)
    stated.model.charge.set_value(0.12)
    if regime.kind == "output_incentive":
        stated.model.incentive.set_value(regime.payment(numbers))
    wanted = numbers.social_cost if regime.kind == "social" else -regime.profit(numbers)
    assert pyo.value(stated.model.objective) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("regime", KINDS, ids=lambda r: f"{r.kind}-{len(r.model_fields_set)}")
@pytest.mark.parametrize("built", [0, 1])
def test_the_account_closes_and_splits_the_cost(regime: Regime, built: int):
    numbers = position(built, 0.12)
    account = account_of(regime, numbers)
    assert account.residual == pytest.approx(0.0, abs=1e-9)
    assert account.operating_cost + account.depreciation + account.cost_of_capital == pytest.approx(numbers.cost, abs=1e-9)
    assert account.balance == pytest.approx(account.allowed - account.revenue if regime.recovers_cost else 0.0, abs=1e-9)
    assert (account + account).residual == pytest.approx(0.0, abs=1e-9)


def test_a_rate_of_return_earns_the_spread_on_the_base():
    """And nothing on what is not used, whose cost is recovered all the same."""
    base = Capital(RATE, 40).base
    for used, built_base in ((0.4, 0.5 * EXISTING + ANNUITY), (0.5, 0.5 * EXISTING)):
        account = account_of(RateOfReturn(spread=0.02, used_share=used), position(1, 0.2))
        assert account.asset_base == pytest.approx(base * built_base)
        assert account.profit == pytest.approx(0.02 * account.asset_base)
        assert account.return_on_asset_base == pytest.approx(RATE + 0.02)
        assert account.allowed == pytest.approx(EXISTING + ANNUITY + account.profit)


def test_savings_against_the_allowance_are_shared():
    """An allowance of 20 EUR/a: with nothing built 8 of 20 stay with the operator; 30 EUR/a spent cost it 4 of 10."""
    regime = TotexSharing(sharing=0.4, allowance=0.2, unserved_penalty=0.0)
    assert regime.profit(position(0, 0.1)) == pytest.approx(8.0)
    assert regime.profit(position(1, 0.1)) == pytest.approx(-4.0)
    assert regime.allowed_revenue(position(1, 0.1)) == pytest.approx(EXISTING + 30.0 - 4.0)


def test_a_share_of_one_is_a_fixed_allowance_and_of_none_cost_of_service():
    assert TotexSharing(sharing=1.0).allowed_revenue(position(1, 0.1)) == TotexSharing(sharing=1.0).allowed_revenue(position(0, 0.1))
    assert TotexSharing(sharing=0.0).allowed_revenue(position(1, 0.1)) == pytest.approx(EXISTING + ANNUITY)


def test_the_cap_with_the_parts_of_the_german_regulation():
    """30 % passed on, 10 % of the rest inefficient, half of it removed, 4 % inflation less 1 %: 30 + 70 * 0.95 * 1.03; and what was built since."""
    regime = RevenueCap(inflation=0.04, efficiency=0.01, non_controllable=0.3, inefficient=0.1, removed=0.5)
    assert regime.allowed_revenue(position(0, 0.1)) == pytest.approx(30.0 + 70.0 * 0.95 * 1.03)
    added = regime.model_copy(update={"capital_adjustment": 1.0, "spread": 0.02})
    more = added.allowed_revenue(position(1, 0.1)) - added.allowed_revenue(position(0, 0.1))
    assert more == pytest.approx(ANNUITY * (1 + 0.02 * Capital(RATE, 40).base))


@pytest.mark.parametrize(("unserved", "paid"), [(0.0, 3.0), (10.0, 3.0), (10.8, 1.0), (11.4, -2.0), (12.0, -4.0), (50.0, -4.0)])
def test_an_incentive_is_within_cap_and_collar(unserved: float, paid: float):
    regime = OutputIncentive(rate=5.0, target=11.0, incentive_cap=0.03, collar=0.04)
    at = Position(existing_cost=EXISTING, investment=0.0, revenue=0.0, unserved=lambda: unserved)
    assert regime.payment(at) == pytest.approx(paid)


@pytest.mark.parametrize("target", [0.0, 11.0, 90.0])
@pytest.mark.parametrize("unserved", [0.0, 10.0, 11.9, 50.0, 80.0])
def test_the_most_that_the_rows_permit_is_the_incentive(target: float, unserved: float):
    """Of all values of incentive and binary that the rows permit, up to the largest unserved energy of 80 kWh/a."""
    regime, stated = OutputIncentive(rate=5.0, target=target, incentive_cap=0.03, collar=0.04), leader()
    object.__setattr__(stated, "unserved", lambda: unserved)
    regime.state(stated)
    best = []
    for at_collar in (0, 1) if hasattr(stated.model, "at_collar") else (None,):
        if at_collar is not None:
            stated.model.at_collar.set_value(at_collar)
        rows = [stated.model.incentive_reached, *([stated.model.incentive_at_collar] if at_collar is not None else [])]
        stated.model.incentive.set_value(0.0)
        # Both rows have the incentive with coefficient one on their smaller side.
        most = min([stated.model.incentive.ub, *(pyo.value(row.upper) - pyo.value(row.body) for row in rows)])
        if most >= stated.model.incentive.lb - 1e-9:
            best.append(most)
    numbers = Position(existing_cost=EXISTING, investment=0.0, revenue=0.0, unserved=lambda: unserved)
    assert max(best) == pytest.approx(regime.payment(numbers), abs=1e-9)


def test_a_fee_pays_what_users_save():
    assert IncentiveFee(tuning=1.0).profit(position(1, 0.1)) == pytest.approx(45.0 - ANNUITY)
    assert IncentiveFee(tuning=0.5).profit(position(1, 0.1)) == pytest.approx(22.5 - ANNUITY)


def test_without_regulation_nothing_limits_the_revenue():
    stated = leader()
    Unregulated().state(stated)
    assert not list(stated.model.component_data_objects(pyo.Constraint))
    assert account_of(Unregulated(), position(0, 0.5)).allowed != account_of(Unregulated(), position(0, 0.5)).allowed


REFUSED = [
    ("totex_sharing", "sharing", 1.2),
    ("totex_sharing", "sharing", -0.1),
    ("totex_sharing", "allowance", -1.0),
    ("rate_of_return", "spread", -0.01),
    ("rate_of_return", "used_share", 1.5),
    ("revenue_cap", "efficiency", 1.3),
    ("revenue_cap", "non_controllable", -1.0),
    ("output_incentive", "incentive_cap", -0.02),
    ("output_incentive", "collar", -0.02),
    ("output_incentive", "target", -5.0),
    ("incentive_fee", "tuning", 2.0),
    ("yardstick", "own_share", -0.1),
    ("yardstick", "own_share", 1.5),
    ("unregulated", "unserved_penalty", float("nan")),
    ("social", "regulatory_life", 0),
    ("social", "capitalised_share", 1.1),
]


@pytest.mark.parametrize(("kind", "setting", "value"), REFUSED)
def test_a_value_outside_its_range_is_refused(kind: str, setting: str, value: float):
    with pytest.raises(ValidationError) as found:
        REGIMES[kind](**{setting: value})
    assert [error["loc"] for error in found.value.errors()] == [(setting,)]


def test_all_that_is_wrong_is_named_before_anything_is_solved():
    """Key, value and range of each, in one list."""
    with pytest.raises(ConfigError) as found:
        load_config(["study=tiny", "regime=totex_sharing", "+regime.sharing=1.2", "+regime.spread=-1"])
    message = str(found.value)
    assert "regime.sharing" in message
    assert "1.2" in message
    assert "regime.spread" in message


def test_a_target_without_a_rate_is_refused():
    with pytest.raises(ValidationError, match="rate above zero"):
        OutputIncentive(rate=0.0, target=10.0)
