"""Bill sharing: members share what the platform pays and earns; energy between them has no price."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.pricing.rule import PricingRule


class BillSharing(PricingRule):
    """What is bought from the supplier is paid by those who take, in proportion; what is earned goes to those who deliver.

        bill_i = retail max(B - G, 0) taken_i / B - feed_in max(G - B, 0) delivered_i / G,        so  p = 0

    A member that delivers while the others take more gets nothing for it: it may be worse off than alone.
    Source: Long et al., IEEE PES General Meeting 2017.
    """

    kind: Literal["bill_sharing"] = "bill_sharing"

    def price(self, positions: Positions) -> np.ndarray:
        """Zero."""
        return np.zeros(len(positions.periods))
