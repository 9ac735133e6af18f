"""What the schedules of members cost and draw, computed from the schedules alone, and whether they keep every limit."""

from __future__ import annotations

import numpy as np

from multiscale.markets.batched.batch import Batch, Pool, Schedules
from multiscale.programs import ProgramError

AT_ONCE = 20_000
"""Members looked at together: a small part of the memory of all."""

ROUNDING = 1e-7
"""By which a schedule may leave a limit, of the sizes in it."""


def settle(pool: Pool, batch: Batch, schedules: Schedules) -> tuple[float, np.ndarray]:
    """Own cost of a batch [EUR/a] and its net draw [kW], (period,).

    The state of every device is run anew from its schedule; what buys and sells in one period is netted.

    Raises:
        ProgramError: a schedule leaves a limit by more than rounding.
    """
    cost, net = 0.0, np.zeros(len(pool.hours))
    for first in range(0, batch.size, AT_ONCE):
        own, draws = _part(pool, batch, schedules, slice(first, first + AT_ONCE))
        cost, net = cost + own, net + draws
    return cost, net


def _part(pool: Pool, batch: Batch, schedules: Schedules, rows: slice) -> tuple[float, np.ndarray]:
    def of(values: np.ndarray) -> np.ndarray:
        return values if values.shape[0] == 1 else values[rows]

    hours, drawn, supplied = pool.hours, schedules.drawn[:, rows], schedules.supplied[:, rows]
    used, unserved = schedules.used[rows], schedules.unserved[rows]
    demand, pv = of(batch.demand), of(batch.pv)
    net = demand + drawn.sum(axis=0) - supplied.sum(axis=0) - used - unserved
    bought, sold = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    money = of(batch.fee_in) * bought + of(batch.fee_out) * sold + pool.value_of_lost_load * unserved + pool.unused_cost * (pv - used)
    cost = float(hours @ money.sum(axis=0))
    beyond = [bought - of(batch.cap_in), sold - of(batch.cap_out), used - pv, -used, -unserved, -drawn, -supplied]
    size = 1.0 + float(np.abs(net).max()) + float(used.max()) + float(demand.max())
    for k, whole in enumerate(batch.devices):
        device, start = whole.rows(rows), schedules.start[rows, k]
        state = device.states(drawn[k], supplied[k], start, pool.step_hours)
        cost += device.cost(drawn[k], supplied[k], state, hours)
        beyond += [drawn[k] - device.presence * device.power_in, supplied[k] - device.presence * device.power_out]
        beyond += [state - device.high, device.low - state, np.abs(state[:, -1] - start)[:, None]]
        size += float(np.abs(state).max()) + float(drawn[k].max())
    largest = float(np.max([values.max() for values in beyond if values.size]))
    if not largest <= ROUNDING * size:
        raise ProgramError(f"members with {batch.kind}: a schedule leaves a limit by {largest:.3g} (kW or kWh); use the ordinary program")
    return cost, net.sum(axis=0)
