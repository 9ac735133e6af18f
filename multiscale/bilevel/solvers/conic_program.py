"""Solve a follower with second-order cones in Clarabel, as ``CompiledProgram`` does for linear and quadratic ones in HiGHS."""

from __future__ import annotations

import time
from typing import Any

import clarabel
import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.cones import outside, products
from multiscale.bilevel.problem.description import Follower
from multiscale.bilevel.solvers.linear_program import simplex_or_crossover
from multiscale.programs import CompiledProgram, ProgramSolution, Termination

_ACCEPTED = 2e-7
"""Largest relative residual of an answer that Clarabel could not sharpen further."""


class ConicProgram:
    """A conic follower, solved at many leader decisions.

        min 1/2 x'Qx + (c0 + C y)'x   s.t.  A x (= or <=) b0 + B y,   l <= x <= u,   x_h >= ||x_t|| for every cone

    Args:
        follower: the follower.
        time_limit: seconds for one solve.
    """

    def __init__(self, follower: Follower, *, time_limit: float = 600.0) -> None:
        self.follower, self.program = follower, follower.program
        self._time_limit = time_limit
        program, n = self.program, self.program.columns.size
        self._equal, self._less = np.flatnonzero(program.equality), np.flatnonzero(~program.equality)
        self._low, self._high = np.flatnonzero(np.isfinite(program.lower)), np.flatnonzero(np.isfinite(program.upper))
        eye = sparse.identity(n, format="csr")
        parts = [program.A[self._equal], program.A[self._less], -eye[self._low], eye[self._high], -eye[follower.cone_columns]]
        self._matrix = sparse.vstack(parts, format="csc")
        self._curvature = sparse.csc_matrix((n, n)) if program.Q is None else sparse.triu(program.Q, format="csc")
        nonnegative = self._less.size + self._low.size + self._high.size
        cones: list[Any] = [clarabel.ZeroConeT(self._equal.size)] if self._equal.size else []
        cones += [clarabel.NonnegativeConeT(nonnegative)] if nonnegative else []
        self._cones = cones + [clarabel.SecondOrderConeT(cone.size) for cone in follower.cones]

    def solve(self, y: np.ndarray) -> ProgramSolution:
        """Solve at a leader decision; the termination tells whether there is an optimum."""
        program, started = self.program, time.perf_counter()
        rhs = program.rhs(y)
        limits = [rhs[self._equal], rhs[self._less], -program.lower[self._low], program.upper[self._high], np.zeros(self.follower.cone_columns.size)]
        answer, solution = None, None
        # A tolerance near rounding now and then stalls: the next one is as good as any answer can be then.
        for tolerance in (1e-11, 1e-9):
            answer = clarabel.DefaultSolver(
                self._curvature, program.costs(y), self._matrix, np.concatenate(limits), self._cones, _settings(tolerance, self._time_limit)
            ).solve()
            termination = _TERMINATION.get(str(answer.status), Termination.ERROR)
            if termination is not Termination.ERROR:
                break
            candidate = self._solution(answer, y, started, Termination.OPTIMAL)
            if candidate is not None and conic_residual(self.follower, y, candidate.x, candidate.y) <= _ACCEPTED:
                solution = candidate
                break
        if solution is None and termination is Termination.OPTIMAL:
            solution = self._solution(answer, y, started, termination)
        if solution is not None:
            return solution
        nothing = np.full(program.columns.size, np.nan), np.full(program.rows.size, np.nan)
        reason = Termination.ERROR if termination is Termination.OPTIMAL else termination
        return ProgramSolution(program, y, reason, np.nan, *nothing, time.perf_counter() - started, -np.inf)

    def _solution(self, answer: Any, y: np.ndarray, started: float, termination: Termination) -> ProgramSolution | None:
        program = self.program
        x, z = np.array(answer.x), np.array(answer.z)
        if not (np.isfinite(x).all() and np.isfinite(z).all()):
            return None
        multipliers = np.zeros(program.rows.size)
        multipliers[self._equal] = -z[: self._equal.size]
        multipliers[self._less] = np.minimum(-z[self._equal.size : program.rows.size], 0.0)
        x = np.clip(x, program.lower, program.upper)
        objective = program.objective(x, y)
        return ProgramSolution(program, y, termination, objective, x, multipliers, time.perf_counter() - started, -np.inf)


def conic_residual(follower: Follower, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray) -> float:
    """Largest relative violation of the optimality conditions: rows, bounds, cones, signs of multipliers, complementarity."""
    program = follower.program
    rhs, costs = program.rhs(y), program.costs(y)
    slack = rhs - program.A @ x
    reduced = costs - program.A.T @ multipliers + (program.Q @ x if program.Q is not None else 0.0)
    inside = follower.in_cone
    has_lower, has_upper = np.isfinite(program.lower) | inside, np.isfinite(program.upper) | inside
    scale = max(1.0, abs(program.objective(x, y)))
    rows = np.where(program.equality, np.abs(slack), np.maximum(-slack, 0.0)) / np.maximum(1.0, np.abs(rhs))
    wrong = np.where(has_lower, 0.0, np.maximum(reduced, 0.0)) + np.where(has_upper, 0.0, np.maximum(-reduced, 0.0))
    wrong = wrong / np.maximum(1.0, np.abs(costs))
    free = ~inside
    to_lower = np.where(np.isfinite(program.lower), x - program.lower, 0.0)
    to_upper = np.where(np.isfinite(program.upper), program.upper - x, 0.0)
    loose = np.abs(multipliers * slack).sum() + (np.maximum(reduced, 0.0) * to_lower + np.maximum(-reduced, 0.0) * to_upper)[free].sum()
    loose += np.abs(products(follower.cones, x, reduced)).sum()
    cones = [outside(follower.cones, x), outside(follower.cones, reduced)]
    return float(max(rows.max(initial=0.0), wrong.max(initial=0.0), loose / scale, *(part.max(initial=0.0) for part in cones)))


def compiled(follower: Follower, *, time_limit: float = 600.0) -> CompiledProgram | ConicProgram:
    """The follower handed to the solver that takes it: HiGHS, or Clarabel where it has cones."""
    if follower.cones:
        return ConicProgram(follower, time_limit=time_limit)
    program = follower.program
    return CompiledProgram(program, method=simplex_or_crossover(program.rows.size + program.columns.size), time_limit=time_limit)


def _settings(tolerance: float, time_limit: float) -> Any:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.time_limit = time_limit
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    # What counts as "almost solved" is judged by the residuals here, not by Clarabel's loose defaults.
    settings.reduced_tol_gap_abs = settings.reduced_tol_gap_rel = settings.reduced_tol_feas = tolerance
    return settings


_TERMINATION = {
    "Solved": Termination.OPTIMAL,
    "PrimalInfeasible": Termination.INFEASIBLE,
    "DualInfeasible": Termination.UNBOUNDED,
    "MaxTime": Termination.TIME_LIMIT,
}
