"""The schedules of a pool as a point of the ordinary program of its platform: columns, and row duals from the values of energy to members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.batched.batch import Batch, Pool, Schedules
from multiscale.markets.batched.fleet_pool import FleetPool
from multiscale.markets.batched.platform_terms import NotCarriedError
from multiscale.markets.batched.respondents import NO_DEVICE, member_values
from multiscale.markets.batched.values import values
from multiscale.programs import ParametricProgram


def as_program(
    program: ParametricProgram, fleet: Fleet, ready: FleetPool, schedules: Sequence[Schedules], price: np.ndarray, best: Sequence[Schedules]
) -> tuple[np.ndarray, np.ndarray]:
    """Columns and row duals of ``platform_program`` at the schedules of all batches and a price of the pool [EUR/kWh], (period,).

    Nothing is planned for its exchange, and its network binds nowhere. The duals are those of what is ``best`` at the price: with them the program's
    bound is the sum of the members' least costs at it.

    Raises:
        NotCarriedError: the program has columns that no schedule fills.
    """
    hours, shape = fleet.horizon.hours_per_year, (fleet.size, fleet.horizon.periods)
    net, used, unserved = fleet.data.demand.values.copy(), np.zeros(shape), np.zeros(shape)
    keys = list(dict.fromkeys(key for owned in ready.keys for key in owned))
    drawn, supplied, state, worth = ({key: np.zeros(shape) for key in keys} for _ in range(4))
    member = np.tile(price, (fleet.size, 1))
    for owned, place, batch, found, there in zip(ready.keys, ready.places, ready.batches, schedules, best, strict=True):
        used[place] += found.used
        unserved[place] += found.unserved
        net[place] += found.drawn.sum(axis=0) - found.supplied.sum(axis=0) - found.used - found.unserved
        at_meter, at_state = _values(ready.pool, batch, there, price)
        for k, (key, device) in enumerate(zip(owned, batch.devices, strict=True)):
            drawn[key][place], supplied[key][place], worth[key][place] = found.drawn[k], found.supplied[k], at_state[k]
            state[key][place] = device.states(found.drawn[k], found.supplied[k], found.start[:, k], ready.pool.step_hours)
        if _seen_by_meter(batch):
            member[place] = at_meter
    filled = {"buy": np.maximum(net, 0.0), "sell": np.maximum(-net, 0.0), "unserved": unserved} | _generation(fleet, used)
    exchange = net.sum(axis=0)
    if "buy" not in program.columns:
        del filled["buy"], filled["sell"]
    filled |= {name: np.maximum(sign * exchange, 0.0) for names, sign in ((("import", "above_plan"), 1.0), (("export", "below_plan"), -1.0))
               for name in names}  # fmt: skip
    # Of a network that binds nowhere one zone is left, whose balance counts what enters it.
    duals = {"prosumer_balance": hours * member, "pool": -hours * price, "balance": hours * price}
    for key in keys:
        kind = fleet.devices[key]
        owners = np.flatnonzero(kind.owners(fleet))
        written = kind.in_program(fleet, drawn[key][owners], supplied[key][owners], state[key][owners])
        filled |= written.columns
        duals[written.row] = written.sign * worth[key][owners]
    x, y = np.full(program.columns.size, np.nan), np.zeros(program.rows.size)
    for name, content in filled.items():
        if name in program.columns:
            x[program.columns[name].positions] = content
    missing = np.flatnonzero(np.isnan(x))
    if len(missing):
        raise NotCarriedError(fleet.node, f"its program has columns such as {program.columns.label(int(missing[0]))} that no schedule fills")
    for name, content in duals.items():
        if name in program.rows:
            y[program.rows[name].positions] = content
    return np.clip(x, program.lower, program.upper), y


def _seen_by_meter(batch: Batch) -> bool:
    """Whether a batch holds the demand of its members; a device that is metered for itself says nothing about their meters."""
    return batch.demand.size > 1 or bool(batch.demand.any())


def _values(pool: Pool, batch: Batch, found: Schedules, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prices at the meters, (member, period), and values of the states, (device, member, period)."""
    if len(batch.devices) > 1:
        return member_values(pool, batch, price)
    at_meter, at_state = np.zeros(found.used.shape), np.zeros((1, *found.used.shape))
    device, drawn, supplied, held = NO_DEVICE, at_state[0], at_state[0], at_state[0]
    for device in batch.devices:
        drawn, supplied = found.drawn[0], found.supplied[0]
        held = device.states(drawn, supplied, found.start[:, 0], pool.step_hours)
    values(
        np.ascontiguousarray(price), pool.hours, pool.step_hours, pool.value_of_lost_load, pool.unused_cost, batch.demand, batch.pv, batch.fee_in,
        batch.fee_out, batch.cap_in, batch.cap_out, bool(batch.devices), device.power_in, device.power_out, device.presence, device.gain_in,
        device.gain_out, device.keep, device.low, device.high, device.wear, device.kink_below, device.kink_above, device.cost_below,
        device.cost_above, drawn, supplied, held, at_meter, at_state[0],
    )  # fmt: skip
    return at_meter, at_state


def _generation(fleet: Fleet, used: np.ndarray) -> dict[str, np.ndarray]:
    """Generation that is used, device by device in the order of the registry: all of them cost the same when they are not."""
    out: dict[str, np.ndarray] = {}
    left = used.copy()
    for device in fleet.devices.values():
        owners = np.flatnonzero(device.owners(fleet))
        if device.role == "generation" and len(owners):
            power = np.minimum(left, np.broadcast_to(device.reference_generation(fleet), left.shape))
            left -= power
            none = np.zeros_like(power[owners])
            out |= device.in_program(fleet, none, power[owners], none).columns
    return out
