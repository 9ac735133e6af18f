"""Sharpen a quadratic follower's solution: one correction from the optimality conditions of its active set.

The active-set QP solver in HiGHS leaves residuals up to 1e-5; with the active rows and bounds known, the conditions are linear.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from multiscale.programs import ParametricProgram

_DENSE = 600


def polished(program: ParametricProgram, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solution and duals with smaller residuals, or the given ones where the correction does not help.

    With free columns ``F`` and active rows ``S`` (of each complementary pair, the smaller side is taken as zero):

        Q_FF dx - A_SF' dlambda = -(c + Qx - A'lambda)_F,      A_SF dx = (b - A x)_S        (least norm)
    """
    if program.Q is None:
        return x, multipliers
    rhs, costs = program.rhs(y), program.costs(y)
    reduced = costs + program.Q @ x - program.A.T @ multipliers
    at_lower = (reduced > 0) & (x - program.lower < reduced)
    at_upper = (reduced < 0) & (program.upper - x < -reduced)
    start = np.where(at_lower, program.lower, np.where(at_upper, program.upper, x))
    slack = rhs - program.A @ start
    active = program.equality | (slack < -multipliers)
    held = np.where(active, multipliers, 0.0)
    free = np.flatnonzero(~(at_lower | at_upper))
    rows = np.flatnonzero(active)
    gradient = costs + program.Q @ start - program.A.T @ held
    part = program.A[rows][:, free]
    system = sparse.bmat([[program.Q[free][:, free], -part.T], [part, None]], format="csr")
    target = np.concatenate([-gradient[free], slack[rows]])
    if system.shape[0] <= _DENSE:
        step = np.linalg.lstsq(system.toarray(), target, rcond=None)[0] if system.shape[0] else target
    else:
        step = lsqr(system, target, atol=1e-14, btol=1e-14, iter_lim=2000)[0]
    new_x, new_multipliers = start.copy(), held.copy()
    new_x[free] += step[: free.size]
    new_multipliers[rows] += step[free.size :]
    new_multipliers = np.where(program.equality, new_multipliers, np.minimum(new_multipliers, 0.0))
    if residual(program, y, new_x, new_multipliers) < residual(program, y, x, multipliers):
        return np.clip(new_x, program.lower, program.upper), new_multipliers
    return x, multipliers


def residual(program: ParametricProgram, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray) -> float:
    """Largest violation of the optimality conditions: feasibility, stationarity with signs, and the smaller side of each pair."""
    slack = program.rhs(y) - program.A @ x
    reduced = program.costs(y) - program.A.T @ multipliers
    if program.Q is not None:
        reduced = reduced + program.Q @ x
    rows = np.where(program.equality, np.abs(slack), np.maximum(-slack, np.minimum(np.maximum(slack, 0), np.abs(multipliers))))
    low = np.minimum(np.maximum(reduced, 0.0), np.abs(x - program.lower))
    high = np.minimum(np.maximum(-reduced, 0.0), np.abs(program.upper - x))
    outside = np.maximum(program.lower - x, x - program.upper)
    return float(max(rows.max(initial=0.0), low.max(initial=0.0), high.max(initial=0.0), outside.max(initial=0.0)))
