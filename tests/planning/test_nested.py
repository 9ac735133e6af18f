"""Transmission and distribution planned together: against enumeration, against one model of all, and against the operating model."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from multiscale.operation import Transmission
from multiscale.operation.built import with_transmission_built
from multiscale.planning.nested.offers import DistributionPlanner
from multiscale.planning.nested.problem import joint_plan
from multiscale.planning.nested.search import nested_plan
from multiscale.programs import CompiledProgram
from tests.planning.nested_problems import ABOVE, ONE, nested_problem, rival_parks, short_of_rating
from tests.variants import changed


@pytest.fixture(scope="module")
def problem(system):
    return nested_problem(short_of_rating(system))


@pytest.fixture(scope="module")
def costs(problem):
    return enumerated(problem)


@pytest.fixture(scope="module")
def plan(problem):
    return nested_plan(problem)


def enumerated(problem):
    """Cost of every choice of options -> its names."""
    names = [name for options in problem.names.values() for name in options]
    subsets = itertools.chain.from_iterable(itertools.combinations(names, k) for k in range(len(names) + 1))
    return {frozenset(chosen): problem.operated(chosen).cost for chosen in subsets}


@pytest.mark.parametrize("kind", ["added_rating", "parallel_cable"])
def test_dc_power_flow_with_options_is_that_of_the_network_with_them_built(system, kind):
    here = short_of_rating(system)
    options = here.options.isel(option=np.flatnonzero(np.isin(here.options.branch.values, list(ABOVE))))
    if kind == "parallel_cable":
        columns = {"kind": kind, "parallel_rating_kva": 30e3, "impedance_share": 0.4}
        options = options.assign({name: ("option", [value] * options.sizes["option"]) for name, value in columns.items()})
    problem = replace(nested_problem(here), options=options)
    network, program = problem.network, problem.transmission
    random = np.random.default_rng(4)
    drawn = random.uniform(-4e3, 9e3, (3, network.horizon.periods))
    for chosen in itertools.product([0.0, 1.0], repeat=options.sizes["option"]):
        compiled = CompiledProgram(program)
        compiled.bound(program.columns["built"].positions.ravel(), np.array(chosen), np.array(chosen))
        found = compiled.solve_optimal({"exchange": drawn})
        built = with_transmission_built(here, options.isel(option=np.flatnonzero(chosen)))
        dispatch = Transmission(built, network.horizon, network.economics).dispatch(drawn)
        assert found.objective - problem.annuity @ chosen == pytest.approx(dispatch.cost.sum(), rel=1e-9)
        # The bound of the duals, valid whatever the solver's tolerances, proves the same.
        assert found.bound == pytest.approx(found.objective, rel=1e-9)
        prices = problem.prices(program, found.y)
        assert np.array([prices[d] for d in network.children]) == pytest.approx(dispatch.price, abs=1e-7)


def test_one_model_of_all_operators_finds_the_least_of_all_choices(problem, costs):
    built, found = joint_plan(problem)
    assert found.objective == pytest.approx(min(costs.values()), rel=1e-9)
    assert costs[built] == pytest.approx(found.objective, rel=1e-9)
    assert found.bound == pytest.approx(found.objective, rel=1e-8)


def test_cost_and_bound_of_the_nested_plan_contain_the_joint_optimum(problem, costs, plan):
    best = min(costs.values())
    assert plan.bound <= best * (1 + 1e-9)
    assert best <= plan.best.cost * (1 + 1e-9)
    assert costs[plan.best.built] == pytest.approx(plan.best.cost, rel=1e-9)
    assert (plan.nothing, plan.everything) == pytest.approx((costs[frozenset()], costs[problem.admitted[1]]), rel=1e-9)
    # Both levels build, and the gap is nothing against what decisions move.
    assert plan.best.built == {"reinforce line D-E", f"reinforce {ONE}"}
    assert plan.closed
    assert plan.gap_eur <= 1e-6 * plan.decision_range
    bounds = [bound for _, bound in plan.history]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("cost", [1.5e6, pytest.param(1.0e6, marks=pytest.mark.slow)])
def test_rival_options_are_proven_by_parting_the_choices(system, cost):
    problem = nested_problem(rival_parks(system, cost))
    best = min(enumerated(problem).values())
    plan = nested_plan(problem)
    assert plan.best.cost == pytest.approx(best, rel=1e-9)
    assert plan.bound == pytest.approx(best, rel=1e-8)
    assert plan.closed
    assert "parts of the choices" in plan.message
    bounds = [bound for _, bound in plan.history]
    assert bounds == sorted(bounds)
    # Prices alone leave a duality gap, which a search that ends with them states.
    early = nested_plan(problem, rounds=4)
    assert not early.closed
    assert early.bound < best - 1e3
    assert early.best.cost >= best * (1 - 1e-9)


def test_a_search_that_ends_early_has_a_valid_bound_and_says_so(problem, costs):
    best = min(costs.values())
    plan = nested_plan(problem, rounds=1)
    assert not plan.closed
    assert "planning.rounds" in plan.message
    assert plan.bound <= best * (1 + 1e-9)
    assert best <= plan.best.cost * (1 + 1e-9)


def test_what_is_offered_never_overstates_the_cost_of_any_plan_or_exchange(problem):
    random = np.random.default_rng(1)
    for dso, program in problem.distribution.items():
        planner = DistributionPlanner(program, problem.hours, 10.0)
        offers = [planner.offer(random.uniform(0.0, 0.2, len(problem.hours))) for _ in range(3)]
        for price in random.uniform(-0.05, 0.3, (3, len(problem.hours))):
            other = planner.offer(price)
            for offer in offers:
                assert offer.value - problem.hours * offer.price @ other.exchange <= other.cost + 1e-6 * abs(other.cost), dso
        low, high = planner.band
        assert all((low - 1e-6 <= offer.exchange).all() and (offer.exchange <= high + 1e-6).all() for offer in offers)


def test_without_options_below_the_bound_meets_the_cost(problem, plan):
    closed = {d: p.among((), p.options.option.values.astype(str).tolist()) for d, p in problem.operators.items()}
    alone = replace(problem, operators=closed)
    above_alone = nested_plan(alone)
    above = {frozenset(c): alone.operated(c).cost for k in range(3) for c in itertools.combinations(alone.names["transmission"], k)}
    assert above_alone.best.cost == pytest.approx(min(above.values()), rel=1e-9)
    assert above_alone.closed
    assert above_alone.gap_eur <= 1e-8 * above_alone.best.cost
    # One level alone is no better than both.
    assert above_alone.best.cost >= plan.bound - 1e-6


def test_an_energy_price_within_the_problem_of_a_distribution_operator_is_refused(system, problem):
    other = replace(problem.operators["north"], energy_price=np.full(6, 0.1))
    with pytest.raises(ValueError, match=r"plan of north: its energy price is not zero"):
        _ = replace(problem, operators={**problem.operators, "north": other}).distribution


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_systems_contain_the_joint_optimum(system, seed):
    problem = nested_problem(short_of_rating(system, np.random.default_rng(seed)))
    best = min(enumerated(problem).values())
    plan = nested_plan(problem)
    assert plan.bound <= best * (1 + 1e-9)
    assert best <= plan.best.cost * (1 + 1e-9)
    assert joint_plan(problem)[1].objective == pytest.approx(best, rel=1e-9)


def test_a_narrower_limit_of_transmission_never_costs_less(system, problem):
    here = short_of_rating(system)
    narrower = nested_problem(changed(here, "branches", "rating_kva", {"line D-E": 12e3}))
    assert narrower.operated([]).cost >= problem.operated([]).cost
