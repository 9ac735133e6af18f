"""Cuts that bound a follower's cost from above by any answer already known.

If ``x'`` satisfies the follower's rows at ``y`` up to overflows ``v_i(y) >= 0``, then for every optimal dual with ``-M_i <= lambda_i``

    optimum(y)  <=  c(y)'x' + sum_i M_i v_i(y),

for ``optimum`` is convex in the right-hand side with the duals as slopes. With binaries ``u`` in a row, ``v_i`` is at most its value
with the binary at the wrong side, times how far the binary is on that side. No bound is needed where ``x'`` needs no capacity
beyond the least one: such an answer ``x0`` is feasible whatever the leader decides, and ``c(y)'x0`` is a ceiling of the optimum. What
a binary at the wrong side may cost is therefore never more than

    N  =  max over y of  c(y)'x0 - c(y)'x',

also where nothing is proven of the multipliers: with one binary charged ``N`` the cut is no lower than the ceiling.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower, Leader
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.solvers.linear_program import simplex_or_crossover
from multiscale.programs import CompiledProgram, Termination

Plane = tuple[np.ndarray, float]
"""Coefficients ``a`` over the leader's variables and constant ``b`` of ``a'y + b``."""


def cost_ceiling(leader: Leader, follower: Follower, y: np.ndarray) -> Plane | None:
    """A plane above the follower's optimum at every leader decision; None where no answer is feasible at all of them.

    The answer is the best at the prices of ``y`` under the least right-hand side that any decision leaves to each row.
    """
    program = follower.program
    touched = np.diff(program.B.tocsr().indptr) > 0
    if (program.equality & touched).any() or not follower.is_linear:
        return None
    least = program.b0 + _least(leader, program.B.tocsr())
    if not np.isfinite(least).all():
        return None
    method = simplex_or_crossover(program.rows.size + program.columns.size)
    solution = CompiledProgram(replace(program, b0=least, B=sparse.csr_matrix(program.B.shape)), method=method).solve(y)
    if solution.termination is not Termination.OPTIMAL:
        return None
    return _cost(follower, solution.x)


def value_cut(leader: Leader, follower: Follower, bounds: DualBounds, x: np.ndarray, ceiling: Plane | None = None) -> Plane | None:
    """A plane with ``optimum(y) <= a'y + b`` at every leader decision, by the answer ``x``; None where no proof is at hand.

    Args:
        leader, follower: as described.
        bounds: proven bounds of the multipliers.
        x: columns of the follower, feasible at some decision.
        ceiling: see ``cost_ceiling``.
    """
    program = follower.program
    slack = program.b0 - program.A @ x
    matrix = program.B.tocsr()
    weights, constant = _cost(follower, x)
    tolerance = 1e-9 * (1.0 + np.abs(program.b0))
    touched = np.diff(matrix.indptr) > 0
    if (np.abs(slack[program.equality & ~touched]) > 1e-6 * (1 + np.abs(program.b0[program.equality & ~touched]))).any():
        return None
    if (program.equality & touched).any():
        return None
    highest = np.inf if ceiling is None else _largest(leader, ceiling[0] - weights, ceiling[1] - constant)
    # What a binary costs at 0 and at 1.
    at_zero, at_one = np.zeros(leader.size), np.zeros(leader.size)
    least = slack + _least(leader, matrix)
    for i in np.flatnonzero(touched & (least < -tolerance)):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        columns, values = matrix.indices[part], matrix.data[part]
        if columns.size != 1 or not leader.is_binary(int(columns[0])):
            return None
        k, value, price = int(columns[0]), float(values[0]), -float(bounds.lower[i])
        # The overflow is its value at 0 or at 1; between binaries the line is exact.
        for side, overflow in ((at_zero, -slack[i]), (at_one, -(slack[i] + value))):
            if overflow > 0.0:
                side[k] += price * overflow
    at_zero, at_one = np.minimum(at_zero, highest), np.minimum(at_one, highest)
    if not (np.isfinite(at_zero).all() and np.isfinite(at_one).all()):
        return None
    return weights + at_one - at_zero, constant + float(at_zero.sum())


def _cost(follower: Follower, x: np.ndarray) -> Plane:
    program = follower.program
    return np.asarray(program.C.T @ x).ravel() + program.d, float(program.c0 @ x) + program.d0


def _least(leader: Leader, matrix: sparse.csr_matrix) -> np.ndarray:
    """The least ``B y`` of every row over the leader's box."""
    low, high = matrix.multiply(leader.lower[None, :]), matrix.multiply(leader.upper[None, :])
    return np.asarray(low.minimum(high).sum(axis=1)).ravel()


def _largest(leader: Leader, weights: np.ndarray, constant: float) -> float:
    """The largest value of a plane over the leader's box, not below zero."""
    used = np.flatnonzero(weights)
    ends = weights[used] * np.where(weights[used] > 0, leader.upper[used], leader.lower[used])
    return max(0.0, constant + float(ends.sum()))
