"""The search over several prices at fixed integers, against a grid of prices and against strong duality."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.bilevel.read.pyomo_model import read_model
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_cutting import PriceCutting
from multiscale.bilevel.search.response import Responder
from multiscale.bilevel.search.tighten import friendly_decision
from multiscale.programs import CompiledProgram
from tests.bilevel.feeder import feeder


def cutting(case):
    problem = read_model(case.model, [case.follower]).problem
    proven = bounds_for(problem, 0, "branch_and_cut", 10.0)
    return problem, PriceCutting(problem, Responder(problem), [proven.quantities])


def decision(problem, built):
    y = 0.5 * (problem.leader.lower + problem.leader.upper)
    y[problem.leader.integral] = built
    return y


def best_on_a_grid(problem, search, y, points):
    """Least leader objective over a grid of prices, followers solved at each; infinite if none is feasible."""
    best = np.inf
    for prices in itertools.product(np.linspace(0.0, 0.3, points), repeat=2):
        there = y.copy()
        there[search.space.prices] = prices
        response = search.responder.respond(there)
        if response is not None and response.violation[0] <= 1e-6:
            best = min(best, response.objective)
    return best


@pytest.mark.parametrize("seed", [0, 1])
def test_no_price_on_a_grid_beats_the_bound(seed):
    problem, search = cutting(feeder(5, 6, 2, hard=True, seed=seed))
    assert search.applies
    feasible = 0
    for built in ([1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0]):
        # Later decisions begin with the cuts of earlier ones: those must be valid there too.
        y = decision(problem, built)
        found = search.solve(y, gap=1e-4, budget=2000)
        grid = best_on_a_grid(problem, search, y, 13)
        assert found.bound <= grid + 1e-6 * abs(grid)
        if found.response is None:
            assert np.isinf(grid)
            continue
        feasible += 1
        assert found.response.violation[0] <= 1e-6
        assert found.bound >= found.response.objective * (1 - 1.1e-4)
        assert found.response.objective <= grid + 1e-4 * abs(grid)
        assert (found.response.y[problem.leader.integral] == built).all()
    assert feasible >= 3


def test_strong_duality_agrees_at_fixed_integers():
    case = feeder(5, 6, 3, hard=True, seed=2)
    problem, search = cutting(case)
    found = search.solve(decision(problem, [1, 0, 1, 1]), gap=1e-4, budget=2000)
    other = feeder(5, 6, 3, hard=True, seed=2)
    for k, value in zip(other.model.build, (1, 0, 1, 1), strict=True):
        other.model.build[k].fix(value)
    exact = bilevel.solve(other.model, [other.follower], method="strong_duality", gap=1e-4, time_limit=60)
    assert exact.status == "optimal"
    assert found.response.objective == pytest.approx(exact.objective, rel=2e-4)
    assert found.bound <= exact.objective * (1 + 1e-6)


def test_a_cutoff_that_nothing_beats_ends_the_search():
    problem, search = cutting(feeder(5, 6, 2, hard=True))
    y = decision(problem, [1, 1, 1, 1])
    best = search.solve(y, gap=1e-4, budget=2000).response.objective
    found = search.solve(y, gap=1e-4, cutoff=0.99 * best, budget=2000)
    assert found.bound >= 0.99 * best - 1e-6


def test_branch_and_cut_with_several_prices_agrees_with_strong_duality():
    values = []
    for method in ("branch_and_cut", "strong_duality"):
        case = feeder(5, 6, 2, hard=True, seed=3)
        solution = bilevel.solve(case.model, [case.follower], method=method, gap=1e-4, time_limit=60)
        assert solution.status == "optimal", solution.message
        assert solution.certificate.holds
        values.append(solution.objective)
    assert values[0] == pytest.approx(values[1], rel=2e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_quick_price_is_certified_and_no_better_than_the_exact_one(seed):
    problem = read_model((case := feeder(6, 8, 1, hard=True, seed=seed)).model, [case.follower]).problem
    search = DecisionSearch(problem)
    (y, *_) = search.relaxed_decisions(10.0)
    quick = search.exact.quick(search.clipped(y))
    exact = search.exact.solve(search.clipped(y), gap=1e-7)
    assert quick.violation[0] <= 1e-6
    for follower, x in zip(problem.followers, quick.primal, strict=True):
        again = CompiledProgram(follower.program).solve(quick.y)
        assert follower.program.objective(x, quick.y) == pytest.approx(again.objective, rel=1e-8)
    assert quick.objective >= exact.bound - 1e-7


def test_the_friendly_relaxation_bounds_every_answer():
    """Followers that do as the leader likes, at the price of the answer, leave the leader no worse off."""
    case = feeder(5, 6, 1, hard=True)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-6, time_limit=60)
    problem = read_model(case.model, [case.follower]).problem
    at = np.array([solution.values[name] for name in problem.leader.names])
    prices = np.flatnonzero(~problem.leader.integral)
    y = friendly_decision(problem, prices, at, 10.0)
    assert (y >= -1e-9).all()
    assert y[prices] == pytest.approx(at[prices])
    relaxed = CompiledProgram(case.program).solve({"tariff": 0.0, "built": y[problem.leader.integral]})
    assert case.investment @ y[problem.leader.integral] + relaxed.objective <= solution.objective + 1e-6
