"""State the problem again with as few quantities as possible, each a combination of what the followers pay where there is one.

With ``W_k = C_k'x`` and the optimum ``c0'x + sum_k y_k W_k + d0 + d'y``, a vector that is a combination of ``c0`` and ``C_k`` is stated by
these alone; ``c0'x`` in the objective becomes the optimum less the payments ``y_k W_k``, and in a row where that removes all its products.
Any other vector is a quantity of its own; multiples share it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.normal.forms import Forms
from multiscale.bilevel.normal.work import Body, Work
from multiscale.bilevel.problem.description import BilevelProblem, CurvedRow, Follower, Form, Leader, Quantity
from multiscale.bilevel.problem.span import combination
from multiscale.programs import Block, Index, ParametricProgram

_MANY = 200
"""Vectors of a follower beyond which looking for combinations would take longer than it saves."""


class _Terms:
    """One form under construction: linear terms and products by (kind, follower, key)."""

    def __init__(self) -> None:
        self.constant = 0.0
        self.linear: dict[tuple, float] = {}
        self.products: dict[tuple[int, tuple], float] = {}

    def add(self, key: tuple, weight: float) -> None:
        """A linear term."""
        self.linear[key] = self.linear.get(key, 0.0) + weight

    def multiply(self, k: int, key: tuple, weight: float) -> None:
        """A product with leader variable ``k``; what cancels to rounding is gone."""
        value = self.products.get((k, key), 0.0) + weight
        if abs(value) <= 1e-12 * abs(weight):
            self.products.pop((k, key), None)
        else:
            self.products[k, key] = value


class _Vectors:
    """The quantities of one follower: every vector in terms of ``c0``, ``C_k`` or vectors known."""

    def __init__(self, f: int, body: Body, count: int) -> None:
        self.f, self.body = f, body
        self.prices = np.flatnonzero(np.diff(body.C.tocsc().indptr))
        by_price = body.C.T.tocsr()
        self.by_price = {int(k): by_price[int(k)] for k in self.prices}
        self.basis = [body.c0, *(np.asarray(row.todense()).ravel() for row in self.by_price.values())] if count <= _MANY else []
        self.others: list[sparse.csr_matrix] = []
        self._known: dict[bytes, tuple[int, float]] = {}

    def terms(self, row: sparse.csr_matrix) -> list[tuple[tuple, float]]:
        """``(key, weight)`` of a vector; key ``("level", f)``, ``("payment", f, k)`` or ``("other", f, number)``."""
        if not row.nnz:
            return []
        weights = combination(row, self.basis) if self.basis else None
        if weights is not None:
            keys: list[tuple] = [("level", self.f), *(("payment", self.f, int(k)) for k in self.prices)]
            return [(key, float(weight)) for key, weight in zip(keys, weights, strict=True) if weight]
        scale = float(row.data[0])
        key = row.indices.tobytes() + np.round(row.data / scale, 12).tobytes()
        if key not in self._known:
            self._known[key] = (len(self.others), scale)
            self.others.append(row)
        number, unit = self._known[key]
        return [(("other", self.f, number), scale / unit)]


def contract(work: Work) -> BilevelProblem:
    """The problem in normal form."""
    problem, forms = work.problem, work.forms
    vectors = [_Vectors(f, body, int(np.count_nonzero(np.diff(work.seen(f).indptr)))) for f, body in enumerate(work.bodies)]
    stated = [_form(work, forms, vectors, i) for i in range(forms.size)]
    followers = tuple(_follower(follower, body) for follower, body in zip(problem.followers, work.bodies, strict=True))
    n = work.lower.size
    used = sorted({key for terms in stated for key in [*terms.linear, *(key for _, key in terms.products)] if key[0] != "own"}, key=_order)
    place = {key: n + i for i, key in enumerate(used)}
    place |= {("own", k): k for k in range(n)}
    quantities, names = [], []
    start = 0
    while start < len(used):
        f, kind = used[start][1], "cost" if used[start][0] == "optimum" else "primal"
        end = start
        while end < len(used) and used[end][1] == f and (used[end][0] == "optimum") == (kind == "cost"):
            end += 1
        rows = [_row(vectors[f], key) for key in used[start:end]]
        quantities.append(Quantity(f, kind, sparse.vstack(rows, format="csr"), np.zeros(end - start)))
        names += [_name(problem, followers[f], vectors[f], key) for key in used[start:end]]
        start = end
    flat = [i for i in range(1, forms.size) if not stated[i].products and not _pairs(forms, i)]
    curved = [i for i in range(1, forms.size) if i not in set(flat)]
    matrix = sparse.csr_matrix(
        (
            np.array([w for i in flat for w in stated[i].linear.values()], dtype=float),
            (
                np.array([r for r, i in enumerate(flat) for _ in stated[i].linear], dtype=np.int64),
                np.array([place[key] for i in flat for key in stated[i].linear], dtype=np.int64),
            ),
        ),
        shape=(len(flat), n + len(used)),
    )
    constants = np.array([stated[i].constant for i in flat])
    leader = Leader(
        names=problem.leader.names,
        lower=work.lower,
        upper=work.upper,
        kinds=work.kinds,
        quantities=tuple(quantities),
        quantity_names=tuple(names),
        quantity_lower=np.full(len(used), -np.inf),
        quantity_upper=np.full(len(used), np.inf),
        matrix=matrix,
        row_lower=forms.lower[flat] - constants,
        row_upper=forms.upper[flat] - constants,
        row_names=tuple(forms.names[i] for i in flat),
        curved=tuple(CurvedRow(forms.names[i], _joint(forms, i, stated[i], place), forms.lower[i], forms.upper[i]) for i in curved),
        objective=_joint(forms, 0, stated[0], place),
        sense=problem.leader.sense,
    )
    return BilevelProblem(leader, followers)


def _order(key: tuple) -> tuple:
    return (key[1], key[0] == "optimum", *key)


def _pairs(forms: Forms, i: int) -> list[tuple[int, int, float]]:
    """Products of leader variables in a form."""
    form, first, second, weight = forms.pairs
    return [(int(first[at]), int(second[at]), float(weight[at])) for at in np.flatnonzero(form == i)]


def _form(work: Work, forms: Forms, vectors: list[_Vectors], i: int) -> _Terms:
    """One form over own variables and quantities."""
    terms = _Terms()
    terms.constant = float(forms.constant[i])
    part = slice(forms.own.indptr[i], forms.own.indptr[i + 1])
    for k, value in zip(forms.own.indices[part].tolist(), forms.own.data[part].tolist(), strict=True):
        terms.add(("own", k), value)
    for f, known in enumerate(vectors):
        for key, weight in known.terms(forms.linear[f][i]):
            terms.add(key, weight)
        priced = forms.priced[f]
        for r in np.flatnonzero(priced.form == i).tolist():
            for key, weight in known.terms(priced.matrix[r]):
                terms.multiply(int(priced.variable[r]), key, weight)
    for f, known in enumerate(vectors):
        share = terms.linear.get(("level", f), 0.0)
        if not share:
            continue
        payments = {(int(k), ("payment", f, int(k))) for k in known.prices}
        mine = {key: weight for key, weight in terms.products.items() if key[1][1] == f}
        same = set(mine) == payments and all(abs(weight - share) <= 1e-10 * abs(share) for weight in mine.values())
        if i and not (same and payments):
            continue
        body = work.bodies[f]
        del terms.linear["level", f]
        terms.add(("optimum", f), share)
        terms.constant -= share * body.d0
        for k in np.flatnonzero(body.d).tolist():
            terms.add(("own", int(k)), -share * float(body.d[k]))
        if same:
            for key in mine:
                del terms.products[key]
        else:
            for k, key in sorted(payments):
                terms.multiply(k, key, -share)
    return terms


def _joint(forms: Forms, i: int, terms: _Terms, place: dict[tuple, int]) -> Form:
    pairs = [*_pairs(forms, i), *((k, place[key], weight) for (k, key), weight in terms.products.items())]
    return Form(
        terms.constant,
        np.array([place[key] for key in terms.linear], dtype=np.int64),
        np.array(list(terms.linear.values()), dtype=float),
        np.array([a for a, _, _ in pairs], dtype=np.int64),
        np.array([b for _, b, _ in pairs], dtype=np.int64),
        np.array([w for _, _, w in pairs], dtype=float),
    )


def _row(vectors: _Vectors, key: tuple) -> sparse.csr_matrix:
    """Defining row of a quantity."""
    if key[0] == "optimum":
        return sparse.csr_matrix([[1.0]])
    if key[0] == "level":
        return sparse.csr_matrix(vectors.body.c0[None, :])
    return vectors.by_price[key[2]] if key[0] == "payment" else vectors.others[key[2]]


def _name(problem: BilevelProblem, follower: Follower, vectors: _Vectors, key: tuple) -> str:
    """What a quantity is, in words."""
    if key[0] == "optimum":
        return f"{follower.name} cost"
    if key[0] == "level":
        return f"{follower.name} cost without prices"
    if key[0] == "payment":
        return f"{follower.name} quantity of {problem.leader.names[key[2]]}"
    row = vectors.others[key[2]]
    return follower.program.columns.label(int(row.indices[0])) if row.nnz == 1 else f"{follower.name} sum {key[2]}"


def _follower(follower: Follower, body: Body) -> Follower:
    """The presolved follower; rows and columns keep their names."""
    before = follower.program
    program = ParametricProgram(
        name=before.name,
        columns=_named(before.columns, body.columns),
        rows=_named(before.rows, body.rows),
        parameters=before.parameters,
        A=body.A.tocsr(),
        b0=body.b0,
        B=body.B.tocsr(),
        equality=body.equality,
        c0=body.c0,
        C=body.C.tocsr(),
        lower=body.lower,
        upper=body.upper,
        d0=body.d0,
        d=body.d,
    )
    return replace(follower, program=program)


def _named(index: Index, kept: np.ndarray) -> Index:
    """The names of the entries kept, in blocks as before."""
    blocks, offset = [], 0
    for block in index:
        inside = kept[(kept >= block.offset) & (kept < block.offset + block.size)]
        if not inside.size:
            continue
        if len(block.coords) == 1:
            (names,) = (np.asarray(labels)[inside - block.offset] for labels in block.coords.values())
        else:
            texts = (index.label(int(at)) for at in inside)
            names = np.array([text.removeprefix(f"{block.name}[").removesuffix("]") for text in texts], dtype=object)
        blocks.append(Block(block.name, {"of": names}, block.unit, offset, block.description))
        offset += inside.size
    return Index(tuple(blocks))
