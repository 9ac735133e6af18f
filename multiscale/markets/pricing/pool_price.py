"""The price of the pool: every member settles at the dual of its own balance."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.matching import MemberPrices
from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class PoolPrice(PricingRule):
    """The competitive price: what one kWh more is worth to the member, a nodal price where a network binds.

        p = d cost / d net_it       (dual of the member's balance)

    Source: the competitive equilibrium as the optimum of the sum, Le Cadre et al., Eur. J. Oper. Res. 282 (2020) 753-769.
    """

    kind: Literal["pool_price"] = "pool_price"

    def price(self, positions: Positions) -> np.ndarray:
        """The members' duals."""
        return positions.value

    def prices(self, positions: Positions) -> MemberPrices:
        """The member's dual for all it takes and delivers, from whom or to whom ever; it holds the peer fee where the member buys."""
        return MemberPrices(positions.value, positions.value, positions.value, positions.value)
