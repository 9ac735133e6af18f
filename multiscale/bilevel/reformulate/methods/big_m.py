"""Follower optimality by complementary pairs with binaries and proven bounds: ``slack <= S (1 - b)``, ``multiplier <= M b``.

Refused unless every ``S`` and every ``M`` is proven.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BINARY, MethodError
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, reduced_cost_bounds
from multiscale.bilevel.reformulate.conditions.pairs import add_pairs
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived
from multiscale.settings import Settings


class BigM(Settings):
    """Complementary pairs with binaries; every slack and every multiplier needs a proven bound."""

    kind: Literal["big_m"] = "big_m"


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` with binaries.

    Raises:
        MethodError: a slack or multiplier has no proven bound (names the first), or the follower has cones.
    """
    problem = builder.problem
    name = problem.followers[f].name
    if problem.followers[f].cones:
        raise MethodError(
            f"follower {name!r} has second-order cones, whose complementarity is not a choice between two sides; "
            "big_m cannot state it, use strong_duality or sos1"
        )
    pairs = add_pairs(builder, f, bounds)
    rows = int((~problem.followers[f].program.equality).sum())
    at_lower, at_upper = reduced_cost_bounds(problem, f, bounds)
    most = np.concatenate([pairs.multiplier_bound[:rows], at_lower, at_upper])
    for what, limits in (("multiplier", most), ("distance to its bound", pairs.distance_bound)):
        missing = np.flatnonzero(~np.isfinite(limits))
        if missing.size:
            where = _column_label(builder, int(pairs.distance[missing[0]]))
            raise MethodError(
                f"follower {name!r}: big_m needs a proven bound of the {what} of {where}, and there is none ({missing.size} missing); use sos1"
            )
    count = most.size
    tight = builder.add_columns(f"{name} tight", count, 0.0, 1.0, BINARY)
    matrix = sparse.hstack([sparse.identity(count), -sparse.identity(count)], format="csr")
    builder.derived.append(Derived("switch", tight, np.concatenate([pairs.multiplier, pairs.distance]), matrix, np.zeros(count), threshold=0.0))
    eye = sparse.identity(count, format="csr")
    builder.add_rows(f"{name} slack below big-M", -np.inf, pairs.distance_bound, [(eye, pairs.distance), (sparse.diags(pairs.distance_bound), tight)])
    builder.add_rows(f"{name} multiplier below big-M", -np.inf, 0.0, [(eye, pairs.multiplier), (-sparse.diags(most), tight)])


def _column_label(builder: SingleLevelBuilder, column: int) -> str:
    """Block and position of a column under construction."""
    for name, first, count in builder.blocks:
        if first <= column < first + count:
            return f"{name}[{column - first}]"
    return f"column {column}"
