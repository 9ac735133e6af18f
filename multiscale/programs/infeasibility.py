"""Why a program has no feasible point: the least relaxation that gives one, row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.programs.index import Block, Index
from multiscale.programs.program import ParametricProgram


@dataclass(frozen=True)
class RowRelaxation:
    """A row that must be relaxed for a feasible point, and by how much.

    Attributes:
        row: label of the row, e.g. ``balance[bus 3,t07]``.
        amount: the least relaxation of its right-hand side, in ``unit``; signed (positive = right-hand side raised).
        unit: unit of the row.
    """

    row: str
    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{self.row} misses by {abs(self.amount):.6g} {self.unit}"


def elastic_program(program: ParametricProgram, parameters: np.ndarray) -> ParametricProgram:
    """``min sum(s+ + s-)`` subject to ``A x - s+ + s- = or <= b0 + B p`` and the bounds of ``x``: it always has a feasible point.

    Its columns are those of ``program``, then ``s+`` (row), then ``s-`` (row), in the unit of each row.
    """
    m = program.rows.size
    eye = sparse.identity(m, format="csr")
    ids = {"row": np.arange(m)}
    columns = program.columns
    for name in ("relax_up", "relax_down"):
        columns = Index((*columns.blocks, Block(f"__{name}__", ids, "row unit", columns.size)))
    n = program.columns.size
    return replace(
        program,
        name=f"{program.name} (elastic)",
        columns=columns,
        parameters=Index(),
        A=sparse.hstack([program.A, -eye, eye], format="csr"),
        b0=program.rhs(parameters),
        B=sparse.csr_matrix((m, 0)),
        c0=np.concatenate([np.zeros(n), np.ones(2 * m)]),
        C=sparse.csr_matrix((n + 2 * m, 0)),
        lower=np.concatenate([program.lower, np.zeros(2 * m)]),
        upper=np.concatenate([program.upper, np.full(2 * m, np.inf)]),
        Q=None,
        d0=0.0,
        d=np.zeros(0),
        outputs={},
    )


def row_relaxations(program: ParametricProgram, parameters: np.ndarray, x: np.ndarray) -> list[RowRelaxation]:
    """The rows of ``program`` that an optimum ``x`` of its elastic program relaxes, largest first."""
    n, m = program.columns.size, program.rows.size
    relaxation = x[n : n + m] - x[n + m :]
    scale = 1e-7 * (1.0 + np.abs(program.rhs(parameters)))
    rows = np.flatnonzero(np.abs(relaxation) > scale)
    rows = rows[np.argsort(-np.abs(relaxation[rows]))]
    return [RowRelaxation(program.rows.label(int(i)), float(relaxation[i]), program.rows.owner(int(i)).unit) for i in rows]
