"""Quadratic programs by an interior point method: the steps of coordination that keep prices and plans from jumping.

HiGHS solves quadratic programs by an active set, which is slow beyond a few hundred columns; Clarabel needs tens of iterations whatever the size.

Source: P. Goulart and Y. Chen, Clarabel: an interior-point solver for conic programs with quadratic objectives, arXiv 2405.12762 (2024).
"""

from __future__ import annotations

import clarabel
import numpy as np
from scipy import sparse


def solve_quadratic(
    quadratic: np.ndarray,
    linear: np.ndarray,
    matrix: sparse.spmatrix,
    rhs: np.ndarray,
    equality: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    accuracy: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The point and the row duals of a separable convex quadratic program, or None where the solver found none.

        min  sum_j (quadratic_j x_j^2 / 2 + linear_j x_j)    s.t.   (matrix x)_i = or <= rhs_i,    lower <= x <= upper

    The answer is as exact as an interior point is (``accuracy``, relative): use it to choose where to look, never as a certificate.

    Args:
        quadratic, linear: (column,), quadratic >= 0.
        matrix, rhs, equality: rows; those without ``equality`` are ``<=``.
        lower, upper: bounds, may be infinite.
        accuracy: of feasibility and duality gap.

    Returns:
        Columns, and duals as sensitivities of the optimum to ``rhs``.
    """
    n = len(linear)
    rows = sparse.csr_matrix(matrix)
    below, above = np.isfinite(lower), np.isfinite(upper)
    identity = sparse.identity(n, format="csr")
    stacked = sparse.vstack([rows[equality], rows[~equality], identity[above], -identity[below]], format="csc")
    offsets = np.concatenate([rhs[equality], rhs[~equality], upper[above], -lower[below]])
    equations = int(equality.sum())
    cones = [clarabel.ZeroConeT(equations)] if equations else []
    if len(offsets) > equations:
        cones.append(clarabel.NonnegativeConeT(len(offsets) - equations))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = accuracy
    found = clarabel.DefaultSolver(sparse.diags(quadratic, format="csc"), linear, stacked, offsets, cones, settings).solve()
    if found.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    duals = np.zeros(len(rhs))
    z = np.array(found.z)
    duals[equality], duals[~equality] = -z[:equations], -z[equations : len(rhs)]
    return np.array(found.x), duals
