"""Products of a follower's price and its own quantity in the leader's hands, stated without that product.

For a column ``x_j >= 0`` without upper bound complementarity makes ``r_j x_j = 0``, so

    sum_i a_ij lambda_i x_j  =  x_j (c_j + C_j y + Q_j x),

and a row ``k`` that holds ``x_j`` alone gives ``lambda_k a_kj x_j = lambda_k b_k``. Where ``i`` is the only other row of the column,
``lambda_i x_j`` is a sum of linear terms, of products of leader variables with ``x_j`` (which are aggregated) and of ``Q``'s: exact at
every point that satisfies the follower's optimality conditions, under any method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.description import BilevelProblem, Form, Quantity
from multiscale.programs import ParametricProgram


def without_price_products(problem: BilevelProblem) -> BilevelProblem:
    """The problem with such products replaced; further duals it needs are appended to the leader's quantities."""
    leader = problem.leader
    if not any(q.kind == "dual" for q in leader.quantities) or not any(form.products.size for form in leader.forms()):
        return problem
    places = _Places(problem)
    objective = _replaced(problem, places, leader.objective)
    curved = tuple(replace(row, form=_replaced(problem, places, row.form)) for row in leader.curved)
    added, names = places.added()
    grown = sparse.csr_matrix((leader.matrix.data, leader.matrix.indices, leader.matrix.indptr), shape=(leader.matrix.shape[0], places.count))
    free = np.full(len(names), np.inf)
    changed = replace(
        leader,
        quantities=leader.quantities + added,
        quantity_names=leader.quantity_names + names,
        quantity_lower=np.append(leader.quantity_lower, -free),
        quantity_upper=np.append(leader.quantity_upper, free),
        matrix=grown,
        objective=objective,
        curved=curved,
    )
    return replace(problem, leader=changed)


@dataclass(frozen=True)
class _Entry:
    """An entry of the joint vector that is ``factor`` times one column or dual of a follower."""

    follower: int
    kind: str
    position: int
    factor: float


class _Places:
    """Entries of the joint vector that are single columns or duals, and new ones."""

    def __init__(self, problem: BilevelProblem) -> None:
        leader = problem.leader
        self.problem = problem
        self.count = leader.size + len(leader.quantity_names)
        self.entries: dict[int, _Entry] = {}
        self.places: dict[tuple[int, str, int], tuple[int, float]] = {}
        self._new: list[tuple[int, str, int]] = []
        position = leader.size
        for quantity in leader.quantities:
            matrix = quantity.matrix.tocsr()
            for i in range(quantity.size if quantity.kind != "cost" else 0):
                part = slice(matrix.indptr[i], matrix.indptr[i + 1])
                if part.stop - part.start == 1 and quantity.constant[i] == 0:
                    entry = _Entry(quantity.follower, quantity.kind, int(matrix.indices[part][0]), float(matrix.data[part][0]))
                    self.entries[position + i] = entry
                    self.places.setdefault((entry.follower, entry.kind, entry.position), (position + i, entry.factor))
            position += quantity.size

    def place(self, f: int, kind: str, position: int) -> tuple[int, float]:
        """Position in the joint vector and factor of a column or dual; a new entry if the leader does not use it."""
        key = (f, kind, position)
        if key not in self.places:
            self.places[key] = (self.count, 1.0)
            self._new.append(key)
            self.count += 1
        return self.places[key]

    def added(self) -> tuple[tuple[Quantity, ...], tuple[str, ...]]:
        quantities, names = [], []
        for f, kind, position in self._new:
            program = self.problem.followers[f].program
            index = program.columns if kind == "primal" else program.rows
            matrix = sparse.csr_matrix(([1.0], ([0], [position])), shape=(1, index.size))
            quantities.append(Quantity(f, kind, matrix, np.zeros(1)))
            names.append(f"{self.problem.followers[f].name} {kind} {index.label(position)}")
        return tuple(quantities), tuple(names)


def _replaced(problem: BilevelProblem, places: _Places, form: Form) -> Form:
    linear = list(zip(form.columns.tolist(), form.coefficients.tolist(), strict=True))
    products = []
    for a, b, weight in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True):
        pair = sorted((places.entries.get(a), places.entries.get(b)), key=lambda entry: "" if entry is None else entry.kind)
        price, quantity = pair
        found = None
        if price is not None and quantity is not None and (price.kind, quantity.kind) == ("dual", "primal") and price.follower == quantity.follower:
            found = _terms(problem.followers[price.follower].program, price.position, quantity.position)
        if found is None or price is None or quantity is None:
            products.append((a, b, weight))
            continue
        weight *= price.factor * quantity.factor
        f, j = price.follower, quantity.position
        own, scale = places.place(f, "primal", j)
        linear.append((own, weight * found.cost / scale))
        for k, value in found.duals:
            column, factor = places.place(f, "dual", k)
            linear.append((column, weight * value / factor))
        products += [(k, own, weight * value / scale) for k, value in found.leader]
        for m, value in found.columns:
            column, factor = places.place(f, "primal", m)
            products.append((own, column, weight * value / scale / factor))
    columns, coefficients = _split(linear)
    first, second, weights = (np.array([p[i] for p in products]) for i in range(3))
    return replace(
        form, columns=columns, coefficients=coefficients, first=first.astype(np.int64), second=second.astype(np.int64), products=weights.astype(float)
    )


def _split(linear: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    columns, inverse = np.unique(np.array([c for c, _ in linear], dtype=np.int64), return_inverse=True)
    return columns, np.bincount(inverse, weights=np.array([w for _, w in linear]), minlength=columns.size)


@dataclass(frozen=True)
class _Terms:
    """``lambda_i x_j = cost x_j + sum duals_k lambda_k + sum leader_k y_k x_j + sum columns_m x_m x_j``."""

    cost: float
    duals: list[tuple[int, float]]
    leader: list[tuple[int, float]]
    columns: list[tuple[int, float]]


def _terms(program: ParametricProgram, i: int, j: int) -> _Terms | None:
    """The other side of the identity for row ``i`` and column ``j``; None where it does not hold."""
    if program.lower[j] != 0 or np.isfinite(program.upper[j]):
        return None
    column = program.A[:, [j]].tocoo()
    entries = dict(zip(column.row.tolist(), column.data.tolist(), strict=True))
    if not entries.get(i):
        return None
    by_row, moved = np.diff(program.A.indptr), np.diff(program.B.tocsr().indptr)
    duals = []
    for k in entries:
        if k != i:
            if by_row[k] != 1 or moved[k]:
                return None
            duals.append((k, -float(program.b0[k]) / entries[i]))
    prices = program.C[[j]].tocoo()
    leader = [(int(k), float(value) / entries[i]) for k, value in zip(prices.col, prices.data, strict=True)]
    columns = []
    if program.Q is not None:
        curved = program.Q[[j]].tocoo()
        columns = [(int(m), float(value) / entries[i]) for m, value in zip(curved.col, curved.data, strict=True)]
    return _Terms(float(program.c0[j]) / entries[i], duals, leader, columns)
