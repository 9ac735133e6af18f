"""A linear program that falls into parts, solved part by part: the days of an operation that nothing ties, for one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.programs.basis import Basis
from multiscale.programs.program import ParametricProgram
from multiscale.programs.solve import CompiledProgram


def solve_in_parts(program: ParametricProgram, parameters: Mapping[str, object]) -> np.ndarray:
    """Columns of an optimum, (column,).

    Parts share no row. Each starts from the basis of the one before where their matrices have the same pattern, as those of days have.

    Args:
        program: a linear program.
        parameters: block -> value.

    Raises:
        ProgramError: a part has no optimum.
    """
    m, n = program.A.shape
    fixed = program.fix({block.name: parameters[block.name] for block in program.parameters})
    entries = fixed.A.tocoo()
    graph = sparse.csr_matrix((np.ones(entries.nnz), (entries.row, m + entries.col)), shape=(m + n, m + n))
    label = connected_components(graph, directed=False)[1]
    # Columns that no row holds are one part, with the rows that hold no column.
    degree = np.diff(graph.indptr) + np.bincount(graph.indices, minlength=m + n)
    label[degree == 0] = label.max() + 1
    x = np.full(n, np.nan)
    before: tuple[sparse.csr_matrix, Basis] | None = None
    for part in np.unique(label).tolist():
        rows, columns = np.flatnonzero(label[:m] == part), np.flatnonzero(label[m:] == part)
        piece = fixed.part(rows, columns)
        compiled = CompiledProgram(piece)
        if before is not None and alike(before[0], piece.A):
            compiled.start_from(before[1])
        x[columns] = compiled.solve_optimal().x
        before = piece.A, compiled.basis
    return x


def alike(one: sparse.csr_matrix, other: sparse.csr_matrix) -> bool:
    """Whether two matrices have one pattern, so that a basis of one may be one of the other."""
    return one.shape == other.shape and np.array_equal(one.indptr, other.indptr) and np.array_equal(one.indices, other.indices)
