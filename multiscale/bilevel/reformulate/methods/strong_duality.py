"""Follower optimality as primal feasibility, dual feasibility and one strong-duality row.

    c0'x + sum_k y_k (C_k'x) + x'Qx  <=  b0'lambda + sum_k y_k (B_k'lambda) + l'r_l - u'r_u

Weak duality makes it an equality. Products are aggregated first: for each leader variable one product with the quantity
``C_k'x`` and one with the value ``B_k'lambda``. A binary variable times a multiplier with *proven* bounds ``[lo, hi]`` becomes a
column ``w`` with the exact linear rows (only those the strong-duality row can use are written):

    w <= hi y,  w <= lambda - lo (1 - y)      where w may only be overstated (coefficient > 0)
    w >= lo y,  w >= lambda - hi (1 - y)      where w may only be understated (coefficient < 0)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import CurvedRow, Form
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.cone_rows import add_complementarity
from multiscale.bilevel.reformulate.conditions.kkt import add_dual, add_primal, curvature_terms, row_scale, state_cost
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived
from multiscale.settings import Settings


class StrongDuality(Settings):
    """Primal and dual rows, and one equation of their objectives; products of leader variables and quantities are aggregated first."""

    kind: Literal["strong_duality"] = "strong_duality"


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down follower ``f`` by strong duality."""
    add_primal(builder, f)
    columns = add_dual(builder, f, bounds, explicit=False)
    follower = builder.problem.followers[f]
    program = follower.program
    add_complementarity(builder, follower, columns.x, columns.reduced_coned, whole=False)
    cost_columns, cost_weights = state_cost(builder, f, bounds)
    terms = [(cost_columns, cost_weights)]
    terms.append((columns.multipliers, -program.b0))
    terms.append((columns.reduced_lower, -program.lower[columns.at_lower]))
    terms.append((columns.reduced_upper, program.upper[columns.at_upper]))
    terms.append((columns.reduced_fixed, -program.lower[columns.fixed]))
    terms += _right_hand_side_terms(builder, f, columns.multipliers, bounds)
    all_columns, weights = np.concatenate([c for c, _ in terms]), np.concatenate([w for _, w in terms])
    keep = weights != 0
    all_columns, weights = all_columns[keep].astype(np.int64), weights[keep]
    name = f"{builder.problem.followers[f].name} strong duality"
    if program.Q is None:
        builder.add_rows(name, -np.inf, 0.0, [(sparse.csr_matrix(weights[None, :]), all_columns)])
        return
    first, second, square = curvature_terms(program.Q, columns.x, 1.0)
    scale = row_scale(follower)
    form = Form(0.0, all_columns, weights, first, second, square).scaled(scale)
    builder.curved.append(CurvedRow(f"follower {name}", form, -np.inf, 0.0, scale))


def _right_hand_side_terms(builder: SingleLevelBuilder, f: int, multipliers: np.ndarray, bounds: DualBounds) -> list[tuple[np.ndarray, np.ndarray]]:
    """Columns and weights of ``-sum_k y_k (B_k'lambda)``."""
    follower, leader = builder.problem.followers[f], builder.problem.leader
    matrix = follower.program.B.tocsc()
    terms = []
    for k in follower.limit_columns:
        part = slice(matrix.indptr[k], matrix.indptr[k + 1])
        rows, values = matrix.indices[part], matrix.data[part]
        exact = np.zeros(rows.size, dtype=bool)
        if leader.is_binary(int(k)):
            # Without a proof the product stays a product.
            exact = np.isfinite(bounds.lower[rows]) & np.isfinite(bounds.upper[rows])
        if exact.any():
            chosen = rows[exact]
            product = _linearised(builder, f, int(k), multipliers[chosen], values[exact], bounds.lower[chosen], bounds.upper[chosen])
            terms.append((product, -values[exact]))
        if not exact.all():
            name = f"{follower.name} value of {leader.names[k]}"
            value, factor = builder.functional(name, multipliers[rows[~exact]], values[~exact])
            terms.append((np.array([builder.product(f"{name} (product)", int(k), value)]), np.array([-factor])))
    return terms


def _linearised(
    builder: SingleLevelBuilder, f: int, k: int, multipliers: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Columns ``w = y_k * lambda`` for a binary ``y_k`` and multipliers within proven bounds."""
    name = f"{builder.problem.followers[f].name} {builder.problem.leader.names[k]} times dual"
    count = multipliers.size
    w = builder.add_columns(name, count, np.minimum(low, 0.0), np.maximum(high, 0.0))
    builder.derived.append(Derived("product", w, np.full(count, k), others=multipliers))
    binary = np.array([k])
    for over in (True, False):
        chosen = np.flatnonzero((values > 0) == over)
        if not chosen.size:
            continue
        eye = sparse.identity(chosen.size, format="csr")
        lo, hi = low[chosen], high[chosen]
        near, far = (hi, lo) if over else (lo, hi)
        never = np.full(chosen.size, np.inf)
        off_sides, on_sides = ((-never, 0.0), (-never, -far)) if over else ((0.0, never), (-far, never))
        if np.any(near != 0):
            builder.add_rows(f"{name} off", off_sides[0], off_sides[1], [(eye, w[chosen]), (sparse.csr_matrix(-near[:, None]), binary)])
        # w - lambda - far y  (<= or >=)  -far
        on = [(eye, w[chosen]), (-eye, multipliers[chosen]), (sparse.csr_matrix(-far[:, None]), binary)]
        builder.add_rows(f"{name} on", on_sides[0], on_sides[1], on)
    return w
