"""What no plan can satisfy is said: before anything is solved where that proves it, after the solve otherwise."""

from __future__ import annotations

import pytest

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.recovery import unrecoverable
from multiscale.planning import NoPlanError, Social, solve_plan
from multiscale.planning.regimes.incentive_fee import IncentiveFee
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.totex_sharing import TotexSharing
from multiscale.planning.regulated import largest_unserved, users_cost_before
from multiscale.tariffs import Export, Fixed, TimeOfUsePrice, Volumetric
from tests.planning.regulated_feeder import regulated_feeder

CHEAP = {"network_charge": Volumetric(price_max=0.01)}


@pytest.mark.parametrize("regime", [RateOfReturn(), TotexSharing(allowance=1.0), IncentiveFee(reference_price=0.01)], ids=lambda r: r.kind)
def test_a_charge_that_cannot_recover_what_is_allowed_is_named(regime):
    problem = regulated_feeder(4, 4, CHEAP)
    with pytest.raises(NoPlanError, match=r"recovering .* EUR/a takes a price of network_charge of at least .*price_max") as found:
        solve_plan(problem, regime, time_limit=60)
    assert found.value.status == "infeasible"


def test_given_prices_that_earn_too_much_are_named():
    problem = regulated_feeder(3, 4, {"network_charge": Volumetric(), "standing": Fixed(price=1000.0)})
    said = r"the given prices of standing and the lowest network_charge of 0 EUR/kWh earn more .* lower tariff.standing.price, tariff.network"
    with pytest.raises(NoPlanError, match=said) as found:
        solve_plan(problem, RateOfReturn(), time_limit=60)
    assert found.value.status == "infeasible"


@pytest.mark.parametrize(
    "components",
    [
        {"network_charge": TimeOfUsePrice(starts=(0, 16), price_max=0.01)},
        {"network_charge": Volumetric(price_max=0.005), "standing": Fixed(price_max=0.01)},
        {"network_charge": Volumetric(price_max=0.005), "other": Volumetric(price=0.001), "feed_in": Export(price_max=0.001)},
    ],
)
def test_several_prices_that_cannot_recover_what_is_allowed_are_named_before_the_solve(components, monkeypatch):
    monkeypatch.setattr("multiscale.bilevel.solve", None)
    problem = regulated_feeder(3, 4, components)
    with pytest.raises(NoPlanError, match=r"earn at most .* EUR/a that are allowed; allow higher prices \(price_max of network_charge") as found:
        solve_plan(problem, Social(), time_limit=60)
    assert found.value.status == "infeasible"


def test_under_a_cap_no_price_is_too_low():
    plan = solve_plan(regulated_feeder(3, 4, CHEAP), RevenueCap(), time_limit=60)
    assert plan.status == "optimal"
    assert plan.account.profit < 0


def test_a_price_before_the_plan_that_does_not_exist_is_named():
    with pytest.raises(NoPlanError, match=r"with nothing built, no price of network_charge up to 0.01 EUR/kWh recovers .*reference_price"):
        users_cost_before(regulated_feeder(4, 4, CHEAP), None)
    several = {"network_charge": Volumetric(), "standing": Fixed(price=0.1)}
    with pytest.raises(NoPlanError, match=r"earns by network_charge, standing, so no single price .*regime.reference_price"):
        solve_plan(regulated_feeder(4, 4, several), IncentiveFee(), time_limit=60)


@pytest.mark.slow
def test_a_tariff_that_is_decided_and_earns_nothing_is_named():
    with pytest.raises(NoPlanError, match="price_max"):
        solve_plan(regulated_feeder(3, 4, {"feed_in": Export(price_max=0.05)}), Social(), time_limit=60)


@pytest.mark.parametrize("regime", [pytest.param("social", marks=pytest.mark.slow), "rate_of_return"])
def test_a_study_whose_charge_cannot_recover_the_cost_is_refused_before_planning(regime):
    small = ("study=tiny", "horizon=one_day", "horizon.step_hours=6", "system.dsos=[north]")
    config = load_config([*small, f"regime={regime}", "tariff.network_charge.price_max=0.005"])
    (problem,) = unrecoverable(config, case_of(config))
    assert "network_charge" in str(problem)
    assert "price_max" in str(problem)


def test_the_bound_on_unserved_energy_is_the_demand_of_all_customers():
    problem = regulated_feeder(4, 4)
    block = problem.program.columns["unserved"]
    assert largest_unserved(problem) == pytest.approx(float(problem.program.upper[block.positions].sum()) * 6.0)
