"""The periodic (call) double auction: all orders of a period at once, one crossing of the merit orders.

Uniform: every trade at one price of the interval between the marginal orders. Discriminatory: every pair at its own price between its two limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.peer_matching.orders import Matched, Orders, welfare_bound, welfare_of

SLIVER = 1e-12
"""Share of all energy below which a trade is rounding of sums [1]."""


@dataclass(frozen=True)
class Crossing:
    """Where the merit orders cross.

    Attributes:
        bid, offer, energy: trades in merit order, highest bid with lowest offer; energy [kWh], (trade,).
        marginal: bid and offer traded last (positions); -1 where nothing is traded.
        low, high: prices at which supply meets demand [EUR/kWh].
        price: a price of the interval, or between the two sides where they do not cross [EUR/kWh].
    """

    bid: np.ndarray
    offer: np.ndarray
    energy: np.ndarray
    marginal: tuple[int, int]
    low: float
    high: float
    price: float


def merit_order(bids: Orders, offers: Orders) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the bids by falling price, of the offers by rising price; at one price, those who came first are first."""
    return np.argsort(-bids.price, kind="stable"), np.argsort(offers.price, kind="stable")


def crossing(bids: Orders, offers: Orders, share: float = 0.5) -> Crossing:
    """Serve the highest bids by the lowest offers as long as the bid is no lower than the offer.

        max  sum_b v_b x_b - sum_s c_s y_s    s.t.   sum x = sum y,   0 <= x <= q,   0 <= y <= q

    Args:
        bids, offers: the orders.
        share: where the price lies between ``low`` (0) and ``high`` (1).
    """
    demand, supply = merit_order(bids, offers)
    bid, offer, energy = in_turn(demand, bids.energy[demand], supply, offers.energy[supply])
    worth = bids.price[bid] >= offers.price[offer]
    if not worth.any():
        price = _between(bids.price.max(initial=-np.inf), offers.price.min(initial=np.inf), share)
        return Crossing(bid[:0], offer[:0], energy[:0], (-1, -1), np.nan, np.nan, price)
    # Bids fall and offers rise, so that what is worth trading comes first.
    bid, offer, energy = bid[worth], offer[worth], energy[worth]
    marginal = int(bid[-1]), int(offer[-1])
    low = max(float(offers.price[marginal[1]]), _next(bids, demand, bid, energy, -np.inf))
    high = min(float(bids.price[marginal[0]]), _next(offers, supply, offer, energy, np.inf))
    return Crossing(bid, offer, energy, marginal, low, high, low + share * (high - low))


def in_turn(buyers: np.ndarray, bought: np.ndarray, sellers: np.ndarray, sold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair buyers with sellers in the given orders until one side is exhausted: bid, offer, energy [kWh] of every trade.

    Args:
        buyers, sellers: positions of the orders, in their turn.
        bought, sold: energy of each of them [kWh].
    """
    if not len(buyers) or not len(sellers):
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0)
    wanted, given = np.cumsum(bought), np.cumsum(sold)
    sliver = SLIVER * max(float(wanted[-1]), float(given[-1]))
    ends = np.sort(np.concatenate([wanted, given]))
    ends = ends[ends <= min(wanted[-1], given[-1]) + sliver]
    starts = np.concatenate([[0.0], ends[:-1]])
    wide = ends - starts > sliver
    middle = (starts + ends)[wide] / 2
    at_buyer = np.minimum(np.searchsorted(wanted, middle), len(buyers) - 1)
    at_seller = np.minimum(np.searchsorted(given, middle), len(sellers) - 1)
    return buyers[at_buyer], sellers[at_seller], (ends - starts)[wide]


def _next(orders: Orders, merit: np.ndarray, served: np.ndarray, energy: np.ndarray, none: float) -> float:
    """Price of the next kWh of a side: that of the marginal order itself where it is served in part; ``none`` where there is no further order."""
    last = int(served[-1])
    place = int(np.flatnonzero(merit == last)[0])
    if orders.energy[last] - energy[served == last].sum() > SLIVER * orders.energy.sum():
        return float(orders.price[last])
    return float(orders.price[merit[place + 1]]) if place + 1 < len(merit) else none


def _between(best_bid: float, best_offer: float, share: float) -> float:
    """A price at which no order trades: between two sides that do not cross, at the best of a single side, zero of none [EUR/kWh]."""
    if np.isfinite(best_bid) and np.isfinite(best_offer):
        return float(best_bid + (1.0 - share) * (best_offer - best_bid))
    return float(best_bid) if np.isfinite(best_bid) else float(best_offer) if np.isfinite(best_offer) else 0.0


def uniform_auction(bids: Orders, offers: Orders, share: float = 0.5) -> Matched:
    """Every trade at one price: ``low + share (high - low)`` of the interval between the marginal orders.

    Welfare is the largest there is (that of the pool), the budget is balanced, and no trader is worse off than without trade.
    """
    found = crossing(bids, offers, share)
    price = np.full(len(found.energy), found.price)
    return _matched(bids, offers, found, price, price)


def discriminatory_auction(bids: Orders, offers: Orders, share: float = 0.5) -> Matched:
    """Every pair of the merit order at its own price, ``offer + share (bid - offer)``: 1 is pay as bid, 0 pay as offered.

    Trades, and with them welfare, are those of the uniform auction; the budget is balanced.
    """
    found = crossing(bids, offers, share)
    price = offers.price[found.offer] + share * (bids.price[found.bid] - offers.price[found.offer])
    return _matched(bids, offers, found, price, price)


def _matched(bids: Orders, offers: Orders, found: Crossing, paid: np.ndarray, received: np.ndarray) -> Matched:
    welfare = welfare_of(bids, offers, found.bid, found.offer, found.energy)
    return Matched(found.bid, found.offer, found.energy, paid, received, (found.low, found.high), welfare, welfare_bound(bids, offers, found.price))
