"""Members to whom several answers cost the same: the plan counts on the one that is best for society, and is proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from multiscale.markets import Multiclass
from multiscale.planning import planning_problem
from multiscale.planning.decomposition import answer
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.solving import solve_plan
from multiscale.programs import CompiledProgram
from multiscale.programs.selection import least_second_cost
from multiscale.system import Economics
from multiscale.tariffs import standard_components
from multiscale.timeline import Horizon
from tests.programs.random_programs import random_program

FEE = standard_components()["trading_fee"].price


def plan(system, premium):
    """A member of low income may sell its green energy and buy other energy back: the buyer gains the premium, and a fee is paid for the latter."""
    horizon = Horizon((pd.Timestamp("2016-06-15"),), (366.0,), 4.0)
    here = system.cut(["north 1", "north 2"])
    fleets = {p: here.fleet(p, horizon) for p in ("north 1", "north 2")}
    price = 0.06 * (1.0 + 0.5 * np.sin(np.arange(horizon.periods)))
    market = Multiclass(green_premium=premium, low_income=("household",), philanthropic=())
    problem = planning_problem(here, "north", horizon, Economics(), fleets, here.options, price, market, view="members")
    return solve_plan(problem, gap_eur=1.0, gap=1e-9, solve_limit=600)


def test_a_premium_as_large_as_the_fee_is_planned_for(system, monkeypatch):
    """What the plan counts on is where the answers go when members prefer what is best for society by as little as you like."""
    tied, above = plan(system, FEE), plan(system, FEE * (1 + 1e-6))
    assert tied.status == above.status == "optimal"
    assert tied.objective == pytest.approx(above.objective, abs=0.5)
    assert tied.follower_gap <= 1e-9
    monkeypatch.setattr(JointAnswers, "best_for_society", lambda *given: given[-1])
    assert plan(system, FEE).objective == pytest.approx(tied.objective, rel=1e-12)
    monkeypatch.setattr(answer, "least_second_cost", lambda solution, *_: solution.x)
    assert plan(system, FEE).status == "feasible"


def test_the_least_second_cost_is_that_of_a_program_with_the_first_as_a_limit():
    """Against a solver that is given both stages, on programs with many optima."""
    for seed in range(20):
        program = random_program(seed, columns=9, rows=5)
        rng = np.random.default_rng(seed)
        first = np.where(rng.uniform(size=9) < 0.6, 0.0, program.c0)
        second, kept = rng.normal(size=9), np.eye(9)[0]
        solution = CompiledProgram(replace(program, c0=first, C=0 * program.C)).solve_optimal(np.zeros(program.parameters.size))
        x = least_second_cost(solution, second, kept)
        equal, rows = program.equality, program.A.toarray()
        found = linprog(
            second,
            A_ub=np.vstack([rows[~equal], first]),
            b_ub=np.append(program.b0[~equal], first @ solution.x + 1e-9),
            A_eq=np.vstack([rows[equal], kept]),
            b_eq=np.append(program.b0[equal], solution.x[0]),
            bounds=np.column_stack([program.lower, program.upper]),
        )
        assert first @ x == pytest.approx(first @ solution.x, abs=1e-8)
        assert second @ x == pytest.approx(found.fun, abs=1e-6)
