r"""A linear program that falls into parts but for limits of which few bind: solved part by part, with the limits that were found violated.

Some columns, the states, are determined by the others, as the flows and voltages of a radial network are by what is drawn at its buses:

    A_RS s + A_RX x = b_R   (A_RS square)      s = A_RS^-1 (b_R - A_RX x)
    min  c_S's + c_X'x   =   y'b_R + (c_X - A_RX'y)'x,   A_RS'y = c_S
    s.t. rows of x alone                               these fall into parts
         M s + N x <= m                                limits: rows that hold states, and bounds of states

Without the limits every part is solved for itself. Limits that the answer violates are retained, written in ``x``; parts that a retained limit ties
are solved together, from where they ended; and so on until no limit is violated. What is omitted is then satisfied, so the answer is an optimum of
the whole. It is certified as such: it is a point of the whole program, and its cost is the sum of the lower bounds of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.content import content_key
from multiscale.programs.basis import BASIC, LOWER, UPPER, Basis
from multiscale.programs.highs import ProgramError
from multiscale.programs.index import Block, Index
from multiscale.programs.parts import alike
from multiscale.programs.program import ParametricProgram
from multiscale.programs.solve import CompiledProgram
from multiscale.programs.states import Limits, States

GAP, INFEASIBILITY = 1e-6, 1e-5
"""Largest relative gap between cost and bound of an answer, and by how much it may leave a row, in the unit of the row."""

ROUNDING = 1e-9
"""Share of the amounts that a cost is the sum of up to which it is rounding: prices come out of a solver."""

NEGLIGIBLE = 1e-12
"""Entries of a limit smaller than this share of its largest one are rounding."""


@dataclass(frozen=True)
class PartwiseSolution:
    """An optimum.

    Attributes:
        x: columns.
        objective: their cost.
        bound: a lower bound on the optimum.
        retained: number of limits that were retained.
        joint: number of programs that were solved because of them.
    """

    x: np.ndarray
    objective: float
    bound: float
    retained: int
    joint: int


@dataclass(frozen=True)
class Solved:
    """A part as it was solved alone: its columns, a lower bound, and where the simplex ended."""

    x: np.ndarray
    bound: float
    basis: Basis


def solve_with_omitted_limits(program: ParametricProgram, states: States, solved: dict[str, Solved] | None = None) -> PartwiseSolution:
    """An optimum of a linear program without parameters.

    Args:
        program: the program.
        states: which of its columns are states.
        solved: parts that were solved before, by their content: they are not solved again, and new ones are added.

    Raises:
        ProgramError: a part has no optimum, or the answer is not certified; the message says by how much.
        ValueError: the program has parameters or curvature, or the states are not determined.
    """
    if program.parameters.size or program.Q is not None:
        raise ValueError(f"program {program.name!r} has parameters or curvature; fix the parameters, and solve it whole where its cost is curved")
    return _Search(program, states, {} if solved is None else solved).run()


class _Search:
    """Parts, and the limits retained so far."""

    def __init__(self, program: ParametricProgram, states: States, solved: dict[str, Solved]) -> None:
        self.program, self.solved = program, solved
        s = states.columns.ravel()
        if len(s) != len(states.rows) or not program.equality[states.rows].all():
            raise ValueError(f"program {program.name!r}: {len(s)} states need as many equations, not {len(states.rows)} rows")
        matrix = program.A.tocsr()
        is_state, determines = np.zeros(program.columns.size, dtype=bool), np.zeros(program.rows.size, dtype=bool)
        is_state[s], determines[states.rows] = True, True
        holds_states = (np.diff(matrix[:, s].indptr) > 0) & ~determines
        self._order_by_part(matrix, np.flatnonzero(~holds_states & ~determines), np.flatnonzero(~is_state))
        self.s, self.limits = s, Limits(program, states, np.flatnonzero(holds_states), self.x_columns)
        self.costs, self.amounts, constant = self.limits.costs(program.c0[self.x_columns])
        self.constant = float(program.d0) + constant
        inner = matrix[self.inner_rows][:, self.x_columns].tocsr()
        width = self.x_columns.size
        self.inner = ParametricProgram(
            name=program.name,
            columns=program.columns.part("columns", self.x_columns),
            rows=program.rows.part("rows", self.inner_rows),
            parameters=Index(),
            A=inner,
            b0=program.b0[self.inner_rows],
            B=sparse.csr_matrix((self.inner_rows.size, 0)),
            equality=program.equality[self.inner_rows],
            c0=self.costs,
            C=sparse.csr_matrix((width, 0)),
            lower=program.lower[self.x_columns],
            upper=program.upper[self.x_columns],
        )
        self.retained, self.limit_status = np.zeros(0, dtype=int), np.zeros(0, dtype=np.int8)
        self.row_matrix, self.row_limit = sparse.csr_matrix((0, width)), np.zeros(0)
        self.x = np.full(width, np.nan)
        # Where parts ended alone; statuses of those that were solved together since.
        self.bases: dict[int, Basis] = {}
        self.column_status, self.row_status = np.zeros(width, dtype=np.int8), np.full(self.inner_rows.size, BASIC, dtype=np.int8)

    def _order_by_part(self, matrix: sparse.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> None:
        """Rows and columns without states part by part, and where each part begins among them."""
        m, n = rows.size, columns.size
        entries = matrix[rows][:, columns].tocoo()
        graph = sparse.csr_matrix((np.ones(entries.nnz), (entries.row, m + entries.col)), shape=(m + n, m + n))
        count, label = connected_components(graph, directed=False)
        row_order, column_order = np.argsort(label[:m], kind="stable"), np.argsort(label[m:], kind="stable")
        self.inner_rows, self.x_columns, self.part_of_column = rows[row_order], columns[column_order], label[m:][column_order]
        self._first_row = np.searchsorted(label[:m][row_order], np.arange(count + 1))
        self._first_column = np.searchsorted(self.part_of_column, np.arange(count + 1))

    def _rows_of(self, part: int) -> np.ndarray:
        return np.arange(self._first_row[part], self._first_row[part + 1])

    def _columns_of(self, part: int) -> np.ndarray:
        return np.arange(self._first_column[part], self._first_column[part + 1])

    def run(self) -> PartwiseSolution:
        """Parts alone, then with the limits they violate."""
        self._free = np.diff(self.inner.A.tocsc().indptr) == 0
        self._decided = self._free & (self.inner.lower == self.inner.upper)
        self.x[self._free], self.column_status[self._free] = self._cheapest(np.flatnonzero(self._free))
        bounds = self._alone()
        joint = 0
        while (fresh := self.limits.violated(self.x, self.retained)).size:
            self._retain(fresh)
            touched = self._groups()
            joint += len(touched)
            for columns, rows, limits, parts in touched:
                for part in parts:
                    bounds.pop(part, None)
                    if part in self.bases:
                        self.column_status[self._columns_of(part)], self.row_status[self._rows_of(part)] = self.bases.pop(part).statuses
                bound = self._together(columns, rows, limits)
                bounds[parts[0]] = bound
        x = self._whole()
        objective, p = self.program.objective(x, np.zeros(0)), np.zeros(0)
        alone = self._free & ~self._in_limits()
        bound = self.constant + sum(bounds.values()) + float(self.costs[alone] @ self.x[alone])
        gap, excess = (objective - bound) / max(abs(objective), 1.0), self.program.violation(x, p)
        if not (abs(gap) <= GAP and excess <= INFEASIBILITY):
            raise ProgramError(f"program {self.program.name!r}: the answer of its parts leaves a relative gap of {gap:.2g} and a row by {excess:.2g}")
        return PartwiseSolution(x, objective, bound, self.retained.size, joint)

    def _cheapest(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and statuses of columns that no row holds.

        Where what they cost is rounding, as where generation is worth what its curtailment costs, they stay at their lower bound, whatever its sign.
        """
        low, high, cost = self.inner.lower[columns], self.inner.upper[columns], self.costs[columns]
        cost = np.where(np.abs(cost) <= ROUNDING * self.amounts[columns], 0.0, cost)
        if (np.where(cost < 0, np.isinf(high), np.isinf(low))).any():
            raise ProgramError(f"program {self.program.name!r} is unbounded")
        return np.where(cost < 0, high, low), np.where(cost < 0, UPPER, LOWER)

    def _alone(self) -> dict[int, float]:
        """Solve every part; part -> lower bound. Each starts where the one before ended, if they have the same columns, as those of days have."""
        bounds: dict[int, float] = {}
        before: tuple[np.ndarray, np.ndarray, sparse.csr_matrix, Basis] | None = None
        column_blocks, row_blocks = _blocks(self.program.columns, self.x_columns), _blocks(self.program.rows, self.inner_rows)
        for part in np.flatnonzero(np.diff(self._first_row)).tolist():
            piece, blocks = self._piece(part), (column_blocks[self._columns_of(part)], row_blocks[self._rows_of(part)])
            key = _content(piece)
            if key not in self.solved:
                compiled = CompiledProgram(piece)
                if before is not None and np.array_equal(before[0], blocks[0]):
                    compiled.start_from(before[3] if alike(before[2], piece.A) else _carried(before[3], before[1], blocks[1]))
                solution = compiled.solve_optimal()
                self.solved[key] = Solved(solution.x, solution.bound, compiled.basis)
            found = self.solved[key]
            before = *blocks, piece.A, found.basis
            self.x[self._columns_of(part)], bounds[part], self.bases[part] = found.x, found.bound, found.basis
        return bounds

    def _piece(self, part: int) -> ParametricProgram:
        """The program of a part: its rows and columns stand together."""
        inner, rows, columns = self.inner, self._rows_of(part), self._columns_of(part)
        first, last = inner.A.indptr[rows[0]], inner.A.indptr[rows[-1] + 1]
        where = inner.A.indices[first:last] - columns[0], inner.A.indptr[rows[0] : rows[-1] + 2] - first
        some, those = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return ParametricProgram(
            name=inner.name,
            columns=inner.columns.part("columns", columns),
            rows=inner.rows.part("rows", rows),
            parameters=Index(),
            A=sparse.csr_matrix((inner.A.data[first:last], *where), shape=(rows.size, columns.size)),
            b0=inner.b0[some],
            B=sparse.csr_matrix((rows.size, 0)),
            equality=inner.equality[some],
            c0=inner.c0[those],
            C=sparse.csr_matrix((columns.size, 0)),
            lower=inner.lower[those],
            upper=inner.upper[those],
        )

    def _retain(self, limits: np.ndarray) -> None:
        """Write limits in the columns that are no states."""
        rows, side = self.limits.written(limits)
        # Every limit in the unit of its largest entry: those of voltages would be small numbers next to those of powers.
        size = abs(rows).max(axis=1).toarray().ravel()
        size[size == 0] = 1.0
        rows = sparse.diags(1.0 / size) @ rows
        rows.data[np.abs(rows.data) < NEGLIGIBLE] = 0.0
        decided = rows @ sparse.diags(self._decided.astype(float))
        side = side / size - decided @ np.where(self._decided, self.inner.lower, 0.0)
        rows = (rows - decided).tocsr()
        rows.eliminate_zeros()
        self.row_matrix = sparse.vstack([self.row_matrix, rows], format="csr")
        self.row_limit, self.retained = np.concatenate([self.row_limit, side]), np.concatenate([self.retained, limits])
        self.limit_status = np.concatenate([self.limit_status, np.full(limits.size, BASIC, dtype=np.int8)])
        self.newest = limits.size

    def _in_limits(self) -> np.ndarray:
        """Columns in retained limits."""
        return np.asarray(abs(self.row_matrix).sum(axis=0)).ravel() > 0

    def _groups(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]]:
        """Columns, rows, retained limits and parts that are tied, where a limit among them is new."""
        k = self.row_matrix.shape[0]
        fixed = np.flatnonzero((np.diff(self.row_matrix.indptr) == 0) & (self.row_limit < -INFEASIBILITY))
        if fixed.size:
            state = self.limits.label(int(self.retained[fixed[0]]))
            raise ProgramError(f"program {self.program.name!r} is infeasible: nothing moves {state}, whose limit is violated")
        entries = self.row_matrix.tocoo()
        owner = self.part_of_column[entries.col]
        parts, place = np.unique(owner, return_inverse=True)
        graph = sparse.csr_matrix((np.ones(entries.nnz), (entries.row, k + place)), shape=(k + parts.size, k + parts.size))
        label = connected_components(graph, directed=False)[1]
        found = []
        for group in np.unique(label[:k][k - self.newest :]).tolist():
            limits, mine = np.flatnonzero(label[:k] == group), parts[label[k:] == group].tolist()
            if mine:
                columns, rows = (np.concatenate([of(part) for part in mine]) for of in (self._columns_of, self._rows_of))
                found.append((columns, rows, limits, mine))
        return found

    def _together(self, columns: np.ndarray, rows: np.ndarray, limits: np.ndarray) -> float:
        """Solve some parts with the limits that tie them; their lower bound."""
        piece = self.inner.part(rows, columns)
        names = Block("limits", {"limit": self.retained[limits]}, "", rows.size)
        joined = ParametricProgram(
            name=f"{self.program.name}, parts that limits tie",
            columns=piece.columns,
            rows=Index((*piece.rows.blocks, names)),
            parameters=Index(),
            A=sparse.vstack([piece.A, self.row_matrix[limits][:, columns]], format="csr"),
            b0=np.concatenate([piece.b0, self.row_limit[limits]]),
            B=sparse.csr_matrix((rows.size + limits.size, 0)),
            equality=np.concatenate([piece.equality, np.zeros(limits.size, dtype=bool)]),
            c0=piece.c0,
            C=piece.C,
            lower=piece.lower,
            upper=piece.upper,
        )
        compiled = CompiledProgram(joined)
        compiled.start_from(Basis.of_statuses(self.column_status[columns], np.concatenate([self.row_status[rows], self.limit_status[limits]])))
        solution = compiled.solve_optimal()
        self.x[columns] = solution.x
        self.column_status[columns], ended = compiled.basis.statuses
        self.row_status[rows], self.limit_status[limits] = ended[: rows.size], ended[rows.size :]
        return solution.bound

    def _whole(self) -> np.ndarray:
        x = np.zeros(self.program.columns.size)
        x[self.x_columns], x[self.s] = self.x, self.limits.states(self.x)
        return x


def _blocks(index: Index, positions: np.ndarray) -> np.ndarray:
    """Number of the block of every position."""
    return np.searchsorted([block.offset for block in index], positions, side="right") - 1


def _carried(basis: Basis, before: np.ndarray, now: np.ndarray) -> Basis:
    """The basis of a part as one of another with the same columns: rows of blocks that have another number of rows have slack."""
    columns, rows = basis.statuses
    carried = np.full(now.size, BASIC, dtype=np.int8)
    for block in np.intersect1d(before, now).tolist():
        old, new = before == block, now == block
        if old.sum() == new.sum():
            carried[new] = rows[old]
    return Basis.of_statuses(columns, carried)


def _content(piece: ParametricProgram) -> str:
    """Hash of what an optimum of a part depends on."""
    return content_key(piece.A.indptr, piece.A.indices, piece.A.data, piece.b0, piece.equality, piece.c0, piece.lower, piece.upper)
