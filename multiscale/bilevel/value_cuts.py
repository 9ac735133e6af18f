"""Cuts that bound a follower's cost from above by any answer already known.

If ``x'`` satisfies the follower's rows at ``y`` up to overflows ``v_i(y) >= 0``, then for every optimal dual with ``-M_i <= lambda_i``

    optimum(y)  <=  c(y)'x' + sum_i M_i v_i(y),

for ``optimum`` is convex in the right-hand side with the duals as slopes. With binaries ``u`` in a row, ``v_i`` is at most its value
with the binary at the wrong side, times how far the binary is on that side. No bound is needed where ``x'`` needs no capacity
beyond the least one.
"""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.description import Follower, Leader


def value_cut(leader: Leader, follower: Follower, bounds: DualBounds, x: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Coefficients ``a`` over the leader's variables and constant ``b`` of ``optimum(y) <= a'y + b``; None where no proof is at hand."""
    program = follower.program
    slack = program.b0 - program.A @ x
    matrix = program.B.tocsr()
    weights = np.asarray(program.C.T @ x).ravel() + program.d
    constant = float(program.c0 @ x) + program.d0
    tolerance = 1e-9 * (1.0 + np.abs(program.b0))
    touched = np.diff(matrix.indptr) > 0
    if (np.abs(slack[program.equality & ~touched]) > 1e-6 * (1 + np.abs(program.b0[program.equality & ~touched]))).any():
        return None
    if (program.equality & touched).any():
        return None
    for i in np.flatnonzero(touched):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        columns, values = matrix.indices[part], matrix.data[part]
        least = slack[i] + float(np.minimum(values * leader.lower[columns], values * leader.upper[columns]).sum())
        if least >= -tolerance[i]:
            continue
        if columns.size != 1 or not leader.is_binary(int(columns[0])) or not np.isfinite(bounds.lower[i]):
            return None
        k, value = int(columns[0]), float(values[0])
        off, on = max(0.0, -slack[i]), max(0.0, -(slack[i] + value))
        # The overflow is off at u = 0 and on at u = 1; between binaries the line is exact.
        price = -float(bounds.lower[i])
        constant += price * off
        weights[k] += price * (on - off)
    return weights, constant
