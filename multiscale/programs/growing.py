"""A linear program that columns are added to between solves, as in column generation."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.basis import Basis
from multiscale.programs.highs import INFINITY, ProgramError, instance_of
from multiscale.programs.program import ParametricProgram


@dataclass(frozen=True)
class GrowingSolution:
    """An optimum of a ``GrowingProgram``.

    Attributes:
        x: columns: those of the program, then those added, in their order.
        y: duals of the rows, sensitivities of the optimum to the right-hand side.
        reduced_costs: sensitivities of the optimum to the bounds of the columns.
    """

    x: np.ndarray
    y: np.ndarray
    reduced_costs: np.ndarray


class GrowingProgram:
    """``min c0'x + sum_k cost_k w_k`` s.t. ``A x + sum_k entries_k w_k = or <= b0``, bounds of ``x``, ``w >= 0``; parameters are zero.

    Args:
        program: a linear program.
    """

    def __init__(self, program: ParametricProgram) -> None:
        self.program = program
        self._highs = instance_of(program)

    def change_costs(self, costs: np.ndarray) -> None:
        """Give the program's own columns other costs from the next solve on."""
        n = self.program.columns.size
        self._highs.changeColsCost(n, np.arange(n, dtype=np.int32), np.asarray(costs, dtype=float))

    def add_columns(self, costs: np.ndarray, entries: sparse.csc_matrix) -> None:
        """Add columns ``w >= 0`` with their costs and their entries, (row, column)."""
        count = len(costs)
        self._highs.addCols(
            count,
            np.asarray(costs, dtype=float),
            np.zeros(count),
            np.full(count, INFINITY),
            entries.nnz,
            entries.indptr[:-1].astype(np.int32),
            entries.indices.astype(np.int32),
            entries.data.astype(float),
        )

    def solve(self) -> GrowingSolution:
        """The optimum.

        Raises:
            ProgramError: there is none.
        """
        highs = self._highs
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            highs.clearSolver()
            highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise ProgramError(f"program {self.program.name!r} with added columns ended {highs.modelStatusToString(highs.getModelStatus())}")
        solution = highs.getSolution()
        return GrowingSolution(np.array(solution.col_value), np.array(solution.row_dual), np.array(solution.col_dual))

    @property
    def basis(self) -> Basis:
        """Where the last solve ended."""
        return Basis.of(self._highs)

    def start_from(self, basis: Basis | None) -> None:
        """Forget everything solved so far, and start the next solve from the given basis (None: from nothing)."""
        self._highs.clearSolver()
        if basis is not None:
            basis.put_into(self._highs)
