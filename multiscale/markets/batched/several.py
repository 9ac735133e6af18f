"""The compiled answer of members with several devices behind one meter: a linear program each, whose columns have two entries at most.

Rows are the meter and the state of every device in every period:

    used + (sold_most - sold) + bought + unserved - sum_k drawn_k + sum_k supplied_k = demand + sold_most                        meter, period t
    x_t - keep x_(t-1) - D (gain_in drawn_t - gain_out supplied_t) = shift_t                                                     device k, period t

with x the sum of three pieces of a state, below, between and above its kinks. Prices of the pool are costs only, so a basis that was best at one
price is where the search begins at the next. Unlike the recursion for one device, this has an answer at prices far below zero too.
"""

from __future__ import annotations

import numba
import numpy as np

from multiscale.markets.batched.flow import BASIC, INFEASIBLE_SUM, LOWER, SOLVED, UPPER, descend, distance
from multiscale.markets.batched.members import ANSWERED, STUCK
from multiscale.markets.batched.meter import entry, meter

UNSOLVED = 4
"""A member was not answered within the steps allowed; in addition to the endings of ``members``."""

DRAWN, SUPPLIED, BELOW, PIECES = 0, 1, 2, 5
"""Columns of a device in a period: drawn, supplied, and the three pieces of its state."""


def sizes(devices: int, periods: int) -> tuple[int, int]:
    """Rows and columns of a member's program; the last columns are artificial ones, one for every row."""
    rows = periods * (1 + devices)
    return rows, periods * (4 + devices * PIECES) + rows


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _of(values: np.ndarray, k: int, i: int, t: int) -> float:
    """Of device k of member i in period t; dimensions of members and periods may have length 1."""
    return values[k, i if values.shape[1] > 1 else 0, t if values.shape[2] > 1 else 0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _devices(
    i: int,
    hours: np.ndarray,
    step: float,
    power_in: np.ndarray,
    power_out: np.ndarray,
    presence: np.ndarray,
    gain_in: np.ndarray,
    gain_out: np.ndarray,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kinks_below: np.ndarray,
    kinks_above: np.ndarray,
    rates: np.ndarray,
    cost: np.ndarray,
    b: np.ndarray,
    length: np.ndarray,
    rows: np.ndarray,
    values: np.ndarray,
) -> bool:
    """Columns and rows of the devices of a member; ``rates``: wear, cost below and above, (device, 3). Returns whether every state has a range."""
    periods, count = hours.size, rates.shape[0]
    for k in range(count):
        for t in range(periods):
            r, j, before = periods * (1 + k) + t, periods * (4 + PIECES * k) + PIECES * t, (t - 1) % periods
            after = periods * (1 + k) + (t + 1) % periods
            present, lowest, highest = _of(presence, k, i, t), _of(low, k, i, t), _of(high, k, i, t)
            if highest < lowest - 1e-9 * (1.0 + abs(lowest)):
                return False
            for m, most, at_meter, at_state in (
                (DRAWN, _of(power_in, k, i, t) * present, -1.0, -step * _of(gain_in, k, i, t)),
                (SUPPLIED, _of(power_out, k, i, t) * present, 1.0, step * _of(gain_out, k, i, t)),
            ):
                rows[j + m, 0], rows[j + m, 1], values[j + m, 0], values[j + m, 1] = t, r, at_meter, at_state
                cost[j + m], length[j + m] = hours[t] * rates[k, 0], most
            first = min(max(_of(kinks_below, k, i, t), lowest), highest)
            second = min(max(_of(kinks_above, k, i, t), first), max(highest, first))
            lengths = (first - lowest, second - first, highest - second)
            slopes = (-hours[t] * rates[k, 1], 0.0, hours[t] * rates[k, 2])
            for m in range(3):
                c = j + BELOW + m
                rows[c, 0], values[c, 0], cost[c], length[c] = r, 1.0, slopes[m], max(lengths[m], 0.0)
                rows[c, 1], values[c, 1] = after, -_of(keep, k, i, (t + 1) % periods)
                if periods == 1:
                    rows[c, 1], values[c, 0] = -1, 1.0 + values[c, 1]
            b[r] = _of(shift, k, i, t) - lowest + _of(keep, k, i, t) * _of(low, k, i, before)
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _begin(
    periods: int,
    count: int,
    sources: np.ndarray,
    b: np.ndarray,
    length: np.ndarray,
    values: np.ndarray,
    low: np.ndarray,
    basis: np.ndarray,
    status: np.ndarray,
    left: np.ndarray,
) -> bool:
    """A first basis: every state as near to zero as its pieces end, devices draw what keeps it there. Returns whether artificial columns are needed.

    Args:
        sources: kinds of the meter in rising order of their price, (period, 4).
        low: of the states [kWh], (device, period).
        left: work, (row,).
    """
    status[:] = LOWER
    for r in range(b.size):
        left[r] = b[r]
    artificial = periods * (4 + PIECES * count)
    for k in range(count):
        for t in range(periods):
            j, at = periods * (4 + PIECES * k) + PIECES * t + BELOW, low[k, t]
            for m in range(3):
                if abs(at + length[j + m]) > abs(at):
                    break
                at += length[j + m]
                status[j + m] = UPPER
                left[periods * (1 + k) + t] -= length[j + m] if periods > 1 else values[j + m, 0] * length[j + m]
                if periods > 1:
                    left[periods * (1 + k) + (t + 1) % periods] -= values[j + m, 1] * length[j + m]
    needed = False
    for k in range(count):
        for t in range(periods):
            r, j = periods * (1 + k) + t, periods * (4 + PIECES * k) + PIECES * t
            c = j + DRAWN if left[r] <= 0.0 else j + SUPPLIED
            power = left[r] / values[c, 1]
            if 0.0 <= power <= length[c] and length[c] > 0.0:
                left[t] -= values[c, 0] * power
            else:
                c = artificial + r
                values[c, 0] = 1.0 if left[r] >= 0.0 else -1.0
                needed = True
            basis[r], status[c] = c, BASIC
    for t in range(periods):
        rest = left[t]
        if rest < 0.0:
            # The connection cannot let out what devices supply here.
            basis[t] = artificial + t
            values[basis[t], 0], status[basis[t]], needed = -1.0, BASIC, True
            continue
        for n in range(4):
            c = 4 * t + sources[t, n]
            if rest <= length[c] or n == 3:
                basis[t], status[c] = c, BASIC
                break
            rest -= length[c]
            status[c] = UPPER
    return needed


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
    power_in: np.ndarray,
    power_out: np.ndarray,
    presence: np.ndarray,
    gain_in: np.ndarray,
    gain_out: np.ndarray,
    keep: np.ndarray,
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    kinks_below: np.ndarray,
    kinks_above: np.ndarray,
    rates: np.ndarray,
    bases: np.ndarray,
    places: np.ndarray,
    starts: np.ndarray,
    net: np.ndarray,
    drawn: np.ndarray,
    supplied: np.ndarray,
    used: np.ndarray,
    unserved: np.ndarray,
    at_meter: np.ndarray,
    at_state: np.ndarray,
) -> tuple[float, float, float, int, int]:
    """The cheapest schedule of some members at prices of their pool, as of ``members.answer``.

    Args:
        members .. cap_out: as there. power_in .. kinks_above: of every device, (device, member, period).
        rates: wear, cost below and above, (device, 3).
        bases, places: where the search of each member begins and ended: its basis, (member, row), -1 where there is none yet, and where its columns
            are, (member, column).
        starts: states at start and end that were found [kWh], (member, device).
        net, used, unserved: as there; drawn, supplied: (device, member, period).
        at_meter, at_state: price at the meter [EUR/kWh], (member, period), and of every state [EUR/a per kWh], (device, member, period).

    Returns:
        As there.
    """
    periods, count = price.size, rates.shape[0]
    real_columns, m = periods * (4 + PIECES * count), periods * (1 + count)
    n = real_columns + m
    cost, length, values, rows = np.zeros(n), np.zeros(n), np.zeros((n, 2)), np.full((n, 2), -1, dtype=np.int64)
    one, b, x, y = np.zeros(n), np.zeros(m), np.zeros(n), np.zeros(m)
    whole, real, lows = np.zeros((5, m), dtype=np.int64), np.zeros((4, m)), np.zeros((count, periods))
    sources = np.zeros((periods, 4), dtype=np.int64)
    slope, lengths, kind = np.zeros(4), np.zeros(4), np.zeros(4, dtype=np.int64)
    basis, status, sold = np.zeros(m, dtype=np.int64), np.zeros(n, dtype=np.int8), np.zeros(periods)
    one[real_columns:] = 1.0
    writes, priced = used.shape[0] > 0, at_meter.shape[0] > 0
    own, error, size = 0.0, 0.0, 0.0
    for j in range(real_columns, n):
        rows[j, 0], values[j, 0] = j - real_columns, 1.0
    for i in members:
        if not _devices(i, hours, step, power_in, power_out, presence, gain_in, gain_out, keep, shift, low, high, kinks_below, kinks_above, rates,
                        cost, b, length, rows, values):  # fmt: skip
            return own, error, size, STUCK, i
        for t in range(periods):
            most_in, most_out = 0.0, 0.0
            for k in range(count):
                lows[k, t] = _of(low, k, i, t)
                j = periods * (4 + PIECES * k) + PIECES * t
                most_in += length[j + DRAWN]
                most_out += length[j + SUPPLIED]
            d = entry(demand, i, t)
            sold[t] = meter(price[t], voll, unused, d, entry(pv, i, t), entry(fee_in, i, t), entry(fee_out, i, t), entry(cap_in, i, t),
                            entry(cap_out, i, t), most_in, most_out, kind, slope, lengths)  # fmt: skip
            b[t] = d + sold[t]
            for s in range(4):
                j = 4 * t + kind[s]
                sources[t, s], cost[j], length[j], rows[j, 0], values[j, 0] = kind[s], hours[t] * slope[s], lengths[s], t, 1.0
        if bases[i, 0] < 0:
            if _begin(periods, count, sources, b, length, values, lows, basis, status, real[0]):
                length[real_columns:] = np.inf
                ended, _ = descend(one, b, length, rows, values, basis, status, x, y, whole, real)
                if ended != SOLVED:
                    return own, error, size, UNSOLVED, i
                short, largest = 0.0, 1.0
                for r in range(m):
                    largest = max(largest, abs(b[r]))
                for j in range(real_columns, n):
                    short += x[j]
                if short > INFEASIBLE_SUM * largest:
                    return own, error, size, STUCK, i
        else:
            for r in range(m):
                basis[r] = bases[i, r]
            for j in range(n):
                status[j] = places[i, j]
        length[real_columns:] = 0.0
        ended, _ = descend(cost, b, length, rows, values, basis, status, x, y, whole, real)
        if ended != SOLVED:
            return own, error, size, UNSOLVED, i
        for r in range(m):
            bases[i, r] = basis[r]
        for j in range(n):
            places[i, j] = status[j]
        error += distance(cost, b, length, rows, values, x, y)
        for t in range(periods):
            d, g, charged = entry(demand, i, t), entry(pv, i, t), 0.0
            own_used, bought, lost = max(x[4 * t], 0.0), max(x[4 * t + 2], 0.0), max(x[4 * t + 3], 0.0)
            for k in range(count):
                j = periods * (4 + PIECES * k) + PIECES * t
                c, s = min(max(x[j + DRAWN], 0.0), length[j + DRAWN]), min(max(x[j + SUPPLIED], 0.0), length[j + SUPPLIED])
                charged += c - s
                own += hours[t] * rates[k, 0] * (c + s)
                for e in range(3):
                    own += cost[j + BELOW + e] * x[j + BELOW + e]
                # Of the cost below a kink, what holds at the lowest state.
                own += hours[t] * rates[k, 1] * length[j + BELOW]
                own += hours[t] * rates[k, 1] * max(_of(kinks_below, k, i, t) - _of(high, k, i, t), 0.0)
                own += hours[t] * rates[k, 2] * max(_of(low, k, i, t) - _of(kinks_above, k, i, t), 0.0)
                if writes:
                    drawn[k, i, t] += weight * c
                    supplied[k, i, t] += weight * s
                if t == periods - 1:
                    starts[i, k] = lows[k, t] + x[j + BELOW] + x[j + BELOW + 1] + x[j + BELOW + 2]
                if priced:
                    at_state[k, i, t] = -y[periods * (1 + k) + t]
            flow = d + charged - own_used - lost
            sells = max(bought - flow, 0.0)
            money = hours[t] * (unused * (g - own_used) + entry(fee_out, i, t) * sells + entry(fee_in, i, t) * (flow + sells) + voll * lost)
            own += money
            size += abs(money) + hours[t] * abs(price[t] * flow)
            net[t] += flow
            if writes:
                used[i, t] += weight * own_used
                unserved[i, t] += weight * lost
            if priced:
                at_meter[i, t] = y[t] / hours[t]
    return own, error, size, ANSWERED, -1
