"""Plans under policy mechanisms, given and decided, are those of brute force; what is paid is a transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from multiscale.planning import NoPlanError, Plan, PlanningProblem, solve_plan
from multiscale.planning.decomposition import applies
from multiscale.planning.regimes import REGIMES
from multiscale.planning.targets import Budget, Emissions, RenewableShare, Targets
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED, Component, Volumetric
from multiscale.tariffs.fixed import Fixed
from multiscale.tariffs.policies.capacity_payment import CapacityPayment
from multiscale.tariffs.policies.contract_for_difference import ContractForDifference
from multiscale.tariffs.policies.flexibility import Flexibility
from multiscale.tariffs.policies.investment_grant import InvestmentGrant
from multiscale.tariffs.policies.premium import Premium
from multiscale.tariffs.policies.pv_grant import PvGrant
from multiscale.tariffs.policies.quota import Quota
from multiscale.tariffs.policies.storage_grant import StorageGrant
from tests.further import first
from tests.planning.brute_force import BruteForce, refined
from tests.planning.enumeration import Enumeration
from tests.planning.regulated_feeder import CEILING, regulated_feeder
from tests.planning.transfer_problems import transfer_problem

TOLERANCE = 1e-3
SOCIAL = REGIMES["social"]()
SETTINGS = {"tolerance": TOLERANCE, "gap": 1e-6, "time_limit": 60}
CHARGE: dict[str, Component] = {"network_charge": Volumetric(price_max=CEILING)}

GIVEN: dict[str, dict[str, Component]] = {
    "premium": {"support": Premium(price=0.02)},
    "premium paid by the operator": {"support": Premium(price=0.01, receiver="distribution operators")},
    "capability": {"support": Premium(price=0.02, form="available")},
    "contract": ContractForDifference(price=0.06, reference_price=0.05).components("support"),
    "grant": {"support": PvGrant(price=400.0)},
    "share": {"support": InvestmentGrant(price=0.2)},
}


@pytest.mark.parametrize("kind", GIVEN)
def test_given_policies(kind: str):
    problem = regulated_feeder(4, 4, CHARGE | GIVEN[kind], seed=1)
    plan = solve_plan(problem, SOCIAL, **SETTINGS)
    if "operator" in kind:
        # The charge pays for the premium too.
        paid = -0.01 * float(output(problem, BILLED + "support") @ plan.solution.primal["operation"])
        charged = float(plan.prices["network_charge"]) * float(output(problem, BILLED + "network_charge") @ plan.solution.primal["operation"])
        assert paid > 0
        assert charged - paid == pytest.approx(plan.revenue, abs=1e-9)
        assert plan.allowed_revenue * (1 - 1e-7) <= plan.revenue <= plan.allowed_revenue * (1 + TOLERANCE + 1e-7)
    brute = BruteForce(problem, SOCIAL, TOLERANCE)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(brute.best[0], abs=1e-5 * problem.existing_cost)


UNDER_REGIMES: list[Any] = [
    ("social", {"support": Flexibility(price=0.1)}, 1),
    ("totex_sharing", {"support": Flexibility(price=0.25, begins=12.0, ends=24.0)}, 2),
    ("revenue_cap", {"support": Flexibility(price=0.25, begins=12.0, ends=24.0)}, 1),
    pytest.param("rate_of_return", {"support": Flexibility(price=0.1)}, 2, marks=pytest.mark.slow),
    pytest.param("output_incentive", {"support": Flexibility(price=0.1)}, 1, marks=pytest.mark.slow),
    ("incentive_fee", {"support": Flexibility(price=0.25, begins=12.0, ends=24.0)}, 1),
    pytest.param("unregulated", {"support": Flexibility(price=0.1)}, 2, marks=pytest.mark.slow),
    pytest.param("social", {"support": Quota(price=0.08, share=0.9)}, 2, marks=pytest.mark.slow),
    ("social", {"support": Quota(price=0.02, share=1.0)}, 1),
    ("unregulated", {"support": Quota(price=0.05, share=0.9, resale=0.5)}, 1),
    ("social", {"support": Quota(price=0.05, share=0.9, resale=1.0)}, 1),
    ("incentive_fee", {"support": CapacityPayment(price=200.0)}, 1),
    pytest.param("unregulated", {"support": CapacityPayment(price=200.0)}, 2, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "support", "seed"), UNDER_REGIMES)
def test_flexibility_quotas_and_capacity_payments_under_regimes(kind: str, support: dict[str, Component], seed: int):
    """What is paid for flexibility is recovered, shared or borne as the regime has it; members may buy storage in answer."""
    problem = regulated_feeder(4, 4, CHARGE | support, seed=seed, new_storage=True)
    regime = REGIMES[kind](**({"reference_price": 0.1} if kind == "incentive_fee" else {}))
    plan = solve_plan(problem, regime, **SETTINGS)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(BruteForce(problem, regime, TOLERANCE).best[0], abs=1e-5 * problem.existing_cost)
    assert abs(plan.account.residual) <= 1e-9
    bought = -float(support["support"].price or 0.0) * float(output(problem, BILLED + "support") @ plan.solution.primal["operation"])
    if isinstance(support["support"], Flexibility):
        assert bought > 0
        assert plan.account.bought == pytest.approx(bought, rel=1e-9)
        charged = float(plan.prices["network_charge"]) * float(output(problem, BILLED + "network_charge") @ plan.solution.primal["operation"])
        assert plan.revenue == pytest.approx(charged, rel=1e-9)
    else:
        assert plan.account.bought == 0.0


def test_quotas_are_bought_out_where_that_is_cheaper():
    """With certificates for all that is consumed, and none to be sold, what is missing is paid for; a premium and a levy are the quota at resale."""
    cheap = regulated_feeder(4, 4, CHARGE | {"support": Quota(price=0.02, share=1.0)}, seed=1)
    plan = solve_plan(cheap, SOCIAL, **SETTINGS)
    x = plan.solution.primal["operation"]
    consumed, generated = output(cheap, "renewable") @ x + output(cheap, "drawn") @ x, output(cheap, "renewable") @ x
    assert float(output(cheap, BILLED + "support") @ x) == pytest.approx(max(consumed - generated, 0.0), abs=1e-9)
    traded = regulated_feeder(4, 4, CHARGE | {"support": Quota(price=0.05, share=0.9, resale=1.0)}, seed=1)
    answer = CompiledProgram(traded.program).solve_optimal({"built": np.zeros(3), "network_charge": 0.1}).x
    held = float(output(traded, "renewable") @ answer)
    owed = 0.9 * (held + float(output(traded, "drawn") @ answer))
    assert float(output(traded, BILLED + "support") @ answer) == pytest.approx(owed - held, rel=1e-9)


def output(problem: PlanningProblem, name: str) -> np.ndarray:
    return problem.program.outputs[name].matrix.toarray().ravel()


def agrees_with_grid(problem: PlanningProblem, plan: Plan, targets: Callable[[np.ndarray], list[tuple[np.ndarray, float]]]) -> None:
    """At the plan's own prices the answer is worth what the plan says and keeps the targets; no prices of a grid are better than proven."""
    brute = refined(problem, SOCIAL, TOLERANCE, first=5, rounds=2, targets=targets)
    built, prices = np.array([float(yes) for yes in plan.built.values()]), np.array([float(plan.prices[n]) for n in ("network_charge", "support")])
    scale = problem.existing_cost
    assert plan.status == "optimal"
    assert brute.value(built, prices, brute.rows(built)) == pytest.approx(plan.objective, abs=1e-5 * scale)
    assert plan.bound <= brute.best[0] + 1e-6 * scale


@pytest.mark.parametrize("seed", [0, 3, 11])
def test_given_policies_stay_with_the_decomposition(system, seed: int):
    """Its bound for transfers does not depend on their sign: the plan is that of every set of options at every charge."""
    support: dict[str, Component] = {"sun": PvGrant(price=600.0), "yield": Premium(price=0.03), "store": StorageGrant(price=60.0)}
    problem = transfer_problem(system, seed, support=support)
    assert applies(problem) is None
    plan = solve_plan(problem, tolerance=1e-5, method="decomposition")
    value, built, _ = Enumeration(problem, 1e-5).best
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-8)
    assert tuple(float(b) for b in plan.built.values()) == built
    assert value * (1 - 1e-8) - 1e-6 <= plan.bound <= value * (1 + 1e-9)
    # The cost of the plan is that of everything that is built, bought and operated: what is paid for it is in no part of it.
    assert plan.social_cost == pytest.approx(plan.objective, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Flexibility(price_max=0.25, begins=12.0, ends=24.0), CapacityPayment(price_max=300.0)])
def test_a_decided_price_makes_members_buy_storage_that_a_target_on_emissions_takes(kind: Component):
    """Paid for flexibility or for capacity, storage replaces energy from above that charges alone do not: prices as good as those of a grid."""
    alone = regulated_feeder(3, 4, CHARGE, seed=1, new_storage=True)
    free = solve_plan(alone, SOCIAL, targets={"clean": Emissions(most=1e6)}, **SETTINGS)
    targets = {"clean": Emissions(most=0.8 * free.targets["clean"].value)}
    with pytest.raises(NoPlanError, match="the least relaxation is 'clean' from"):
        solve_plan(alone, SOCIAL, targets=targets, **SETTINGS)
    problem = regulated_feeder(3, 4, CHARGE | {"support": kind}, seed=1, new_storage=True)
    plan = solve_plan(problem, SOCIAL, targets=targets, **SETTINGS)
    agrees_with_grid(problem, plan, lambda _: [(0.4e-3 * output(problem, "taken"), targets["clean"].most)])
    assert float(plan.prices["support"]) > 0
    assert free.objective < plan.objective


def test_a_given_standing_charge_lowers_the_charge_and_stays_with_the_decomposition(system):
    """It earns the same whatever is decided: the plan is that of a network which costs so much less."""
    without, standing = transfer_problem(system, 3), Fixed(price=0.3)
    problem = transfer_problem(system, 3, support={"standing": standing})
    plan = solve_plan(problem, tolerance=1e-5, method="decomposition")
    x = plan.solution.primal["operation"]
    earned = 0.3 * (float((problem.program.outputs[BILLED + "standing"].matrix @ x)[0]) + float(problem.passive["standing"]))
    assert 0.01 * problem.existing_cost < earned < 0.9 * problem.existing_cost
    cheaper = replace(without, existing_cost=without.existing_cost - earned)
    value, built, _ = Enumeration(cheaper, 1e-5).best
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value + earned, rel=1e-8)
    assert tuple(float(b) for b in plan.built.values()) == built
    assert plan.bound <= (value + earned) * (1 + 1e-9)
    assert plan.social_cost == pytest.approx(plan.objective, rel=1e-9)
    assert plan.allowed_revenue * (1 - 1e-9) <= plan.revenue <= plan.allowed_revenue * (1 + 1e-5 + 1e-9)


def test_a_standing_charge_that_earns_operators_nothing_leaves_the_plan_as_it_is(system):
    """Also where the network that exists costs nothing, so that there is no cost of which it earns a share."""
    free = replace(transfer_problem(system, 3), existing_cost=0.0)
    standing = Fixed(price=0.3, receiver="supplier and state")
    problem = replace(transfer_problem(system, 3, support={"standing": standing}), existing_cost=0.0)
    plans = [solve_plan(one, tolerance=1e-5, method="decomposition") for one in (free, problem)]
    assert plans[0].built == plans[1].built
    assert plans[0].objective == pytest.approx(plans[1].objective, rel=1e-9)


def test_a_decided_buy_out_price_next_to_a_given_charge_is_not_bounded_by_the_cost_that_the_charge_recovers():
    """The operator earns nothing by it, so no cost recovery says how high it may be; certificates missing have no largest amount."""
    parts = {"network_charge": Volumetric(price=0.18), "support": Quota(price_max=0.3, share=0.9)}
    problem, least = regulated_feeder(4, 4, parts, seed=1), 0.62
    plan = solve_plan(problem, SOCIAL, targets={"share": RenewableShare(least=least)}, **(SETTINGS | {"tolerance": 0.3}))
    brute = BruteForce(problem, SOCIAL, 0.3, targets=lambda _: [(least * output(problem, "drawn") - (1 - least) * output(problem, "renewable"), 0.0)])
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(brute.best[0], rel=1e-6)
    assert float(plan.prices["support"]) == pytest.approx(float(brute.best[2][0]), rel=1e-6)


SUPPORT: dict[str, Component] = {"grant": PvGrant(price_max=2900.0), "premium": Premium(price_max=0.1)}


@pytest.mark.parametrize("kind", first(1, SUPPORT))
def test_a_decided_policy_reaches_a_target_that_charges_alone_do_not(kind: str):
    alone = regulated_feeder(3, 4, CHARGE, seed=1)
    free = solve_plan(alone, SOCIAL, targets={"share": RenewableShare(least=0.0)}, **SETTINGS)
    targets = {"share": RenewableShare(least=free.targets["share"].value + 0.05)}
    with pytest.raises(NoPlanError, match="the least relaxation is 'share' from"):
        solve_plan(alone, SOCIAL, targets=targets, **SETTINGS)
    problem = regulated_feeder(3, 4, CHARGE | {"support": SUPPORT[kind]}, seed=1)
    plan = solve_plan(problem, SOCIAL, targets=targets, **SETTINGS)
    least = targets["share"].least
    agrees_with_grid(problem, plan, lambda _: [(least * output(problem, "drawn") - (1 - least) * output(problem, "renewable"), 0.0)])
    assert plan.targets["share"].binding
    assert free.objective < plan.objective
    assert float(plan.prices["support"]) > 0
    # What is paid is a transfer: the charge recovers the cost of the network and no more.
    assert plan.revenue == pytest.approx(plan.allowed_revenue, rel=2 * TOLERANCE)


def test_a_grant_and_a_premium_that_bring_about_the_same_plan_are_both_found():
    """The plan lies where buying and not buying tie, so at one price each; a grant is some hundred EUR/kW, a premium some ct/kWh."""
    found, share = {}, 0.0
    for kind, support in SUPPORT.items():
        problem = regulated_feeder(3, 4, CHARGE | {"support": support}, seed=2)
        if not share:
            share = solve_plan(problem, SOCIAL, targets={"share": RenewableShare(least=0.0)}, **SETTINGS).targets["share"].value + 0.05
        found[kind] = solve_plan(problem, SOCIAL, targets={"share": RenewableShare(least=share)}, **SETTINGS)
        assert found[kind].status == "optimal"
        assert found[kind].targets["share"].binding
    assert found["grant"].objective == pytest.approx(found["premium"].objective, rel=1e-6)


def test_a_budget_limits_what_is_paid():
    problem = regulated_feeder(3, 4, CHARGE | {"support": PvGrant(price_max=2900.0)}, seed=1)
    free = solve_plan(problem, SOCIAL, targets={"share": RenewableShare(least=0.0)}, **SETTINGS)
    targets: Targets = {"share": RenewableShare(least=free.targets["share"].value + 0.01)}
    paid = solve_plan(problem, SOCIAL, targets=targets | {"money": Budget(policy="support", most=1e3)}, **SETTINGS).targets["money"].value
    assert paid > 0.1
    plan = solve_plan(problem, SOCIAL, targets=targets | {"money": Budget(policy="support", most=0.8 * paid)}, **SETTINGS)
    assert plan.targets["money"].value <= 0.8 * paid * (1 + 1e-6)
    least = targets["share"].least  # type: ignore[attr-defined]
    amount = output(problem, BILLED + "support")
    agrees_with_grid(
        problem,
        plan,
        lambda p: [
            (least * output(problem, "drawn") - (1 - least) * output(problem, "renewable"), 0.0),
            (-float(p[1]) * amount, 0.8 * paid),
        ],
    )


def test_the_capability_form_changes_no_dispatch_and_the_energy_form_does():
    """At a given capacity, what is used is a matter of the energy form alone: with a premium curtailment pays later."""
    problems = {form: regulated_feeder(4, 4, CHARGE | {"support": Premium(price=0.5, form=form)}, seed=1) for form in ("used", "available")}
    used = {}
    for form, problem in problems.items():
        program = problem.program
        free, fixed = program.columns["pv"].positions, np.full(4, 3.0)
        lower, upper = program.lower.copy(), program.upper.copy()
        lower[free[1:]] = upper[free[1:]] = fixed[1:]
        given = replace(program, lower=lower, upper=upper)
        x = CompiledProgram(given).solve_optimal({"built": np.zeros(3), "network_charge": 0.1}).x
        used[form] = float(output(problem, "renewable") @ x)
    without = regulated_feeder(4, 4, CHARGE, seed=1)
    assert used["used"] >= used["available"] - 1e-9
    assert without.program.rows.size == problems["available"].program.rows.size
