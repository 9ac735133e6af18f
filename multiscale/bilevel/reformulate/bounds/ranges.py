"""What a price multiplies at any optimum of a follower, whatever the leader decides.

Let ``x0`` be feasible at every decision, with the level ``s0`` and the slope ``w0``. An optimal answer with the slope ``w`` costs no more,

    s + tau w  <=  s0 + tau w0       so that       s + t (w - w0) <= s0,    t = the least price if w > w0, the largest if w < w0,

for ``tau (w - w0)`` is at least ``t (w - w0)``. With the follower's rows that is a linear program for either end of ``w``; ``x0`` is the best such
answer at the price of that end.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower, Leader
from multiscale.bilevel.solvers.linear_program import LinearProgram, simplex_or_crossover
from multiscale.programs import CompiledProgram, Termination


def slope_range(leader: Leader, follower: Follower, price: int, seconds: float) -> tuple[float, float]:
    """Least and largest ``C_k'x`` over all optima of a linear follower; infinite where nothing is proven.

    Nothing is where no answer fits every decision, the price has no bounds, or other leader variables stand in the costs.
    """
    program = follower.program
    rows = program.B.tocsr()
    touched = np.diff(rows.indptr) > 0
    bounded = np.isfinite(leader.lower[price]) and np.isfinite(leader.upper[price])
    if not (follower.is_linear and bounded and np.array_equal(follower.cost_columns, [price])) or (program.equality & touched).any():
        return -np.inf, np.inf
    low, high = rows.multiply(leader.lower[None, :]), rows.multiply(leader.upper[None, :])
    least, most = (program.b0 + np.asarray(ends.sum(axis=1)).ravel() for ends in (low.minimum(high), low.maximum(high)))
    if not (np.isfinite(least).all() and np.isfinite(most).all()):
        return -np.inf, np.inf
    slope = np.asarray(program.C.tocsc()[:, [price]].todense()).ravel()
    method = simplex_or_crossover(program.rows.size + program.columns.size)
    deadline = time.perf_counter() + seconds
    narrow = CompiledProgram(replace(program, b0=least, B=sparse.csr_matrix(program.B.shape)), method=method, time_limit=_left(deadline) / 2.0)
    found = []
    for sign, end in ((1.0, leader.upper[price]), (-1.0, leader.lower[price])):
        decision = np.where(np.isfinite(leader.lower), leader.lower, 0.0)
        decision[price] = end
        answer = narrow.solve(decision)
        ceiling = -np.inf * sign
        if answer.termination is Termination.OPTIMAL:
            level, at = float(program.c0 @ answer.x), float(slope @ answer.x)
            matrix = sparse.vstack([program.A, sparse.csr_matrix(program.c0 + end * slope)], format="csr")
            limit = level + end * at
            upper = np.append(most, limit + 1e-9 * max(1.0, abs(limit)))
            lower = np.append(np.where(program.equality, program.b0, -np.inf), -np.inf)
            reached = LinearProgram(matrix, lower, upper, program.lower, program.upper, sign * slope, time_limit=_left(deadline)).solve()
            if reached.status == "optimal":
                value = float(slope @ reached.x)
                value -= sign * 1e-6 * max(1.0, abs(value))
                ceiling = min(value, at) if sign > 0 else max(value, at)
        found.append(ceiling)
    return found[0], found[1]


def _left(deadline: float) -> float:
    """Seconds left, one at least."""
    return max(1.0, deadline - time.perf_counter())
