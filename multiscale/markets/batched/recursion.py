"""The compiled recursion of one device with one state: its cheapest schedule, exactly, and how its cost moves with the state it starts from.

With V_t(x) the least cost of reaching state x at the end of period t, and phi_t(u) the cost of a change u of the state,

    V_t(x) = psi_t(x) + min_u [ V_(t-1)((x - shift_t - u) / keep_t) + phi_t(u) ],    low_t <= x <= high_t.

V and phi are convex and piecewise linear: lists of (slope, length) in rising order. The minimum over u merges both lists; the holding cost psi adds
to the slopes beyond its kinks, and the bounds cut both ends. To find the schedule it is enough to keep, per period, where the merged list began and
how much of it lies before each piece of phi. Source of the recursion: storage value functions by merging slopes (infimal convolution of convex
piecewise linear functions), Rockafellar, Convex Analysis (1970), sections 16 and 31.
"""

from __future__ import annotations

import numba
import numpy as np

PIECES = 6
"""Most pieces of the cost of a change of the state: four of the meter, one of them cut where charging turns into discharging; and one to spare."""

FEASIBLE, TOO_LOW, TOO_HIGH, IMPOSSIBLE = 0, 1, 2, 3
"""How a recursion ends: whether the state it starts from can be that at the end, is too low or too high for it, or whether none can."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def forward(
    x0: float,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kinks: np.ndarray,
    holding: np.ndarray,
    pieces: np.ndarray,
    work: np.ndarray,
    kept: np.ndarray,
) -> tuple[int, float]:
    """Run the recursion from a start; what backtracking needs is left in ``kept``.

    Args:
        x0: state at the start.
        keep, shift, low, high: as of the device, (period,).
        kinks, holding: kinks of the holding cost, and its slopes below and above, (period, 2).
        pieces: left end of phi, slopes and lengths, (period, 1 + 2 PIECES); pieces of no length do not matter.
        work: two lists of slopes and lengths.
        kept: left end of the merged list and length before each piece, (period, 1 + PIECES).

    Returns:
        How it ended, and for a start too low or too high a bound on all starts that can be kept: both ends of what is reached are piecewise linear
        in the start, the lower one convex and the upper one concave, so the root of their tangents lies on the outer side.
    """
    periods = keep.size
    slope, length, slope2, length2 = work[0], work[1], work[2], work[3]
    n, left, left_slope, right_slope = 0, x0, 1.0, 1.0
    for t in range(periods):
        a = keep[t]
        if a != 1.0:
            left *= a
            left_slope *= a
            right_slope *= a
            for k in range(n):
                slope[k] /= a
                length[k] *= a
        left += shift[t] + pieces[t, 0]
        kept[t, 0] = left
        # Merge; of equal slopes those of the list come first.
        m, k, before = 0, 0, 0.0
        for j in range(PIECES):
            size = pieces[t, 1 + PIECES + j]
            if size <= 0.0:
                kept[t, 1 + j] = before
                continue
            own = pieces[t, 1 + j]
            while k < n and slope[k] <= own:
                slope2[m], length2[m] = slope[k], length[k]
                before += length[k]
                m += 1
                k += 1
            kept[t, 1 + j] = before
            slope2[m], length2[m] = own, size
            before += size
            m += 1
        while k < n:
            slope2[m], length2[m] = slope[k], length[k]
            before += length[k]
            m += 1
            k += 1
        right = left + before
        if left > high[t] + 1e-9 * (1.0 + abs(high[t])):
            return (TOO_HIGH, x0 - (left - high[t]) / left_slope) if left_slope > 0.0 else (IMPOSSIBLE, x0)
        if right < low[t] - 1e-9 * (1.0 + abs(low[t])):
            return (TOO_LOW, x0 + (low[t] - right) / right_slope) if right_slope > 0.0 else (IMPOSSIBLE, x0)
        if left < low[t]:
            left_slope = 0.0
        if right > high[t]:
            right_slope = 0.0
        # Cut the ends while copying back, splitting where the holding cost has its kinks.
        n, at = 0, left
        start, end = max(left, low[t]), min(right, high[t])
        if start > end:
            start = end = min(max(left, low[t]), high[t])
        for k in range(m):
            p, q = max(at, start), min(at + length2[k], end)
            at += length2[k]
            if q <= p:
                continue
            c, d = kinks[t, 0], kinks[t, 1]
            if holding[t, 0] > 0.0 and p < c:
                slope[n], length[n] = slope2[k] - holding[t, 0], min(q, c) - p
                n += 1
                p = min(q, c)
            if p < q and holding[t, 1] > 0.0 and q > d:
                if p < d:
                    slope[n], length[n] = slope2[k], d - p
                    n += 1
                    p = d
                slope[n], length[n] = slope2[k] + holding[t, 1], q - p
                n += 1
            elif p < q:
                slope[n], length[n] = slope2[k], q - p
                n += 1
        left = start
    right = left
    for k in range(n):
        right += length[k]
    tolerance = 1e-9 * (1.0 + abs(x0))
    if x0 < left - tolerance:
        return (TOO_LOW, x0 + (left - x0) / (1.0 - left_slope)) if left_slope < 1.0 else (IMPOSSIBLE, x0)
    if x0 > right + tolerance:
        return (TOO_HIGH, x0 - (x0 - right) / (1.0 - right_slope)) if right_slope < 1.0 else (IMPOSSIBLE, x0)
    return FEASIBLE, x0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def backward(
    x0: float,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    pieces: np.ndarray,
    kept: np.ndarray,
    change: np.ndarray,
    state: np.ndarray,
) -> None:
    """The cheapest change of the state in every period, and the states, after ``forward`` from ``x0``."""
    y = x0
    for t in range(keep.size - 1, -1, -1):
        y = min(max(y, low[t]), high[t])
        state[t] = y
        r = y - kept[t, 0]
        u = pieces[t, 0]
        for j in range(PIECES):
            u += min(max(r - kept[t, 1 + j], 0.0), pieces[t, 1 + PIECES + j])
        change[t] = u
        y = (y - shift[t] - u) / keep[t]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def slopes_at(pieces: np.ndarray, t: int, u: float, tolerance: float) -> tuple[float, float]:
    """Left and right slope of phi_t at u."""
    at, below, above = pieces[t, 0], -np.inf, np.inf
    for j in range(PIECES):
        size = pieces[t, 1 + PIECES + j]
        if size <= 0.0:
            continue
        if u > at + tolerance:
            below = pieces[t, 1 + j]
        at += size
        if u < at - tolerance:
            above = pieces[t, 1 + j]
            break
    if below > above:
        below = above
    return below, above


@numba.njit(cache=True, nogil=True, error_model="numpy")
def holding_slopes(
    t: int, x: float, low: np.ndarray, high: np.ndarray, kinks: np.ndarray, holding: np.ndarray, tolerance: float
) -> tuple[float, float]:
    """Left and right slope of psi_t at x, its bounds included."""
    below, above = 0.0, 0.0
    if x <= kinks[t, 0] + tolerance:
        below = -holding[t, 0]
    elif x > kinks[t, 1] + tolerance:
        below = holding[t, 1]
    if x >= kinks[t, 1] - tolerance:
        above = holding[t, 1]
    elif x < kinks[t, 0] - tolerance:
        above = -holding[t, 0]
    if x <= low[t] + tolerance:
        below = -np.inf
    if x >= high[t] - tolerance:
        above = np.inf
    return below, above


@numba.njit(cache=True, nogil=True, error_model="numpy")
def start_slopes(
    keep: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kinks: np.ndarray,
    holding: np.ndarray,
    pieces: np.ndarray,
    change: np.ndarray,
    state: np.ndarray,
    scale: float,
) -> tuple[float, float]:
    """Smallest and largest derivative of the least cost to the state at start and end alike, at a schedule found.

    The value of energy held, v_t, lies among the slopes of phi_t at its change, and keep v_(t+1) - v_t among those of psi_t at its state. The
    derivative is v_T + psi_T' - keep_1 v_1 over all such values.
    """
    periods = keep.size
    tolerance = 1e-9 * scale
    last = periods - 1
    # What v_1 may be: from the end backwards.
    least, most = slopes_at(pieces, last, change[last], tolerance)
    for t in range(last - 1, -1, -1):
        p, q = holding_slopes(t, state[t], low, high, kinks, holding, tolerance)
        lowest, highest = slopes_at(pieces, t, change[t], tolerance)
        least, most = max(lowest, keep[t + 1] * least - q), min(highest, keep[t + 1] * most - p)
    # What v_T may be, given v_1 = m: between max(a0, c m + b0) and min(a1, c m + b1).
    c, a0, b0, a1, b1 = 1.0, -np.inf, 0.0, np.inf, 0.0
    for t in range(last):
        p, q = holding_slopes(t, state[t], low, high, kinks, holding, tolerance)
        lowest, highest = slopes_at(pieces, t + 1, change[t + 1], tolerance)
        a = keep[t + 1]
        c /= a
        a0, b0, a1, b1 = max(lowest, (a0 + p) / a), (b0 + p) / a, min(highest, (a1 + q) / a), (b1 + q) / a
    p, q = holding_slopes(last, state[last], low, high, kinks, holding, tolerance)
    # As the end is the start, its bounds hold for both.
    first = keep[0]
    if b1 == np.inf:
        largest = a1 + q - first * least
    elif a1 == np.inf:
        largest = b1 + q + (0.0 if c == first else (c - first) * most)
    else:
        m = min(max((a1 - b1) / c, least), most)
        largest = min(a1, c * m + b1) + q - first * m
    if b0 == -np.inf:
        smallest = a0 + p - first * most
    elif a0 == -np.inf:
        smallest = b0 + p + (0.0 if c == first else (c - first) * least)
    else:
        m = min(max((a0 - b0) / c, least), most)
        smallest = max(a0, c * m + b0) + p - first * m
    return smallest, largest
