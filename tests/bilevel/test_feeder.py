"""Tariff and reinforcement together: the planning path, checked against enumeration and against the follower itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.bilevel import relaxed
from multiscale.bilevel.reformulate.conditions.limit_cuts import limit_cuts
from multiscale.bilevel.solvers import linear_program
from multiscale.programs import CompiledProgram
from tests.bilevel.feeder import TARIFF_CAP, feeder


def social_value(case, built, tariff):
    """Leader objective and revenue shortfall at a decision, from the follower alone."""
    solution = CompiledProgram(case.program).solve({"tariff": tariff, "built": built})
    energy = solution.output("import_energy").to_numpy()
    return solution.objective - tariff @ energy, tariff @ energy


@pytest.mark.parametrize("hard", [False, True])
def test_agrees_with_enumeration_of_designs_and_a_fine_tariff_grid(hard):
    case = feeder(4, 8, 1, hard=hard)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-5, time_limit=60)
    assert solution.status == "optimal"
    compiled = CompiledProgram(case.program)
    best = np.inf
    for built in itertools.product([0.0, 1.0], repeat=case.investment.size):
        spent = case.investment @ built
        for tariff in np.linspace(0, TARIFF_CAP, 121):
            answer = compiled.solve({"tariff": tariff, "built": np.array(built)})
            paid = tariff * float(answer.output("import_energy").to_numpy()[0])
            if paid >= case.base + spent - 1e-9:
                best = min(best, spent + answer.objective - paid)
    # The grid can only be worse than the optimum, and not by much.
    assert solution.objective <= best * (1 + 2e-5)
    assert solution.objective >= best - 0.01 * abs(best)


@pytest.mark.parametrize(("gap", "solver"), [(1e-2, "HiGHS: gaplimit"), (1e-4, "SCIP: optimal")])
def test_large_relaxations_are_bounded_by_highs_first(monkeypatch, gap, solver):
    """Where the relaxation's bound is within the gap of the best point nothing is left to search; else SCIP's tree goes on. Both hold."""
    usual = feeder(6, 8, 1, seed=1)
    known = bilevel.solve(usual.model, [usual.follower], gap=1e-6, time_limit=60)
    for module, size in ((relaxed, "_MEDIUM"), (relaxed, "_LARGE"), (linear_program, "_LARGE")):
        monkeypatch.setattr(module, size, 0)
    case = feeder(6, 8, 1, seed=1)
    found = bilevel.solve(case.model, [case.follower], gap=gap, time_limit=60)
    assert found.status == "optimal"
    assert found.message.startswith(solver)
    assert found.bound <= known.objective * (1 + 1e-6)
    assert known.objective * (1 - 1e-6) <= found.objective <= known.objective * (1 + gap)


def test_reported_value_is_the_followers_own():
    case = feeder(5, 24, 1, hard=True, seed=3)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-3, time_limit=60)
    assert solution.status == "optimal"
    built = np.array([round(case.build[k].value) for k in case.build], dtype=float)
    tariff = np.array([case.tariff[k].value for k in case.tariff])
    value, paid = social_value(case, built, tariff)
    spent = case.investment @ built
    assert solution.objective == pytest.approx(value + spent, rel=1e-6)
    assert paid >= (case.base + spent) * (1 - 1e-5)
    assert solution.certificate.holds
    assert solution.certificate.follower_gap <= 1e-6
    assert set(solution.certificate.followers[0].how) >= {"rating_down", "rating_up"}


def test_bounds_of_multipliers_hold_at_random_decisions():
    from multiscale.bilevel.reformulate.bounds.prove import prove_bounds

    case = feeder(6, 12, 2, hard=True, seed=1)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    program = problem.followers[0].program
    rating = np.concatenate([program.rows[name].positions.ravel() for name in ("rating_down", "rating_up")])
    bounds = prove_bounds(problem, 0, rating)
    assert bounds.proven(rating)
    rng = np.random.default_rng(5)
    compiled = CompiledProgram(program)
    for _ in range(25):
        y = np.where(problem.leader.integral, rng.integers(0, 2, problem.leader.size), rng.uniform(0, TARIFF_CAP, problem.leader.size))
        duals = compiled.solve(y).y
        assert (duals[rating] >= bounds.lower[rating]).all()
        assert (duals[rating] <= 1e-9).all()


def test_same_seed_same_answer():
    first, second = (bilevel.solve((case := feeder(5, 12, 1, seed=2)).model, [case.follower], gap=1e-4, time_limit=60, seed=4) for _ in range(2))
    assert first.values == second.values
    assert first.nodes == second.nodes


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_limits_are_rounded_up_to_what_is_needed_behind_them(seed):
    """Cuts of the relaxation hold at what the community answers to any lines and tariff, and close most of what fractional lines leave open."""
    case = feeder(6, 12, 1, seed=seed)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    leader, follower = problem.leader, problem.followers[0]
    compiled, rng = CompiledProgram(follower.program), np.random.default_rng(seed)
    # Half of each line, and energy at hand: limits bind.
    half = np.where(leader.integral, 0.5, 0.1)
    point = compiled.solve(half).x
    cuts = limit_cuts(leader, follower, point, half)
    assert cuts
    for cut in cuts:
        assert half[cut.binary] * cut.need + cut.weights @ point[cut.columns] < cut.least
    for _ in range(20):
        y = np.where(leader.integral, rng.integers(0, 2, leader.size), rng.uniform(0, TARIFF_CAP, leader.size))
        x = compiled.solve(y).x
        for cut in cuts:
            assert y[cut.binary] * cut.need + cut.weights @ x[cut.columns] >= cut.least - 1e-7
