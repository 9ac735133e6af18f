"""A basis as data, with the labels of the program it is of: a similar program starts with what both have, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.content import content_key
from multiscale.programs.basis import Basis
from multiscale.programs.carried_basis import without_start
from multiscale.programs.index import Index
from multiscale.programs.program import ParametricProgram

Blocks = tuple[tuple[str, int], ...]
"""What every block is, its name and a hash of the labels of every axis, and the number of its entries."""


@dataclass(frozen=True)
class LabelledBasis:
    """Where a simplex solve ended.

    Attributes:
        column_blocks, row_blocks: what the columns and rows are.
        columns, rows: status of each, as of ``Basis.statuses``.
    """

    column_blocks: Blocks
    row_blocks: Blocks
    columns: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, program: ParametricProgram, basis: Basis) -> LabelledBasis:
        """The basis where a solve of a program ended."""
        return cls(*blocks_of(program), *basis.statuses)

    def fits(self, program: ParametricProgram) -> bool:
        """Whether a program has the same columns and rows, whatever its numbers."""
        return blocks_of(program) == (self.column_blocks, self.row_blocks)

    def for_program(self, program: ParametricProgram) -> Basis | None:
        """A start of a program; None where that has no block of columns in common.

        Of another program than this one the statuses of the blocks that both have are taken; its other columns are at a bound and its other rows
        basic. HiGHS makes a basis of it.
        """
        column_blocks, row_blocks = blocks_of(program)
        if (column_blocks, row_blocks) == (self.column_blocks, self.row_blocks):
            return Basis.unpacked((self.columns.tobytes(), self.rows.tobytes()))
        if not set(column_blocks) & set(self.column_blocks):
            return None
        at_bound, basic = without_start(program)
        columns = _taken(column_blocks, self.column_blocks, self.columns, at_bound)
        return Basis.of_statuses(columns, _taken(row_blocks, self.row_blocks, self.rows, basic))


def _taken(blocks: Blocks, known: Blocks, statuses: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Statuses of some blocks from those of others: of the same blocks, else ``other``."""
    ends = np.cumsum([size for _, size in known])
    parts = {block: statuses[end - block[1] : end] for block, end in zip(known, ends.tolist(), strict=True)}
    found, first = other.copy(), 0
    for block in blocks:
        if block in parts:
            found[first : first + block[1]] = parts[block]
        first += block[1]
    return found


def blocks_of(program: ParametricProgram) -> tuple[Blocks, Blocks]:
    """What the columns and the rows of a program are."""
    # Blocks share the arrays of their labels, which are hashed once.
    known: dict[int, str] = {}

    def described(index: Index) -> Blocks:
        found = []
        for block in index.blocks:
            for labels in block.coords.values():
                if id(labels) not in known:
                    known[id(labels)] = content_key(labels)
            axes = (f"{name} {known[id(labels)]}" for name, labels in block.coords.items())
            found.append((", ".join([block.name, *axes]), block.size))
        return tuple(found)

    return described(program.columns), described(program.rows)
