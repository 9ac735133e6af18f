"""The compiled simplex method for flows with gains: equal to HiGHS on random and degenerate cases, infeasible where it says so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from multiscale.markets.batched.flow import INFEASIBLE_SUM, SOLVED, UPPER, descend, distance
from multiscale.markets.batched.flow_basis import ordered, quantities


def random_flow(seed, rows=12, columns=60, *, even=False):
    """Columns with one or two entries; ``even``: gains of one and whole lengths and costs, so that many bases are degenerate or alike."""
    random = np.random.default_rng(seed)
    at, values = np.full((columns, 2), -1), np.zeros((columns, 2))
    for j in range(columns):
        ends = random.choice(rows, 1 + (random.random() < 0.7), replace=False)
        at[j, : len(ends)] = ends
        values[j, 0], values[j, 1] = 1.0, -1.0 if even else -random.uniform(0.8, 1.1)
    if even:
        length, cost = random.integers(0, 3, columns).astype(float), random.integers(-1, 3, columns).astype(float)
        inside = random.integers(0, 2, columns) * length
    else:
        length, cost, inside = random.uniform(0, 2, columns), random.normal(size=columns), random.random(columns)
        inside = inside * length
    matrix = sum(coo_matrix((values[at[:, k] >= 0, k], (at[at[:, k] >= 0, k], np.flatnonzero(at[:, k] >= 0))), (rows, columns)) for k in (0, 1))
    return cost, matrix @ inside, length, at, np.where(at >= 0, values, 0.0), matrix


def solved(cost, b, length, at, values):
    """Two phases, as members are answered: artificial columns first, which then have no length."""
    m, n = len(b), len(cost)
    at = np.vstack([at, np.stack([np.arange(m), np.full(m, -1)], axis=1)])
    values = np.vstack([values, np.stack([np.where(b >= 0, 1.0, -1.0), np.zeros(m)], axis=1)])
    basis, status, x, y = np.arange(n, n + m), np.zeros(n + m, dtype=np.int8), np.zeros(n + m), np.zeros(m)
    status[n:] = 2
    work = np.zeros((5, m), dtype=np.int64), np.zeros((4, m))
    lengths = np.concatenate([length, np.full(m, np.inf)])
    first = np.concatenate([np.zeros(n), np.ones(m)])
    assert descend(first, b, lengths, at, values, basis, status, x, y, *work)[0] == SOLVED
    if x[n:].sum() > INFEASIBLE_SUM * max(1, np.abs(b).max()):
        return None
    lengths[n:] = 0.0
    costs = np.concatenate([cost, np.zeros(m)])
    assert descend(costs, b, lengths, at, values, basis, status, x, y, *work)[0] == SOLVED
    assert distance(costs, b, lengths, at, values, x, y) <= 1e-9 * (1 + np.abs(costs) @ np.minimum(lengths, 1e9))
    assert (x[:n][status[:n] == UPPER] == length[status[:n] == UPPER]).all()
    return x[:n]


@pytest.mark.parametrize("even", [False, True], ids=["gains of any size", "gains of one, ties"])
def test_least_cost_is_that_of_highs(even):
    for seed in range(60):
        cost, b, length, at, values, matrix = random_flow(seed, even=even)
        x = solved(cost, b, length, at, values)
        exact = linprog(cost, A_eq=matrix, b_eq=b, bounds=np.stack([np.zeros_like(length), length], axis=1))
        assert x is not None
        assert cost @ x == pytest.approx(exact.fun, abs=1e-9 * np.abs(cost).sum())
        np.testing.assert_allclose(matrix @ x, b, atol=1e-9)
        assert ((x >= -1e-9) & (x <= length + 1e-9)).all()


def test_what_cannot_be_met_is_infeasible():
    for seed in range(10):
        cost, b, length, at, values, matrix = random_flow(seed)
        b[0] += np.abs(matrix.toarray()[0]) @ length + 1.0
        assert solved(cost, b, length, at, values) is None


def test_a_cycle_without_gain_has_no_inverse_and_one_with_gain_has():
    """Two columns between the same two rows: dependent where their gains are the same."""
    at, work, rows = np.array([[0, 1], [0, 1]]), np.zeros((3, 2), dtype=np.int64), np.zeros((2, 2), dtype=np.int64)
    assert ordered(np.arange(2), at, *work, *rows) == (True, 0)
    values, out = np.array([[1.0, -0.9], [1.0, -1.0]]), np.zeros(2)
    quantities(np.array([3.0, -2.8]), 0, np.arange(2), at, values, *rows, np.zeros(2), out)
    np.testing.assert_allclose(out, [2.0, 1.0])
    # A row in which nothing is left, and a tree without an end, are said to have none.
    assert not ordered(np.arange(2), np.array([[0, -1], [0, -1]]), *work, *rows)[0]
    assert not ordered(np.arange(2), np.array([[0, 1], [-1, -1]]), *work, *rows)[0]
