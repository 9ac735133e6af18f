"""Rows of a matrix that are multiples of each other."""

from __future__ import annotations

import numpy as np
from scipy import sparse

_ALIKE = 1e-11
"""Relative difference of entries up to which rows are multiples: what rounding leaves of a scaled row."""


def parallel_rows(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Representative row and factor of every row: ``row_i = factor_i * row_representative_i``; an empty row represents itself.

    Candidates come from a random projection of the rows, each scaled to a first entry of one; they are then compared entry by entry.
    """
    matrix = sparse.csr_matrix(matrix)
    matrix.sort_indices()
    count = matrix.shape[0]
    leader, factor = np.arange(count), np.ones(count)
    sizes = np.diff(matrix.indptr)
    filled = np.flatnonzero(sizes)
    if filled.size < 2:
        return leader, factor
    first = matrix.data[matrix.indptr[filled]]
    scaled = sparse.diags(1.0 / first) @ matrix[filled]
    mark = scaled @ np.random.default_rng(11).uniform(1.0, 2.0, matrix.shape[1])
    size = abs(scaled) @ np.ones(matrix.shape[1])
    order = np.lexsort((mark, sizes[filled]))
    near = (np.abs(np.diff(mark[order])) <= 4e-11 * size[order][1:]) & (np.diff(sizes[filled][order]) == 0)
    scaled = scaled.tocsr()
    for place in np.flatnonzero(near):
        a, b = order[place], order[place + 1]
        part, other = slice(scaled.indptr[a], scaled.indptr[a + 1]), slice(scaled.indptr[b], scaled.indptr[b + 1])
        if (scaled.indices[part] == scaled.indices[other]).all():
            x, z = scaled.data[part], scaled.data[other]
            if (np.abs(x - z) <= _ALIKE * np.abs(x)).all():
                i, j = filled[a], filled[b]
                leader[j], factor[j] = leader[i], first[b] / first[a] * factor[i]
    # The first of each group represents it.
    least = np.arange(count)
    np.minimum.at(least, leader, np.arange(count))
    return least[leader], factor / factor[least[leader]]
