"""Plans under policy mechanisms, given and decided, are those of brute force; what is paid is a transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning import NoPlanError, Plan, PlanningProblem, solve_plan
from multiscale.planning.decomposition import applies
from multiscale.planning.regimes import REGIMES
from multiscale.planning.targets import Budget, RenewableShare, Targets
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED, Component, Volumetric
from multiscale.tariffs.policies.contract_for_difference import ContractForDifference
from multiscale.tariffs.policies.investment_grant import InvestmentGrant
from multiscale.tariffs.policies.premium import Premium
from multiscale.tariffs.policies.pv_grant import PvGrant
from multiscale.tariffs.policies.storage_grant import StorageGrant
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
        # Brute force scales the charge alone; two formulations, and a charge that pays for the premium too, stand in its place.
        other = solve_plan(problem, SOCIAL, method="strong_duality", **SETTINGS)
        paid = -0.01 * float(output(problem, BILLED + "support") @ plan.solution.primal["operation"])
        charged = float(plan.prices["network_charge"]) * float(output(problem, BILLED + "network_charge") @ plan.solution.primal["operation"])
        assert paid > 0
        assert plan.objective == pytest.approx(other.objective, rel=1e-6)
        assert charged - paid == pytest.approx(plan.revenue, abs=1e-9)
        assert plan.allowed_revenue * (1 - 1e-7) <= plan.revenue <= plan.allowed_revenue * (1 + TOLERANCE + 1e-7)
        return
    brute = BruteForce(problem, SOCIAL, TOLERANCE)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(brute.best[0], abs=1e-5 * problem.existing_cost)


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


SUPPORT: dict[str, Component] = {"grant": PvGrant(price_max=2900.0), "premium": Premium(price_max=0.1)}


@pytest.mark.parametrize("kind", SUPPORT)
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
