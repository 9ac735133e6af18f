"""Quadratic programs with singular curvature: solved, or distinguished as infeasible and unbounded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import Block, CompiledProgram, Index, ParametricProgram, Termination
from multiscale.programs.optimality import has_feasible_point, is_unbounded_below, residual
from multiscale.programs.quadratic import interior_point, solve_quadratic


def program(Q, c, A, b, equality, lower, upper):
    n, m = len(c), len(b)
    names = [np.arange(k) for k in (n, m)]
    return ParametricProgram(
        name="quadratic",
        columns=Index((Block("x", {"column": names[0]}, "", 0),)),
        rows=Index((Block("row", {"row": names[1]}, "", 0),)),
        parameters=Index(()),
        A=sparse.csr_matrix(np.asarray(A, dtype=float).reshape(m, n)),
        b0=np.asarray(b, dtype=float),
        B=sparse.csr_matrix((m, 0)),
        equality=np.asarray(equality, dtype=bool),
        c0=np.asarray(c, dtype=float),
        C=sparse.csr_matrix((n, 0)),
        lower=np.asarray(lower, dtype=float),
        upper=np.asarray(upper, dtype=float),
        Q=sparse.csr_matrix(np.asarray(Q, dtype=float)),
    )


def random_program(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 6)), int(rng.integers(0, 5))
    root = rng.integers(-1, 3, (n, int(rng.integers(1, n + 1))))
    lower = np.where(rng.random(n) < 0.2, -np.inf, rng.integers(-2, 1, n))
    upper = np.where(rng.random(n) < 0.5, np.inf, rng.integers(1, 6, n))
    A, inside = rng.integers(-2, 4, (m, n)), rng.integers(0, 2, n)
    equality = rng.random(m) < 0.3
    b = A @ inside + np.where(equality, 0, rng.integers(0, 3, m))
    return program(root @ root.T, rng.integers(-3, 4, n), A, b, equality, lower, upper)


def test_answers_satisfy_the_optimality_conditions():
    nothing, found = np.zeros(0), {True: 0, False: 0}
    for seed in range(150):
        p = random_program(seed)
        assert has_feasible_point(p, nothing)
        unbounded = is_unbounded_below(p, nothing)
        solution = CompiledProgram(p).solve(nothing)
        found[unbounded] += 1
        if unbounded:
            assert solution.termination is Termination.UNBOUNDED
            continue
        assert solution.termination is Termination.OPTIMAL
        assert residual(p, nothing, solution.x, solution.y) <= 1e-6
        x, y = interior_point(p, nothing)
        assert residual(p, nothing, x, y) <= 1e-5
        assert p.objective(x, nothing) == pytest.approx(p.objective(solution.x, nothing), abs=1e-6)
    assert min(found.values()) >= 3


def test_a_bounded_program_with_a_flat_direction_is_not_called_unbounded():
    # HiGHS 1.15 calls this one unbounded, though no cost is negative.
    p = program([[1, 2], [2, 4]], [0, 1], np.zeros((0, 2)), [], [], [0, 0], [np.inf, np.inf])
    solution = CompiledProgram(p).solve(np.zeros(0))
    assert solution.termination is Termination.OPTIMAL
    # Along the flat direction an objective within rounding leaves the columns free by its root.
    assert solution.objective == pytest.approx(0, abs=1e-9)
    assert solution.x == pytest.approx([0, 0], abs=1e-5)


def test_an_infeasible_quadratic_program_is_called_so():
    p = program([[1, 0], [0, 0]], [0, 0], [[1, 1], [-1, -1]], [1, -2], [False, False], [0, 0], [np.inf, np.inf])
    assert CompiledProgram(p).solve(np.zeros(0)).termination is Termination.INFEASIBLE


def test_squared_voltages_next_to_powers_are_as_exact_as_these():
    # A feeder of 40 buses that feeds in 8 MW: flows of kW and squared voltages near 1 in one program.
    n, draw = 40, np.random.default_rng(0)
    one, behind, before = sparse.identity(n), sparse.eye(n, k=1), sparse.eye(n, k=-1)
    flows = sparse.hstack([-one, one - behind, 0 * one])
    drops = sparse.hstack([0 * one, 2e-5 * one, one - before])
    total = sparse.hstack([sparse.csr_matrix(np.ones((1, n))), sparse.csr_matrix((1, 2 * n))])
    matrix = sparse.vstack([flows, drops, total]).tocsr()
    rhs = np.concatenate([np.zeros(n), [1.1], np.zeros(n - 1), [-8000.0]])
    lower = np.concatenate([np.full(n, -400.0), np.full(n, -1e5), np.full(n, 0.8)])
    upper = np.concatenate([400.0 * draw.uniform(0, 1, n), np.full(n, 1e5), np.full(n, 3.0)])
    curvature = np.concatenate([draw.uniform(0.5, 2.0, n), np.zeros(2 * n)])
    found = solve_quadratic(curvature, np.zeros(3 * n), matrix, rhs, np.ones(len(rhs), dtype=bool), lower, upper, accuracy=1e-9)
    assert found is not None
    assert np.abs(matrix @ found[0] - rhs).max() < 1e-8
    assert (found[0] >= lower - 1e-9).all()
    assert (found[0] <= upper + 1e-9).all()
