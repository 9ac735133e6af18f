"""One answer out of many: where a linear program has several optima, the one that a stated rule selects.

What a solver returns among optima of equal cost depends on its starting point and on the order of rows and columns. A second stage makes the answer a
property of the problem:

    x optimal  <=>  x feasible and complementary to any optimal dual (y, r):    x_j at its bound where r_j != 0,   row i binding where y_i != 0
    select      min  sum_k w_k (E x)_k^2    over the optimal x        (``smallest_squares``)
            or  min  c'x                    over the optimal x        (``least_second_cost``)

The selected ``E x``, or ``c'x``, is unique, since the objective is strictly convex in it, or is it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.programs.build import ProgramBuilder
from multiscale.programs.highs import ProgramError
from multiscale.programs.program import ParametricProgram
from multiscale.programs.quadratic import solve_quadratic
from multiscale.programs.solve import CompiledProgram, ProgramSolution

ZERO = 1e-9
"""A reduced cost below this share of the amounts that it is the sum of is rounding, and so is a dual that is no more than that in any reduced cost.
The largest cost of the program is no measure: at a value of lost load of 1,000 EUR/kWh, real differences of energy prices are nine orders smaller."""

ACCURACY = (1e-12, 1e-10, 1e-9)
"""Accuracies of the second stage that are tried: the first may stall near rounding."""

COST_MARGIN = 1e-8
"""Largest difference of cost of the selected answer and the optimum, relative to the sum of all costs by amount: those of the columns, and those of
the rows at their duals, since an error in the last digits of a row costs its dual."""


def smallest_squares(solution: ProgramSolution, matrix: sparse.spmatrix, weights: np.ndarray) -> np.ndarray:
    """The optimal columns with the smallest weighted sum of squares of ``matrix x``.

    Args:
        solution: an optimal answer of a linear program.
        matrix: E, (quantity, column).
        weights: w, (quantity,), above zero.

    Raises:
        ProgramError: the second stage was not solved, or its answer does not cost the optimum.
    """
    program, p = solution.program, solution.parameters
    costs, rhs, reduced = program.costs(p), program.rhs(p), solution.reduced_costs
    rows = program.A.tocsr()
    zero, zero_dual = _rounding(costs, rows, solution.y)
    free = (np.abs(reduced) <= zero) & (program.upper > program.lower)
    x = np.where(free, 0.0, solution.x)
    equality = program.equality | (np.abs(solution.y) > zero_dual)
    x, free = _determined(rows, equality, x, free, solution.x)
    squares = sparse.csr_matrix(matrix)
    if squares[:, free].nnz:
        x[free] = _least(program, rhs - rows @ np.where(free, 0.0, x), rows, equality, squares, squares @ np.where(free, 0.0, x), weights, free)
    else:
        # One optimum, or all of them have the same quantities.
        x[free] = solution.x[free]
    off = abs(program.objective(x, p) - solution.objective)
    amounts = np.maximum(np.abs(x), np.abs(solution.x))
    scale = float(np.abs(costs) @ amounts + np.abs(solution.y) @ (abs(rows) @ amounts)) + 1.0
    if off > COST_MARGIN * scale:
        raise ProgramError(f"program {program.name!r}: the selected answer costs {off:.3g} more or less than the optimum ({solution.objective:.6g})")
    return x


def least_second_cost(solution: ProgramSolution, cost: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The optimal columns with the least ``c'x`` among those with the same ``k'x``.

    Args:
        solution: an optimal answer of a linear program.
        cost: c, (column,).
        kept: k, (column,).

    Raises:
        ProgramError: the second stage was not solved.
    """
    program, p = solution.program, solution.parameters
    rows = program.A.tocsr()
    zero, zero_dual = _rounding(program.costs(p), rows, solution.y)
    free = (np.abs(solution.reduced_costs) <= zero) & (program.upper > program.lower)
    columns, fixed = np.flatnonzero(free), np.where(free, 0.0, solution.x)
    held = np.flatnonzero(np.diff(rows[:, columns].indptr))
    part = program.part(held, columns)
    stage = replace(
        part,
        b0=(program.rhs(p) - rows @ fixed)[held],
        equality=part.equality | (np.abs(solution.y) > zero_dual)[held],
        c0=np.asarray(cost, dtype=float)[columns],
        B=sparse.csr_matrix(part.B.shape),
        C=sparse.csr_matrix(part.C.shape),
        d=np.zeros(len(part.d)),
    )
    builder = ProgramBuilder.continuing(stage)
    (at,) = np.nonzero(kept[columns])
    terms = [(kept[columns][at][None, :], at[None, :])]
    builder.add_rows("kept", {"kept": np.arange(1)}, terms, "==", float(kept @ (solution.x - fixed)), unit="", description="what is to stay as it is")
    x = solution.x.copy()
    x[columns] = CompiledProgram(builder.build()).solve_optimal(p).x
    return x


def _rounding(costs: np.ndarray, rows: sparse.csr_matrix, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Up to which amount a reduced cost (per column) and a dual (per row) is rounding.

    The reduced cost ``c_j - sum_i A_ij y_i`` is rounding up to ``e_j = ZERO (1 + |c_j| + sum_i |A_ij y_i|)``, the dual up to ``min_j e_j / |A_ij|``.
    """
    zero = ZERO * (1.0 + np.abs(costs) + abs(rows).T @ np.abs(y))
    entries = abs(rows).tocoo()
    held = entries.data > 0.0
    zero_dual = np.full(rows.shape[0], ZERO)
    zero_dual[entries.row[held]] = np.inf
    np.minimum.at(zero_dual, entries.row[held], zero[entries.col[held]] / entries.data[held])
    return zero, zero_dual


def _least(
    program: ParametricProgram,
    left: np.ndarray,
    rows: sparse.csr_matrix,
    equality: np.ndarray,
    squares: sparse.csr_matrix,
    fixed: np.ndarray,
    weights: np.ndarray,
    free: np.ndarray,
) -> np.ndarray:
    """The free columns with the smallest weighted sum of squares, at what the others leave of the right sides and contribute to the quantities.

    Raises:
        ProgramError: not solved.
    """
    inner = rows[:, free]
    held = np.diff(inner.indptr) > 0
    quantities = squares.shape[0]
    # min sum w q^2 with q = E x: the curvature is diagonal.
    both = sparse.vstack(
        [
            sparse.hstack([inner[held], sparse.csr_matrix((int(held.sum()), quantities))]),
            sparse.hstack([squares[:, free], -sparse.identity(quantities)]),
        ],
        format="csr",
    )
    curvature = np.concatenate([np.zeros(int(free.sum())), weights / weights.max()])
    bounds = [np.concatenate([side[free], np.full(quantities, end)]) for side, end in ((program.lower, -np.inf), (program.upper, np.inf))]
    right, equations = np.concatenate([left[held], -fixed]), np.concatenate([equality[held], np.ones(quantities, dtype=bool)])
    for accuracy in ACCURACY:
        found = solve_quadratic(curvature, np.zeros(len(curvature)), both, right, equations, *bounds, accuracy=accuracy)
        if found is not None:
            return np.clip(found[0][: int(free.sum())], program.lower[free], program.upper[free])
    raise ProgramError(f"program {program.name!r}: the answer with the smallest sum of squares among the optimal ones was not found")


def _determined(rows: sparse.csr_matrix, equality: np.ndarray, x: np.ndarray, free: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns with a value that equations with one free column give them, and which are left free.

    Their value is the one that they have in the known optimal answer: every optimum has it.
    """
    x, free, equations = x.copy(), free.copy(), rows[equality].tocoo()
    count = equations.shape[0]
    while True:
        open_entry = free[equations.col]
        row, column = equations.row[open_entry], equations.col[open_entry]
        places = np.unique(column[np.bincount(row, minlength=count)[row] == 1])
        if not len(places):
            return x, free
        x[places] = known[places]
        free[places] = False
