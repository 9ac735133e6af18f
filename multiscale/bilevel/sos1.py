"""Follower optimality by complementary pairs as SOS1 constraints: at most one side of each pair is nonzero. No multiplier bound is needed."""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.pairs import add_pairs
from multiscale.bilevel.single_level_builder import SingleLevelBuilder


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with SOS1 pairs."""
    pairs = add_pairs(builder, f, bounds)
    builder.pairs.append(np.column_stack([pairs.distance, pairs.multiplier]))
