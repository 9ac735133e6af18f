"""The compiled values of energy to members at their schedules: prices at their meters and of what devices hold, which are row duals of a program.

With mu_t the price at the meter and lambda_t that of a unit of the state, both in the notation of ``recursion``,

    lambda_t  a slope of phi_t at the change u_t,    keep_(t+1) lambda_(t+1) - lambda_t  a slope of psi_t at the state x_t,    cyclic,
    mu_t      a slope of the meter at its draw,      lambda_t = (h_t / D) (mu_t + wear) / gain_in  where the device draws less than it can,

and in the same way where it supplies. At a schedule that is best at the price of the pool there are such values. Where it is best to a gap only, the
nearest are returned: what they prove is found by the bound of the program's duals, whatever they are.
"""

from __future__ import annotations

import numba
import numpy as np

from multiscale.markets.batched.meter import change_cost, entry, meter
from multiscale.markets.batched.recursion import PIECES, holding_slopes, slopes_at

BISECTIONS = 60
"""Steps in which the value at the start is found; each leaves two thirds of its range."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _between(value: float, low: float, high: float) -> float:
    """The value nearest to a given one in an interval; its middle where that is turned around by rounding."""
    if low > high:
        return 0.5 * (low + high)
    return min(max(value, low), high)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meter_slopes(rest: float, slope: np.ndarray, length: np.ndarray) -> tuple[float, float]:
    """Slopes of the meter's cost below and above a draw, counted from its left end."""
    tolerance, below, above, at = 1e-8 * (1.0 + rest), slope[0], slope[3], 0.0
    for k in range(4):
        if length[k] <= 0.0:
            continue
        if rest > at + tolerance:
            below = slope[k]
        at += length[k]
        if rest < at - tolerance:
            above = slope[k]
            break
    return min(below, above), above


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(m: float, keep: np.ndarray, ends: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Intervals of the values that can follow the value m of the first period; returns by how much none closes the cycle, from either side."""
    periods = keep.size
    low[0] = high[0] = m
    for t in range(1, periods):
        low[t] = max(ends[t, 0], (low[t - 1] + ends[t - 1, 2]) / keep[t])
        high[t] = min(ends[t, 1], (high[t - 1] + ends[t - 1, 3]) / keep[t])
        if low[t] > high[t]:
            # The nearest of both, so that the way on is defined.
            middle = 0.5 * (max(min(low[t], ends[t, 1]), ends[t, 0]) + max(min(high[t], ends[t, 1]), ends[t, 0]))
            low[t] = high[t] = middle
    last = periods - 1
    return keep[0] * m - ends[last, 3] - high[last], low[last] - (keep[0] * m - ends[last, 2])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _state_values(keep: np.ndarray, ends: np.ndarray, low: np.ndarray, high: np.ndarray, out: np.ndarray) -> None:
    """Values of the state; ``ends``: smallest and largest slope of phi, and of psi, (period, 4)."""
    periods = keep.size
    # Of the first period, as far as the later ones allow.
    least, most = ends[periods - 1, 0], ends[periods - 1, 1]
    for t in range(periods - 2, -1, -1):
        least, most = max(ends[t, 0], keep[t + 1] * least - ends[t, 3]), min(ends[t, 1], keep[t + 1] * most - ends[t, 2])
        if least > most:
            least = most = 0.5 * (least + most)
    size = 1.0
    for t in range(periods):
        for k in range(2):
            if np.isfinite(ends[t, k]):
                size = max(size, abs(ends[t, k]))
    least, most = max(least, -4.0 * size), min(most, 4.0 * size)
    for _ in range(BISECTIONS):
        a, b = least + (most - least) / 3.0, most - (most - least) / 3.0
        a0, a1 = _forward(a, keep, ends, low, high)
        if max(a0, a1) <= 0.0:
            least = most = a
            break
        b0, b1 = _forward(b, keep, ends, low, high)
        if max(a0, a1) <= max(b0, b1):
            most = b
        else:
            least = a
    m = 0.5 * (least + most)
    _forward(m, keep, ends, low, high)
    last = periods - 1
    after, top = keep[0] * m, keep[0] * m - ends[last, 2]
    bottom = after - ends[last, 3]
    out[last] = _between(_between(after, bottom, top), low[last], high[last])
    for t in range(last - 1, 0, -1):
        after = keep[t + 1] * out[t + 1]
        out[t] = _between(_between(after, after - ends[t, 3], after - ends[t, 2]), low[t], high[t])
    out[0] = m


@numba.njit(cache=True, nogil=True, error_model="numpy")
def values(
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
    low: np.ndarray,
    high: np.ndarray,
    wear: float,
    kinks_below: np.ndarray,
    kinks_above: np.ndarray,
    cost_below: float,
    cost_above: float,
    drawn: np.ndarray,
    supplied: np.ndarray,
    state: np.ndarray,
    at_meter: np.ndarray,
    at_state: np.ndarray,
) -> None:
    """Prices at the meters [EUR/kWh] and of the states [EUR/a per kWh] of all members of a batch, (member, period), put into the last arguments.

    Args:
        price .. cost_above: as of ``members.answer``.
        drawn, supplied: schedules of the devices [kW]; state: of them [kWh], (member, period).
    """
    periods = price.size
    pieces, slope, length = np.zeros((periods, 1 + 2 * PIECES)), np.zeros((periods, 4)), np.zeros((periods, 4))
    kind, ends, kinks, holding = np.zeros(4, dtype=np.int64), np.zeros((periods, 4)), np.zeros((periods, 2)), np.zeros((periods, 2))
    keeps, lows, highs, first, second = np.zeros(periods), np.zeros(periods), np.zeros(periods), np.zeros(periods), np.zeros(periods)
    for i in range(at_meter.shape[0]):
        for t in range(periods):
            most_in, most_out = 0.0, 0.0
            if has_device:
                present = entry(presence, i, t)
                most_in, most_out = entry(power_in, i, t) * present, entry(power_out, i, t) * present
            d, g, c, s = entry(demand, i, t), entry(pv, i, t), drawn[i, t], supplied[i, t]
            sold = meter(price[t], voll, unused, d, g, entry(fee_in, i, t), entry(fee_out, i, t), entry(cap_in, i, t), entry(cap_out, i, t),
                         most_in, most_out, kind, slope[t], length[t])  # fmt: skip
            below, above = _meter_slopes(d + c - s + sold, slope[t], length[t])
            # Until the device is looked at, the price at the meter is the one nearest to that of the pool.
            at_meter[i, t], first[t], second[t] = min(max(price[t], below), above), below, above
            if has_device:
                change_cost(t, hours[t], step, d, sold, slope[t], length[t], most_in, most_out,
                            entry(gain_in, i, t), entry(gain_out, i, t), wear, pieces)  # fmt: skip
                keeps[t], lows[t], highs[t] = entry(keep, i, t), entry(low, i, t), entry(high, i, t)
                kinks[t, 0], kinks[t, 1] = entry(kinks_below, i, t), entry(kinks_above, i, t)
                holding[t, 0], holding[t, 1] = cost_below * hours[t], cost_above * hours[t]
                u = step * (entry(gain_in, i, t) * c - entry(gain_out, i, t) * s)
                ends[t, 0], ends[t, 1] = slopes_at(pieces, t, u, 1e-8 * step * (1.0 + most_in + most_out))
        if not has_device:
            continue
        for t in range(periods):
            size = 1.0 + abs(highs[t] - lows[t])
            ends[t, 2], ends[t, 3] = holding_slopes(t, state[i, t], lows, highs, kinks, holding, 1e-8 * size)
        meters = first.copy(), second.copy()
        _state_values(keeps, ends, first, second, at_state[i])
        for t in range(periods):
            present = entry(presence, i, t)
            most_in, most_out = entry(power_in, i, t) * present, entry(power_out, i, t) * present
            c, s, weight = drawn[i, t], supplied[i, t], hours[t] / step
            tolerance, worth = 1e-8 * (1.0 + most_in + most_out), at_state[i, t] / weight
            draws, supplies = worth * entry(gain_in, i, t) - wear, worth * entry(gain_out, i, t) + wear
            least, most = meters[0][t], meters[1][t]
            if c < most_in - tolerance:
                least = max(least, draws)
            if c > tolerance:
                most = min(most, draws)
            if s < most_out - tolerance:
                most = min(most, supplies)
            if s > tolerance:
                least = max(least, supplies)
            at_meter[i, t] = _between(at_meter[i, t], least, most)
