"""The relaxation of a single-level program as rows: products are replaced by their envelopes.

For ``t = a b`` with ``a`` in ``[a0, a1]`` and ``b`` in ``[b0, b1]`` (McCormick 1976):

    t >= a0 b + b0 a - a0 b0,    t >= a1 b + b1 a - a1 b1,    t <= a1 b + b0 a - a1 b0,    t <= a0 b + b1 a - a0 b1

They are exact where one of the factors is held.
"""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.problem.description import MethodError
from multiscale.bilevel.reformulate.single_level.program import SingleLevel

_ENDS = ((0, 0, True), (1, 1, True), (1, 0, False), (0, 1, False))
"""For each row: which end of ``a``, which end of ``b``, and whether the product is bounded from below."""


class Envelopes:
    """Four rows for each product of a program; ``columns`` are those of product, first and second factor in each row."""

    def __init__(self, single: SingleLevel) -> None:
        self.products = single.products
        self.columns = np.repeat(self.products, 4, axis=0)
        self.count = len(self.columns)
        square = self.products[:, 1] == self.products[:, 2]
        if square.any():
            raise MethodError(f"decomposition takes no squares ({single.column_name(int(self.products[square][0, 1]))})")

    def rows(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Entries (rows x 3, in the order of ``columns``) and limits of the rows for bounds of all columns."""
        _, a, b = self.products.T
        ends_a, ends_b = np.stack([lower[a], upper[a]]), np.stack([lower[b], upper[b]])
        entries, low, high = np.ones((self.count, 3)), np.full(self.count, -np.inf), np.full(self.count, np.inf)
        for i, (first, second, below) in enumerate(_ENDS):
            entries[i::4, 1], entries[i::4, 2] = -ends_b[second], -ends_a[first]
            (low if below else high)[i::4] = -ends_a[first] * ends_b[second]
        return entries, low, high


def check_factors(single: SingleLevel) -> None:
    """Refuse products whose factors have no bounds.

    Raises:
        MethodError: names the column.
    """
    factors = np.unique(single.products[:, 1:])
    open_ended = factors[~(np.isfinite(single.lower[factors]) & np.isfinite(single.upper[factors]))]
    if open_ended.size:
        raise MethodError(f"decomposition needs bounds of both factors of a product; none are proven of {single.column_name(int(open_ended[0]))}")
