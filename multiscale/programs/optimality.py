"""Whether an answer solves a program, and why a program without one has none: by conditions and linear programs, not by the solver's status.

HiGHS's active-set method for quadratic programs now and then calls a bounded program unbounded, returns a point that is not optimal, or
does not end when the curvature is singular. Its answers are checked by ``residual``; where one fails, an interior point decides (``quadratic``).
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.memory import run_within_memory
from multiscale.programs.program import ParametricProgram


def residual(program: ParametricProgram, p: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Largest violation of the optimality conditions (feasibility, signs, the smaller side of each pair), relative to 1 + size.

    Infinite if the answer holds a value that is not a number.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return np.inf
    slack = program.rhs(p) - program.A @ x
    costs = program.costs(p)
    reduced = costs - program.A.T @ y
    if program.Q is not None:
        reduced = reduced + program.Q @ x
    row_scale, cost_scale = 1.0 + np.abs(program.rhs(p)), 1.0 + np.abs(costs)
    pair = np.maximum(np.maximum(-slack, y), np.minimum(np.maximum(slack, 0.0), np.maximum(-y, 0.0)))
    rows = np.where(program.equality, np.abs(slack), pair) / row_scale
    column_scale = 1.0 + np.abs(x)
    low = np.minimum(np.maximum(reduced, 0.0) / cost_scale, np.maximum(x - program.lower, 0.0) / column_scale)
    high = np.minimum(np.maximum(-reduced, 0.0) / cost_scale, np.maximum(program.upper - x, 0.0) / column_scale)
    outside = np.maximum(program.lower - x, x - program.upper) / column_scale
    return float(max(part.max(initial=0.0) for part in (rows, low, high, outside)))


def has_feasible_point(program: ParametricProgram, p: np.ndarray) -> bool | None:
    """Whether any ``x`` satisfies the rows and bounds; None if the linear program could not be solved."""
    rhs = program.rhs(p)
    below = np.where(program.equality, rhs, -np.inf)
    status, _ = _linear(program.A, below, rhs, program.lower, program.upper, np.zeros(program.columns.size))
    return {"optimal": True, "infeasible": False}.get(status)


def is_unbounded_below(program: ParametricProgram, p: np.ndarray) -> bool | None:
    """Whether a direction ``d`` with ``Qd = 0``, ``Ad (= or <=) 0`` inside the open bounds has ``c'd < 0``: then a feasible program is unbounded."""
    costs = program.costs(p)
    zero = np.zeros(program.rows.size)
    matrix, low, high = program.A, np.where(program.equality, 0.0, -np.inf), zero
    if program.Q is not None:
        curved = np.flatnonzero(np.diff(program.Q.indptr))
        matrix = sparse.vstack([matrix, program.Q[curved]], format="csr")
        low, high = np.concatenate([low, np.zeros(curved.size)]), np.concatenate([high, np.zeros(curved.size)])
    d_low, d_high = np.where(np.isinf(program.lower), -1.0, 0.0), np.where(np.isinf(program.upper), 1.0, 0.0)
    status, value = _linear(matrix, low, high, d_low, d_high, costs)
    return value < -1e-7 * (1.0 + np.abs(costs).max(initial=0.0)) if status == "optimal" else None


def _linear(
    matrix: sparse.spmatrix, row_low: np.ndarray, row_high: np.ndarray, low: np.ndarray, high: np.ndarray, costs: np.ndarray
) -> tuple[str, float]:
    highs = highspy.Highs()
    for key, value in {"output_flag": False, "threads": 1, "random_seed": 1}.items():
        highs.setOptionValue(key, value)
    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_col_, lp.num_row_ = low.size, row_high.size
    lp.col_cost_ = costs
    ends = [np.clip(part, -highspy.kHighsInf, highspy.kHighsInf) for part in (low, high, row_low, row_high)]
    lp.col_lower_, lp.col_upper_, lp.row_lower_, lp.row_upper_ = ends
    by_column = sparse.csc_matrix(matrix)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = by_column.indptr, by_column.indices, by_column.data
    highs.passModel(model)
    run_within_memory(highs, "a test of feasibility")
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        highs.setOptionValue("presolve", "off")
        run_within_memory(highs, "a test of feasibility")
        status = highs.getModelStatus()
    names = {highspy.HighsModelStatus.kOptimal: "optimal", highspy.HighsModelStatus.kModelEmpty: "optimal"}
    names[highspy.HighsModelStatus.kInfeasible] = "infeasible"
    return names.get(status, "error"), highs.getInfo().objective_function_value
