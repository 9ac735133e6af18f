"""The asset base: how the cost of an investment is split into depreciation and a return, evenly over the years.

An investment I is depreciated in a straight line over L years. With r the operator's true cost of capital and B_y = I (1 - (y - 1)/L) the opening
asset base of year y, present values at r satisfy

    I  =  sum_y (I / L + r B_y) (1 + r)^-y        for every r >= 0

so an even yearly cost c (an annuity) that pays for I is, in every year, an even depreciation and r times an even asset base:

    c = depreciation + r base,     depreciation = c / L sum_y (1 + r)^-y,     base = c sum_y (1 - (y - 1)/L) (1 + r)^-y

An allowed rate w above r earns (w - r) base, which has the same present value as (w - r) times the base of every single year. All of it is real: the
asset base is not indexed, and neither is the rate. Straight-line depreciation and a return on the asset base: Jamison, Body of Knowledge on
Infrastructure Regulation (regulationbodyofknowledge.org).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Capital:
    """How even yearly costs of capital split.

    Attributes:
        rate: true cost of capital r [1/a].
        life: years of depreciation L [a].
    """

    rate: float
    life: int

    @property
    def _discount(self) -> np.ndarray:
        return (1.0 + self.rate) ** -np.arange(1.0, self.life + 1.0)

    @property
    def depreciation(self) -> float:
        """Depreciation of each EUR of even yearly cost [1]."""
        return float(self._discount.sum() / self.life)

    @property
    def base(self) -> float:
        """Asset base of each EUR/a of even yearly cost [EUR per EUR/a]."""
        return float((self._discount * (1.0 - np.arange(self.life) / self.life)).sum())
