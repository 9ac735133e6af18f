"""Solve a parametric program with HiGHS, keep its basis for the next parameters, return labelled answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import highspy
import numpy as np

from multiscale.programs.basis import Basis
from multiscale.programs.highs import INFINITY, ProgramError, instance_of
from multiscale.programs.infeasibility import RowRelaxation, elastic_program, row_relaxations
from multiscale.programs.limits import limits
from multiscale.programs.memory import run_within_memory
from multiscale.programs.optimality import has_feasible_point, is_unbounded_below, residual
from multiscale.programs.program import ParametricProgram
from multiscale.programs.quadratic import interior_point

if TYPE_CHECKING:
    import xarray as xr


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
        x: columns, flat.
        y: duals of the rows, flat: sensitivity of the optimum to the right-hand side.
        seconds: time inside the solver.
        given_bound: lower bound [EUR] where it is not the one of the duals.
    """

    program: ParametricProgram
    parameters: np.ndarray
    termination: Termination
    objective: float
    x: np.ndarray
    y: np.ndarray
    seconds: float
    given_bound: float | None = None

    @cached_property
    def bound(self) -> float:
        """Lower bound [EUR] from the duals, valid whatever the solver's tolerances; computed when it is first asked for."""
        return self.program.dual_bound(self.y, self.parameters, self.x) if self.given_bound is None else self.given_bound

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


class SolverTimeLimitError(ProgramError):
    """A program was not solved within its time limit; the message names the program and what to do."""


class CompiledProgram:
    """A program handed to HiGHS once and solved for many parameters, each time from the last basis.

    Args:
        program: the program.
        method: ``simplex`` (default), ``ipm`` (interior point without crossover: large single solves), ``crossover`` (interior point, then a vertex:
            programs so large that a basis nearby does not help), or ``choose``.
        time_limit: seconds for one solve; default: the limit in force (``programs.limits``).
        devex: whether the dual simplex prices by Devex weights in place of steepest edge, whose weights have to be computed anew for every basis
            given by ``start_from``.
        dual_tolerance: see ``instance_of``.
    """

    def __init__(
        self,
        program: ParametricProgram,
        *,
        method: str = "simplex",
        time_limit: float | None = None,
        devex: bool = False,
        dual_tolerance: float | None = None,
    ) -> None:
        self.program = program
        time_limit = limits().time_limit_s if time_limit is None else time_limit
        self._time_limit = time_limit
        self._highs = instance_of(program, method=method, time_limit=time_limit, devex=devex, dual_tolerance=dual_tolerance)
        self._column_ids = np.arange(program.columns.size, dtype=np.int32)
        # HiGHS holds the program at parameters of zero.
        self._costs, self._rhs = np.asarray(program.c0, dtype=float), np.asarray(program.b0, dtype=float)

    @property
    def basis(self) -> Basis:
        """Where the last simplex solve ended."""
        return Basis.of(self._highs)

    @property
    def iterations(self) -> int:
        """Simplex iterations of the last solve."""
        return int(self._highs.getInfo().simplex_iteration_count)

    def start_from(self, basis: Basis | None) -> None:
        """Forget everything solved so far, and start the next solve from the given basis (None: from nothing)."""
        self._highs.clearSolver()
        if basis is not None:
            basis.put_into(self._highs)

    def solve(self, parameters: Mapping[str, object] | np.ndarray | None = None, *, primal: bool = False) -> ProgramSolution:
        """Solve at the given parameters (block -> value, or the flat vector).

        Args:
            parameters: at which.
            primal: by the primal simplex in place of the dual one: where costs alone moved, and little, it takes far fewer iterations.

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
        if not np.isfinite(p).all():
            k = int(np.flatnonzero(~np.isfinite(p))[0])
            raise ValueError(f"program {program.name!r}: parameter {program.parameters.label(k)} is {p[k]:g}; it must be a finite number")
        started = time.perf_counter()
        rhs = program.rhs(p)
        costs = program.costs(p)
        self._hand_over(costs, rhs)
        self._highs.setOptionValue("simplex_strategy", _PRIMAL if primal else _DUAL)
        # HiGHS counts its limit over all runs of an instance.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + self._time_limit)
        run_within_memory(self._highs, program.name)
        status = self._highs.getModelStatus()
        for presolve, strategy in (("off", _DUAL), ("on", _DUAL), ("on", _PRIMAL), ("off", _PRIMAL)):
            if status not in _UNDECIDED:
                break
            # A warm simplex now and then ends without an answer, and presolve may not tell infeasible from unbounded: once more, cold. That may
            # end slightly outside its tolerance, which presolve avoids. Where duals are very large the dual simplex gives up.
            self._highs.clearSolver()
            self._highs.setOptionValue("simplex_strategy", strategy)
            self._highs.setOptionValue("presolve", presolve)
            run_within_memory(self._highs, program.name)
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
            return ProgramSolution(program, p, termination, np.nan, np.full_like(x, np.nan), np.full_like(y, np.nan), seconds, -np.inf)
        return ProgramSolution(program, p, termination, program.objective(x, p), x, y, seconds)

    def _hand_over(self, costs: np.ndarray, rhs: np.ndarray) -> None:
        """Give HiGHS the costs and right-hand sides that are others than before."""
        moved = np.flatnonzero(costs != self._costs).astype(np.int32)
        if moved.size:
            self._highs.changeColsCost(moved.size, moved, costs[moved])
        moved = np.flatnonzero(rhs != self._rhs).astype(np.int32)
        if moved.size:
            self._highs.changeRowsBounds(moved.size, moved, np.where(self.program.equality[moved], rhs[moved], -INFINITY), rhs[moved])
        self._costs, self._rhs = costs, rhs

    def bound(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Give columns (flat positions) other bounds from the next solve on; the basis is kept."""
        lowest, highest = self.program.lower.copy(), self.program.upper.copy()
        lowest[columns], highest[columns] = lower, upper
        self.exchange(replace(self.program, lower=lowest, upper=highest))

    def exchange(self, program: ParametricProgram) -> None:
        """Solve another program with the very same matrix from the next solve on; the basis is kept.

        Raises:
            ValueError: the matrix, the cost's curvature or the sense of a row is another one.
        """
        before = self.program
        if program.A is not before.A or program.Q is not before.Q or program.equality is not before.equality:
            raise ValueError(f"program {program.name!r} does not share the matrix of {before.name!r}; compile it anew")
        self.program = program
        ends = np.where(np.isneginf(program.lower), -INFINITY, program.lower), np.where(np.isposinf(program.upper), INFINITY, program.upper)
        self._highs.changeColsBounds(len(self._column_ids), self._column_ids, *ends)

    def solve_optimal(self, parameters: Mapping[str, object] | np.ndarray | None = None, *, primal: bool = False) -> ProgramSolution:
        """Solve and demand an optimum; the arguments are those of ``solve``.

        Raises:
            SolverTimeLimitError: the time limit was reached; the message names the program, the limit and the remedy.
            ProgramError: there is none; the message names the program and, if it is infeasible, the rows in conflict.
        """
        solution = self.solve(parameters, primal=primal)
        if solution.termination is Termination.OPTIMAL:
            return solution
        if solution.termination is Termination.TIME_LIMIT:
            what = f"program {self.program.name!r} ({self.program.columns.size} columns, {self.program.rows.size} rows)"
            remedy = "raise solver.time_limit_s, or study fewer platforms or longer time steps"
            raise SolverTimeLimitError(f"{what} was not solved within {self._time_limit:g} s; {remedy}")
        message = f"program {self.program.name!r} ended {solution.termination}"
        if solution.termination is Termination.INFEASIBLE:
            message += ": " + "; ".join(str(row) for row in explain_infeasibility(self.program, solution.parameters)[:5])
        raise ProgramError(message)


def _quadratic_again(program: ParametricProgram, p: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[Termination, np.ndarray, np.ndarray]:
    """The answer of a quadratic program that HiGHS left without a verified one."""
    feasible = has_feasible_point(program, p)
    if feasible is False:
        return Termination.INFEASIBLE, x, y
    if feasible and is_unbounded_below(program, p):
        return Termination.UNBOUNDED, x, y
    found = interior_point(program, p)
    better = np.inf if found is None else residual(program, p, *found)
    if found is None or (better > _QUADRATIC and residual(program, p, x, y) <= better):
        found, better = (x, y), residual(program, p, x, y)
    return (Termination.OPTIMAL if better <= _LOOSE else Termination.ERROR), *found


_QUADRATIC, _LOOSE = 1e-6, 1e-5
"""Relative residual of the optimality conditions up to which HiGHS's answer to a quadratic program is taken; the largest that is optimal."""

_DUAL, _PRIMAL = 1, 4
"""How HiGHS numbers the dual and the primal simplex (0: it chooses, and mostly takes the dual one)."""

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


def explain_infeasibility(program: ParametricProgram, parameters: np.ndarray) -> list[RowRelaxation]:
    """The rows to relax so that a program has a feasible point, with the least total relaxation, largest first; empty for a feasible program."""
    relaxed = CompiledProgram(elastic_program(program, parameters)).solve()
    return row_relaxations(program, parameters, relaxed.x)
