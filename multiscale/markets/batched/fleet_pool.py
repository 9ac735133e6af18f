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
        keys: of every batch, the devices in it.
    """

    pool: Pool
    batches: tuple[Batch, ...]
    places: tuple[np.ndarray, ...]
    keys: tuple[tuple[str, ...], ...]


def applies(fleet: Fleet, market: Market, tariff: Tariff, *, prices: Prices | None = None) -> str:
    """Why the batched solution is not exact for a platform; empty where it is.

    It is where no network can bind between the members (which is not looked at here), every component of the tariff is a sum over periods, the
    market is a pool, and every device has one state (``Device.one_state``) or is generation that may be curtailed.

    Args:
        fleet: of one day, or of a span of days in a row.
        market, tariff: of the platform.
        prices: of decided components, in force; default: the highest that may be decided.
    """
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
    parts: list[tuple[tuple[str, ...], np.ndarray, Batch]] = []
    for keys, at in together.items():
        devices = tuple(states[key].rows(np.isin(states[key].owners, at)) for key in keys)
        parts.append((keys, at, Batch(names[at], demand[at], pv[at], *fees, devices=devices, kind=" and ".join(keys) or "no device")))
    for key, at in alone.items():
        device = states[key].rows(np.isin(states[key].owners, at))
        parts.append(((key,), at, Batch(names[at], one(0.0), one(0.0), *fees, devices=(device,), kind=key)))
    parts = [part for part in parts if len(part[1])]
    return FleetPool(pool, tuple(p[2] for p in parts), tuple(p[1] for p in parts), tuple(p[0] for p in parts))


def _state(fleet: Fleet, key: str, device: Device) -> OneState:
    found = device.one_state(fleet)
    if found is None:
        raise NotCarriedError(fleet.node, f"device {key!r} has no single state")
    if (found.keep <= 0).any():
        raise NotCarriedError(fleet.node, f"device {key!r} keeps nothing of its state to the next period")
    return found


def _behind_one_meter(fleet: Fleet, terms: Terms, states: dict[str, OneState]) -> tuple[dict[tuple[str, ...], np.ndarray], dict[str, np.ndarray]]:
    """Members by the devices that their meter sees together with demand and generation; and owners whose device may be metered for itself.

    It may where buying and selling at once costs nothing, or where the member always buys.
    """
    everyone = np.arange(fleet.size)
    if (terms.buy + terms.sell < -1e-12).any():
        raise NotCarriedError(fleet.node, "members earn on what they buy and sell at once")
    if not (terms.buy + terms.sell > 1e-12).any():
        return {(): everyone}, {key: d.owners for key, d in states.items()}
    owned = np.array([np.isin(everyone, d.owners) for d in states.values()], dtype=bool).reshape(len(states), fleet.size)
    supplies = np.array([bool((d.power_out > 0).any()) for d in states.values()], dtype=bool)
    own_use_only = (fleet.reference_generation <= fleet.data.demand.values + 1e-12).all(axis=1)
    buyer = own_use_only & ~owned[supplies].any(axis=0)
    kinds = (owned & ~buyer).T
    together: dict[tuple[str, ...], np.ndarray] = {}
    for kind in np.unique(kinds, axis=0):
        keys = tuple(key for key, has in zip(states, kind, strict=True) if has)
        together[keys] = np.flatnonzero((kinds == kind).all(axis=1))
    return together, {key: np.flatnonzero(has & buyer) for key, has in zip(states, owned, strict=True)}
