"""A two-sided uniform price: between the last bid and the last offer that are traded."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.merit_order import edge_of_trade
from multiscale.markets.pricing.rule import PricingRule
from multiscale.settings import quantity


class TwoSidedUniform(PricingRule):
    """One price for all who trade, between the bid and the offer of the last kWh.

        p = k bid + (1 - k) offer

    Source: the k-double auction, Chatterjee and Samuelson, Oper. Res. 31 (1983) 835-851.
    """

    kind: Literal["two_sided_uniform"] = "two_sided_uniform"
    bid_share: float = quantity(0.5, "1", "weight k of the last bid in the price; the rest is that of the last offer", lower=0.0, upper=1.0)

    def price(self, positions: Positions) -> np.ndarray:
        """The price of every period."""
        edge = edge_of_trade(positions)
        return self.bid_share * edge.bid + (1.0 - self.bid_share) * edge.offer
