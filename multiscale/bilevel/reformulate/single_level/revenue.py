"""What followers pay the leader, without the product of price and quantity: strong duality read from the other side.

At every optimal pair of a follower that meets the leader in prices ``C y``,

    sum_k y_k (C_k'x)  =  b0'lambda + sum_k y_k (B_k'lambda) + l'r_l - u'r_u - c0'x - x'Qx

Where a price has no bound, no branching on its product ends; the right side has products of leader variables and multipliers only where the
leader moves right-hand sides, and there branching on integers ends. Where nothing moves them, the right side has no product at all and is, by weak
duality, nowhere above the left one at any feasible x and multipliers: only pairs are left to branch on. It is used where the squares are convex and

- some price is unbounded and only integers move right-hand sides, or
- the follower is quadratic and the leader moves none of its right-hand sides.

The leader's terms must be one multiple of all that the follower pays (Labbe, Marcotte, Savard, Management Science 44, 1998, for tolls).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Form
from multiscale.bilevel.reformulate.conditions.kkt import curvature_terms
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder


def rewrite_revenue(builder: SingleLevelBuilder, form: Form, side: float) -> tuple[Form, Form | None]:
    """Split a leader form over the joint vector.

    Args:
        builder: the program under construction, followers stated.
        form: the leader's objective (minimised) or row.
        side: 1 where the form is to be small, -1 where it is to be large, 0 for an equation.

    Returns:
        What is left over the joint vector, and what the payments became, over columns of the single-level program (None where nothing is rewritten).
    """
    if not form.products.size:
        return form, None
    added, taken, constants = Form(), np.zeros(form.products.size, dtype=bool), Form()
    for f in builder.conditions:
        if not _applies(builder, f):
            continue
        members, weights, fixed = _payments(builder, form, f)
        multiple = _multiple(builder, f, weights)
        if multiple == 0.0 or (builder.problem.followers[f].program.Q is not None and side * multiple >= 0):
            continue
        taken[members] = True
        constants, added = constants.plus(fixed), added.plus(_dual_objective(builder, f, multiple))
    if not taken.any():
        return form, None
    rest = replace(form, first=form.first[~taken], second=form.second[~taken], products=form.products[~taken])
    return rest.plus(constants), added


def _applies(builder: SingleLevelBuilder, f: int) -> bool:
    leader, follower = builder.problem.leader, builder.problem.followers[f]
    if follower.cones or not leader.integral[follower.limit_columns].all():
        return False
    prices = follower.cost_columns
    unbounded = np.isinf(leader.lower[prices]) | np.isinf(leader.upper[prices])
    return bool(unbounded.any() or (follower.program.Q is not None and not follower.limit_columns.size))


def _payments(builder: SingleLevelBuilder, form: Form, f: int) -> tuple[list[int], dict[int, np.ndarray], Form]:
    """Terms ``price times quantity of follower f``, their weights on its columns for each price, and what constants of quantities leave."""
    leader, program = builder.problem.leader, builder.problem.followers[f].program
    prices = set(builder.problem.followers[f].cost_columns.tolist())
    members: list[int] = []
    weights: dict[int, np.ndarray] = {k: np.zeros(program.columns.size) for k in prices}
    fixed: dict[int, float] = {}
    for t, (a, b) in enumerate(zip(form.first.tolist(), form.second.tolist(), strict=True)):
        price, entry = (a, b) if a < b else (b, a)
        if price not in prices or entry < leader.size:
            continue
        position = leader.size
        for quantity in leader.quantities:
            i = entry - position
            position += quantity.size
            if 0 <= i < quantity.size and quantity.kind == "primal" and quantity.follower == f:
                members.append(t)
                weights[price] += float(form.products[t]) * quantity.matrix[i].toarray().ravel()
                fixed[price] = fixed.get(price, 0.0) + float(form.products[t]) * float(quantity.constant[i])
    linear = {k: weight for k, weight in fixed.items() if weight}
    return members, weights, Form(0.0, np.array(list(linear), dtype=np.int64), np.array(list(linear.values()), dtype=float))


def _multiple(builder: SingleLevelBuilder, f: int, weights: dict[int, np.ndarray]) -> float:
    """The number by which the leader's terms are all that the follower pays; 0 where there is none."""
    costs = builder.problem.followers[f].program.C.tocsc()
    multiple = 0.0
    for k, weight in weights.items():
        paid = costs[:, [k]].toarray().ravel()
        largest = int(np.abs(paid).argmax())
        here = float(weight[largest] / paid[largest])
        multiple = multiple or here
        if here == 0.0 or np.abs(weight - multiple * paid).max() > 1e-12 * max(1.0, abs(multiple)) * np.abs(paid).max():
            return 0.0
    return multiple


def _dual_objective(builder: SingleLevelBuilder, f: int, multiple: float) -> Form:
    """``multiple`` times the right side, over columns of the single-level program."""
    follower, leader, columns = builder.problem.followers[f], builder.problem.leader, builder.conditions[f]
    program = follower.program
    parts = [
        (columns.multipliers, program.b0),
        (columns.reduced_lower, program.lower[columns.at_lower]),
        (columns.reduced_upper, -program.upper[columns.at_upper]),
        (columns.reduced_fixed, program.lower[columns.fixed]),
        (columns.x, -program.c0),
    ]
    by_leader = sparse.csc_matrix(program.B)
    for k in follower.limit_columns:
        part = slice(by_leader.indptr[k], by_leader.indptr[k + 1])
        name = f"{follower.name} value of {leader.names[k]}"
        value, factor = builder.functional(name, columns.multipliers[by_leader.indices[part]], by_leader.data[part])
        parts.append((np.array([builder.product(f"{name} (product)", int(k), value)]), np.array([factor])))
    joined, weights = np.concatenate([c for c, _ in parts]), np.concatenate([w for _, w in parts])
    used = weights != 0
    first, second, squares = curvature_terms(program.Q, columns.x, -1.0)
    return Form(0.0, joined[used].astype(np.int64), multiple * weights[used], first, second, multiple * squares)
