"""Columns, rows and second-order cones added to a follower's program after its linear part has been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from multiscale.programs import Block, Index, ParametricProgram

Entries = Sequence[tuple[int, float]]
"""(column, coefficient) pairs."""


@dataclass
class Extension:
    """What is added; columns count on from the ``base`` columns of the program, rows from its last row.

    Attributes:
        base: columns of the program.
        columns: name, lower and upper bound of every new column.
        rows: name, own entries, entries of leader variables, right-hand side, whether it is an equation:
            ``own'x (= or <=) rhs + leader'y``.
        cones: columns ``(h, t_1, ..., t_k)`` with ``x_h >= ||x_t||``.
    """

    base: int
    columns: list[tuple[str, float, float]] = field(default_factory=list)
    rows: list[tuple[str, Entries, Entries, float, bool]] = field(default_factory=list)
    cones: list[list[int]] = field(default_factory=list)

    def column(self, name: str, lower: float = -np.inf, upper: float = np.inf) -> int:
        """A new column; returns its position."""
        self.columns.append((name, lower, upper))
        return self.base + len(self.columns) - 1

    def row(self, name: str, own: Entries, leader: Entries, rhs: float, *, equality: bool) -> int:
        """A new row; returns its position among the new rows."""
        self.rows.append((name, own, leader, rhs, equality))
        return len(self.rows) - 1

    def defined(self, name: str, own: Entries, leader: Entries, constant: float) -> int:
        """A new column equal to ``own'x + leader'y + constant``; returns its position. Its row is the last one."""
        column = self.column(name)
        self.row(f"{name} (definition)", [*[(j, -a) for j, a in own], (column, 1.0)], leader, constant, equality=True)
        return column

    def apply(self, program: ParametricProgram) -> ParametricProgram:
        """The program with everything added."""
        if not self.columns and not self.rows:
            return program
        n, m, k = program.columns.size, program.rows.size, program.parameters.size
        own = _matrix([row[1] for row in self.rows], n + len(self.columns))
        leader = _matrix([row[2] for row in self.rows], k)
        wider = sparse.csr_matrix((program.A.data, program.A.indices, program.A.indptr), shape=(m, n + len(self.columns)))
        count = len(self.columns)
        quadratic = None if program.Q is None else sparse.block_diag([program.Q, sparse.csr_matrix((count, count))], format="csr")
        outputs = {
            name: replace(output, matrix=sparse.hstack([output.matrix, sparse.csr_matrix((output.matrix.shape[0], count))], format="csr"))
            for name, output in program.outputs.items()
        }
        return replace(
            program,
            columns=_longer(program.columns, "variable", [name for name, _, _ in self.columns]),
            rows=_longer(program.rows, "constraint", [row[0] for row in self.rows]),
            A=sparse.vstack([wider, own], format="csr"),
            b0=np.concatenate([program.b0, [row[3] for row in self.rows]]),
            B=sparse.vstack([program.B, leader], format="csr"),
            equality=np.concatenate([program.equality, np.array([row[4] for row in self.rows], dtype=bool)]),
            c0=np.concatenate([program.c0, np.zeros(count)]),
            C=sparse.vstack([program.C, sparse.csr_matrix((count, k))], format="csr"),
            lower=np.concatenate([program.lower, [low for _, low, _ in self.columns]]),
            upper=np.concatenate([program.upper, [high for _, _, high in self.columns]]),
            Q=quadratic,
            outputs=outputs,
        )


def _matrix(rows: list[Entries], width: int) -> sparse.csr_matrix:
    indptr = np.cumsum([0, *[len(row) for row in rows]])
    columns = np.array([j for row in rows for j, _ in row], dtype=np.int64)
    data = np.array([a for row in rows for _, a in row], dtype=float)
    matrix = sparse.csr_matrix((data, columns, indptr), shape=(len(rows), width))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _longer(index: Index, dimension: str, names: list[str]) -> Index:
    """The index with one more block of names."""
    if not names:
        return index
    taken = {block.name for block in index.blocks}
    name = next(name for name in ("added", *(f"added {i}" for i in range(2, len(taken) + 3))) if name not in taken)
    block = Block(name, {dimension: np.array(names, dtype=object)}, "", index.size)
    return Index((*index.blocks, block))
