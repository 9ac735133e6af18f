"""Transfers other than a levy: the plan is that of brute force, and the bound holds, where exports and peer trade react to the charge."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.planning import solve_plan
from multiscale.planning.decomposition import applies
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.resource_bound import SCALES, Charges, resource_bound
from multiscale.planning.decomposition.search import DecompositionSearch
from multiscale.planning.decomposition.structure import structure
from multiscale.programs import CompiledProgram
from tests.further import first
from tests.planning.enumeration import Enumeration
from tests.planning.transfer_problems import transfer_problem

TIGHT = 1e-5


def outputs(problem, solution):
    """Determinants of the components and resource cost of an answer."""
    names = [*(f"billed {name}" for name in problem.tariff.components), "resource_cost"]
    return {name: float(solution.output(name).values.sum()) for name in names}


@pytest.mark.parametrize("seed", first(5, [0, 2, 9, 22, 39, 1, 3, 6, 11, 51]))
def test_the_plan_is_that_of_brute_force(system, seed):
    problem = transfer_problem(system, seed)
    assert applies(problem) is None
    plan = solve_plan(problem, tolerance=TIGHT, method="decomposition")
    value, built, charge = Enumeration(problem, TIGHT).best
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-8)
    assert tuple(float(b) for b in plan.built.values()) == built
    assert float(plan.prices["network_charge"]) == pytest.approx(charge, rel=2 * TIGHT)
    assert value * (1 - 1e-8) - 1e-6 <= plan.bound <= value * (1 + 1e-9)
    assert plan.follower_gap <= 1e-9


def test_all_components_are_transfers_and_react_to_the_charge(system):
    """Resource cost is what the follower pays less charge, levy, deduction and fee; exports and peer trade react in some problems."""
    reacting = set()
    for seed in range(6):
        problem = transfer_problem(system, seed, members=3)
        compiled, answers = CompiledProgram(problem.program), []
        for charge in (0.0, 0.1, 0.3):
            solution = compiled.solve_optimal({"built": 1.0, "network_charge": charge})
            found = outputs(problem, solution)
            prices = {name: charge if c.decided else c.price for name, c in problem.tariff.components.items()}
            transfers = sum(price * found[f"billed {name}"] for name, price in prices.items())
            assert solution.objective - problem.program.d0 - transfers == pytest.approx(found["resource_cost"], rel=1e-9)
            answers.append(found)
        for name in ("export_deduction", "trading_fee"):
            values = [found[f"billed {name}"] for found in answers]
            reacting |= {name} if max(values) - min(values) > 1e-3 * max(values) else set()
    assert reacting == {"export_deduction", "trading_fee"}


@pytest.mark.parametrize("seed", [0, 9, 39])
@pytest.mark.parametrize("scale", SCALES)
def test_no_answer_within_the_range_costs_less_than_the_bound(system, seed, scale):
    """At every share of the transfers, over narrow and wide ranges of the charge."""
    problem = transfer_problem(system, seed, members=2)
    search = DecompositionSearch(
        known=structure(problem), annuity=problem.annuity, admitted_choices=(problem.required, ~problem.excluded),
        existing=problem.existing_cost, passive=problem.passive_energy,
        charge_range=problem.price_range, tolerance=TIGHT, gap_eur=0.0, gap=0.0, constant=problem.constant, work=Work(1e6),
    )  # fmt: skip
    for charges in (Charges(0.0, 0.4), Charges(0.1, 0.12), Charges(0.15, 0.1501)):
        for component in search.split.components:
            built = np.ones(component.options.size, dtype=bool)
            bound = resource_bound(component, built, charges, search.joint.network.spread, search.work, levied=False, scale=scale)
            for charge in np.linspace(charges.lower, charges.upper, 9):
                answer = component.solve(built, float(charge), search.joint.network.spread, search.work)
                resource = answer.cost - charge * answer.energy - answer.transfers
                assert resource >= bound.resource - 1e-5 * max(1.0, abs(resource))
                assert answer.energy >= bound.least_energy - 1e-6 * max(1.0, answer.energy)


@pytest.mark.slow  # each of the two alone is held against the enumeration above
def test_choices_one_by_one_and_halved_ranges_give_the_same_plan(system):
    """With one level only and no first plan nothing is dropped: every combination is judged over its own range of charges."""
    problem = transfer_problem(system, 39)
    search = DecompositionSearch(
        known=structure(problem), annuity=problem.annuity, admitted_choices=(problem.required, ~problem.excluded),
        existing=problem.existing_cost, passive=problem.passive_energy,
        charge_range=problem.price_range, tolerance=TIGHT, gap_eur=-np.inf, gap=-np.inf, constant=problem.constant, work=Work(1e5), most_levels=1,
    )  # fmt: skip
    search.run()
    value = Enumeration(problem, TIGHT).best[0]
    assert search.best.cost + problem.constant == pytest.approx(value, rel=1e-8)
    assert search.bound + problem.constant == pytest.approx(value, rel=1e-8)
