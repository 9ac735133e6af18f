"""A platform of many prosumers as a child: answers prices by the batched solution of its market, where that is exact."""

from __future__ import annotations

import numpy as np

from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.operation.platforms import PlatformData
from multiscale.tariffs import Prices

MANY = 300
"""Prosumers from which the batched solution takes less time than a program that starts from the last basis (measured at 24 periods)."""

FINEST, COARSEST = 1e-7, 1e-4
"""Gaps between which an answer is certified; which, follows from the tolerance of the request."""


def answered_in_batches(data: PlatformData, prices: Prices) -> bool:
    """Whether a platform answers prices by the batched solution: it has many prosumers, and is carried exactly (``applies``).

    Args:
        data: the platform.
        prices: of the decided tariff components of its DSO.
    """
    if data.fleet.size < MANY:
        return False
    from multiscale.markets.batched.fleet_pool import applies

    if applies(data.fleet, data.market, data.economics.tariff, prices=prices):
        return False
    return data.network is None or not data.network.active.sizes["branch"] or not data.network_binds(data.program())


class BatchedChild:
    """A platform as a child: its answers are schedules of all its prosumers, its bounds those of the prices of its pool.

    A target is not answered: where a parent sends one, the answers to its prices are all it gets.

    Args:
        data: the platform.
        tariff: prices of the decided tariff components of its DSO.
    """

    def __init__(self, data: PlatformData, tariff: Prices) -> None:
        self.data, self.tariff = data, tariff

    def answer(self, request: Request, reference: np.ndarray) -> Reply:
        """Answer a request; the price at which it began (``reference``) does not matter, every answer begins anew."""
        # The compiled parts are loaded where they are used.
        from multiscale.markets.batched.community_clearing import clear_community

        del reference
        data, hours = self.data, self.data.fleet.horizon.hours_per_year
        demand = data.fleet.reference_demand.sum(axis=0)
        values, costs, profiles = [], [], []
        for price in request.prices:
            scale = float(hours @ (np.abs(price) * demand)) + 1e-9
            gap = float(np.clip(0.1 * request.tolerance / scale, FINEST, COARSEST))
            found = clear_community(data.fleet, data.economics, data.market, price, price, prices=self.tariff, gap=gap)
            values.append(found.bound)
            costs.append(found.cost - float(hours * price @ found.exchange))
            profiles.append(found.exchange)
        return Reply(request.number, np.array(values), np.array(costs), np.array(profiles), goods=request.goods)
