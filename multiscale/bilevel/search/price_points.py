"""Answers of linear followers at a price, and where two of them meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PricePoint:
    """Answers at a price: level (cost without the price) and slope (what the price multiplies) of each follower."""

    price: float
    level: np.ndarray
    slope: np.ndarray

    def at(self, price: float) -> np.ndarray:
        """What each follower would pay for the same answer at another price."""
        return self.level + price * self.slope


def meeting(left: PricePoint, right: PricePoint) -> float | None:
    """Price where the two answers cost the same in total; None where they do not differ."""
    fall = float((left.slope - right.slope).sum())
    if fall <= 1e-9 * max(1.0, float(np.abs(left.slope).sum())):
        return None
    return float(np.clip(float((right.level - left.level).sum()) / fall, left.price, right.price))


def are_neighbours(left: PricePoint, middle: PricePoint, right: PricePoint) -> bool:
    """Whether both answers are optimal where they meet, which ``middle`` is the answer of."""
    meet = middle.price
    if meet <= left.price + 1e-10 or meet >= right.price - 1e-10:
        return True
    # In total: the followers' optima add up to a concave function, which is a line from one answer to the price only if each of them is.
    line, optimum = min(float(left.at(meet).sum()), float(right.at(meet).sum())), float(middle.at(meet).sum())
    return line - optimum <= 1e-9 * max(1.0, abs(line))
