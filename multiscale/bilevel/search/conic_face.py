"""Which part of a cone stays open at an optimum: linear rows where the other side of the pair is not zero.

With ``x`` and ``z`` in the same second-order cone and ``x'z = 0``:

    z inside the cone (z_h > ||z_t||)      x = 0
    z on its surface, not zero             x = tau (z_h, -z_t), tau >= 0,  so  z_h x_t + x_h z_t = 0
    z = 0                                  x anywhere in the cone (nothing linear to say)
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

_ZERO = 1e-7
"""Length of the other side, relative to its largest, below which it counts as zero."""


def cone_rows(cones: tuple[np.ndarray, ...], other: np.ndarray, known: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Rows over all columns, and the values they have at the known point.

    Args:
        cones: columns of each cone.
        other: the other side of each pair, for all columns.
        known: the point that is optimal already; its rounding stays allowed.
    """
    rows, columns, data = [], [], []
    count = 0
    for cone in cones:
        side = other[cone]
        length = float(np.linalg.norm(side))
        if length <= _ZERO * max(1.0, float(np.abs(other[np.concatenate(cones)]).max())):
            continue
        side = side / length
        if side[0] - np.linalg.norm(side[1:]) > 1e-5:
            entries = [[(int(column), 1.0)] for column in cone]
        else:
            entries = [[(int(column), float(side[0])), (int(cone[0]), float(part))] for column, part in zip(cone[1:], side[1:], strict=True)]
        for row in entries:
            rows += [count] * len(row)
            columns += [column for column, _ in row]
            data += [weight for _, weight in row]
            count += 1
    matrix = sparse.csr_matrix((data, (rows, columns)), shape=(count, known.size))
    return matrix, matrix @ known
