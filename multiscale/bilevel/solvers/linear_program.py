"""One linear program in HiGHS from arrays, solved again and again under new objectives."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

_FINISHED = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kModelEmpty: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnbounded: "unbounded",
    highspy.HighsModelStatus.kTimeLimit: "time_limit",
}


@dataclass(frozen=True)
class LinearAnswer:
    """Status (``optimal``, ``infeasible``, ``unbounded``, ``time_limit``, ``error``), value, columns and row duals."""

    status: str
    value: float
    x: np.ndarray
    y: np.ndarray


class LinearProgram:
    """``min c'x`` subject to ``row_lower <= A x <= row_upper``, ``lower <= x <= upper``; integers optional.

    ``time_limit`` [s] holds for all solves of an instance together.
    """

    def __init__(
        self,
        matrix: sparse.spmatrix,
        row_lower: np.ndarray,
        row_upper: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        costs: np.ndarray | None = None,
        integral: np.ndarray | None = None,
        time_limit: float = 60.0,
    ) -> None:
        self.columns = lower.size
        self._ids = np.arange(self.columns, dtype=np.int32)
        self._highs = highspy.Highs()
        # Instances with different thread counts in one process make HiGHS return 'not set'.
        for key, value in {"output_flag": False, "threads": 1, "time_limit": float(time_limit), "random_seed": 1}.items():
            self._highs.setOptionValue(key, value)
        model = highspy.HighsModel()
        lp = model.lp_
        lp.num_col_, lp.num_row_ = self.columns, row_lower.size
        lp.col_cost_ = np.zeros(self.columns) if costs is None else np.asarray(costs, dtype=float)
        lp.col_lower_, lp.col_upper_ = _finite(lower), _finite(upper)
        lp.row_lower_, lp.row_upper_ = _finite(row_lower), _finite(row_upper)
        by_column = sparse.csc_matrix(matrix)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = by_column.indptr, by_column.indices, by_column.data
        if integral is not None and integral.any():
            self._highs.setOptionValue("mip_rel_gap", 1e-9)
            lp.integrality_ = [highspy.HighsVarType.kInteger if flag else highspy.HighsVarType.kContinuous for flag in integral]
        self._highs.passModel(model)

    def change_rows(self, row_lower: np.ndarray, row_upper: np.ndarray) -> None:
        """New limits of all rows."""
        self._highs.changeRowsBounds(row_lower.size, np.arange(row_lower.size, dtype=np.int32), _finite(row_lower), _finite(row_upper))

    def solve(self, costs: np.ndarray | None = None) -> LinearAnswer:
        """Solve, under new costs if given, from the last basis."""
        if costs is not None:
            self._highs.changeColsCost(self.columns, self._ids, np.asarray(costs, dtype=float))
        self._highs.run()
        status = self._highs.getModelStatus()
        if status not in _FINISHED or status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            # Presolve may not tell infeasible from unbounded, and a warm basis now and then ends without an answer.
            self._highs.clearSolver()
            self._highs.setOptionValue("presolve", "off")
            self._highs.run()
            self._highs.setOptionValue("presolve", "choose")
            status = self._highs.getModelStatus()
        solution = self._highs.getSolution()
        name = _FINISHED.get(status, "error")
        if name != "optimal":
            return LinearAnswer(name, np.nan, np.full(self.columns, np.nan), np.zeros(0))
        return LinearAnswer(name, self._highs.getObjectiveValue(), np.array(solution.col_value), np.array(solution.row_dual))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(values, dtype=float), -highspy.kHighsInf, highspy.kHighsInf)
