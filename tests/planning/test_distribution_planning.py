import dataclasses

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.planning import solve_plan
from multiscale.programs import CompiledProgram
from multiscale.tariffs import Tariff
from tests.planning.conftest import ONE, TOLERANCE, TWO, UP
from tests.planning.enumeration import Enumeration


@pytest.fixture(scope="module")
def enumeration(problem):
    return Enumeration(problem, TOLERANCE)


@pytest.fixture(scope="module")
def plan(problem):
    return solve_plan(problem, tolerance=TOLERANCE, gap=1e-7, time_limit=60, method="branch_and_cut")


def test_the_case_is_a_question(enumeration):
    """Something is built, something is not."""
    assert 0 < sum(enumeration.best[1]) < 3


@pytest.mark.parametrize("method", ["auto", "branch_and_cut", "strong_duality"])
def test_the_plan_is_that_of_brute_force(problem, enumeration, method):
    plan = solve_plan(problem, tolerance=TOLERANCE, gap=1e-7, time_limit=60, method=method)
    value, built, _ = enumeration.best
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-6)
    assert tuple(float(plan.built[f"reinforce {b}"]) for b in (ONE, TWO, UP)) == built
    assert plan.bound <= value * (1 + 1e-9)


def plan_with_adoption(problem, method):
    return solve_plan(problem, tolerance=TOLERANCE, gap=1e-7, time_limit=60, method=method)


@pytest.fixture(scope="module")
def best_with_adoption(problem_with_adoption):
    return Enumeration(problem_with_adoption, TOLERANCE).best


@pytest.mark.parametrize("method", ["auto", "branch_and_cut", "strong_duality"])
def test_the_plan_with_adoption_is_that_of_brute_force(problem_with_adoption, best_with_adoption, method):
    """Prosumers buy PV at a charge near the one that recovers the cost: the answer of the follower jumps there."""
    value, built, _ = best_with_adoption
    plan = plan_with_adoption(problem_with_adoption, method)
    assert plan.objective == pytest.approx(value, rel=1e-6)
    assert tuple(float(v) for v in plan.built.values()) == built
    assert max(bought["photovoltaics"].sum() for bought in plan.bought.values()) > 0
    assert plan.status == "optimal"


def test_what_is_called_optimal_is_optimal_and_the_bound_holds(problem_with_adoption, best_with_adoption):
    plan = plan_with_adoption(problem_with_adoption, "strong_duality")
    value = best_with_adoption[0]
    assert plan.bound <= value * (1 + 1e-7)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-6)
    assert plan.follower_gap <= 1e-6


def test_the_charge_recovers_the_cost(plan, problem):
    """And earns no less, and no more than the tolerance."""
    assert -1e-6 * plan.allowed_revenue <= plan.revenue - plan.allowed_revenue <= TOLERANCE * plan.allowed_revenue * (1 + 1e-6)
    built = np.array([plan.built[o] for o in problem.options.option.values.tolist()], dtype=float)
    assert plan.allowed_revenue == pytest.approx(problem.existing_cost + problem.annuity @ built, rel=1e-9)


def test_the_follower_solved_again_gives_the_same_answer(plan, problem):
    assert plan.follower_gap <= 1e-6
    built = np.array([plan.built[o] for o in problem.options.option.values.tolist()], dtype=float)
    again = CompiledProgram(problem.program).solve_optimal({"built": built, "network_charge": plan.prices["network_charge"]})
    p = problem.program.parameters.vector({"built": built, "network_charge": plan.prices["network_charge"]})
    x = plan.solution.primal["operation"]
    assert problem.program.objective(x, p) == pytest.approx(again.objective, rel=1e-6)
    assert problem.program.violation(x, p) <= 1e-5


def test_the_objective_is_the_social_cost_of_the_answer(plan, problem):
    x = plan.solution.primal["operation"]
    built = np.array([plan.built[o] for o in problem.options.option.values.tolist()], dtype=float)
    resource = float((problem.program.outputs["resource_cost"].matrix @ x)[0])
    assert plan.objective == pytest.approx(problem.annuity @ built + resource + problem.program.d0 + problem.constant, rel=1e-7)


def test_charges_and_levies_are_transfers(problem):
    """Resource cost is what the follower pays less the charge and every component with a given price: levy, deduction on exports, trading fee."""
    solution = CompiledProgram(problem.program).solve_optimal({"built": 0.0, "network_charge": 0.07})
    prices = {"network_charge": 0.07} | {name: c.price for name, c in problem.tariff.components.items() if not c.decided}
    assert set(prices) == {"network_charge", "levy", "export_deduction", "trading_fee"}
    transfers = sum(price * float(solution.output(f"billed {name}").values) for name, price in prices.items())
    assert solution.objective - problem.program.d0 - transfers == pytest.approx(float(solution.output("resource_cost").values), rel=1e-9)


def test_a_range_of_prices_that_cannot_recover_the_cost_is_refused(problem):
    low = problem.tariff.components["network_charge"].model_copy(update={"price_max": 0.01})
    cheap = dataclasses.replace(problem, tariff=Tariff(dict(problem.tariff.components) | {"network_charge": low}))
    message = r"plan of north: recovering [\d,]+ EUR/a takes a price of network_charge of at least .* \(tariff.network_charge.price_max\)"
    with pytest.raises(bilevel.BilevelError, match=message):
        solve_plan(cheap, tolerance=TOLERANCE)
