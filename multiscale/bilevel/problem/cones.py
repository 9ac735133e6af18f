"""Second-order cones of a follower: how far points and multipliers are outside of them, and linear rows that contain them.

A cone holds columns ``(h, t)`` with ``x_h >= ||x_t||``. It is its own dual: the reduced costs ``z = c + Qx - A'lambda`` of its columns
satisfy ``z_h >= ||z_t||`` at an optimum, and ``x_h z_h + x_t'z_t = 0``.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def outside(cones: tuple[np.ndarray, ...], v: np.ndarray) -> np.ndarray:
    """``max(0, ||v_t|| - v_h)`` of every cone, relative to ``max(1, ||v_t||)``."""
    norms = np.array([np.linalg.norm(v[cone[1:]]) for cone in cones])
    heads = np.array([v[cone[0]] for cone in cones])
    return np.maximum(norms - heads, 0.0) / np.maximum(1.0, norms)


def products(cones: tuple[np.ndarray, ...], x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """``x_h z_h + x_t'z_t`` of every cone."""
    return np.array([float(x[cone] @ z[cone]) for cone in cones])


def cone_boxes(cones: tuple[np.ndarray, ...], size: int) -> sparse.csr_matrix:
    """Rows ``+-v_t - v_h`` over all columns: at most zero in every cone."""
    rows, columns, data = [], [], []
    count = 0
    for cone in cones:
        for j in cone[1:].tolist():
            for sign in (1.0, -1.0):
                rows += [count, count]
                columns += [j, int(cone[0])]
                data += [sign, -1.0]
                count += 1
    return sparse.csr_matrix((data, (rows, columns)), shape=(count, size))
