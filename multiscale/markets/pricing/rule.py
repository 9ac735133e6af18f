"""What every pricing rule is: the price of energy that members trade with each other, given what was metered."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from multiscale.markets.matching import MemberPrices
from multiscale.markets.positions import Positions
from multiscale.settings import Settings


class PricingRule(Settings):
    """Splits among the members what they save together; it changes bills, and neither schedules nor what the platform pays.

    A rule names the price ``p`` of energy between members. Buyers pay ``p + peer_fee`` for it and ``retail`` for the rest, sellers receive ``p``
    for it and ``feed_in`` for the rest; everyone trades the same share of its energy with peers (``matching``). With
    ``B``, ``G`` the energy taken and delivered in a period, ``f`` the peer fee, the bills of a period sum to

        sum_i bill_i = retail max(B - G, 0) - feed_in max(G - B, 0) + f min(B, G)
    """

    kind: str

    @abstractmethod
    def price(self, positions: Positions) -> np.ndarray:
        """Price of energy between members [EUR/kWh], (period,), or (member, period) where every seller has its own."""

    def prices(self, positions: Positions, sold: np.ndarray | None = None) -> MemberPrices:
        """What members pay and receive per kWh in all. With prices of sellers, every buyer pays their average over what is sold to members.

        Args:
            positions: what was metered.
            sold: energy that each member sells to others [kWh], (member, period); default: in proportion to what it delivers.
        """
        sale = self.price(positions)
        average = sale
        if sale.ndim == 2:
            weight = positions.delivered if sold is None else sold
            total = weight.sum(axis=0)
            average = np.divide((sale * weight).sum(axis=0), total, out=sale.mean(axis=0), where=total > 0)
        return MemberPrices(average + positions.peer_fee, sale, positions.retail, positions.feed_in)
