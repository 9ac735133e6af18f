"""Quadratic programs by an interior point method: where HiGHS's active set fails, and the steps of coordination that keep prices from jumping.

HiGHS solves quadratic programs by an active set, which is slow beyond a few hundred columns; Clarabel needs tens of iterations whatever the size.

Source: P. Goulart and Y. Chen, Clarabel: an interior-point solver for conic programs with quadratic objectives, arXiv 2405.12762 (2024).
"""

from __future__ import annotations

import clarabel
import numpy as np
from scipy import sparse

from multiscale.programs.program import ParametricProgram


def solve_quadratic(
    quadratic: np.ndarray | sparse.spmatrix,
    linear: np.ndarray,
    matrix: sparse.spmatrix,
    rhs: np.ndarray,
    equality: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    accuracy: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The point and the row duals of a convex quadratic program, or None where the solver found none.

        min  x' quadratic x / 2 + linear'x    s.t.   (matrix x)_i = or <= rhs_i,    lower <= x <= upper

    The answer is as exact as an interior point is (``accuracy``, relative): use it to choose where to look, never as a certificate.

    Args:
        quadratic: positive semidefinite matrix, or its diagonal where it has nothing else.
        linear: (column,).
        matrix, rhs, equality: rows; those without ``equality`` are ``<=``.
        lower, upper: bounds, may be infinite.
        accuracy: of feasibility and duality gap.

    Returns:
        Columns, and duals as sensitivities of the optimum to ``rhs``.
    """
    n = len(linear)
    # The solver measures feasibility relative to the largest of all rows: squared voltages next to kW would have errors of 1e-5.
    by_row, by_column = _scales(matrix)
    rows = sparse.diags(by_row) @ sparse.csr_matrix(matrix) @ sparse.diags(by_column)
    rhs, lower, upper = rhs * by_row, lower / by_column, upper / by_column
    quadratic = sparse.diags(by_column) @ quadratic @ sparse.diags(by_column) if sparse.issparse(quadratic) else quadratic * by_column**2
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
    curvature = sparse.triu(quadratic, format="csc") if sparse.issparse(quadratic) else sparse.diags(quadratic, format="csc")
    found = clarabel.DefaultSolver(curvature, linear * by_column, stacked, offsets, cones, settings).solve()
    if found.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    duals = np.zeros(len(rhs))
    z = np.array(found.z)
    duals[equality], duals[~equality] = -z[:equations], -z[equations : len(rhs)]
    return np.array(found.x) * by_column, duals * by_row


def _scales(matrix: sparse.spmatrix, passes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Factors of rows and columns, powers of two, after which the entries of each have a geometric mean near 1."""
    entries = abs(sparse.csr_matrix(matrix)).tocoo()
    kept = entries.data > 0
    row, column, size = entries.row[kept], entries.col[kept], np.log2(entries.data[kept])
    in_row, in_column = (np.maximum(np.bincount(at, minlength=n), 1) for at, n in zip((row, column), entries.shape, strict=True))
    by_row, by_column = (np.zeros(n) for n in entries.shape)
    for _ in range(passes):
        by_row = -np.bincount(row, size + by_column[column], minlength=len(by_row)) / in_row
        by_column = -np.bincount(column, size + by_row[row], minlength=len(by_column)) / in_column
    return np.exp2(np.round(by_row)), np.exp2(np.round(by_column))


def interior_point(program: ParametricProgram, p: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Columns and row duals of a program at the parameters ``p``, as exact as they can be had; None where there are none.

    Check the answer with ``optimality.residual``.
    """
    quadratic = program.Q if program.Q is not None else np.zeros(program.columns.size)
    # A tolerance near rounding now and then stalls: the next one is as good as any answer can be then.
    for accuracy in (1e-11, 1e-9):
        found = solve_quadratic(
            quadratic, program.costs(p), program.A, program.rhs(p), program.equality, program.lower, program.upper, accuracy=accuracy
        )
        if found is not None:
            x, y = found
            return np.clip(x, program.lower, program.upper), np.where(program.equality, y, np.minimum(y, 0.0))
    return None
