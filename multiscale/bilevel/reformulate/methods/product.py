"""Follower optimality by complementary pairs as products, both sides >= 0.

distance * multiplier <= 0                                      where both sides have finite bounds
distance * b <= 0,  multiplier * (1 - b) <= 0,  b in {0, 1}     where one has none: branching on an open side would never end
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BINARY, CurvedRow, Form
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, reduced_cost_bounds
from multiscale.bilevel.reformulate.conditions.kkt import row_scale
from multiscale.bilevel.reformulate.conditions.pairs import add_pairs
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived
from multiscale.settings import Settings


class Product(Settings):
    """Complementary pairs as products, with a binary where a side has no bound."""

    kind: Literal["product"] = "product"


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with products."""
    pairs = add_pairs(builder, f, bounds)
    name, scale = builder.problem.followers[f].name, row_scale(builder.problem.followers[f])
    rows = int((~builder.problem.followers[f].program.equality).sum())
    most = np.concatenate([pairs.multiplier_bound[:rows], *reduced_cost_bounds(builder.problem, f, bounds)])
    limited = np.isfinite(most) & np.isfinite(pairs.distance_bound)
    for a, b in zip(pairs.distance[limited].tolist(), pairs.multiplier[limited].tolist(), strict=True):
        _add_product(builder, name, scale, [], a, b)
    distance, multiplier = pairs.distance[~limited], pairs.multiplier[~limited]
    tight = builder.add_columns(f"{name} tight", distance.size, 0.0, 1.0, BINARY)
    # The larger side of the pair decides, so that rounding on the other side does no harm.
    matrix = sparse.hstack([sparse.identity(tight.size), -sparse.identity(tight.size)], format="csr")
    builder.derived.append(Derived("switch", tight, np.concatenate([multiplier, distance]), matrix, np.zeros(tight.size), threshold=0.0))
    for a, b, switch in zip(distance.tolist(), multiplier.tolist(), tight.tolist(), strict=True):
        _add_product(builder, name, scale, [], a, switch)
        _add_product(builder, name, scale, [(b, 1.0)], b, switch, -1.0)


def _add_product(builder: SingleLevelBuilder, name: str, scale: float, linear: list[tuple[int, float]], a: int, b: int, weight: float = 1.0) -> None:
    columns, coefficients = np.array([j for j, _ in linear], dtype=np.int64), np.array([c for _, c in linear], dtype=float)
    form = Form(0.0, columns, coefficients, np.array([a]), np.array([b]), np.array([weight])).scaled(scale)
    builder.curved.append(CurvedRow(f"follower {name} pair", form, -np.inf, 0.0, scale))
