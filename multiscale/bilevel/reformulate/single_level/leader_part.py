"""The leader's rows and objective over the columns of the single-level program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import CurvedRow, Form
from multiscale.bilevel.problem.expression import tree_renumbered
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.price_quantity import rewrite_prices
from multiscale.bilevel.reformulate.single_level.program import Derived, SingleLevel
from multiscale.bilevel.reformulate.single_level.revenue import rewrite_revenue


def add_leader(builder: SingleLevelBuilder) -> SingleLevel:
    """Lay down the leader's rows and objective over the joint vector, and return the finished program."""
    leader = builder.problem.leader
    columns, factors = _joint(builder)
    n_before = builder.row_count
    if leader.matrix.shape[0]:
        scaled = leader.matrix @ sparse.diags(factors)
        builder.add_rows("leader row", leader.row_lower, leader.row_upper, [(scaled, columns)])
    _quantity_bounds(builder, columns, factors)
    leader_rows = np.arange(n_before, builder.row_count)
    objective = _rewrite_form(builder, leader.objective, columns, factors, 1.0)
    curved = [replace(row, form=_rewrite_form(builder, row.form, columns, factors, _side(row))) for row in leader.curved]
    flat = [row for row in curved if row.form.is_linear]
    for row in flat:
        matrix = sparse.csr_matrix(row.form.coefficients[None, :])
        added = builder.add_rows(row.name, row.lower - row.form.constant, row.upper - row.form.constant, [(matrix, row.form.columns)])
        leader_rows = np.concatenate([leader_rows, added])
    builder.curved += [row for row in curved if not row.form.is_linear]
    return builder.finish(objective, columns, factors, leader_rows)


def _joint(builder: SingleLevelBuilder) -> tuple[np.ndarray, np.ndarray]:
    leader = builder.problem.leader
    columns, factors = [np.arange(leader.size)], [np.ones(leader.size)]
    position = 0
    for quantity in leader.quantities:
        names = leader.quantity_names[position : position + quantity.size]
        place, factor = np.zeros(quantity.size, dtype=np.int64), np.ones(quantity.size)
        if quantity.kind == "cost":
            for k, name in enumerate(names):
                place[k], factor[k] = _cost_column(builder, quantity.follower, name), float(quantity.matrix[0, 0])
        else:
            source = builder.primal[quantity.follower] if quantity.kind == "primal" else builder.dual[quantity.follower]
            matrix = quantity.matrix.tocsr()
            alone = np.diff(matrix.indptr) == 1
            first = matrix.indptr[:-1][alone]
            place[alone], factor[alone] = source[matrix.indices[first]], matrix.data[first]
            for i in np.flatnonzero(~alone):
                part = slice(matrix.indptr[i], matrix.indptr[i + 1])
                place[i], factor[i] = builder.functional(names[i], source[matrix.indices[part]], matrix.data[part])
        columns.append(place)
        factors.append(factor)
        position += quantity.size
    return np.concatenate(columns).astype(np.int64), np.concatenate(factors)


def _cost_column(builder: SingleLevelBuilder, f: int, name: str) -> int:
    """Column equal to the optimum of follower ``f``: ``cost - linear part (- curved part) = constant``."""
    linear_columns, linear_weights, constant, (first, second, weights) = builder.cost_of[f]
    (new,) = builder.add_columns(name, 1, -np.inf, np.inf)
    if weights.size:
        form = Form(constant, np.append(linear_columns, new), np.append(linear_weights, -1.0), first, second, weights)
        # The optimum may be stated as an upper estimate only when the leader would push it down; an equation is always right.
        builder.curved.append(CurvedRow(f"follower cost {name}", form, 0.0, 0.0))
        squares = []
        for a, b in zip(first, second, strict=True):
            (square,) = builder.add_columns(f"{name} square", 1, -np.inf, np.inf)
            builder.derived.append(Derived("product", np.array([square]), np.array([a]), others=np.array([b])))
            squares.append(square)
        sources = np.append(linear_columns, squares).astype(np.int64)
        row = sparse.csr_matrix(np.append(linear_weights, weights))
        builder.derived.append(Derived("linear", np.array([new]), sources, row, np.array([constant])))
        return int(new)
    row = sparse.csr_matrix(linear_weights[None, :])
    builder.add_rows(f"{name} (definition)", -constant, -constant, [(row, linear_columns), (sparse.csr_matrix([[-1.0]]), np.array([new]))])
    builder.derived.append(Derived("linear", np.array([new]), linear_columns, row, np.array([constant])))
    return int(new)


def _quantity_bounds(builder: SingleLevelBuilder, columns: np.ndarray, factors: np.ndarray) -> None:
    """Rows for the bounds of quantities that are not the bounds of their columns anyway."""
    leader = builder.problem.leader
    own, scale = columns[leader.size :], factors[leader.size :]
    lower, upper = (ends[own] for ends in builder.column_bounds())
    least, most = np.where(scale > 0, scale * lower, scale * upper), np.where(scale > 0, scale * upper, scale * lower)
    for k in np.flatnonzero((least < leader.quantity_lower) | (most > leader.quantity_upper)):
        row = sparse.csr_matrix([[scale[k]]])
        builder.add_rows(f"bounds of {leader.quantity_names[k]}", leader.quantity_lower[k], leader.quantity_upper[k], [(row, own[[k]])])


def _side(row: CurvedRow) -> float:
    """1 for a row with an upper side only, -1 with a lower side only, 0 for both."""
    return float(np.isfinite(row.upper)) - float(np.isfinite(row.lower))


def _rewrite_form(builder: SingleLevelBuilder, form: Form, columns: np.ndarray, factors: np.ndarray, side: float) -> Form:
    """A leader form over the columns here, its price times quantity terms rewritten where that is exact and saves products."""
    rest, added = rewrite_prices(builder, form, side)
    rest, paid = rewrite_revenue(builder, rest, side)
    moved = _moved(builder, rest, columns, factors)
    for part in (added, paid):
        moved = moved if part is None else moved.plus(part)
    return moved


def _moved(builder: SingleLevelBuilder, form: Form, columns: np.ndarray, factors: np.ndarray) -> Form:
    """A leader form over the columns here; products the followers already have become linear."""
    leader = builder.problem.leader
    linear = [(columns[c], a * factors[c]) for c, a in zip(form.columns, form.coefficients, strict=True)]
    quadratic = []
    gathered: dict[int, list[tuple[int, float]]] = {}
    weights = form.products * factors[form.first] * factors[form.second]
    for a, b, weight in zip(columns[form.first].tolist(), columns[form.second].tolist(), weights.tolist(), strict=True):
        known = builder.has_product(a, b)
        own, other = min(a, b), max(a, b)
        if known is not None:
            linear.append((known, weight))
        elif own < leader.size <= other:
            gathered.setdefault(own, []).append((other, weight))
        else:
            quadratic.append((a, b, weight))
    for own, terms in gathered.items():
        # One product of a leader variable with the sum of all it multiplies; often the follower's own product.
        name = f"what {leader.names[own]} multiplies"
        column, factor = builder.functional(name, np.array([c for c, _ in terms]), np.array([w for _, w in terms]))
        linear.append((builder.product(f"{name} (product)", own, column), factor))
    tree = None
    if form.tree is not None:
        tree = tree_renumbered(form.tree, _plain(builder, columns, factors))
    return Form(
        form.constant,
        np.array([c for c, _ in linear], dtype=np.int64),
        np.array([a for _, a in linear], dtype=float),
        np.array([a for a, _, _ in quadratic], dtype=np.int64),
        np.array([b for _, b, _ in quadratic], dtype=np.int64),
        np.array([w for _, _, w in quadratic], dtype=float),
        tree,
    )


def _plain(builder: SingleLevelBuilder, columns: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Columns equal to the joint entries themselves (factor 1), for nonlinear trees."""
    plain = columns.copy()
    for k in np.flatnonzero(factors != 1.0):
        (new,) = builder.add_columns("scaled quantity", 1, -np.inf, np.inf)
        row = sparse.csr_matrix([[factors[k]]])
        builder.add_rows("scaled quantity (definition)", 0.0, 0.0, [(row, columns[[k]]), (sparse.csr_matrix([[-1.0]]), np.array([new]))])
        builder.derived.append(Derived("linear", np.array([new]), columns[[k]], row, np.zeros(1)))
        plain[k] = new
    return plain
