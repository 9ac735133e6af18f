"""The mid-market rate: halfway between what the supplier takes and what it gives."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class MidMarketRate(PricingRule):
    """Buyer and seller share what they save equally.

        p = (b + s) / 2,      b = retail - peer_fee,   s = feed_in

    Source: Long et al., IEEE PES General Meeting 2017.
    """

    kind: Literal["mid_market_rate"] = "mid_market_rate"

    def price(self, positions: Positions) -> np.ndarray:
        """The middle."""
        return (positions.retail - positions.peer_fee + positions.feed_in) / 2
