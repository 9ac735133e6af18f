"""Follower optimality by complementary pairs as products: ``distance * multiplier <= 0`` for each pair, both sides >= 0."""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.description import CurvedRow, Form
from multiscale.bilevel.pairs import add_pairs
from multiscale.bilevel.single_level import SingleLevelBuilder


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with products."""
    pairs = add_pairs(builder, f, bounds)
    name = builder.problem.followers[f].name
    for a, b in zip(pairs.distance, pairs.multiplier, strict=True):
        form = Form(first=np.array([a]), second=np.array([b]), products=np.ones(1))
        builder.curved.append(CurvedRow(f"follower {name} pair", form, -np.inf, 0.0))
