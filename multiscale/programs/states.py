"""States of a program, which its other columns determine, and the limits on them; the mathematics stands in ``omitted_limits``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from multiscale.programs.program import ParametricProgram

EXCEEDED = 1e-8
"""A limit is violated by more than this, in its unit, of one more than its size: rounding."""

AT_ONCE = 64
"""Limits of one period that are written in ``x`` together: what that takes in memory is bounded."""


@dataclass(frozen=True)
class States:
    """Columns of a program that its other columns determine.

    Attributes:
        columns: positions, (series, period).
        rows: positions of the equations that determine them, as many.
        together: label of every period, (period,): limits of one series are retained for all periods with one label at once.
    """

    columns: np.ndarray
    rows: np.ndarray
    together: np.ndarray


class Limits:
    """Limits ``M s + N x <= m`` on states ``s``: rows that hold states, then upper and lower bounds of states.

    Attributes:
        family: of every limit, a number it shares with those that are retained together.

    Args:
        program: a linear program without parameters.
        states: which of its columns are states.
        rows: positions of the rows that hold states and do not determine them.
        x_columns: positions of the other columns, in the order in which limits are to be written.

    Raises:
        ValueError: the equations do not determine the states, or another equation holds one.
    """

    def __init__(self, program: ParametricProgram, states: States, rows: np.ndarray, x_columns: np.ndarray) -> None:
        self.program, self.s, self.equations = program, states.columns.ravel(), states.rows
        matrix = program.A.tocsr()
        determining = matrix[states.rows][:, self.s]
        try:
            self._lu = splu(determining.tocsc())
        except RuntimeError as error:
            raise ValueError(f"program {program.name!r}: its equations do not determine the states ({error})") from error
        if program.equality[rows].any():
            name = program.rows.label(int(rows[program.equality[rows]][0]))
            raise ValueError(f"program {program.name!r}: equation {name} holds a state that it does not determine")
        self._determine = matrix[states.rows][:, x_columns].tocsr()
        above, below = np.flatnonzero(np.isfinite(program.upper[self.s])), np.flatnonzero(np.isfinite(program.lower[self.s]))
        one = sparse.identity(self.s.size, format="csr")
        self._M = sparse.vstack([matrix[rows][:, self.s], one[above], -one[below]], format="csr")
        self._N = sparse.vstack([matrix[rows][:, x_columns], sparse.csr_matrix((above.size + below.size, x_columns.size))], format="csr")
        self._m = np.concatenate([program.b0[rows], program.upper[self.s][above], -program.lower[self.s][below]])
        # A limit is known by the first state in it and by its direction.
        self._first = self._M.indices[self._M.indptr[:-1]]
        series, period = np.divmod(self._first, states.columns.shape[1])
        _, label = np.unique(states.together, return_inverse=True)
        direction = self._M.data[self._M.indptr[:-1]] > 0
        self.family = (series * (label.max(initial=0) + 1) + label[period]) * 2 + direction
        # Groups of states and of equations that nothing ties, number by number: those of periods.
        n, links = self.s.size, sparse.vstack([determining, matrix[rows][:, self.s]]).tocoo()
        graph = sparse.csr_matrix((np.ones(links.nnz), (links.col, n + links.row)), shape=(n + links.shape[0], n + links.shape[0]))
        group = connected_components(graph, directed=False)[1]
        self._tied, self._tied_equation = group[:n], group[n : 2 * n]

    def costs(self, x_costs: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Costs of the columns ``x`` with what they make states cost, the amounts that each is the sum of, and the constant cost of states."""
        y = self._lu.solve(self.program.c0[self.s], trans="T")
        caused = self._determine.T
        return x_costs - caused @ y, np.abs(x_costs) + abs(caused) @ np.abs(y), float(y @ self.program.b0[self.equations])

    def states(self, x: np.ndarray) -> np.ndarray:
        """The states at columns ``x``."""
        return np.asarray(self._lu.solve(self.program.b0[self.equations] - self._determine @ x))

    def violated(self, x: np.ndarray, retained: np.ndarray) -> np.ndarray:
        """Limits that are not ``retained`` and of a family of which one is violated."""
        over = self._M @ self.states(x) + self._N @ x - self._m > EXCEEDED * (1.0 + np.abs(self._m))
        over[retained] = False
        return np.setdiff1d(np.flatnonzero(np.isin(self.family, self.family[over])), retained)

    def written(self, limits: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Some limits in the columns ``x`` alone: their rows and right-hand sides."""
        by_equation = self._by_equation(limits)
        rows = (self._N[limits] - by_equation @ self._determine).tocsr()
        return rows, self._m[limits] - by_equation @ self.program.b0[self.equations]

    def label(self, limit: int) -> str:
        """The first state in a limit."""
        return self.program.columns.label(int(self.s[self._first[limit]]))

    def _by_equation(self, limits: np.ndarray) -> sparse.csr_matrix:
        """``M A_RS^-1`` of some limits, (limit, equation): of states that no equation ties, as those of periods, one limit each at a time."""
        group = self._tied[self._M.indices[self._M.indptr[limits]]]
        order = np.argsort(group, kind="stable")
        rank = np.empty(limits.size, dtype=int)
        rank[order] = np.arange(limits.size) - np.searchsorted(group[order], group[order])
        found = []
        for first in range(0, int(rank.max()) + 1, AT_ONCE):
            some = np.flatnonzero((rank >= first) & (rank < first + AT_ONCE))
            column = rank[some] - first
            entries = self._M[limits[some]].tocoo()
            given = np.zeros((self.s.size, int(column.max()) + 1))
            np.add.at(given, (entries.col, column[entries.row]), entries.data)
            equation, at = np.nonzero(solution := self._lu.solve(given, trans="T"))
            owner = np.full((int(self._tied.max()) + 1, given.shape[1]), -1)
            owner[group[some], column] = some
            whose = owner[self._tied_equation[equation], at]
            found.append((solution[equation, at], whose, equation))
        values, whose, equation = (np.concatenate(each) for each in zip(*found, strict=True))
        return sparse.csr_matrix((values, (whose, equation)), shape=(limits.size, self.s.size))
