r"""Capacity that no customer buys: it is omitted from a component, and its worth at the component's prices shows that nothing is lost.

A capacity s >= 0 (a new battery) has members x (charging, discharging, energy in every period) that it bounds, 0 <= x <= u s, and rows of its own
that hold members alone, M x = 0 (or M x <= 0, with v <= 0). Without it the component is much smaller. With the duals y of the smaller component, and
any v,

    bound of the whole  =  bound of the smaller one  +  sum over s of  largest s * min(0, worth(s)),
    worth(s)            =  c_s + sum_j u_j min(0, c_j - A_j'y - M_j'v)

and the answer without s is the answer where worth(s) >= 0. Most v that were best at one choice and charge do at others; where not, they are found by
the program of one unit of each capacity,   min (c - A'y)' x   s.t.   M x = 0,  0 <= x <= u.   A capacity of worth below zero even then is taken in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.programs import Basis, Block, CompiledProgram, Index, ParametricProgram
from multiscale.programs.basis import BASIC, LOWER, UPPER

DUALS = 4
"""How many duals of omitted rows are kept: a range of charges is looked at from both ends and at two shares of the transfers."""


@dataclass(frozen=True)
class Capacities:
    """Capacities of a program that have rows of their own; positions are those in the program.

    Attributes:
        size: column of each capacity.
        members, of, ratio, limits: column of each member, its capacity, its bound per unit of capacity, the row of that bound.
        rows, of_row: rows of their own, and their capacities.
    """

    size: np.ndarray
    members: np.ndarray
    of: np.ndarray
    ratio: np.ndarray
    limits: np.ndarray
    rows: np.ndarray
    of_row: np.ndarray


def capacities(program: ParametricProgram) -> Capacities:
    """The capacities of a program: columns that only bound others, which then hold rows of right-hand side zero among themselves."""
    matrix = program.A
    counts = np.diff(matrix.indptr)
    homogeneous = (program.b0 == 0) & (np.diff(program.B.indptr) == 0)
    pairs = np.flatnonzero((counts == 2) & homogeneous & ~program.equality)
    first = matrix.indptr[pairs]
    index, value = matrix.indices[first[:, None] + np.arange(2)], matrix.data[first[:, None] + np.arange(2)]
    index, value = np.take_along_axis(index, order := np.argsort(value, axis=1), axis=1), np.take_along_axis(value, order, axis=1)
    bounding = (value[:, 0] < 0) & (value[:, 1] > 0) & (program.lower[index] == 0).all(axis=1)
    pairs, size, member = pairs[bounding], index[bounding, 0], index[bounding, 1]
    ratio = -value[bounding, 0] / value[bounding, 1]
    n = program.columns.size
    uses = np.bincount(matrix.indices, minlength=n)
    # A capacity only bounds, and each of its members is bounded once; else a row of its remains, with a dual that its worth would not count.
    once = (np.bincount(member, minlength=n) == 1)[member]
    sound = (np.bincount(size, once, minlength=n) == uses)[size] & np.isfinite(program.upper[size])
    pairs, size, member, ratio = pairs[sound], size[sound], member[sound], ratio[sound]
    owner = np.full(n, -1)
    owner[member] = size
    inner = np.flatnonzero(homogeneous & (counts > 0) & ~np.isin(np.arange(counts.size), pairs))
    entries = matrix[inner]
    row = np.repeat(np.arange(inner.size), np.diff(entries.indptr))
    least, most = np.full(inner.size, n), np.full(inner.size, -1)
    np.minimum.at(least, row, owner[entries.indices])
    np.maximum.at(most, row, owner[entries.indices])
    own = (least == most) & (most >= 0)
    found = np.unique(most[own])
    ours = np.isin(size, found)
    return Capacities(
        size=found,
        members=member[ours],
        of=np.searchsorted(found, size[ours]),
        ratio=ratio[ours],
        limits=pairs[ours],
        rows=inner[own],
        of_row=np.searchsorted(found, most[own]),
    )


class Restriction:
    """A program without some of its capacities.

    Attributes:
        program: the smaller program.
        columns, rows: positions of what it keeps in the whole one.

    Args:
        whole: the program.
        known: its capacities.
        taken: those that are kept (bool).
        duals: of the rows of the whole program, to begin with, (``DUALS``, row); those of omitted rows are read.
    """

    def __init__(self, whole: ParametricProgram, known: Capacities, taken: np.ndarray, duals: np.ndarray) -> None:
        self._whole, self._known, self._omitted = whole, known, ~taken
        self._member, self._row = self._omitted[known.of], self._omitted[known.of_row]
        columns, rows = np.ones(whole.columns.size, dtype=bool), np.ones(whole.rows.size, dtype=bool)
        columns[known.size[self._omitted]], columns[known.members[self._member]] = False, False
        rows[known.limits[self._member]], rows[known.rows[self._row]] = False, False
        self.columns, self.rows = np.flatnonzero(columns), np.flatnonzero(rows)
        self.program = whole if columns.all() else whole.part(self.rows, self.columns)
        self._duals = duals[:, known.rows[self._row]]
        self._unit: CompiledProgram | None = None
        self._paid: np.ndarray | None = None
        by_column = whole.A.tocsc()[:, known.members[self._member]]
        self._linked = by_column[self.rows].T.tocsr()
        self._own = by_column[known.rows[self._row]].tocsr()

    def whole_point(self, x: np.ndarray) -> np.ndarray:
        """Columns of the whole program; what is omitted is zero."""
        point = np.zeros(self._whole.columns.size)
        point[self.columns] = x
        return point

    def worth(self, p: np.ndarray, y: np.ndarray) -> np.ndarray:
        """A lower bound on what a unit of every omitted capacity costs at duals ``y`` of the smaller program [EUR/a per unit]."""
        if not self._omitted.any():
            return np.zeros(0)
        known, costs = self._known, self._whole.costs(p)
        members = known.members[self._member]
        paid = costs[members] - self._linked @ y

        def at(dual: np.ndarray) -> np.ndarray:
            lacking = np.minimum(paid - self._own.T @ dual, 0.0) * known.ratio[self._member]
            return (costs[known.size] + np.bincount(known.of[self._member], lacking, minlength=known.size.size))[self._omitted]

        self._paid = paid
        worth = np.max([at(dual) for dual in self._duals], axis=0)
        if (worth < 0).any():
            worth = np.maximum(worth, at(self._solve_unit()))
        return worth

    def settle(self) -> None:
        """Find the best duals of the omitted rows for the latest answer, and with them a basis of the whole program that is optimal."""
        if self._omitted.any() and self._paid is not None:
            self._solve_unit()

    def _solve_unit(self) -> np.ndarray:
        paid, first = self._paid, self._unit is None
        assert paid is not None
        if self._unit is None:
            count, rows = paid.size, self._own.shape[0]
            self._unit = CompiledProgram(
                ParametricProgram(
                    name=f"{self._whole.name}, one unit of each capacity",
                    columns=Index((Block("members", {"member": np.arange(count)}, "", 0),)),
                    rows=Index((Block("rows", {"row": np.arange(rows)}, "", 0),)),
                    parameters=Index(),
                    A=self._own,
                    b0=np.zeros(rows),
                    B=sparse.csr_matrix((rows, 0)),
                    equality=self._whole.equality[self._known.rows[self._row]],
                    c0=paid,
                    C=sparse.csr_matrix((count, 0)),
                    lower=np.zeros(count),
                    upper=self._known.ratio[self._member],
                ),
                devex=True,
            )
        self._unit.exchange(replace(self._unit.program, c0=paid))
        dual = self._unit.solve_optimal(primal=not first).y
        # The sign that the bound needs, which the solver's answer has within its tolerance.
        dual = np.where(self._unit.program.equality, dual, np.minimum(dual, 0.0))
        self._duals = np.vstack([dual, self._duals[:-1]])
        return dual

    @property
    def duals(self) -> np.ndarray:
        """Of the omitted rows, the latest that were found; zero elsewhere, (``DUALS``, row of the whole program)."""
        duals = np.zeros((DUALS, self._whole.rows.size))
        duals[:, self._known.rows[self._row]] = self._duals
        return duals

    @property
    def omitted(self) -> np.ndarray:
        """Which capacities are omitted, positions."""
        return np.flatnonzero(self._omitted)

    def widened(self, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
        """Status of every column and row of the whole program, from a basis of the smaller one.

        A member at its bound in the program of one unit is basic, and the row of its bound is not; else the row is basic.
        """
        columns, rows = np.full(self._whole.columns.size, LOWER, dtype=np.int8), np.full(self._whole.rows.size, BASIC, dtype=np.int8)
        columns[self.columns], rows[self.rows] = basis.statuses
        if self._unit is not None:
            known = self._known
            member, row = self._unit.basis.statuses
            columns[known.members[self._member]] = np.where(member == LOWER, LOWER, BASIC)
            rows[known.limits[self._member]] = np.where(member == UPPER, LOWER, BASIC)
            rows[known.rows[self._row]] = row
        return columns, rows

    def narrowed(self, columns: np.ndarray, rows: np.ndarray) -> Basis:
        """The basis of the smaller program in statuses of the whole one, where the omitted capacities are no part of the rest."""
        return Basis.of_statuses(columns[self.columns], rows[self.rows])
