"""Follower optimality by complementary pairs as indicator constraints: ``b = 1`` holds the slack at zero, ``b = 0`` the multiplier."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BINARY
from multiscale.bilevel.reformulate.bounds import DualBounds
from multiscale.bilevel.reformulate.pairs import add_pairs
from multiscale.bilevel.reformulate.single_level import Derived, Indicators
from multiscale.bilevel.reformulate.single_level_builder import SingleLevelBuilder


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with indicators."""
    pairs = add_pairs(builder, f, bounds)
    count = pairs.distance.size
    tight = builder.add_columns(f"{builder.problem.followers[f].name} tight", count, 0.0, 1.0, BINARY)
    # The larger side of the pair decides, so that rounding on the other side does no harm.
    matrix = sparse.hstack([sparse.identity(count), -sparse.identity(count)], format="csr")
    builder.derived.append(Derived("switch", tight, np.concatenate([pairs.multiplier, pairs.distance]), matrix, np.zeros(count), threshold=0.0))
    builder.indicators.append(Indicators(tight, pairs.distance, True))
    builder.indicators.append(Indicators(tight, pairs.multiplier, False))
