"""The compiled simplex method for flows with gains: ``min c x, A x = b, 0 <= x <= length``, at most two entries in every column.

It begins at a feasible basis, which may hold artificial columns. Ties are broken the same in every run; after many steps that move
nothing, Bland's rule (R. G. Bland, Math. Oper. Res. 2 (1977) 103-107) excludes cycling. What it finds is judged by the duals it ends with.
"""

from __future__ import annotations

import numba
import numpy as np

from multiscale.markets.batched.flow_basis import duals, ordered, quantities

LOWER, UPPER, BASIC = 0, 1, 2
"""Where a column is: at zero, at its length, or between them."""

SOLVED, TOO_LONG = 0, 1
"""How a descent ends: optimal, or after too many steps (or at a basis that rounding has made singular)."""

INFEASIBLE_SUM = 1e-9
"""Least sum of artificial columns, relative to the largest right-hand side, or one, above which there is no feasible point."""

STEPS = 200
"""Most steps per row."""

PIVOT, ROUNDING = 1e-9, 1e-11
"""Smallest pivot, and reduced costs that count as zero, relative to the largest cost."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def values_of_basis(
    b: np.ndarray,
    length: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    basis: np.ndarray,
    status: np.ndarray,
    outside: int,
    row_of: np.ndarray,
    place_of: np.ndarray,
    work: np.ndarray,
    slope: np.ndarray,
    out: np.ndarray,
    x: np.ndarray,
) -> None:
    """All quantities x that belong to a basis."""
    for r in range(b.size):
        work[r] = b[r]
    for j in range(x.size):
        if status[j] == BASIC:
            continue
        x[j] = length[j] if status[j] == UPPER else 0.0
        if x[j] != 0.0:
            for k in range(2):
                if rows[j, k] >= 0:
                    work[rows[j, k]] -= values[j, k] * x[j]
    quantities(work, outside, basis, rows, values, row_of, place_of, slope, out)
    for i in range(basis.size):
        x[basis[i]] = out[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def descend(
    cost: np.ndarray,
    b: np.ndarray,
    length: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    basis: np.ndarray,
    status: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    whole: np.ndarray,
    real: np.ndarray,
) -> tuple[int, int]:
    """Steps of the simplex method from a feasible basis, which is moved to the best; returns how it ended, and the number of steps.

    Args:
        cost, length, rows, values: of the columns, (column,) and (column, 2); b: (row,).
        basis, status: column at every place, and where every column is.
        x, y: found quantities and duals, (column,) and (row,).
        whole, real: work, (5, row) of integers and (4, row).
    """
    m, n = basis.size, x.size
    degree, joined, first, row_of, place_of = whole[0], whole[1], whole[2], whole[3], whole[4]
    work, slope, out, spare = real[0], real[1], real[2], real[3]
    fine, outside = ordered(basis, rows, degree, joined, first, row_of, place_of)
    if not fine:
        return TOO_LONG, 0
    values_of_basis(b, length, rows, values, basis, status, outside, row_of, place_of, work, slope, out, x)
    largest = 0.0
    for j in range(n):
        largest = max(largest, abs(cost[j]))
    small, idle = ROUNDING * largest, 0
    for step in range(STEPS * m):
        duals(cost, outside, basis, rows, values, row_of, place_of, slope, y)
        entering, worst, upwards = -1, small, True
        for j in range(n):
            if status[j] == BASIC or length[j] <= 0.0:
                continue
            d = cost[j] - values[j, 0] * y[rows[j, 0]]
            if rows[j, 1] >= 0:
                d -= values[j, 1] * y[rows[j, 1]]
            gain = -d if status[j] == LOWER else d
            if gain > worst:
                entering, worst, upwards = j, gain, status[j] == LOWER
                if idle > 2 * m:
                    break
        if entering < 0:
            values_of_basis(b, length, rows, values, basis, status, outside, row_of, place_of, work, slope, out, x)
            return SOLVED, step
        work[:] = 0.0
        for k in range(2):
            if rows[entering, k] >= 0:
                work[rows[entering, k]] = values[entering, k] if upwards else -values[entering, k]
        quantities(work, outside, basis, rows, values, row_of, place_of, slope, spare)
        leaving, far, size, to_upper = -1, length[entering], 0.0, False
        for i in range(m):
            w = spare[i]
            if abs(w) <= PIVOT:
                continue
            j = basis[i]
            room = (x[j] if w > 0.0 else length[j] - x[j]) / abs(w)
            room = max(room, 0.0)
            close = 1e-12 * (1.0 + far) if far < np.inf else 0.0
            if idle > 2 * m:
                nearer = room < far or (room == far and leaving >= 0 and j < basis[leaving])
            else:
                nearer = room < far - close or (leaving >= 0 and room <= far + close and abs(w) > size)
            if nearer:
                leaving, far, size, to_upper = i, room, abs(w), w < 0.0
        if far == np.inf:
            return TOO_LONG, step
        idle = idle + 1 if far <= 1e-12 else 0
        for i in range(m):
            x[basis[i]] -= far * spare[i]
        if leaving < 0:
            x[entering] = length[entering] if upwards else 0.0
            status[entering] = UPPER if upwards else LOWER
            continue
        out_of = basis[leaving]
        status[out_of] = UPPER if to_upper else LOWER
        x[out_of] = length[out_of] if to_upper else 0.0
        x[entering] = far if upwards else length[entering] - far
        status[entering], basis[leaving] = BASIC, entering
        fine, outside = ordered(basis, rows, degree, joined, first, row_of, place_of)
        if not fine:
            return TOO_LONG, step
    return TOO_LONG, STEPS * m


@numba.njit(cache=True, nogil=True, error_model="numpy")
def distance(cost: np.ndarray, b: np.ndarray, length: np.ndarray, rows: np.ndarray, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """By how much the cost of x may be above the least: cost of x, less the bound of the duals y by weak duality."""
    total = 0.0
    for r in range(b.size):
        total -= y[r] * b[r]
    for j in range(x.size):
        d = cost[j] - values[j, 0] * y[rows[j, 0]]
        if rows[j, 1] >= 0:
            d -= values[j, 1] * y[rows[j, 1]]
        total += cost[j] * x[j]
        if d < 0.0 and length[j] < np.inf:
            total -= d * length[j]
    return max(total, 0.0)
