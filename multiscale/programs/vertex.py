r"""A vertex of a linear program from its basis, and what it becomes when right-hand sides move, without a solver.

With ``C`` the basic columns, ``N`` the others, and ``R`` the rows that hold with equality (those that are not basic),

    x_C = A_RC^-1 (b_R - A_RN x_N)      y_R = A_RC^-T c_C      x_N at their bounds, other y zero

It is optimal where ``x`` is within its bounds and all rows, and ``c - A'y`` and ``y`` have the signs of an optimum. Right-hand sides move ``x``
alone, so of a vertex that was optimal only ``x`` has to be looked at again. ``C`` is as large as the number of rows that hold with equality; where
few of many limits bind, that is little. Where the vertex is not optimal there is no answer here, and the program has to be solved.

Source: Bertsimas and Tsitsiklis, Introduction to Linear Optimization (1997), sections 3.1 and 5.1.
"""

from __future__ import annotations

import numpy as np

from multiscale.programs.basis import BASIC, UPPER, Basis
from multiscale.programs.program import ParametricProgram
from multiscale.programs.solve import ProgramSolution, Termination

FEASIBLE = 1e-7
"""By how much values and rows may leave their bounds, in their unit: what HiGHS allows too. It is not relative: a share of the power of a
transmission network is worth euros at the value of lost load."""

OPTIMAL = 1e-10
"""The same of reduced costs and duals, see ``transmission.DUAL_TOLERANCE``."""

ROUNDING = 1e-14
"""Share of the amounts that a reduced cost is the sum of up to which its sign is rounding [1]."""


class Vertex:
    """The vertex of a basis, where its duals are those of an optimum: it is optimal wherever it is feasible.

    Attributes:
        program: a linear program whose parameters move no costs.
    """

    def __init__(
        self, program: ParametricProgram, basic: np.ndarray, active: np.ndarray, inverse: np.ndarray, fixed: np.ndarray, y: np.ndarray
    ) -> None:
        self.program = program
        self._basic, self._active, self._inverse, self._fixed, self._y = basic, active, inverse, fixed, y
        self._fixed_activity = program.A @ fixed
        self._entries = program.A[:, basic].tocsr()
        # Right-hand sides alone move: what the duals prove is y'b and a constant.
        zero = np.zeros(program.parameters.size)
        self._proven = program.dual_bound(y, zero) - float(y @ program.rhs(zero)) - program.constant(zero)

    @classmethod
    def of(cls, program: ParametricProgram, basis: Basis) -> Vertex | None:
        """The vertex of a basis; None where that is no basis of the program, or its duals are not those of an optimum."""
        if program.Q is not None or program.C.nnz:
            return None
        columns, of_rows = basis.statuses
        if (columns.size, of_rows.size) != (program.columns.size, program.rows.size):
            return None
        basic, active = np.flatnonzero(columns == BASIC), np.flatnonzero(of_rows != BASIC)
        if basic.size != active.size:
            return None
        fixed = np.where(columns == UPPER, program.upper, program.lower)
        fixed[basic] = 0.0
        if not np.isfinite(fixed).all():
            return None
        rows = program.A[active]
        try:
            inverse = np.linalg.inv(rows[:, basic].toarray())
        except np.linalg.LinAlgError:
            return None
        y = np.zeros(program.rows.size)
        y[active] = program.c0[basic] @ inverse
        reduced = program.c0 - rows.T @ y[active]
        allowed = OPTIMAL + ROUNDING * (np.abs(program.c0) + abs(rows).T @ np.abs(y[active]))
        wrong = np.where(columns == UPPER, reduced, -reduced) > allowed
        wrong[program.lower == program.upper] = False
        wrong[basic] = np.abs(reduced[basic]) > allowed[basic]
        if wrong.any() or (y[~program.equality] > OPTIMAL).any():
            return None
        return cls(program, basic, active, inverse, fixed, program.proper_duals(y, np.zeros(program.parameters.size)))

    def solution(self, p: np.ndarray) -> ProgramSolution | None:
        """The optimum at some parameters; None where the vertex is not feasible there."""
        program, rhs = self.program, self.program.rhs(p)
        values = self._inverse @ (rhs - self._fixed_activity)[self._active]
        low, high = program.lower[self._basic] - FEASIBLE, program.upper[self._basic] + FEASIBLE
        if not ((values >= low) & (values <= high)).all():
            return None
        slack = rhs - self._fixed_activity - self._entries @ values
        if not (np.where(program.equality, -np.abs(slack), slack) >= -FEASIBLE).all() or (np.abs(slack) > FEASIBLE)[self._active].any():
            return None
        x = self._fixed.copy()
        x[self._basic] = np.clip(values, program.lower[self._basic], program.upper[self._basic])
        proven = float(self._y @ rhs) + self._proven + program.constant(p)
        return ProgramSolution(program, p, Termination.OPTIMAL, program.objective(x, p), x, self._y, 0.0, proven)
