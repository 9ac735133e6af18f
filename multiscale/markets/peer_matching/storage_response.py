"""The best answer of one participant with a storage to piecewise linear prices: exact, by merging slopes; no solver, no integer program.

Cost of energy taken in period t is convex and piecewise linear, and so is the cost-to-go of the storage:

    C_t(s) = min over d of  h_t(d) + C_t+1(s + d),    C_T(s) = 0 for s >= s_end,     0 <= s <= capacity

An infimal convolution of convex piecewise linear functions lists the pieces of both by rising slope; limits of the storage cut both ends.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NOTHING = 1e-12
"""Energy [kWh] and differences of prices [EUR/kWh] below which they are rounding."""


@njit(cache=True)
def best_answer(
    demand: np.ndarray,
    base: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    price: np.ndarray,
    energy: np.ndarray,
    count: np.ndarray,
    capacity: float,
    power: float,
    start: float,
    efficiency: float,
    wear: float,
    stored: np.ndarray,
) -> None:
    """Writes energy put into the storage in every period [kWh], (period,), into ``stored``.

    Args:
        demand: net demand without the storage [kWh], (period,).
        base: energy at hand without further cost [kWh], (period,).
        low: what energy below ``base`` earns [EUR/kWh]; high: what it costs beyond all pieces, (period,).
        price, energy: pieces above ``base`` by rising price, (period, piece); count: their number, (period,).
        capacity, power, start, efficiency, wear: of the storage.
        stored: the answer.
    """
    periods = len(demand)
    stored[:] = 0.0
    if capacity <= NOTHING or power <= NOTHING:
        return
    pieces = 2 * periods + 4
    for t in range(periods):
        pieces += count[t] + 4
    # Pieces of h_t, as functions of the energy stored; and of C_t, both by rising slope.
    longest = 0
    for t in range(periods):
        longest = max(longest, count[t] + 4)
    own_slope, own_length = np.empty((periods, longest)), np.empty((periods, longest))
    own = np.zeros(periods, dtype=np.int64)
    slope, length = np.empty((periods + 1, pieces)), np.empty((periods + 1, pieces))
    size, first = np.zeros(periods + 1, dtype=np.int64), np.zeros(periods + 1)
    first[periods] = start
    if capacity - start > NOTHING:
        slope[periods, 0], length[periods, 0], size[periods] = 0.0, capacity - start, 1
    for t in range(periods - 1, -1, -1):
        own[t] = _own_pieces(
            demand[t] - base[t], low[t], high[t], price[t], energy[t], count[t], power, efficiency, wear, own_slope[t], own_length[t]
        )
        # C_t(s) over s: the pieces of C_t+1, and those of h_t in reverse, since s = s' - d.
        a, b, n = 0, own[t] - 1, 0
        ends = size[t + 1]
        while a < ends or b >= 0:
            if b < 0 or (a < ends and slope[t + 1, a] <= -own_slope[t, b]):
                value, extent = slope[t + 1, a], length[t + 1, a]
                a += 1
            else:
                value, extent = -own_slope[t, b], own_length[t, b]
                b -= 1
            if n > 0 and value - slope[t, n - 1] <= NOTHING:
                length[t, n - 1] += extent
            else:
                slope[t, n], length[t, n] = value, extent
                n += 1
        lowest, highest = first[t + 1] - power, first[t + 1] + power
        for k in range(ends):
            highest += length[t + 1, k]
        n = _cut(slope[t], length[t], n, -lowest, highest - capacity)
        size[t], first[t] = n, max(lowest, 0.0)
    level = start
    for t in range(periods):
        stored[t] = _step(level, first[t + 1], slope[t + 1], length[t + 1], size[t + 1], power, own_slope[t], own_length[t], own[t])
        level += stored[t]


@njit(cache=True)
def _own_pieces(
    need: float,
    low: float,
    high: float,
    price: np.ndarray,
    energy: np.ndarray,
    count: int,
    power: float,
    efficiency: float,
    wear: float,
    slope: np.ndarray,
    length: np.ndarray,
) -> int:
    """Pieces of the cost of storing d, from -power to power, by rising slope; ``need`` is what is missing at d = 0."""
    n = 0
    for sign in (-1, 1):
        factor = efficiency if sign < 0 else 1.0 / efficiency
        added = -wear if sign < 0 else 0.0
        at = need - power * efficiency if sign < 0 else need
        left = power
        k, past = 0, 0.0
        while left > NOTHING:
            # The piece in which ``at`` lies: below zero, one of the pieces, or beyond all of them.
            if at < -NOTHING:
                here, room = low, -at
            else:
                while k < count and past + energy[k] <= at + NOTHING:
                    past += energy[k]
                    k += 1
                if k < count:
                    here, room = price[k], past + energy[k] - at
                else:
                    here, room = high, np.inf
            step = min(left, room / factor)
            slope[n], length[n] = here * factor + added, step
            n += 1
            left -= step
            at += step * factor
            if n >= len(slope):
                break
    return n


@njit(cache=True)
def _cut(slope: np.ndarray, length: np.ndarray, n: int, front: float, back: float) -> int:
    """Takes ``front`` from the beginning and ``back`` from the end of a list of pieces; returns how many are left."""
    while n > 0 and back > NOTHING:
        taken = min(back, length[n - 1])
        length[n - 1] -= taken
        back -= taken
        if length[n - 1] <= NOTHING:
            n -= 1
    skipped = 0
    while skipped < n and front > NOTHING:
        taken = min(front, length[skipped])
        length[skipped] -= taken
        front -= taken
        if length[skipped] <= NOTHING:
            skipped += 1
    for k in range(skipped, n):
        slope[k - skipped], length[k - skipped] = slope[k], length[k]
    return n - skipped


@njit(cache=True)
def _step(
    level: float,
    first: float,
    slope: np.ndarray,
    length: np.ndarray,
    size: int,
    power: float,
    own_slope: np.ndarray,
    own_length: np.ndarray,
    own: int,
) -> float:
    """Energy to store: from the least that is possible, up as long as the cost now is less than what it saves later."""
    d = max(-power, first - level)
    a, b = 0, 0
    # Where d lies in the pieces of h, and level + d in those of the cost-to-go.
    own_left, to_skip = 0.0, d + power
    for b in range(own):
        if own_length[b] > to_skip + NOTHING:
            own_left = own_length[b] - to_skip
            break
        to_skip -= own_length[b]
    later_left, to_skip = 0.0, level + d - first
    for a in range(size):
        if length[a] > to_skip + NOTHING:
            later_left = length[a] - to_skip
            break
        to_skip -= length[a]
    if own_left <= 0.0 or later_left <= 0.0:
        return d
    while own_slope[b] + slope[a] < -NOTHING:
        step = min(own_left, later_left)
        d += step
        own_left -= step
        later_left -= step
        if own_left <= NOTHING:
            b += 1
            if b >= own:
                break
            own_left = own_length[b]
        if later_left <= NOTHING:
            a += 1
            if a >= size:
                break
            later_left = length[a]
    return d
