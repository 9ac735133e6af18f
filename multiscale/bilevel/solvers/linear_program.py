"""One linear program in HiGHS from arrays, solved again and again under new objectives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.memory import run_within_memory

NAME = "of the leader's search"

_FINISHED = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kModelEmpty: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnbounded: "unbounded",
    highspy.HighsModelStatus.kTimeLimit: "time_limit",
}

_LARGE = 150_000
"""Rows and columns together from which on a vertex is found by interior point and crossover: at 200,000 that takes half the time of a simplex
method from scratch and a fifth of one from a basis nearby, at 70,000 it takes longer than either."""

_AGAIN = (("off", "choose"), ("on", "simplex"), ("on", "ipm"))
"""Presolve and method of further attempts, from scratch, where a solve ends without an answer."""


def simplex_or_crossover(size: int) -> str:
    """Method for a program of so many rows and columns; a matter of size alone, so that the same program gets the same answer."""
    return "simplex" if size < _LARGE else "crossover"


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
        self._highs, self._presolve = highspy.Highs(), "choose"
        self._whole = whole = integral is not None and bool(integral.any())
        self._solver = "choose" if whole or simplex_or_crossover(lower.size + row_lower.size) == "simplex" else "ipm"
        # Instances with different thread counts in one process make HiGHS return 'not set'.
        for key, value in {"output_flag": False, "threads": 1, "time_limit": float(time_limit), "random_seed": 1, "solver": self._solver}.items():
            self._highs.setOptionValue(key, value)
        model = highspy.HighsModel()
        lp = model.lp_
        lp.num_col_, lp.num_row_ = self.columns, row_lower.size
        lp.col_cost_ = np.zeros(self.columns) if costs is None else np.asarray(costs, dtype=float)
        lp.col_lower_, lp.col_upper_ = _finite(lower), _finite(upper)
        lp.row_lower_, lp.row_upper_ = _finite(row_lower), _finite(row_upper)
        by_column = sparse.csc_matrix(matrix)
        if by_column.shape != (row_lower.size, self.columns):
            # HiGHS would read memory beyond the matrix.
            raise ValueError(f"a matrix of {by_column.shape[0]} x {by_column.shape[1]} for {row_lower.size} rows and {self.columns} columns")
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = by_column.indptr, by_column.indices, by_column.data
        if whole and integral is not None:
            self._highs.setOptionValue("mip_rel_gap", 1e-9)
            lp.integrality_ = [highspy.HighsVarType.kInteger if flag else highspy.HighsVarType.kContinuous for flag in integral]
        self._highs.passModel(model)

    def change_rows(self, row_lower: np.ndarray, row_upper: np.ndarray) -> None:
        """New limits of all rows."""
        self._highs.changeRowsBounds(row_lower.size, np.arange(row_lower.size, dtype=np.int32), _finite(row_lower), _finite(row_upper))

    def change_columns(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """New bounds of all columns."""
        self._highs.changeColsBounds(self.columns, self._ids, _finite(lower), _finite(upper))

    def change_entries(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
        """New values of entries of the matrix."""
        for row, column, value in zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True):
            self._highs.changeCoeff(row, column, value)

    def restart(self) -> None:
        """Forget the last basis: the next solve begins from scratch."""
        self._highs.clearSolver()

    def without_presolve(self) -> None:
        """Solve from bases alone: presolve calls programs infeasible whose rows meet in a point."""
        self._presolve = "off"
        self._highs.setOptionValue("presolve", "off")

    def is_proven_infeasible(self) -> bool:
        """After a solve without presolve that ended ``infeasible``: whether its ray proves that no columns satisfy the rows (Farkas).

        sum_i lambda_i side_i  +  sum_j min over [l_j, h_j] of -(A'lambda)_j x_j  >  0
        """
        _, has_ray, ray = self._highs.getDualRay()
        if not has_ray or not np.isfinite(ray).all():
            return False
        lp = self._highs.getLp()
        make = sparse.csc_matrix if lp.a_matrix_.format_ == highspy.MatrixFormat.kColwise else sparse.csr_matrix
        matrix = make((lp.a_matrix_.value_, lp.a_matrix_.index_, lp.a_matrix_.start_), shape=(lp.num_row_, lp.num_col_))
        sides, ends = (lp.row_lower_, lp.row_upper_), (lp.col_lower_, lp.col_upper_)
        for sign in (1.0, -1.0):
            multipliers = sign * np.array(ray) / max(1e-12, float(np.abs(ray).max(initial=0.0)))
            slopes = -(matrix.T @ multipliers)
            least = _least(multipliers, *(np.array(side) for side in sides)) + _least(slopes, *(np.array(end) for end in ends))
            if least > 1e-7:
                return True
        return False

    def solve_proven(self) -> LinearAnswer:
        """As ``solve``; ``infeasible`` only where a ray proves it, without presolve if need be, and ``error`` where none does."""
        answer = self.solve()
        if answer.status != "infeasible" or self.is_proven_infeasible():
            return answer
        # Where rows meet in a point, presolve or a warm basis may call feasible what is not, and the other way round.
        self.without_presolve()
        self.restart()
        # The interior-point method leaves no ray.
        self._highs.setOptionValue("solver", "choose")
        answer = self.solve()
        return answer if answer.status != "infeasible" or self.is_proven_infeasible() else replace(answer, status="error")

    def allow(self, seconds: float) -> None:
        """Seconds for the solves from here on."""
        self._highs.setOptionValue("time_limit", float(self._highs.getRunTime() + seconds))

    def add_row(self, row_lower: float, row_upper: float, columns: np.ndarray, values: np.ndarray) -> None:
        """One more row, after all others."""
        low, high = _finite(np.array([row_lower, row_upper]))
        self._highs.addRow(float(low), float(high), columns.size, columns.astype(np.int32), values)

    def bound_with_integers(self, start: np.ndarray, gap: float, absolute_gap: float, nodes: int) -> tuple[float, np.ndarray | None]:
        """A bound of a program with integers by cutting planes and few nodes, and the best point found that is not the one given.

        Without heuristics: the point that is given is close, and their programs of part of the integers take most of the time of a large one.
        """
        options: dict[str, object] = {"mip_rel_gap": gap, "mip_abs_gap": max(absolute_gap, 1e-9), "mip_max_nodes": nodes, "mip_heuristic_effort": 0.0}
        options |= {f"mip_heuristic_run_{name}": False for name in ("rins", "rens", "root_reduced_cost", "feasibility_jump")}
        if simplex_or_crossover(self.columns + self._highs.getNumRow()) == "crossover":
            options["mip_lp_solver"] = "ipm"
        for key, value in (options | {"mip_detect_symmetry": False}).items():
            self._highs.setOptionValue(key, value)
        given = highspy.HighsSolution()
        given.col_value, given.value_valid = start.tolist(), True
        self._highs.setSolution(given)
        run_within_memory(self._highs, NAME, integers=True)
        info = self._highs.getInfo()
        bound = float(info.mip_dual_bound)
        x = np.array(self._highs.getSolution().col_value) if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible else start
        moved = np.isfinite(x).all() and np.abs(x - start).max(initial=0.0) > 1e-6
        return bound if np.isfinite(bound) else -np.inf, x if moved else None

    def solve(self, costs: np.ndarray | None = None) -> LinearAnswer:
        """Solve, under new costs if given, from the last basis."""
        if costs is not None:
            self._highs.changeColsCost(self.columns, self._ids, np.asarray(costs, dtype=float))
        run_within_memory(self._highs, NAME, integers=self._whole)
        status = self._highs.getModelStatus()
        for presolve, method in _AGAIN:
            if status in _FINISHED:
                break
            # Presolve may not tell infeasible from unbounded, and a warm basis now and then ends without an answer.
            self._highs.clearSolver()
            self._highs.setOptionValue("presolve", presolve)
            self._highs.setOptionValue("solver", method)
            run_within_memory(self._highs, NAME, integers=self._whole)
            status = self._highs.getModelStatus()
        self._highs.setOptionValue("presolve", self._presolve)
        self._highs.setOptionValue("solver", self._solver)
        solution = self._highs.getSolution()
        name = _FINISHED.get(status, "error")
        if name == "optimal":
            answer = LinearAnswer(name, self._highs.getObjectiveValue(), np.array(solution.col_value), np.array(solution.row_dual))
            # A comparison with not-a-number is false: a search would pass over the answer and call its bound proven.
            if np.isfinite(np.concatenate([[answer.value], answer.x, answer.y])).all():
                return answer
            name = "error"
        return LinearAnswer(name, np.nan, np.full(self.columns, np.nan), np.zeros(0))


def _least(weights: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Least ``weights'v`` for ``lower <= v <= upper``; of entries without a bound on their side, rounding counts as zero."""
    ends = np.where(weights > 0, lower, upper)
    used = np.where(np.isfinite(ends), weights != 0.0, np.abs(weights) > 1e-9)
    return float((weights[used] * ends[used]).sum())


def _finite(values: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(values, dtype=float), -highspy.kHighsInf, highspy.kHighsInf)
