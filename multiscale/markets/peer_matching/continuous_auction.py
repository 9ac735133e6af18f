"""The continuous double auction: orders arrive one after the other and trade at once with the best order that waits."""

from __future__ import annotations

import heapq

import numpy as np

from multiscale.markets.peer_matching.call_auction import SLIVER, crossing
from multiscale.markets.peer_matching.orders import Matched, Orders, welfare_bound, welfare_of


def continuous_auction(bids: Orders, offers: Orders, arrival: np.ndarray) -> Matched:
    """Price-time priority: an arriving order trades at the limit of the order that waits, best price first, then first come first served.

    Whether a kWh is traded depends on the order of arrival, so that welfare is at most that of the call auction; the budget is balanced, and no
    trader does worse than its limit.

    Args:
        bids, offers: the orders.
        arrival: the sequence of arrival, a permutation of ``0 .. bids + offers - 1``: bids are numbered first, then offers.

    Raises:
        ValueError: an order is missing in the sequence, or arrives twice.
    """
    count = len(bids) + len(offers)
    if not np.array_equal(np.sort(arrival), np.arange(count)):
        raise ValueError(f"arrival of {len(arrival)} orders: give a permutation of the numbers of all {count}, bids first")
    left = np.concatenate([bids.energy, offers.energy])
    sliver = SLIVER * float(left.sum())
    waiting: tuple[list[tuple[float, int, int]], list[tuple[float, int, int]]] = ([], [])
    bid, offer, energy, price = [], [], [], []
    for time, number in enumerate(arrival.tolist()):
        buys = number < len(bids)
        limit = float(bids.price[number] if buys else offers.price[number - len(bids)])
        book = waiting[1] if buys else waiting[0]
        while left[number] > sliver and book:
            key, _, other = book[0]
            best = key if buys else -key
            if (best > limit) if buys else (best < limit):
                break
            amount = min(left[number], left[other])
            bid.append(number if buys else other)
            offer.append((other if buys else number) - len(bids))
            energy.append(amount)
            price.append(best)
            left[number] -= amount
            left[other] -= amount
            if left[other] <= sliver:
                heapq.heappop(book)
        if left[number] > sliver:
            heapq.heappush(waiting[0 if buys else 1], (-limit if buys else limit, time, number))
    found = crossing(bids, offers)
    b, o, e, p = np.array(bid, dtype=int), np.array(offer, dtype=int), np.array(energy, dtype=float), np.array(price, dtype=float)
    return Matched(b, o, e, p, p, (found.low, found.high), welfare_of(bids, offers, b, o, e), welfare_bound(bids, offers, found.price))
