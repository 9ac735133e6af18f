"""Proven multiplier bounds leave an optimal dual in the box, at every leader decision."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from multiscale import bilevel
from multiscale.bilevel.reformulate.bounds.dual_bounds import no_bounds
from multiscale.bilevel.reformulate.bounds.prove import prove_bounds, with_quantity_bounds
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.search.tighten import tighten_leader
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import CompiledProgram, Termination
from tests.bilevel.feeder import feeder


def random_problem(seed):
    """A small network market: demands with shedding, free flows on limited lines, bounded generators, binaries that add capacity."""
    rng = np.random.default_rng(seed)
    nodes = 4
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(-0.5, 1.5))
    m.build = pyo.Var(range(1, nodes), domain=pyo.Binary)
    low = m.low = pyo.Block()
    low.shed = pyo.Var(range(nodes), bounds=(0, None))
    low.spill = pyo.Var(range(nodes), bounds=(0, None if seed % 2 else 2.0))
    low.gen = pyo.Var(range(nodes), bounds=(0, float(rng.uniform(1, 4))))
    low.flow = pyo.Var(range(1, nodes))
    demand = rng.uniform(0.5, 2, nodes)
    parent = {n: int(rng.integers(0, n)) for n in range(1, nodes)}

    def balance(b, n):
        arriving = b.flow[n] if n else 0
        leaving = sum(b.flow[c] for c in range(1, nodes) if parent[c] == n)
        return b.gen[n] + b.shed[n] - b.spill[n] + arriving - leaving == float(demand[n])

    low.balance = pyo.Constraint(range(nodes), rule=balance)
    low.forward = pyo.Constraint(range(1, nodes), rule=lambda b, n: b.flow[n] <= 0.4 + m.build[n])
    low.backward = pyo.Constraint(range(1, nodes), rule=lambda b, n: -b.flow[n] <= 0.4 + m.build[n])
    cost = rng.uniform(0.2, 2, nodes)
    low.objective = pyo.Objective(expr=sum((float(cost[n]) + float(n == 0) * m.price) * low.gen[n] + 6 * low.shed[n] for n in range(nodes)))
    m.objective = pyo.Objective(expr=m.price * low.gen[0])
    return bilevel.read_model(m, [m.low]).problem


def best_dual_within(program, y, bounds):
    """Optimum of the dual program with the duals kept in their bounds."""
    costs, rhs = program.costs(y), program.rhs(y)
    n = program.columns.size
    low, high = np.isfinite(program.lower), np.isfinite(program.upper)
    eye = sparse.identity(n, format="csr")
    matrix = sparse.hstack([program.A.T, eye[:, low], -eye[:, high]], format="csr")
    gain = np.concatenate([rhs, program.lower[low], -program.upper[high]])
    lower = np.concatenate([bounds.lower, np.zeros(low.sum() + high.sum())])
    upper = np.concatenate([bounds.upper, np.full(low.sum() + high.sum(), np.inf)])
    return -LinearProgram(matrix, costs, costs, lower, upper, -gain).solve().value + program.constant(y)


@pytest.mark.parametrize("seed", range(8))
def test_an_optimal_dual_lies_within_the_bounds(seed):
    problem = random_problem(seed)
    program = problem.followers[0].program
    needed = np.unique(program.B.tocsc().indices)
    bounds = prove_bounds(problem, 0, needed, time_limit=20)
    assert bounds.proven(needed)
    assert bounds.how
    rng = np.random.default_rng(seed)
    compiled = CompiledProgram(program)
    for _ in range(10):
        y = np.where(problem.leader.integral, rng.integers(0, 2, problem.leader.size), rng.uniform(-0.5, 1.5, problem.leader.size))
        solution = compiled.solve(y)
        assert solution.termination is Termination.OPTIMAL
        assert best_dual_within(program, y, bounds) == pytest.approx(solution.objective, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_quantities_of_optimal_answers_lie_in_their_ranges(seed):
    problem = random_problem(seed)
    program = problem.followers[0].program
    bounds = with_quantity_bounds(problem, 0, prove_bounds(problem, 0, np.unique(program.B.tocsc().indices)), time_limit=10)
    (k,) = bounds.quantities
    low, high = bounds.quantities[k]
    rng = np.random.default_rng(seed)
    compiled = CompiledProgram(program)
    for _ in range(20):
        y = np.where(problem.leader.integral, rng.integers(0, 2, problem.leader.size), rng.uniform(-0.5, 1.5, problem.leader.size))
        quantity = float((program.C.T @ compiled.solve(y).x)[k])
        assert low <= quantity <= high


def test_one_price_needs_no_multipliers_for_its_range():
    """The range over the relaxed optimality set, whose programs have twice the columns, ended at 1,109 kWh instead of 504."""
    case = feeder(15, 24, 1, hard=True)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    leader, program = problem.leader, problem.followers[0].program
    ((k, (low, high)),) = bounds_for(problem, 0, "branch_and_cut", 60.0).quantities.items()
    assert 0.0 < low < high < 600.0
    rng = np.random.default_rng(0)
    compiled = CompiledProgram(program)
    for _ in range(5):
        y = np.where(leader.integral, rng.integers(0, 2, leader.size), rng.uniform(leader.lower, leader.upper))
        assert low <= float((program.C.T @ compiled.solve(y).x)[k]) <= high


def test_nothing_is_claimed_where_nothing_can_be_proven():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 10))
    m.low = pyo.Block()
    m.low.y = pyo.Var(bounds=(0, 10))
    # At x = 0 the follower just loses its only point: its multiplier has no bound near there.
    m.low.row = pyo.Constraint(expr=m.low.y <= m.x)
    m.low.other = pyo.Constraint(expr=m.low.y >= 0 * m.x)
    m.low.objective = pyo.Objective(expr=-m.low.y)
    m.objective = pyo.Objective(expr=m.x)
    problem = bilevel.read_model(m, [m.low]).problem
    bounds = no_bounds(problem.followers[0])
    assert not bounds.proven(np.array([0]))
    m.low.y.setlb(None)
    m.low.fixed = pyo.Constraint(expr=m.low.y == 0.1 * m.x)
    problem = bilevel.read_model(m, [m.low]).problem
    with pytest.raises(bilevel.BilevelError, match="big_m needs a proven bound"):
        bilevel.solve(m, [m.low], method="big_m", time_limit=10)
    assert problem.followers[0].program.rows.size == 3


def test_implied_bounds_of_a_leader_variable_are_found():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, None))
    m.low = pyo.Block()
    m.low.y = pyo.Var(bounds=(0, 4))
    m.low.row = pyo.Constraint(expr=m.low.y >= m.x - 3)
    m.low.objective = pyo.Objective(expr=m.low.y)
    m.objective = pyo.Objective(expr=-m.x)
    problem = tighten_leader(bilevel.read_model(m, [m.low]).problem)
    assert problem.leader.upper[0] == pytest.approx(7.0, abs=1e-4)
