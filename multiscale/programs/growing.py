"""A linear program that columns are added to between solves, as in column generation.

After columns were added the whole program is handed to HiGHS anew: it keeps the scaling of the columns it had, and the last digits of an answer
would depend on when each column came. Where columns always come in the same order, they may be added to what HiGHS holds (``in_place``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.basis import Basis
from multiscale.programs.highs import ProgramError, instance_of
from multiscale.programs.index import Block, Index
from multiscale.programs.program import ParametricProgram

_PRIMAL = 4
"""HiGHS's name for the primal simplex."""


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
        in_place: whether columns are added to the program that HiGHS holds, each solve going on by the primal simplex from where the last one ended.
    """

    def __init__(self, program: ParametricProgram, *, in_place: bool = False) -> None:
        self.program, self._in_place = program, in_place
        self._added: list[tuple[np.ndarray, sparse.csc_matrix]] = []
        self._highs: highspy.Highs | None = None

    def change_costs(self, costs: np.ndarray) -> None:
        """Give the program's own columns other costs from the next solve on."""
        self.program = replace(self.program, c0=np.asarray(costs, dtype=float))
        if self._highs is not None:
            n = self.program.columns.size
            self._highs.changeColsCost(n, np.arange(n, dtype=np.int32), self.program.c0)

    def add_columns(self, costs: np.ndarray, entries: sparse.csc_matrix) -> None:
        """Add columns ``w >= 0`` with their costs and their entries, (row, column)."""
        if self._in_place and self._highs is not None:
            self._add_to(self._highs, np.asarray(costs, dtype=float), entries)
        else:
            self._highs = None
        self._added.append((np.asarray(costs, dtype=float), entries))

    @staticmethod
    def _add_to(highs: highspy.Highs, costs: np.ndarray, entries: sparse.csc_matrix) -> None:
        count = len(costs)
        starts, rows = entries.indptr[:-1].astype(np.int32), entries.indices.astype(np.int32)
        highs.setOptionValue("simplex_strategy", _PRIMAL)
        status = highs.addCols(count, costs, np.zeros(count), np.full(count, highspy.kHighsInf), entries.nnz, starts, rows, entries.data)
        if status == highspy.HighsStatus.kError:
            raise ProgramError("HiGHS refuses columns that are added")

    def _instance(self) -> highspy.Highs:
        if self._highs is None:
            self._highs = instance_of(self._grown() if self._added else self.program)
        return self._highs

    def _grown(self) -> ParametricProgram:
        """The program with all columns."""
        program, n = self.program, self.program.columns.size
        costs = np.concatenate([c for c, _ in self._added])
        count = len(costs)
        return replace(
            program,
            columns=Index((*program.columns.blocks, Block("added", {"column": np.arange(count)}, "", n))),
            A=sparse.hstack([program.A, *(entries for _, entries in self._added)], format="csr"),
            c0=np.concatenate([program.c0, costs]),
            C=sparse.vstack([program.C, sparse.csr_matrix((count, program.parameters.size))], format="csr"),
            lower=np.concatenate([program.lower, np.zeros(count)]),
            upper=np.concatenate([program.upper, np.full(count, np.inf)]),
            outputs={},
        )

    def solve(self) -> GrowingSolution:
        """The optimum.

        Raises:
            ProgramError: there is none.
        """
        highs = self._instance()
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
        return Basis.of(self._instance())

    def start_from(self, basis: Basis | None) -> None:
        """Forget everything solved so far, and start the next solve from the given basis (None: from nothing)."""
        self._instance().clearSolver()
        if basis is not None:
            basis.put_into(self._instance())
