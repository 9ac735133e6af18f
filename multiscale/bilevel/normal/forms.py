"""The leader's objective and rows as arrays over its own variables and the followers' columns: no quantities in between.

    form_i  =  constant_i + own_i'y + sum w y_k y_l + sum_f ( linear_fi'x_f + sum_k y_k priced_fik'x_f )

Form 0 is the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem, Form


@dataclass
class Priced:
    """Products of one follower's columns with leader variables: row ``r`` of ``matrix`` times ``y[variable[r]]`` is part of form ``form[r]``."""

    form: np.ndarray
    variable: np.ndarray
    matrix: sparse.csr_matrix

    def gathered(self) -> Priced:
        """Rows of one form and variable added up; empty ones dropped."""
        if not self.form.size:
            return self
        keys, place = np.unique(np.column_stack([self.form, self.variable]), axis=0, return_inverse=True)
        size = place.size
        add = sparse.csr_matrix((np.ones(size), (place.ravel(), np.arange(size))), shape=(len(keys), size))
        matrix = cleaned(add @ self.matrix)
        keep = np.diff(matrix.indptr) > 0
        return Priced(keys[keep, 0], keys[keep, 1], matrix[keep])


@dataclass
class Forms:
    """All forms; ``lower <= form <= upper``, infinite for the objective.

    Attributes:
        names: of the rows; empty for the objective.
        pairs: form, two leader variables (first <= second) and weight of every product of leader variables.
        linear, priced: one entry for each follower.
    """

    names: list[str]
    lower: np.ndarray
    upper: np.ndarray
    constant: np.ndarray
    own: sparse.csr_matrix
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    linear: list[sparse.csr_matrix]
    priced: list[Priced]

    @property
    def size(self) -> int:
        """Number of forms."""
        return self.constant.size

    def is_plain(self, i: int) -> bool:
        """Whether a form has leader variables only, and no products."""
        return not (self.has_products(i) or any(matrix.indptr[i + 1] > matrix.indptr[i] for matrix in self.linear))

    def has_products(self, i: int) -> bool:
        """Whether a form has products."""
        return bool((self.pairs[0] == i).any() or any((part.form == i).any() for part in self.priced))

    def mixed(self, change: sparse.csr_matrix) -> None:
        """Replace the forms by combinations of them: form ``i`` by ``sum_r change[i, r] form_r``."""
        self.constant = change @ self.constant
        self.own = cleaned(change @ self.own)
        self.linear = [cleaned(change @ matrix) for matrix in self.linear]
        by_column = change.tocsc()

        def repeated(form: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Position of every part in every new form, the new form, and the factor."""
            counts = np.diff(by_column.indptr)[form]
            source = np.repeat(np.arange(form.size), counts)
            entries = np.concatenate([np.arange(by_column.indptr[i], by_column.indptr[i + 1]) for i in form]) if form.size else np.zeros(0, dtype=int)
            return source, by_column.indices[entries], by_column.data[entries]

        form, first, second, weight = self.pairs
        source, target, factor = repeated(form)
        self.pairs = (target, first[source], second[source], weight[source] * factor)
        for f, part in enumerate(self.priced):
            source, target, factor = repeated(part.form)
            self.priced[f] = Priced(target, part.variable[source], (sparse.diags(factor) @ part.matrix[source]).tocsr()).gathered()

    def without(self, gone: np.ndarray) -> Forms:
        """The forms without some of them."""
        keep = np.setdiff1d(np.arange(self.size), gone)
        place = np.full(self.size, -1)
        place[keep] = np.arange(keep.size)
        form, first, second, weight = self.pairs
        stays = place[form] >= 0
        priced = []
        for part in self.priced:
            alive = place[part.form] >= 0
            priced.append(Priced(place[part.form[alive]], part.variable[alive], part.matrix[alive]))
        return Forms(
            [self.names[i] for i in keep],
            self.lower[keep],
            self.upper[keep],
            self.constant[keep],
            self.own[keep],
            (place[form[stays]], first[stays], second[stays], weight[stays]),
            [matrix[keep] for matrix in self.linear],
            priced,
        )

    def with_row(self, name: str, own: sparse.csr_matrix, lower: float, upper: float) -> Forms:
        """The forms and one more row over leader variables."""
        return Forms(
            [*self.names, name],
            np.append(self.lower, lower),
            np.append(self.upper, upper),
            np.append(self.constant, 0.0),
            sparse.vstack([self.own, own], format="csr"),
            self.pairs,
            [sparse.vstack([matrix, sparse.csr_matrix((1, matrix.shape[1]))], format="csr") for matrix in self.linear],
            self.priced,
        )


def cleaned(matrix: sparse.spmatrix, scale: np.ndarray | None = None) -> sparse.csr_matrix:
    """The matrix without entries that are rounding residues: 1e-14 of the largest term their row was made of (``scale``), or of its largest."""
    matrix = sparse.csr_matrix(matrix)
    matrix.sum_duplicates()
    if matrix.nnz:
        largest = abs(matrix).max(axis=1).toarray().ravel() if scale is None else scale
        matrix.data[np.abs(matrix.data) <= 1e-14 * np.repeat(largest, np.diff(matrix.indptr))] = 0.0
        matrix.eliminate_zeros()
    return matrix


def row_scale(*terms: sparse.spmatrix) -> np.ndarray:
    """Largest absolute entry of every row over some matrices."""
    return np.max([abs(term).max(axis=1).toarray().ravel() if term.shape[1] else np.zeros(term.shape[0]) for term in terms], axis=0)


def gather(problem: BilevelProblem) -> Forms | None:
    """The leader's forms without quantities; None where they are not of this kind (duals, nonlinear terms, products of two quantities)."""
    leader, n = problem.leader, problem.leader.size
    if any(f.tree is not None for f in leader.forms()) or any(q.kind == "dual" for q in leader.quantities):
        return None
    bounded = np.flatnonzero(_needs_row(problem))
    forms: list[Form] = [leader.objective, *(row.form for row in leader.curved)]
    flat = sparse.csr_matrix((1, n + len(leader.quantity_names)))
    over = sparse.vstack([flat, sparse.csr_matrix((len(leader.curved), flat.shape[1])), leader.matrix], format="lil")
    for i, form in enumerate(forms):
        for k, value in zip(form.columns.tolist(), form.coefficients.tolist(), strict=True):
            over[i, k] += value
    picked = sparse.csr_matrix((np.ones(bounded.size), (np.arange(bounded.size), n + bounded)), shape=(bounded.size, flat.shape[1]))
    matrix = sparse.vstack([over.tocsr(), picked], format="csr")
    count = matrix.shape[0]
    constant = np.zeros(count)
    constant[: len(forms)] = [form.constant for form in forms]
    first = np.concatenate([np.minimum(f.first, f.second) for f in forms]).astype(np.int64)
    second = np.concatenate([np.maximum(f.first, f.second) for f in forms]).astype(np.int64)
    weight = np.concatenate([f.products for f in forms])
    where = np.repeat(np.arange(len(forms)), [f.products.size for f in forms])
    if (first >= n).any():
        return None
    own, alone = matrix[:, :n], second < n
    pairs = [np.column_stack([where[alone], first[alone], second[alone]])]
    pair_weights = [weight[alone]]
    linear = [sparse.csr_matrix((count, f.program.columns.size)) for f in problem.followers]
    priced: list[list[Priced]] = [[] for _ in problem.followers]
    position = n
    for quantity in leader.quantities:
        f, program = quantity.follower, problem.followers[quantity.follower].program
        here = matrix[:, position : position + quantity.size]
        chosen = np.flatnonzero((second >= position) & (second < position + quantity.size))
        times = sparse.csr_matrix((weight[chosen], (np.arange(chosen.size), second[chosen] - position)), shape=(chosen.size, quantity.size))
        if quantity.kind == "cost":
            if chosen.size:
                return None
            scale = np.asarray((here @ quantity.matrix).todense()).ravel()
            linear[f] = linear[f] + sparse.csr_matrix(scale[:, None]) @ sparse.csr_matrix(program.c0[None, :])
            constant += scale * program.d0 + here @ quantity.constant
            own = own + sparse.csr_matrix(scale[:, None]) @ sparse.csr_matrix(program.d[None, :])
            by_variable, used = program.C.T.tocsr(), problem.followers[f].cost_columns
            for row in np.flatnonzero(scale):
                priced[f].append(Priced(np.full(used.size, row), used, scale[row] * by_variable[used]))
        else:
            linear[f] = linear[f] + here @ quantity.matrix
            constant += here @ quantity.constant
            priced[f].append(Priced(where[chosen], first[chosen], (times @ quantity.matrix).tocsr()))
            own = own + sparse.csr_matrix((times @ quantity.constant, (where[chosen], first[chosen])), shape=own.shape)
        position += quantity.size
    joined = []
    for g, parts in enumerate(priced):
        width = problem.followers[g].program.columns.size
        nothing = Priced(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), sparse.csr_matrix((0, width)))
        parts = [nothing, *parts]
        stack = sparse.vstack([p.matrix for p in parts], format="csr")
        joined.append(Priced(np.concatenate([p.form for p in parts]), np.concatenate([p.variable for p in parts]), stack).gathered())
    names = ["", *(row.name for row in leader.curved), *leader.row_names, *(f"bounds of {leader.quantity_names[k]}" for k in bounded)]
    low = np.concatenate([[-np.inf], [r.lower for r in leader.curved], leader.row_lower, leader.quantity_lower[bounded]])
    high = np.concatenate([[np.inf], [r.upper for r in leader.curved], leader.row_upper, leader.quantity_upper[bounded]])
    table = np.vstack(pairs)
    return Forms(
        names,
        low,
        high,
        constant,
        cleaned(own),
        (table[:, 0], table[:, 1], table[:, 2], np.concatenate(pair_weights)),
        [cleaned(m) for m in linear],
        joined,
    )


def _needs_row(problem: BilevelProblem) -> np.ndarray:
    """Quantities whose bounds are not those of their follower's column anyway."""
    leader = problem.leader
    needs = [np.zeros(0, dtype=bool)]
    position = 0
    for quantity in leader.quantities:
        low, high = leader.quantity_lower[position : position + quantity.size], leader.quantity_upper[position : position + quantity.size]
        position += quantity.size
        least, most = np.full(quantity.size, -np.inf), np.full(quantity.size, np.inf)
        if quantity.kind == "primal":
            program, matrix = problem.followers[quantity.follower].program, quantity.matrix.tocsr()
            alone = np.flatnonzero((np.diff(matrix.indptr) == 1) & (quantity.constant == 0))
            columns, factor = matrix.indices[matrix.indptr[alone]], matrix.data[matrix.indptr[alone]]
            ends = factor * program.lower[columns], factor * program.upper[columns]
            least[alone], most[alone] = np.minimum(*ends), np.maximum(*ends)
        needs.append((least < low) | (most > high))
    return np.concatenate(needs)
