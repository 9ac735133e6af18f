"""The equilibrium of a platform's members by the batched solution: schedules of every prosumer, prices, and a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.batched.fleet_pool import FleetPool, fleet_pool, terms_of
from multiscale.markets.batched.master import Boundary
from multiscale.markets.batched.pool_clearing import PoolClearing, clear_pool
from multiscale.operation.clearing import Market
from multiscale.system import Economics
from multiscale.tariffs import Prices


@dataclass(frozen=True)
class CommunityClearing:
    """How a platform clears at prices at its boundary.

    Attributes:
        cost: of the schedules, with what is traded at the boundary, as of ``platform_program`` [EUR/a].
        bound: no schedules cost less [EUR/a].
        gap: relative, as of ``PoolClearing``.
        price: of the pool [EUR/kWh], (period,).
        exchange: power drawn from the parent [kW], (period,).
        bought, sold: power every prosumer buys and sells [kW], (prosumer, period).
        drawn, supplied: device -> power it draws and supplies [kW], (prosumer, period).
        used: available generation used [kW], (prosumer, period).
        unserved: demand not served [kW], (prosumer, period).
        rounds: full passes over the members.
    """

    cost: float
    bound: float
    gap: float
    price: np.ndarray
    exchange: np.ndarray
    bought: np.ndarray
    sold: np.ndarray
    drawn: Mapping[str, np.ndarray]
    supplied: Mapping[str, np.ndarray]
    used: np.ndarray
    unserved: np.ndarray
    rounds: int


def clear_community(
    fleet: Fleet,
    economics: Economics,
    market: Market,
    import_price: np.ndarray | float,
    export_price: np.ndarray | float,
    *,
    prices: Prices | None = None,
    import_limit: np.ndarray | float = np.inf,
    export_limit: np.ndarray | float = np.inf,
    gap: float = 1e-3,
) -> CommunityClearing:
    """Clear a platform whose network cannot bind, over one day or a span of days in a row.

    Args:
        fleet, economics, market: as of ``platform_program``.
        import_price, export_price: of energy from and to the parent, without charges [EUR/kWh], (period,).
        prices: of the tariff components that are decided.
        import_limit, export_limit: what the connection to the parent carries [kW], (period,).
        gap: to be certified.

    Raises:
        NotCarriedError: the platform is not carried exactly (see ``applies``).
        ProgramError: the gap was not reached, or a limit cannot be kept.
    """
    periods = fleet.horizon.periods
    terms = terms_of(fleet, market, economics.tariff, prices or {}, np.asarray(import_price), np.asarray(export_price))
    ready = fleet_pool(fleet, terms, economics.value_of_lost_load)
    limits = [np.broadcast_to(np.asarray(limit, dtype=float), (periods,)) for limit in (import_limit, export_limit)]
    boundary = Boundary(terms.taken, -terms.given, limits[0], limits[1], np.zeros(periods))
    found = clear_pool(ready.pool, ready.batches, boundary, gap=gap)
    return _of_prosumers(fleet, ready, found)


def _of_prosumers(fleet: Fleet, ready: FleetPool, found: PoolClearing) -> CommunityClearing:
    shape = (fleet.size, fleet.horizon.periods)
    keys = dict.fromkeys(key for owned in ready.keys for key in owned)
    drawn, supplied = ({key: np.zeros(shape) for key in keys} for _ in range(2))
    used, unserved, net = np.zeros(shape), np.zeros(shape), fleet.data.demand.values.copy()
    for owned, place, schedules in zip(ready.keys, ready.places, found.schedules, strict=True):
        used[place] += schedules.used
        unserved[place] += schedules.unserved
        for k, key in enumerate(owned):
            drawn[key][place] += schedules.drawn[k]
            supplied[key][place] += schedules.supplied[k]
        net[place] += schedules.drawn.sum(axis=0) - schedules.supplied.sum(axis=0) - schedules.used - schedules.unserved
    exchange = found.imported - found.exported
    bought, sold = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    return CommunityClearing(found.cost, found.bound, found.gap, found.price, exchange, bought, sold, drawn, supplied, used, unserved, found.rounds)
