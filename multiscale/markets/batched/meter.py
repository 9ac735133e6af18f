"""The compiled cost of what a member draws through its meter, and of what its device does to its state.

A member's draw before its own generation is met by four sources in rising order of their cost: own generation (its curtailment cost is saved), less
sold (the price, less the fee on sales), bought (the price and the fee on purchases), not served (the value of lost load).
"""

from __future__ import annotations

import numba
import numpy as np

from multiscale.markets.batched.recursion import PIECES


@numba.njit(cache=True, nogil=True, error_model="numpy")
def entry(values: np.ndarray, i: int, t: int) -> float:
    """Of member i in period t, from an array whose dimensions may have length 1."""
    return values[i if values.shape[0] > 1 else 0, t if values.shape[1] > 1 else 0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def meter(
    price: float,
    voll: float,
    unused: float,
    demand: float,
    pv: float,
    fee_in: float,
    fee_out: float,
    cap_in: float,
    cap_out: float,
    most_in: float,
    most_out: float,
    kind: np.ndarray,
    slope: np.ndarray,
    length: np.ndarray,
) -> float:
    """Slopes [EUR/kWh] and lengths [kW] of the sources in rising order, from the left end, which is minus the most that is sold; returns that most.

    Kinds: 0 own generation used, 1 less sold, 2 bought, 3 not served.
    """
    sold = min(cap_out, pv + most_out + 1.0)
    bought = min(cap_in, demand + most_in + 1.0)
    slope[0], length[0], kind[0] = -unused, pv, 0
    slope[1], length[1], kind[1] = price - fee_out, sold, 1
    slope[2], length[2], kind[2] = price + fee_in, bought, 2
    slope[3], length[3], kind[3] = voll, demand + most_in + 1.0, 3
    for k in range(1, 4):
        j = k
        while j > 0 and slope[j] < slope[j - 1]:
            slope[j], slope[j - 1] = slope[j - 1], slope[j]
            length[j], length[j - 1] = length[j - 1], length[j]
            kind[j], kind[j - 1] = kind[j - 1], kind[j]
            j -= 1
    return sold


@numba.njit(cache=True, nogil=True, error_model="numpy")
def change_cost(
    t: int,
    hour: float,
    step: float,
    demand: float,
    sold: float,
    slope: np.ndarray,
    length: np.ndarray,
    most_in: float,
    most_out: float,
    gain_in: float,
    gain_out: float,
    wear: float,
    pieces: np.ndarray,
) -> tuple[bool, bool]:
    """The cost of a change of the state, from that of the draw; returns whether it is convex, and whether the connection leaves a range."""
    weight = hour / step
    low = max(-most_out, -sold - demand)
    for j in range(PIECES):
        pieces[t, 1 + PIECES + j] = 0.0
    if low > most_in + 1e-12:
        return True, False
    pieces[t, 0] = step * (gain_out if low < 0.0 else gain_in) * low
    at, n, before, after = -sold - demand, 0, -np.inf, np.inf
    for k in range(4):
        p, q = max(at, low), min(at + length[k], most_in)
        at += length[k]
        if q <= p:
            continue
        if p < 0.0:
            end = min(q, 0.0)
            before = weight * (slope[k] - wear) / gain_out
            pieces[t, 1 + n], pieces[t, 1 + PIECES + n] = before, step * gain_out * (end - p)
            n += 1
            p = end
        if p < q:
            rate = weight * (slope[k] + wear) / gain_in
            after = min(after, rate)
            pieces[t, 1 + n], pieces[t, 1 + PIECES + n] = rate, step * gain_in * (q - p)
            n += 1
    return after >= before - 1e-9 * (1.0 + abs(before)), True
