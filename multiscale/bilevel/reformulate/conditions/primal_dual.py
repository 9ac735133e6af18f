"""The primal-dual inequality of Kleinert, Labbe, Plein and Schmidt (Optimization Letters 15, 2021): strong duality with its products relaxed.

    c0'x + sum_k t_k  <=  sum_i min_y b_i(y) lambda_i + l'r_l - u'r_u,        t_k >= y_k C_k'x relaxed over the leader's box

Every follower optimum satisfies it: ``lambda_i <= 0`` of a ``<=`` row is taken with the least right-hand side, and ``x'Qx >= 0`` is left
out. It joins primal and dual variables that pairs alone leave apart in the root relaxation, and needs no multiplier bound.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.reformulate.bounds.dual_bounds import interval
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived, FollowerColumns

REDUNDANT = "primal-dual inequality"
"""Ending of the names of rows that only strengthen the relaxation; a retry after numerical difficulties omits them."""


def add_primal_dual_inequality(builder: SingleLevelBuilder, f: int, columns: FollowerColumns) -> bool:
    """Add the row; False (and nothing added) where the leader moves an equation, or the products cannot be relaxed."""
    follower, leader = builder.problem.followers[f], builder.problem.leader
    program = follower.program
    touched = np.diff(program.B.tocsr().indptr) > 0
    least, _ = interval(program.B, program.b0, leader.lower, leader.upper)
    if (program.equality & touched).any() or not np.isfinite(least[~program.equality]).all():
        return False
    right = np.where(program.equality, program.b0, least)
    parts = [
        (columns.x, program.c0),
        (columns.multipliers, -right),
        (columns.reduced_lower, -program.lower[columns.at_lower]),
        (columns.reduced_upper, program.upper[columns.at_upper]),
        (columns.reduced_fixed, -program.lower[columns.fixed]),
    ]
    by_leader = program.C.tocsc()
    relaxed = []
    for k in follower.cost_columns:
        part = slice(by_leader.indptr[k], by_leader.indptr[k + 1])
        rows, values = by_leader.indices[part], by_leader.data[part]
        low, high = interval(sparse.csr_matrix(values[None, :]), np.zeros(1), program.lower[rows], program.upper[rows])
        ends = [(leader.lower[k], float(low[0])), (leader.upper[k], float(high[0]))]
        usable = [(y, w) for y, w in ends if np.isfinite(y) and np.isfinite(w)]
        if not usable:
            return False
        relaxed.append((int(k), columns.x[rows], values, usable))
    for k, x, values, usable in relaxed:
        (t,) = builder.add_columns(f"{follower.name} relaxed payment", 1, -np.inf, np.inf)
        sources = np.append(x, k)
        for y, w in usable:
            # t >= y w' + w y' - y w at the lower ends, and at the upper ends.
            row = sparse.csr_matrix(np.append(-y * values, [-w, 1.0])[None, :])
            builder.add_rows(f"{follower.name} relaxed payment", -y * w, np.inf, [(row, np.append(sources, t))])
        quantity = builder.functional(f"{follower.name} quantity of {leader.names[k]}", x, values)
        # True payments satisfy the envelope: the column is completed with the product itself.
        builder.derived.append(Derived("product", np.array([t]), np.array([k]), others=np.array([_unit(builder, follower.name, quantity)])))
        parts.append((np.array([t]), np.ones(1)))
    all_columns, weights = np.concatenate([c for c, _ in parts]), np.concatenate([w for _, w in parts])
    keep = weights != 0
    builder.add_rows(f"{follower.name} {REDUNDANT}", -np.inf, 0.0, [(sparse.csr_matrix(weights[keep][None, :]), all_columns[keep])])
    return True


def _unit(builder: SingleLevelBuilder, name: str, scaled: tuple[int, float]) -> int:
    """A column equal to ``factor * column``."""
    column, factor = scaled
    if factor == 1.0:
        return column
    (new,) = builder.add_columns(f"{name} quantity", 1, -np.inf, np.inf)
    row = sparse.csr_matrix([[factor]])
    builder.add_rows(f"{name} quantity (definition)", 0.0, 0.0, [(row, np.array([column])), (sparse.csr_matrix([[-1.0]]), np.array([new]))])
    builder.derived.append(Derived("linear", np.array([new]), np.array([column]), row, np.zeros(1)))
    return int(new)
