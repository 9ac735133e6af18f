"""The supply-demand ratio: the price of energy between members falls as more of it is delivered."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class SupplyDemandRatio(PricingRule):
    """The price falls from what buyers would pay the supplier, where nothing is delivered, to what sellers would get from it.

        p = s b / ((b - s) r + s)  for r <= 1,    p = s  for r > 1,       r = G / B,   b = retail - peer_fee,   s = feed_in

    Where ``s`` is not positive, or ``b < s``, the formula has no price between the two; the price is then ``b - (b - s) min(r, 1)``.
    Source: Liu et al., IEEE TPWRS 32 (2017) 3569-3583.
    """

    kind: Literal["supply_demand_ratio"] = "supply_demand_ratio"

    def price(self, positions: Positions) -> np.ndarray:
        """The price at the ratio of every period."""
        taken, delivered = positions.taken.sum(axis=0), positions.delivered.sum(axis=0)
        ratio = np.minimum(np.divide(delivered, taken, out=np.ones_like(taken), where=taken > 0), 1.0)
        most, least = positions.retail - positions.peer_fee, positions.feed_in
        stated = (least > 0) & (most >= least)
        below = np.where(stated, (most - least) * ratio + least, 1.0)
        return np.where(stated, least * most / below, most - (most - least) * ratio)
