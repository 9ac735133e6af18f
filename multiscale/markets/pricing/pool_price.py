"""The price of the pool: every member settles at the dual of the balance where it is connected."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.matching import MemberPrices
from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class PoolPrice(PricingRule):
    """The competitive price: what one kWh more in the pool costs where the member is connected, a nodal price where a network binds.

        p = d cost / d net_it       (dual of the balance of the pool, or of the member's zone of the network)

    Source: the competitive equilibrium as the optimum of the sum, Le Cadre et al., Eur. J. Oper. Res. 282 (2020) 753-769.
    """

    kind: Literal["pool_price"] = "pool_price"

    def price(self, positions: Positions) -> np.ndarray:
        """The price where every member is connected."""
        return positions.node_price

    def prices(self, positions: Positions, sold: np.ndarray | None = None) -> MemberPrices:  # noqa: ARG002
        """The price of the pool for all that a member takes and delivers, from whom or to whom ever, and the peer fee where it takes."""
        bought = positions.node_price + positions.peer_fee
        return MemberPrices(bought, positions.node_price, bought, positions.node_price)
