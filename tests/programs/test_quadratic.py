"""Quadratic programs with singular curvature: solved, or distinguished as infeasible and unbounded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import Block, CompiledProgram, Index, ParametricProgram, Termination
from multiscale.programs.optimality import has_feasible_point, is_unbounded_below, residual
from multiscale.programs.quadratic import interior_point


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
