"""Solve a parametric program with HiGHS, keep its basis for the next parameters, return labelled answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.basis import start_from, unpacked
from multiscale.programs.optimality import falls_forever, has_feasible_point, residual
from multiscale.programs.program import ParametricProgram
from multiscale.programs.quadratic import interior_point

if TYPE_CHECKING:
    import xarray as xr

_INFINITY = highspy.kHighsInf


class Termination(StrEnum):
    """Why the solver stopped."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    TIME_LIMIT = "time_limit"
    ERROR = "error"


@dataclass(frozen=True)
class ProgramSolution:
    """Answer of a program at one parameter vector.

    Attributes:
        program: what was solved.
        parameters: flat parameter vector.
        termination: why the solver stopped; the other fields mean something only if it is ``optimal``.
        objective: cost of ``x`` [EUR].
        bound: lower bound [EUR] from the duals, valid whatever the solver's tolerances.
        x: columns, flat.
        y: duals of the rows, flat: sensitivity of the optimum to the right-hand side.
        seconds: time inside the solver.
    """

    program: ParametricProgram
    parameters: np.ndarray
    termination: Termination
    objective: float
    bound: float
    x: np.ndarray
    y: np.ndarray
    seconds: float

    @property
    def gap(self) -> float:
        """(objective - bound) / max(|objective|, 1 EUR)."""
        return (self.objective - self.bound) / max(abs(self.objective), 1.0)

    @property
    def reduced_costs(self) -> np.ndarray:
        """``c + Qx - A'y``: sensitivity of the optimum to the bounds of the columns."""
        program = self.program
        reduced = program.costs(self.parameters) - program.A.T @ self.y
        return reduced + program.Q @ self.x if program.Q is not None else reduced

    def primal(self, name: str) -> xr.DataArray:
        """Columns of one block, labelled, with unit."""
        return self.program.columns.array(name, self.x)

    def dual(self, name: str) -> xr.DataArray:
        """Duals of one block of rows, labelled, in EUR per unit of the row."""
        array = self.program.rows.array(name, self.y)
        array.attrs["units"] = f"EUR/({array.attrs['units']})"
        return array

    def output(self, name: str) -> xr.DataArray:
        """An output of the program, labelled, with unit."""
        output = self.program.outputs[name]
        return output.index.array(output.index.blocks[0].name, output.matrix @ self.x)


class ProgramError(RuntimeError):
    """A program has no optimum; the message says which and why."""


class CompiledProgram:
    """A program handed to HiGHS once and solved for many parameters, each time from the last basis.

    Args:
        program: the program.
        method: ``simplex`` (default), ``ipm`` (interior point without crossover: large single solves), or ``choose``.
        time_limit: seconds for one solve.
        devex: whether the dual simplex prices by Devex weights in place of steepest edge, whose weights have to be computed anew for every basis
            given by ``start``.
    """

    def __init__(self, program: ParametricProgram, *, method: str = "simplex", time_limit: float = 600.0, devex: bool = False) -> None:
        self.program = program
        self._time_limit = time_limit
        started = time.perf_counter()
        self._highs = highspy.Highs()
        # Instances with different thread counts in one process make HiGHS return 'not set': one thread everywhere.
        options = {"output_flag": False, "threads": 1, "time_limit": time_limit, "solver": method, "random_seed": 1}
        if devex:
            options["simplex_dual_edge_weight_strategy"] = 1
        if program.Q is not None:
            # HiGHS adds 1e-7 to the Hessian's diagonal by default, which moves the optimum by up to 1e-5.
            options["qp_regularization_value"] = 0.0
            # The active-set method may cycle on singular curvature: it ends here, and the interior-point method decides.
            options["qp_iteration_limit"] = 1000 + 20 * (program.columns.size + program.rows.size)
        if method == "ipm":
            options["run_crossover"] = "off"
        for key, value in options.items():
            if self._highs.setOptionValue(key, value) != highspy.HighsStatus.kOk:
                raise ValueError(f"HiGHS refuses option {key} = {value!r}")
        self._pass_model()
        self._dirty = False
        self.compile_seconds = time.perf_counter() - started

    def _pass_model(self) -> None:
        program = self.program
        n, m, matrix = program.columns.size, program.rows.size, sparse.csc_matrix(program.A)
        # As arrays in one call: the fields of HiGHS's own model are filled number by number.
        status = self._highs.passModel(
            n,
            m,
            matrix.nnz,
            int(highspy.MatrixFormat.kColwise),
            int(highspy.ObjSense.kMinimize),
            0.0,
            np.asarray(program.c0, dtype=float),
            np.where(np.isneginf(program.lower), -_INFINITY, program.lower),
            np.where(np.isposinf(program.upper), _INFINITY, program.upper),
            np.where(program.equality, program.b0, -_INFINITY),
            np.asarray(program.b0, dtype=float),
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data,
            np.zeros(n, dtype=np.int32),
        )
        if program.Q is not None and status != highspy.HighsStatus.kError:
            lower = sparse.tril(program.Q, format="csc")
            hessian = highspy.HighsHessian()
            hessian.dim_, hessian.format_ = n, highspy.HessianFormat.kTriangular
            hessian.start_, hessian.index_, hessian.value_ = lower.indptr, lower.indices, lower.data
            status = self._highs.passHessian(hessian)
        if status == highspy.HighsStatus.kError:
            raise ProgramError(f"HiGHS refuses program {program.name!r}")
        self._column_ids = np.arange(program.columns.size, dtype=np.int32)
        self._row_ids = np.arange(program.rows.size, dtype=np.int32)

    def solve(self, parameters: Mapping[str, object] | np.ndarray | None = None) -> ProgramSolution:
        """Solve at the given parameters (block -> value, or the flat vector).

        Returns:
            The solution, whatever the termination: look at ``termination`` or use ``solve_optimal``.
        """
        program = self.program
        if isinstance(parameters, np.ndarray):
            p = np.asarray(parameters, dtype=float)
        else:
            p = program.parameters.vector(parameters or {})
        if p.shape != (program.parameters.size,):
            raise ValueError(f"program {program.name!r} takes {program.parameters.size} parameters, not {p.shape}")
        started = time.perf_counter()
        rhs = program.rhs(p)
        self._highs.changeColsCost(program.columns.size, self._column_ids, program.costs(p))
        self._highs.changeRowsBounds(program.rows.size, self._row_ids, np.where(program.equality, rhs, -_INFINITY), rhs)
        # HiGHS counts its limit over all runs of an instance.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + self._time_limit)
        self._highs.run()
        status = self._highs.getModelStatus()
        for presolve in ("off", "on"):
            if status not in _UNDECIDED:
                break
            # A warm simplex now and then ends without an answer, and presolve may not tell infeasible from unbounded: once more, cold. That may
            # end a hair outside its tolerance, which presolve avoids.
            self._highs.clearSolver()
            self._highs.setOptionValue("presolve", presolve)
            self._highs.run()
            self._highs.setOptionValue("presolve", "choose")
            status = self._highs.getModelStatus()
        termination = _TERMINATION.get(status, Termination.ERROR)
        x, y = np.full(program.columns.size, np.nan), np.full(program.rows.size, np.nan)
        if termination is Termination.OPTIMAL:
            solution = self._highs.getSolution()
            x, y = np.array(solution.col_value, dtype=float), np.array(solution.row_dual, dtype=float)
        if program.Q is not None and status not in _LIMITS and not (termination is Termination.OPTIMAL and residual(program, p, x, y) <= _QUADRATIC):
            termination, x, y = _quadratic_again(program, p, x, y)
        seconds = time.perf_counter() - started
        if termination is not Termination.OPTIMAL:
            return ProgramSolution(program, p, termination, np.nan, -np.inf, np.full_like(x, np.nan), np.full_like(y, np.nan), seconds)
        return ProgramSolution(program, p, termination, program.objective(x, p), program.dual_bound(y, p, x), x, y, seconds)

    def bound(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Give columns (flat positions) other bounds from the next solve on; the basis is kept."""
        program = self.program
        lowest, highest = program.lower.copy(), program.upper.copy()
        lowest[columns], highest[columns] = lower, upper
        self.program = replace(program, lower=lowest, upper=highest)
        ends = np.where(np.isneginf(lowest), -_INFINITY, lowest), np.where(np.isposinf(highest), _INFINITY, highest)
        self._highs.changeColsBounds(len(self._column_ids), self._column_ids, *ends)

    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Status of every column and row in the last basis, as HiGHS numbers them (1: basic)."""
        basis = self._highs.getBasis()
        return tuple(np.array([int(s) for s in part], dtype=np.int8) for part in (basis.col_status, basis.row_status))  # type: ignore[return-value]

    def start(self, columns: np.ndarray, rows: np.ndarray) -> None:
        """Start the next solve from a basis, given as ``basis`` returns it: as many basic columns and rows as there are rows."""
        start_from(self._highs, unpacked((columns.astype(np.int8).tobytes(), rows.astype(np.int8).tobytes())))

    def solve_optimal(self, parameters: Mapping[str, object] | np.ndarray | None = None) -> ProgramSolution:
        """Solve and demand an optimum.

        Raises:
            ProgramError: there is none; the message names the program and, if it is infeasible, the rows in conflict.
        """
        solution = self.solve(parameters)
        if solution.termination is Termination.OPTIMAL:
            return solution
        message = f"program {self.program.name!r} ended {solution.termination}"
        if solution.termination is Termination.INFEASIBLE:
            from multiscale.programs.infeasibility import explain_infeasibility

            conflicts = explain_infeasibility(self.program, solution.parameters)
            message += ": " + "; ".join(str(conflict) for conflict in conflicts[:5])
        raise ProgramError(message)


def _quadratic_again(program: ParametricProgram, p: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[Termination, np.ndarray, np.ndarray]:
    """The answer of a quadratic program that HiGHS left without a verified one."""
    feasible = has_feasible_point(program, p)
    if feasible is False:
        return Termination.INFEASIBLE, x, y
    if feasible and falls_forever(program, p):
        return Termination.UNBOUNDED, x, y
    found = interior_point(program, p)
    better = np.inf if found is None else residual(program, p, *found)
    if found is None or (better > _QUADRATIC and residual(program, p, x, y) <= better):
        found, better = (x, y), residual(program, p, x, y)
    return (Termination.OPTIMAL if better <= _LOOSE else Termination.ERROR), *found


_QUADRATIC, _LOOSE = 1e-6, 1e-5
"""Relative residual of the optimality conditions up to which HiGHS's answer to a quadratic program is taken; the largest that is optimal."""

_LIMITS = (highspy.HighsModelStatus.kTimeLimit,)
_UNDECIDED = (highspy.HighsModelStatus.kUnknown, highspy.HighsModelStatus.kNotset, highspy.HighsModelStatus.kUnboundedOrInfeasible)

_TERMINATION = {
    highspy.HighsModelStatus.kOptimal: Termination.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Termination.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Termination.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Termination.TIME_LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Termination.TIME_LIMIT,
    highspy.HighsModelStatus.kModelEmpty: Termination.OPTIMAL,
}


def solve(program: ParametricProgram, parameters: Mapping[str, object] | np.ndarray | None = None, **options: object) -> ProgramSolution:
    """Solve a program once; raises ProgramError where there is no optimum."""
    return CompiledProgram(program, **options).solve_optimal(parameters)  # type: ignore[arg-type]
