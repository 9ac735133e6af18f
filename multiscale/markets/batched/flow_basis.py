"""The compiled basis of a flow with gains: every column has at most two entries, so a basis is a forest whose trees hold one cycle each.

A column with one entry is a cycle of its own. Rows with one column left are taken off one after the other; what remains are cycles of two and more
columns. Both systems, B x = a and y B = c, are then solved in as many steps as the basis has rows, without a factor that has to be kept or renewed.
Source: Ahuja, Magnanti, Orlin, Network Flows (1993), chapter 15.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ordered(
    basis: np.ndarray,
    rows: np.ndarray,
    degree: np.ndarray,
    joined: np.ndarray,
    first: np.ndarray,
    row_of: np.ndarray,
    place_of: np.ndarray,
) -> tuple[bool, int]:
    """The order in which rows are taken off, then the cycles; returns whether the basis has an inverse, and how many rows lie outside cycles.

    Args:
        basis: column at every place, (place,).
        rows: of both entries of every column, the second -1 where there is one only, (column, 2).
        degree, joined, first: work, (row,).
        row_of, place_of: found order; of a cycle every row is followed by the next, and the column at its place joins both, (row,).
    """
    m = basis.size
    degree[:] = 0
    joined[:] = 0
    for i in range(m):
        for k in range(2):
            r = rows[basis[i], k]
            if r >= 0:
                degree[r] += 1
                joined[r] ^= i
    # ``first`` is a stack of rows with one column left.
    waiting, n = 0, 0
    for r in range(m):
        if degree[r] == 1:
            first[waiting] = r
            waiting += 1
    while waiting > 0:
        waiting -= 1
        r = first[waiting]
        if degree[r] != 1:
            return False, n
        i = joined[r]
        row_of[n], place_of[n] = r, i
        n += 1
        degree[r] = 0
        j = basis[i]
        q = rows[j, 1] if rows[j, 0] == r else rows[j, 0]
        if q >= 0:
            degree[q] -= 1
            joined[q] ^= i
            if degree[q] == 1:
                first[waiting] = q
                waiting += 1
            elif degree[q] == 0:
                return False, n
    for r in range(m):
        if degree[r] != 0 and degree[r] != 2:
            return False, n
        first[r] = -1
    if n < m:
        for i in range(m):
            j = basis[i]
            a, b = rows[j, 0], rows[j, 1]
            # A column taken off has an end without columns.
            if b >= 0 and degree[a] == 2 and degree[b] == 2:
                first[a] = first[b] = i
    outside = n
    for start in range(m):
        if degree[start] != 2:
            continue
        r, i = start, first[start]
        while degree[r] == 2:
            row_of[n], place_of[n] = r, i
            n += 1
            degree[r] = -1 if r != start else -2
            j = basis[i]
            r = rows[j, 1] if rows[j, 0] == r else rows[j, 0]
            i = joined[r] ^ i
        if degree[r] != -2:
            return False, outside
        degree[r] = -1
    return n == m, outside


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _at(rows: np.ndarray, values: np.ndarray, j: int, r: int) -> float:
    """Entry of column j in row r."""
    return values[j, 0] if rows[j, 0] == r else values[j, 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _end_of_cycle(k: int, basis: np.ndarray, rows: np.ndarray, row_of: np.ndarray, place_of: np.ndarray) -> int:
    """Position behind the cycle that begins at k: the column before it leads back to its first row."""
    start, last = row_of[k], k
    while True:
        j = basis[place_of[last]]
        r = row_of[last]
        if (rows[j, 1] if rows[j, 0] == r else rows[j, 0]) == start:
            return last + 1
        last += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def quantities(
    a: np.ndarray,
    outside: int,
    basis: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    row_of: np.ndarray,
    place_of: np.ndarray,
    slope: np.ndarray,
    out: np.ndarray,
) -> None:
    """Solve B out = a; ``a`` is used up, ``slope`` is work, (place,)."""
    m = basis.size
    for n in range(outside):
        r, i = row_of[n], place_of[n]
        j = basis[i]
        if rows[j, 0] == r:
            out[i] = a[r] / values[j, 0]
            if rows[j, 1] >= 0:
                a[rows[j, 1]] -= values[j, 1] * out[i]
        else:
            out[i] = a[r] / values[j, 1]
            a[rows[j, 0]] -= values[j, 0] * out[i]
    n = outside
    while n < m:
        end = _end_of_cycle(n, basis, rows, row_of, place_of)
        # Everything on the cycle is constant + slope x what flows in its last column.
        before, moved = 0.0, 1.0
        for k in range(n, end):
            r, i = row_of[k], place_of[k]
            enters = _at(rows, values, basis[place_of[k - 1 if k > n else end - 1]], r)
            leaves = _at(rows, values, basis[i], r)
            before, moved = (a[r] - enters * before) / leaves, -enters * moved / leaves
            out[i], slope[i] = before, moved
        last = before / (1.0 - moved)
        for k in range(n, end):
            i = place_of[k]
            out[i] = out[i] + slope[i] * last
        out[place_of[end - 1]] = last
        n = end


@numba.njit(cache=True, nogil=True, error_model="numpy")
def duals(
    cost: np.ndarray,
    outside: int,
    basis: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
    row_of: np.ndarray,
    place_of: np.ndarray,
    slope: np.ndarray,
    out: np.ndarray,
) -> None:
    """Solve out B = cost of the columns in the basis; ``slope`` is work, (row,)."""
    m = basis.size
    n = outside
    while n < m:
        end = _end_of_cycle(n, basis, rows, row_of, place_of)
        at, moved = 0.0, 1.0
        out[row_of[n]], slope[row_of[n]] = at, moved
        for k in range(n, end):
            j, r = basis[place_of[k]], row_of[k]
            q = row_of[k + 1 if k + 1 < end else n]
            own, other = _at(rows, values, j, r), _at(rows, values, j, q)
            at, moved = (cost[j] - own * at) / other, -own * moved / other
            if k + 1 < end:
                out[q], slope[q] = at, moved
        first = at / (1.0 - moved)
        for k in range(n, end):
            out[row_of[k]] += slope[row_of[k]] * first
        n = end
    for n in range(outside - 1, -1, -1):
        r = row_of[n]
        j = basis[place_of[n]]
        if rows[j, 0] == r:
            rest = cost[j] - (values[j, 1] * out[rows[j, 1]] if rows[j, 1] >= 0 else 0.0)
            out[r] = rest / values[j, 0]
        else:
            out[r] = (cost[j] - values[j, 0] * out[rows[j, 0]]) / values[j, 1]
