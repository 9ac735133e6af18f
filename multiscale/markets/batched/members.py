"""The compiled answer of members to prices of their pool: one device with one state each, or none, behind a meter with fees and a connection."""

from __future__ import annotations

import numba
import numpy as np

from multiscale.markets.batched.meter import change_cost, entry, meter
from multiscale.markets.batched.recursion import FEASIBLE, IMPOSSIBLE, PIECES, TOO_LOW, backward, forward, start_slopes

ANSWERED, BURNS, STUCK, CONNECTION = 0, 1, 2, 3
"""How a member answered; else what is wrong: prices so low that it pays to burn energy in its device, no schedule within the bounds of its state, or
a connection that cannot carry what its device must supply."""

LONGEST_SEARCH = 100
"""Most starts tried for a state that is free at start and end."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cost_of(
    keep: np.ndarray,
    kinks: np.ndarray,
    holding: np.ndarray,
    pieces: np.ndarray,
    change: np.ndarray,
    state: np.ndarray,
) -> float:
    """Cost of a schedule, as far as prices and the device go."""
    total = 0.0
    for t in range(keep.size):
        u, at, v = change[t], pieces[t, 0], 0.0
        # The part of phi from zero to u.
        for j in range(PIECES):
            size = pieces[t, 1 + PIECES + j]
            if size <= 0.0:
                continue
            p, q = at, at + size
            at = q
            if u >= 0.0:
                v += pieces[t, 1 + j] * max(min(q, u) - max(p, 0.0), 0.0)
            else:
                v -= pieces[t, 1 + j] * max(min(q, 0.0) - max(p, u), 0.0)
        total += v + holding[t, 0] * max(kinks[t, 0] - state[t], 0.0) + holding[t, 1] * max(state[t] - kinks[t, 1], 0.0)
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _search(
    guess: float,
    tolerance: float,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kinks: np.ndarray,
    holding: np.ndarray,
    pieces: np.ndarray,
    work: np.ndarray,
    kept: np.ndarray,
    change: np.ndarray,
    state: np.ndarray,
) -> tuple[bool, float]:
    """The best state at start and end alike: tangents of a convex function of one variable, which has finitely many pieces.

    Returns whether there is one, and how far from the least cost the schedule may be.
    """
    last = keep.size - 1
    lower, upper = low[last], high[last]
    x = min(max(guess, lower), upper)
    has_left, has_right = False, False
    xl, gl, dl, xr, gr, dr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for _ in range(LONGEST_SEARCH):
        ended, bound = forward(x, keep, shift, low, high, kinks, holding, pieces, work, kept)
        if ended != FEASIBLE:
            if ended == IMPOSSIBLE:
                return False, 0.0
            if ended == TOO_LOW:
                lower = x = bound
            else:
                upper = x = bound
            if lower > upper + 1e-9 * (1.0 + abs(upper)):
                return False, 0.0
            continue
        backward(x, keep, shift, low, high, pieces, kept, change, state)
        d0, d1 = start_slopes(keep, low, high, kinks, holding, pieces, change, state, 1.0 + upper - lower)
        if (d0 <= tolerance and d1 >= -tolerance) or (d1 < 0.0 and x >= upper) or (d0 > 0.0 and x <= lower):
            return True, 0.0
        g = _cost_of(keep, kinks, holding, pieces, change, state)
        if has_left and has_right and g <= gl + dl * (x - xl) + 1e-10 * (abs(g) + abs(gl) + 1e-9):
            return True, max(g - (gl + dl * (x - xl)), 0.0)
        if d1 < 0.0:
            has_left, xl, gl, dl, lower = True, x, g, d1, x
        else:
            has_right, xr, gr, dr, upper = True, x, g, d0, x
        if not has_right:
            x = upper
        elif not has_left:
            x = lower
        else:
            x = (gr - gl + dl * xl - dr * xr) / (dl - dr)
            x = min(max(x, xl), xr)
    return False, 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def answer(
    members: np.ndarray,
    weight: float,
    price: np.ndarray,
    hours: np.ndarray,
    step: float,
    voll: float,
    unused: float,
    demand: np.ndarray,
    pv: np.ndarray,
    fee_in: np.ndarray,
    fee_out: np.ndarray,
    cap_in: np.ndarray,
    cap_out: np.ndarray,
    has_device: bool,
    power_in: np.ndarray,
    power_out: np.ndarray,
    presence: np.ndarray,
    gain_in: np.ndarray,
    gain_out: np.ndarray,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    wear: float,
    kinks_below: np.ndarray,
    kinks_above: np.ndarray,
    cost_below: float,
    cost_above: float,
    fixed_start: bool,
    start: np.ndarray,
    net: np.ndarray,
    drawn: np.ndarray,
    supplied: np.ndarray,
    used: np.ndarray,
    unserved: np.ndarray,
) -> tuple[float, float, float, int, int]:
    """The cheapest schedule of some members at prices of their pool.

    Args:
        members: positions of the members, (any number,).
        weight: schedules are added to ``drawn`` .. ``unserved`` so many times, where these are not empty.
        price: of the pool [EUR/kWh], (period,).
        hours, step: hours of the year of every period [h/a], (period,); length of a period [h].
        voll, unused: cost of each kWh not served, and of each kWh of available generation not used.
        demand, pv: [kW]; fee_in, fee_out: on each kWh bought and sold; cap_in, cap_out: most that is bought and sold [kW].
        has_device .. cost_above: as of ``OneState``.
        fixed_start: whether ``start`` is given; else it is where the search begins, and where it ended.
        net: what all of them buy less what they sell is added to it [kW], (period,).

    Returns:
        Their own cost [EUR/a], how far their answer may be from the least, the sum of absolute terms, how it ended, and the member it ended at.
    """
    periods = price.size
    most = 4 * PIECES * (periods + 1)
    work = np.zeros((4, most))
    kept, pieces = np.zeros((periods, 1 + PIECES)), np.zeros((periods, 1 + 2 * PIECES))
    kinks, holding, change, state = np.zeros((periods, 2)), np.zeros((periods, 2)), np.zeros(periods), np.zeros(periods)
    keeps, shifts, lows, highs = np.zeros(periods), np.zeros(periods), np.zeros(periods), np.zeros(periods)
    slope, length, kind = np.zeros((periods, 4)), np.zeros((periods, 4)), np.zeros((periods, 4), dtype=np.int64)
    sold, amount = np.zeros(periods), np.zeros(4)
    writes = used.shape[0] > 0
    own, error, size = 0.0, 0.0, 0.0
    # Slopes this close to zero are rounding of the largest.
    tolerance = 1e-9 * (np.abs(price).max() + 1e-3) * hours.max() / step
    for i in members:
        for t in range(periods):
            most_in, most_out = 0.0, 0.0
            if has_device:
                present = entry(presence, i, t)
                most_in, most_out = entry(power_in, i, t) * present, entry(power_out, i, t) * present
            d, g = entry(demand, i, t), entry(pv, i, t)
            sold[t] = meter(price[t], voll, unused, d, g, entry(fee_in, i, t), entry(fee_out, i, t), entry(cap_in, i, t), entry(cap_out, i, t),
                             most_in, most_out, kind[t], slope[t], length[t])  # fmt: skip
            if has_device:
                convex, ranged = change_cost(t, hours[t], step, d, sold[t], slope[t], length[t], most_in, most_out,
                                         entry(gain_in, i, t), entry(gain_out, i, t), wear, pieces)  # fmt: skip
                if not convex:
                    return own, error, size, BURNS, i
                if not ranged:
                    return own, error, size, CONNECTION, i
                keeps[t], shifts[t], lows[t], highs[t] = entry(keep, i, t), entry(shift, i, t), entry(low, i, t), entry(high, i, t)
                kinks[t, 0], kinks[t, 1] = entry(kinks_below, i, t), entry(kinks_above, i, t)
                holding[t, 0], holding[t, 1] = cost_below * hours[t], cost_above * hours[t]
        if has_device:
            if fixed_start:
                found = forward(start[i], keeps, shifts, lows, highs, kinks, holding, pieces, work, kept)[0] == FEASIBLE
                if found:
                    backward(start[i], keeps, shifts, lows, highs, pieces, kept, change, state)
            else:
                found, off = _search(start[i], tolerance, keeps, shifts, lows, highs, kinks, holding, pieces, work, kept, change, state)
                error += off
                start[i] = state[periods - 1]
            if not found:
                return own, error, size, STUCK, i
        for t in range(periods):
            c, s = 0.0, 0.0
            if has_device:
                u = change[t]
                if u > 0.0:
                    c = u / (step * entry(gain_in, i, t))
                else:
                    s = -u / (step * entry(gain_out, i, t))
                own += hours[t] * wear * (c + s)
                own += holding[t, 0] * max(kinks[t, 0] - state[t], 0.0) + holding[t, 1] * max(state[t] - kinks[t, 1], 0.0)
            d, g = entry(demand, i, t), entry(pv, i, t)
            rest = d + c - s + sold[t]
            for k in range(4):
                part = min(max(rest, 0.0), length[t, k])
                amount[kind[t, k]] = part
                rest -= part
            sells = sold[t] - amount[1]
            cost = hours[t] * (unused * (g - amount[0]) + entry(fee_out, i, t) * sells + entry(fee_in, i, t) * amount[2] + voll * amount[3])
            own += cost
            flow = amount[2] - sells
            size += abs(cost) + hours[t] * abs(price[t] * flow)
            net[t] += flow
            if writes and has_device:
                drawn[i, t] += weight * c
                supplied[i, t] += weight * s
            if writes:
                used[i, t] += weight * amount[0]
                unserved[i, t] += weight * amount[3]
    return own, error, size, ANSWERED, -1
