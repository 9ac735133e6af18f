"""Pay as bid: every seller receives what it asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class PayAsBid(PricingRule):
    """A discriminatory price: a seller receives its own offer, and every buyer pays the average of what sellers receive.

        p_j = offer_j

    Members whose offers are not given offer at what the supplier gives them.
    """

    kind: Literal["pay_as_bid"] = "pay_as_bid"

    def price(self, positions: Positions) -> np.ndarray:
        """The offers."""
        return np.array(positions.offers)
