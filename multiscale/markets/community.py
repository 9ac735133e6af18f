"""A community: members share one pool, and what the platform draws from outside is metered at its boundary."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.markets.matching import proportional_trades
from multiscale.markets.pool import Pool
from multiscale.markets.positions import Positions
from multiscale.markets.pricing import PRICING, PoolPrice, PricingRule
from multiscale.markets.trades import Trades
from multiscale.settings import OfKind


class Community(Pool):
    """One pool of trade inside each platform: the platform pays charges on what it imports, members a fee on what they trade.

    Source: the energy collective of Chronis et al., Energies 14 (2021) 1862, eqs. 1-8, without autonomy penalties.
    """

    kind: Literal["community"] = "community"
    pricing: Annotated[PricingRule, OfKind(*PRICING.values(), default="pool_price")] = Field(
        PoolPrice(), description="how the members share what trading together saves"
    )

    def clear(self, positions: Positions) -> Trades:
        """Everyone trades the same share of its energy with peers, at the prices of the pricing rule."""
        return proportional_trades(positions, self.pricing.prices(positions))
