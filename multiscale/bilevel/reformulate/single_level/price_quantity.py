"""Price times quantity terms of the leader, rewritten exactly through the followers' complementarity.

At every optimal pair of a follower, for each row ``i`` and each column ``j``,

    lambda_i (A_i x)    =  lambda_i (b0_i + B_i y)
    x_j (A_j'lambda)    =  x_j (c0_j + C_j y) + x_j (Qx)_j - l_j r_lj + u_j r_uj

(for the columns of a cone only the second's sum). A leader term ``sum_ij W_ij lambda_i x_j`` with ``W_ij = (alpha_i + beta_j) A_ij``
is therefore ``sum_i alpha_i`` times the first plus ``sum_j beta_j`` times the second: no product is left but those with leader
variables. ``alpha`` and ``beta`` are potentials on the graph of ``A``, unique up to one number ``delta`` for each connected part
(``alpha + delta, beta - delta`` adds a multiple of strong duality itself), which is chosen for the fewest products. The revenue of a
generator at the price of its bus, the merchandising surplus of a network and the congestion rent of a line are of this form.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower, Form
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder

_LARGEST = 300_000
"""Nonzeros of a follower beyond which its terms are left as they are."""

_CANDIDATES = 40
"""Values of ``delta`` that are compared."""


@dataclass(frozen=True)
class Potentials:
    """``W_ij = (alpha_i + beta_j) A_ij``."""

    alpha: np.ndarray
    beta: np.ndarray


def rewrite_prices(builder: SingleLevelBuilder, form: Form, side: float = 1.0) -> tuple[Form, Form | None]:
    """Split a leader form over the joint vector.

    Args:
        builder: the program under construction, followers stated.
        form: the leader's objective (minimised) or row.
        side: 1 where the form is to be small, -1 where it is to be large, 0 for an equation: squares of the right sign are convex.

    Returns:
        What is left over the joint vector, and what its price times quantity terms became, over columns of the single-level program
        (None where nothing is rewritten).
    """
    if not builder.rewrite_prices or not form.products.size:
        return form, None
    where = _places(builder)
    terms: dict[int, list[int]] = {}
    for t, (a, b) in enumerate(zip(form.first.tolist(), form.second.tolist(), strict=True)):
        if a in where and b in where and where[a][0] == where[b][0] and {where[a][1], where[b][1]} == {"primal", "dual"}:
            terms.setdefault(where[a][0], []).append(t)
    taken: list[int] = []
    added = Form()
    for f, members in terms.items():
        if f not in builder.conditions or builder.problem.followers[f].program.A.nnz > _LARGEST:
            continue
        # All terms of a follower together (a surplus), or else each by itself.
        for group in [members, *([t] for t in members if len(members) > 1)]:
            if set(group) & set(taken):
                continue
            found = potentials(builder.problem.followers[f], _weights(form, group, where), side)
            if found is None:
                continue
            chosen, count = found
            if count < len(group):
                added = added.plus(_terms(builder, f, chosen))
                taken += group
    if not taken:
        return form, None
    keep = np.setdiff1d(np.arange(form.products.size), taken)
    return replace(form, first=form.first[keep], second=form.second[keep], products=form.products[keep]), added


def _places(builder: SingleLevelBuilder) -> dict[int, tuple[int, str, sparse.csr_matrix]]:
    """Joint entry -> follower, kind and defining row, for quantities without a constant."""
    leader = builder.problem.leader
    found, position = {}, leader.size
    for quantity in leader.quantities:
        rows = quantity.matrix.tocsr()
        for i in range(quantity.size):
            if quantity.kind != "cost" and quantity.constant[i] == 0:
                found[position + i] = (quantity.follower, quantity.kind, rows[i])
        position += quantity.size
    return found


def _weights(form: Form, group: list[int], where: dict[int, tuple[int, str, sparse.csr_matrix]]) -> sparse.csr_matrix:
    """``W`` of a group of products (rows x columns of the follower)."""
    total = None
    for t in group:
        a, b = int(form.first[t]), int(form.second[t])
        dual, primal = (a, b) if where[a][1] == "dual" else (b, a)
        part = float(form.products[t]) * (where[dual][2].T @ where[primal][2])
        total = part if total is None else total + part
    assert total is not None
    total = total.tocsr()
    total.eliminate_zeros()
    return total


def potentials(follower: Follower, weights: sparse.csr_matrix, side: float = 1.0) -> tuple[Potentials, float] | None:
    """Potentials with ``W_ij = (alpha_i + beta_j) A_ij`` and the number of products they leave; None where there are none.

    A convex square counts as a tenth of a product, any other one as a half (branching on its one column is enough); ``side`` as in
    ``rewrite_prices``.
    """
    program = follower.program
    matrix = program.A.tocsr()
    m, n = matrix.shape
    pattern = matrix.astype(bool)
    if (weights.astype(bool) > pattern).nnz:
        # The price of a row that does not contain the quantity is of no use.
        return None
    ratio = matrix.copy()
    ratio.data = np.zeros(ratio.nnz)
    ratio = (ratio + weights).tocsr()
    scale = float(np.abs(weights.data).max(initial=1.0))
    # The columns of a cone move together: one node.
    node = np.arange(n)
    for cone in follower.cones:
        node[cone] = cone[0]
    members: dict[int, list[int]] = {}
    for j in follower.cone_columns.tolist():
        members.setdefault(int(node[j]), []).append(j)
    by_column = matrix.tocsc()
    alpha, beta = np.full(m, np.nan), np.full(n, np.nan)
    result = Potentials(np.zeros(m), np.zeros(n))
    count = 0.0
    for start in np.unique(weights.tocoo().row):
        if not np.isnan(alpha[start]):
            continue
        rows, columns = _spread(int(start), matrix, by_column, weights.tocsr(), node, members, alpha, beta, 1e-9 * scale)
        if rows is None:
            return None
        delta, here = _cheapest(follower, alpha, beta, np.array(rows), np.array(columns), side)
        result.alpha[rows], result.beta[columns] = alpha[rows] + delta, beta[columns] - delta
        count += here
    for values in (result.alpha, result.beta):
        values[np.abs(values) <= 1e-12 * scale] = 0.0
    return result, count


def _spread(
    start: int,
    matrix: sparse.csr_matrix,
    by_column: sparse.csc_matrix,
    weights: sparse.csr_matrix,
    node: np.ndarray,
    members: dict[int, list[int]],
    alpha: np.ndarray,
    beta: np.ndarray,
    tolerance: float,
) -> tuple[list[int] | None, list[int]]:
    """Walk the connected part of a row, setting potentials; ``None`` for the rows where they contradict each other."""
    wanted = {(int(i), int(j)): float(w) for i, j, w in zip(*sparse.find(weights), strict=True)}
    alpha[start] = 0.0
    rows: list[int] = [start]
    columns: list[int] = []
    queue: deque[tuple[bool, int]] = deque([(True, start)])
    while queue:
        is_row, k = queue.popleft()
        if is_row:
            part = slice(matrix.indptr[k], matrix.indptr[k + 1])
            for j, a in zip(matrix.indices[part].tolist(), matrix.data[part].tolist(), strict=True):
                value = wanted.get((k, j), 0.0) / a - alpha[k]
                if not np.isnan(beta[j]):
                    if abs(beta[j] - value) * abs(a) > tolerance:
                        return None, columns
                    continue
                for other in members.get(int(node[j]), [j]):
                    beta[other] = value
                    columns.append(other)
                    queue.append((False, other))
            continue
        part = slice(by_column.indptr[k], by_column.indptr[k + 1])
        for i, a in zip(by_column.indices[part].tolist(), by_column.data[part].tolist(), strict=True):
            value = wanted.get((i, k), 0.0) / a - beta[k]
            if np.isnan(alpha[i]):
                alpha[i] = value
                rows.append(i)
                queue.append((True, i))
            elif abs(alpha[i] - value) * abs(a) > tolerance:
                return None, columns
    return rows, columns


def _cheapest(follower: Follower, alpha: np.ndarray, beta: np.ndarray, rows: np.ndarray, columns: np.ndarray, side: float) -> tuple[float, float]:
    """The shift with the fewest products of leader variables (and squares) left, and their number."""
    program = follower.program
    limits, costs = program.B.tocsr()[rows], program.C.tocsr()[columns]
    moved, priced = np.flatnonzero(np.diff(limits.indptr)), np.flatnonzero(np.diff(costs.indptr))
    curved = np.zeros(0, dtype=np.int64)
    alone = np.zeros(columns.size, dtype=bool)
    if program.Q is not None:
        terms = np.diff(program.Q.tocsr()[columns].indptr)
        curved = np.flatnonzero(terms)
        alone = (terms == 1) & (program.Q.diagonal()[columns] > 0)
    common = Counter(np.round(np.concatenate([-alpha[rows[moved]], beta[columns[priced]], beta[columns[curved]]]), 12).tolist())
    candidates = [0.0, *(value for value, _ in common.most_common(_CANDIDATES))]

    def products(delta: float) -> float:
        size = max(1.0, abs(delta))
        on_rows = moved[np.abs(alpha[rows[moved]] + delta) > 1e-12 * size]
        on_columns = priced[np.abs(beta[columns[priced]] - delta) > 1e-12 * size]
        weight = beta[columns[curved]] - delta
        left = np.abs(weight) > 1e-12 * size
        convex = left & alone[curved] & (side * weight > 0)
        other = left & alone[curved] & ~convex
        squares = 0.1 * convex.sum() + 0.5 * other.sum() + (left & ~alone[curved]).sum()
        return float(np.unique(limits[on_rows].indices).size + np.unique(costs[on_columns].indices).size + squares)

    best = min(candidates, key=products)
    return best, products(best)


def _terms(builder: SingleLevelBuilder, f: int, chosen: Potentials) -> Form:
    """The right-hand sides of the identities, over columns of the single-level program."""
    follower, conditions = builder.problem.followers[f], builder.conditions[f]
    program, x, multipliers = follower.program, conditions.x, conditions.multipliers
    alpha, beta = chosen.alpha, chosen.beta
    lower, upper = np.where(np.isfinite(program.lower), program.lower, 0.0), np.where(np.isfinite(program.upper), program.upper, 0.0)
    parts = [
        (multipliers, alpha * program.b0),
        (x, beta * program.c0),
        (conditions.reduced_lower, -(beta * lower)[conditions.at_lower]),
        (conditions.reduced_upper, (beta * upper)[conditions.at_upper]),
        (conditions.reduced_fixed, -(beta * lower)[conditions.fixed]),
    ]
    name = f"{follower.name} price and quantity"
    for matrix, weights, source in ((program.B, alpha, multipliers), (program.C, beta, x)):
        scaled = (sparse.diags(weights) @ matrix).tocsc()
        scaled.eliminate_zeros()
        for k in np.flatnonzero(np.diff(scaled.indptr)):
            part = slice(scaled.indptr[k], scaled.indptr[k + 1])
            label = f"{name} of {builder.problem.leader.names[k]}"
            column, factor = builder.functional(label, source[scaled.indices[part]], scaled.data[part])
            parts.append((np.array([builder.product(f"{label} (product)", int(k), column)]), np.array([factor])))
    first, second, squares = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    if program.Q is not None:
        curvature = sparse.coo_matrix(sparse.diags(beta) @ program.Q)
        keep = curvature.data != 0
        first, second, squares = x[curvature.row[keep]], x[curvature.col[keep]], curvature.data[keep]
    columns, weights = np.concatenate([c for c, _ in parts]), np.concatenate([w for _, w in parts])
    used = weights != 0
    return Form(0.0, columns[used].astype(np.int64), weights[used], first, second, squares)
