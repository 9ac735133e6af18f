"""Bounds of multipliers by interval arithmetic, after opposite rows are netted.

1. *Propagation.* ``A_j'lambda <= max c_j(y)`` for columns that may grow without limit (``>= min c_j`` for those that may fall,
   both for free ones) is a system of inequalities in the multipliers alone; interval arithmetic runs over it, for the whole box
   of leader variables.
2. *Opposite rows.* ``a'x <= b1(y)`` and ``-a'x <= b2(y)`` with ``b1 + b2 >= 0`` everywhere: taking the smaller multiplier off both
   changes no reduced cost and does not lower the dual objective, so some optimal dual has one of them at zero (every one, if
   ``b1 + b2 > 0``). Each is then bounded by their difference, which is what propagation sees.
"""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.problem.description import Follower, Leader
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, interval

_MARGIN = 1e-6
"""Relative widening of a bound that came out of floating-point arithmetic."""


def by_propagation(follower: Follower, leader: Leader, every: bool) -> DualBounds:
    """Bounds from interval arithmetic alone; ``every``: of every optimal dual, not only of some."""
    program = follower.program
    m = program.rows.size
    first, second, strict = _opposite_rows(follower, leader, every)
    cost_low, cost_high = interval(program.C, program.c0, leader.lower, leader.upper)
    if program.Q is not None:
        curve_low, curve_high = interval(program.Q, np.zeros(program.columns.size), program.lower, program.upper)
        cost_low, cost_high = cost_low + curve_low, cost_high + curve_high
    # r = c - A'lambda: r >= 0 unless the column may be at an upper bound, r <= 0 unless at a lower one.
    # The reduced costs of a cone's columns may have either sign.
    above = np.where(np.isinf(program.upper) & ~follower.in_cone, cost_high, np.inf)
    below = np.where(np.isinf(program.lower) & ~follower.in_cone, cost_low, -np.inf)
    low, high = np.full(m, -np.inf), np.where(program.equality, np.inf, 0.0)
    matrix = program.A.tocoo()
    keep = ~np.isin(matrix.row, second)
    rows, columns, data = matrix.row[keep], matrix.col[keep], matrix.data[keep]
    high[first] = np.inf
    low[second], high[second] = 0.0, 0.0
    low, high, rounds = _propagate(rows, columns, data, below, above, low, high)
    net_low, net_high = low[first].copy(), high[first].copy()
    low[first], high[first] = np.minimum(net_low, 0.0), 0.0
    low[second], high[second] = -np.maximum(net_high, 0.0), 0.0
    paired = np.zeros(m, dtype=bool)
    paired[first] = paired[second] = True
    widen = _MARGIN * np.maximum(1.0, np.maximum(np.where(np.isfinite(low), np.abs(low), 0), np.where(np.isfinite(high), np.abs(high), 0)))
    low = low - widen
    high = np.where(program.equality, high + widen, 0.0)
    how = {}
    for block in program.rows:
        part = slice(block.offset, block.offset + block.size)
        finite = np.isfinite(low[part]) & np.isfinite(high[part])
        if finite.any():
            text = f"bound propagation on A'lambda <= c over the leader's box ({rounds} rounds), {int(finite.sum())} of {block.size} rows"
            if paired[part].any():
                text += "; opposite rows never bind together" if strict else "; of opposite rows some optimal dual uses one"
            how[block.name] = f"{text}; values in [{low[part][finite].min():.6g}, {high[part][finite].max():.6g}]"
    return DualBounds(low, high, how, "every" if strict else "some")


def _opposite_rows(follower: Follower, leader: Leader, every: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Pairs of rows ``a'x <= b1``, ``-a'x <= b2`` of which some optimal dual uses at most one; whether that holds for every one."""
    program = follower.program
    rows = np.flatnonzero(~program.equality)
    none = np.zeros(0, dtype=np.int64)
    if rows.size < 2:
        return none, none, True
    # A random projection finds candidates in one pass; each candidate is then compared entry by entry.
    mark = program.A @ np.random.default_rng(7).normal(size=program.columns.size)
    order = rows[np.argsort(np.abs(mark[rows]), kind="stable")]
    a, b = order[:-1], order[1:]
    close = (np.abs(np.abs(mark[a]) - np.abs(mark[b])) <= 1e-12 * np.abs(mark[a])) & (mark[a] * mark[b] < 0)
    a, b = a[close], b[close]
    taken = np.zeros(program.rows.size, dtype=bool)
    pairs = []
    difference = abs(program.A[a] + program.A[b]).sum(axis=1)
    least, _ = interval((program.B[a] + program.B[b]).tocsr(), program.b0[a] + program.b0[b], leader.lower, leader.upper)
    strict = True
    for i, j, gap, room in zip(a, b, np.asarray(difference).ravel(), least, strict=True):
        if gap == 0 and not taken[i] and not taken[j] and (room > 0 or (room == 0 and not every)):
            taken[[i, j]] = True
            pairs.append((i, j))
            strict &= room > 0
    if not pairs:
        return none, none, True
    first, second = np.array(pairs, dtype=np.int64).T
    return first, second, bool(strict)


def _propagate(
    rows: np.ndarray, columns: np.ndarray, data: np.ndarray, below: np.ndarray, above: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Interval arithmetic on ``below_j <= sum_i data_ij lambda_i <= above_j`` until nothing moves noticeably."""
    count = below.size
    for round_ in range(1, 101):
        lo_end, hi_end = np.where(data > 0, low[rows], high[rows]) * data, np.where(data > 0, high[rows], low[rows]) * data
        new_low, new_high = low.copy(), high.copy()
        for ends, limit, side in ((lo_end, above, 1), (hi_end, below, -1)):
            infinite = np.isinf(ends)
            finite_sum = np.bincount(columns, weights=np.where(infinite, 0.0, ends), minlength=count)
            infinities = np.bincount(columns, weights=infinite, minlength=count)
            others = infinities[columns] - infinite
            room = limit[columns] - (finite_sum[columns] - np.where(infinite, 0.0, ends))
            usable = (others == 0) & np.isfinite(room)
            value, where, positive = room[usable] / data[usable], rows[usable], (data[usable] > 0) == (side > 0)
            np.minimum.at(new_high, where[positive], value[positive])
            np.maximum.at(new_low, where[~positive], value[~positive])
        with np.errstate(invalid="ignore"):
            moved_low = np.where(np.isinf(low), np.isfinite(new_low), new_low - low > 1e-6 * (1 + np.abs(low)))
            moved_high = np.where(np.isinf(high), np.isfinite(new_high), high - new_high > 1e-6 * (1 + np.abs(high)))
        low, high = new_low, new_high
        if not (moved_low.any() or moved_high.any()):
            return low, high, round_
    return low, high, round_
