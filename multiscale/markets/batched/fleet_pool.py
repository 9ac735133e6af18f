"""The members of a platform as batches of a pool, where that is exact; every device is asked what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.devices.device import Device
from multiscale.devices.fleet import Fleet
from multiscale.devices.one_state import OneState
from multiscale.markets.batched.batch import Batch, Pool, one
from multiscale.markets.batched.platform_terms import NotCarriedError, Terms, platform_terms
from multiscale.operation.clearing import Market
from multiscale.tariffs import Prices, Tariff


@dataclass(frozen=True)
class FleetPool:
    """A platform as a pool.

    Attributes:
        pool, batches: what is cleared.
        places: of every batch, position of each of its members among the prosumers.
        keys: of every batch, the device in it; empty: none.
    """

    pool: Pool
    batches: tuple[Batch, ...]
    places: tuple[np.ndarray, ...]
    keys: tuple[str, ...]


def applies(fleet: Fleet, market: Market, tariff: Tariff, *, prices: Prices | None = None, network_binds: bool = False) -> str:
    """Why the batched solution is not exact for a platform; empty where it is.

    It is where no network can bind between the members, every component of the tariff is a sum over periods, the market is a pool, every device has
    one state (``Device.one_state``) or is generation that may be curtailed, and no member has two devices behind a meter that pays a fee on what it
    buys, unless that member always buys.

    Args:
        fleet: of one day, or of a span of days in a row.
        market, tariff: of the platform.
        prices: of decided components, in force; default: the highest that may be decided.
        network_binds: whether a limit of its low-voltage network can bind.
    """
    if network_binds:
        return str(NotCarriedError(fleet.node, "limits of its low-voltage network may bind"))
    try:
        free = {name: np.full(component.shape(fleet.horizon), component.price_max) for name, component in tariff.decided.items()}
        zero = np.zeros(fleet.horizon.periods)
        fleet_pool(fleet, platform_terms(fleet, market, tariff, free | dict(prices or {}), zero, zero), 0.0)
    except NotCarriedError as reason:
        return str(reason)
    return ""


def terms_of(fleet: Fleet, market: Market, tariff: Tariff, prices: Prices, import_price: np.ndarray, export_price: np.ndarray) -> Terms:
    """See ``platform_terms``; prices at the boundary may be numbers."""
    full = (np.broadcast_to(np.asarray(price, dtype=float), (fleet.horizon.periods,)) for price in (import_price, export_price))
    return platform_terms(fleet, market, tariff, prices, *full)


def fleet_pool(fleet: Fleet, terms: Terms, value_of_lost_load: float) -> FleetPool:
    """The batches of a fleet.

    Raises:
        NotCarriedError: they would not be exact; the message names the device or the member.
    """
    horizon = fleet.horizon
    if horizon.cycle != horizon.periods:
        raise NotCarriedError(fleet.node, f"it has {len(horizon.days)} days that do not follow each other; clear them one by one")
    generators = [(key, d) for key, d in fleet.devices.items() if d.role == "generation" and d.owners(fleet).any()]
    states = {key: _state(fleet, key, d) for key, d in fleet.devices.items() if d.role != "generation" and d.owners(fleet).any()}
    costs = {d.unused_cost for _, d in generators}
    if None in costs or len(costs) > 1:
        named = [key for key, _ in generators]
        raise NotCarriedError(fleet.node, f"generation of {named} is not curtailed freely in every period at one cost")
    pool = Pool(horizon.hours_per_year, horizon.step_hours, value_of_lost_load, next((c for c in costs if c is not None), 0.0))
    together, alone = _behind_one_meter(fleet, terms, states)
    names, demand, pv = fleet.data.prosumer.values, np.ascontiguousarray(fleet.data.demand.values), fleet.reference_generation
    fees = (np.ascontiguousarray(terms.buy[None, :]), np.ascontiguousarray(terms.sell[None, :]))
    rest = np.flatnonzero(~np.any([np.zeros(fleet.size, dtype=bool), *(np.isin(np.arange(fleet.size), p) for p in together.values())], axis=0))
    parts: list[tuple[str, np.ndarray, Batch]] = [("", rest, Batch(names[rest], demand[rest], pv[rest], *fees))]
    for key, device in states.items():
        joined, own = np.isin(device.owners, together[key]), np.isin(device.owners, alone[key])
        for chosen, behind in ((joined, True), (own, False)):
            at = device.owners[chosen]
            own_demand, own_pv = (demand[at], pv[at]) if behind else (one(0.0), one(0.0))
            members = Batch(names[at], own_demand, own_pv, fees[0], fees[1], device=device.rows(chosen), kind=key)
            parts.append((key, at, members))
    parts = [part for part in parts if len(part[1])]
    return FleetPool(pool, tuple(p[2] for p in parts), tuple(p[1] for p in parts), tuple(p[0] for p in parts))


def _state(fleet: Fleet, key: str, device: Device) -> OneState:
    found = device.one_state(fleet)
    if found is None:
        raise NotCarriedError(fleet.node, f"device {key!r} has no single state")
    if (found.keep <= 0).any():
        raise NotCarriedError(fleet.node, f"device {key!r} keeps nothing of its state to the next period")
    return found


def _behind_one_meter(fleet: Fleet, terms: Terms, states: dict[str, OneState]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Owners of every device whose meter sees it together with demand and generation, and those whose device may be metered for itself."""
    together, alone = {key: np.zeros(0, dtype=int) for key in states}, {key: d.owners for key, d in states.items()}
    if (terms.buy + terms.sell < -1e-12).any():
        raise NotCarriedError(fleet.node, "members earn on what they buy and sell at once")
    if not (terms.buy + terms.sell > 1e-12).any():
        return together, alone
    owned = np.array([np.isin(np.arange(fleet.size), d.owners) for d in states.values()]).reshape(len(states), fleet.size)
    supplies = np.array([bool((d.power_out > 0).any()) for d in states.values()])
    own_use_only = (fleet.reference_generation <= fleet.data.demand.values + 1e-12).all(axis=1)
    buyer = own_use_only & ~owned[supplies].any(axis=0)
    several = np.flatnonzero((owned.sum(axis=0) > 1) & ~buyer)
    if len(several):
        who = several[0]
        devices = [key for key, has in zip(states, owned[:, who], strict=True) if has]
        reason = f"prosumer {str(fleet.data.prosumer.values[who])!r} has {devices} behind one meter that pays a fee on what it buys, and may sell"
        raise NotCarriedError(fleet.node, reason)
    for (key, device), has in zip(states.items(), owned, strict=True):
        together[key], alone[key] = np.flatnonzero(has & ~buyer), np.flatnonzero(has & buyer)
        assert len(together[key]) + len(alone[key]) == len(device.owners)
    return together, alone
