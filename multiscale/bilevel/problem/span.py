"""Quantities of a follower that are combinations of what it pays: its own cost ``c0'x`` and what prices multiply."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def combination(row: sparse.csr_matrix, basis: list[np.ndarray]) -> np.ndarray | None:
    """Weights ``a`` with ``row = sum_k a_k basis_k``, exact to rounding; None if there are none."""
    dense = np.asarray(row.todense()).ravel()
    used = [k for k, vector in enumerate(basis) if np.abs(vector).max(initial=0.0) > 0]
    weights = np.zeros(len(basis))
    if used:
        matrix = np.column_stack([basis[k] for k in used])
        weights[used] = np.linalg.lstsq(matrix, dense, rcond=None)[0]
        weights[np.abs(weights) < 1e-12 * np.abs(weights).max(initial=0.0)] = 0.0
        dense = dense - matrix @ weights[used]
    scale = max(np.abs(row.data).max(initial=0.0), *(np.abs(w * basis[k]).max(initial=0.0) for k, w in enumerate(weights)), 1e-300)
    return weights if np.abs(dense).max(initial=0.0) <= 1e-10 * scale else None
