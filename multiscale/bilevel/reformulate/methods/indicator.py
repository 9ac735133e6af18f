"""Follower optimality by complementary pairs as indicator constraints: ``b = 1`` holds the slack at zero, ``b = 0`` the multiplier."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BINARY
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.pairs import add_pairs
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived, Indicators
from multiscale.settings import Settings


class Indicator(Settings):
    """Complementary pairs as indicator constraints; no multiplier bound is needed."""

    kind: Literal["indicator"] = "indicator"


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
