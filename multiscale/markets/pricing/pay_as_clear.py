"""Pay as clear: one price, where the merit orders of bids and offers cross."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.merit_order import edge_of_trade
from multiscale.markets.pricing.rule import PricingRule


class PayAsClear(PricingRule):
    """The price at which no member wants to trade more or less: between orders that are traded and those that are not; the middle of what is left.

        p in [max(offer_k, bid_k+1), min(bid_k, offer_k+1)]       k: last kWh traded between members

    Members whose bids are not given bid what the supplier leaves them: the price is then that of the supplier on the side that is short.
    """

    kind: Literal["pay_as_clear"] = "pay_as_clear"

    def price(self, positions: Positions) -> np.ndarray:
        """The price of every period."""
        edge = edge_of_trade(positions)
        return (np.maximum(edge.offer, edge.next_bid) + np.minimum(edge.bid, edge.next_offer)) / 2
