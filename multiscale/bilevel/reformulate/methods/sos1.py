"""Follower optimality by complementary pairs as SOS1 constraints: at most one side of each pair is nonzero. No multiplier bound is needed."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.pairs import add_pairs
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.settings import Settings


class Sos1(Settings):
    """Complementary pairs as SOS1 constraints; no multiplier bound is needed."""

    kind: Literal["sos1"] = "sos1"


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with SOS1 pairs."""
    pairs = add_pairs(builder, f, bounds)
    builder.pairs.append(np.column_stack([pairs.distance, pairs.multiplier]))
