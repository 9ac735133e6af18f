"""The orders of a period in merit order, and those at the edge of what is traded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.positions import Positions


@dataclass(frozen=True)
class Edge:
    """Prices of the orders at the edge of what is traded [EUR/kWh], (period,); where nothing is traded, those of the supplier.

    Attributes:
        bid, offer: of the last kWh traded, bids falling and offers rising.
        next_bid, next_offer: of the first kWh that is not traded between members; -inf and inf where none is left.
    """

    bid: np.ndarray
    offer: np.ndarray
    next_bid: np.ndarray
    next_offer: np.ndarray


def edge_of_trade(positions: Positions) -> Edge:
    """The orders at the edge: members bid for what they take and offer what they deliver, and all of the smaller side is traded."""
    periods = len(positions.periods)
    most, least = positions.retail - positions.peer_fee, positions.feed_in
    edge = Edge(most.copy(), least.copy(), np.full(periods, -np.inf), np.full(periods, np.inf))
    volume = np.minimum(positions.taken.sum(axis=0), positions.delivered.sum(axis=0))
    for t in range(periods):
        buyers = positions.taken, positions.bids, edge.bid, edge.next_bid, -1.0
        sellers = positions.delivered, positions.offers, edge.offer, edge.next_offer, 1.0
        for energy, price, last, following, sign in (buyers, sellers):
            own = np.flatnonzero(energy[:, t])
            own = own[np.argsort(sign * price[own, t], kind="stable")]
            total = np.cumsum(energy[own, t])
            if not own.size:
                continue
            slack = 1e-12 * total[-1]
            if volume[t] > 0:
                last[t] = price[own[np.searchsorted(total, volume[t] - slack)], t]
            if total[-1] > volume[t] + slack:
                following[t] = price[own[np.searchsorted(total, volume[t] + slack, side="right")], t]
    return edge
