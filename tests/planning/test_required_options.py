"""Plans with options that have to be built or may not be: equal to enumeration, alone and linked to those of another year."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning import NoPlanError, solve_plan
from multiscale.planning.persistence import linked_plans, one_by_one
from tests.further import first
from tests.planning.enumeration import Enumeration
from tests.planning.random_problems import random_problem
from tests.planning.test_decomposition import TIGHT, WIDE, within


def restricted(problem, rng):
    names = problem.options.option.values.astype(str)
    kind = rng.integers(0, 3, len(names))
    return problem.among(names[kind == 0].tolist(), names[kind == 1].tolist())


@pytest.mark.parametrize(
    ("method", "seed"), first(7, [*(("branch_and_cut", s) for s in (100, 101)), *(("decomposition", s) for s in range(100, 110))], names=2)
)
def test_a_restricted_plan_is_that_of_brute_force(system, method, seed):
    problem = restricted(within(random_problem(system, seed), WIDE), np.random.default_rng(seed))
    value, built, _ = Enumeration(problem, TIGHT).best
    if not np.isfinite(value):
        with pytest.raises(NoPlanError):
            solve_plan(problem, tolerance=TIGHT, method=method)
        return
    plan = solve_plan(problem, tolerance=TIGHT, method=method)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-6)
    assert plan.bound <= value + 1e-6 * abs(value)
    chosen = np.array(list(plan.built.values()))
    assert chosen[problem.required].all()
    assert not chosen[problem.excluded].any()
    if method == "decomposition":
        assert tuple(float(b) for b in plan.built.values()) == built


def test_an_option_cannot_be_required_and_excluded(problem):
    name = str(problem.options.option.values[0])
    with pytest.raises(ValueError, match="are required and excluded"):
        problem.among([name], [name])


@pytest.mark.parametrize("seed", [100, 103, 105])
def test_two_years_that_differ_are_planned_together(system, seed):
    """Building is cheap in the first year and dear in the second: what the first builds is dear to keep."""
    late = within(random_problem(system, seed), WIDE)
    early = replace(late, annuity=0.2 * late.annuity)
    late = replace(late, annuity=3.0 * late.annuity)
    years, weights = {"2030": early, "2035": late}, {"2030": 1.0, "2035": 0.8}

    def plan(node, restriction):
        return solve_plan(years[node].among(restriction.required, restriction.excluded), tolerance=TIGHT, method="decomposition")

    found = linked_plans(weights, [("2030", "2035")], one_by_one(plan), gap=0.0, gap_eur=1e-6, most=200)
    tables = [Enumeration(problem, TIGHT).values for problem in years.values()]
    best = min(
        0.8 * tables[1][later][0] + tables[0][earlier][0]
        for earlier, later in itertools.product(*tables)
        if all(e <= z for e, z in zip(earlier, later, strict=True))
    )
    assert found.objective == pytest.approx(best, rel=1e-7)
    assert found.bound == pytest.approx(best, rel=1e-7)
    assert found.separate <= best * (1 + 1e-9)
