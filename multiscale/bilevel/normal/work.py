"""The problem while it is brought into normal form, and the way back of every step.

Leader variables keep their positions: one that was substituted enters nothing any more and is fixed. Columns of followers are replaced by
affine maps ``x = T x' + t + U y``, whose way back is the map itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import sparse

from multiscale.bilevel.normal.forms import Forms, Priced, cleaned, row_scale
from multiscale.bilevel.problem.description import CONTINUOUS, BilevelProblem


class Back(Protocol):
    """The way back of a step."""

    def apply(self, y: np.ndarray, primal: list[np.ndarray]) -> None:
        """Change a point after the step into the one before it, in place."""


@dataclass(frozen=True)
class Map:
    """``x = T x' + t + U y`` of one follower."""

    follower: int
    matrix: sparse.csr_matrix
    constant: np.ndarray
    leader: sparse.csr_matrix

    def apply(self, y: np.ndarray, primal: list[np.ndarray]) -> None:
        """See ``Back``."""
        primal[self.follower] = self.matrix @ primal[self.follower] + self.constant + self.leader @ y


@dataclass(frozen=True)
class Definition:
    """``y_k = constant + weights'y``."""

    variable: int
    constant: float
    weights: sparse.csr_matrix

    def apply(self, y: np.ndarray, primal: list[np.ndarray]) -> None:
        """See ``Back``."""
        del primal
        y[self.variable] = self.constant + float((self.weights @ y)[0])


@dataclass
class Body:
    """A follower's arrays (see ``ParametricProgram``), and where its rows and columns came from."""

    A: sparse.csr_matrix
    b0: np.ndarray
    B: sparse.csr_matrix
    equality: np.ndarray
    c0: np.ndarray
    C: sparse.csr_matrix
    lower: np.ndarray
    upper: np.ndarray
    d0: float
    d: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    def keep_rows(self, keep: np.ndarray) -> None:
        """Keep some rows (a mask)."""
        self.A, self.B = self.A[keep], self.B[keep]
        self.b0, self.equality, self.rows = self.b0[keep], self.equality[keep], self.rows[keep]

    def cost_range(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest cost of every column over the leader's box."""
        ends = self.C.multiply(low[None, :]).tocsr(), self.C.multiply(high[None, :]).tocsr()
        return self.c0 + _sum(ends[0].minimum(ends[1])), self.c0 + _sum(ends[0].maximum(ends[1]))


def _sum(matrix: sparse.spmatrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


@dataclass
class Work:
    """The problem under way.

    Attributes:
        lower, upper, kinds: of the leader's variables.
        forms: the leader's objective and rows.
        bodies: the followers.
        back: ways back, in the order of the steps.
    """

    problem: BilevelProblem
    lower: np.ndarray
    upper: np.ndarray
    kinds: np.ndarray
    forms: Forms
    bodies: list[Body]
    back: list[Back] = field(default_factory=list)

    @property
    def linking(self) -> np.ndarray:
        """True for leader variables that a follower sees."""
        seen = np.zeros(self.lower.size, dtype=bool)
        for body in self.bodies:
            seen[body.B.indices] = seen[body.C.indices] = True
            seen[np.flatnonzero(body.d)] = True
        return seen

    def seen(self, f: int) -> sparse.csr_matrix:
        """Everything the leader sees of a follower's columns: one row for each form and product."""
        return sparse.vstack([self.forms.linear[f], self.forms.priced[f].matrix], format="csr")

    def substitute_columns(
        self, f: int, stays: np.ndarray, matrix: sparse.csr_matrix, constant: np.ndarray, leader: sparse.csr_matrix | None = None
    ) -> None:
        """Replace a follower's columns by ``T x' + t + U y``, where ``x'`` are those that stay (positions), with their bounds.

        Columns with a part in ``y`` have no price and stand in no product.
        """
        body, forms = self.bodies[f], self.forms
        moved = sparse.csr_matrix((body.c0.size, self.lower.size)) if leader is None else leader
        turned = matrix.T.tocsr()
        body.b0 = body.b0 - body.A @ constant
        wide = abs(body.A)
        body.B = cleaned(body.B - body.A @ moved, row_scale(body.B, wide @ abs(moved)))
        body.A = cleaned(body.A @ matrix, row_scale(wide @ abs(matrix)))
        body.d0 += float(body.c0 @ constant)
        body.d = body.d + body.C.T @ constant + moved.T @ body.c0
        costs = abs(turned) @ np.abs(body.c0)
        body.c0 = turned @ body.c0
        body.c0[np.abs(body.c0) <= 1e-14 * costs] = 0.0
        body.C = cleaned(turned @ body.C, row_scale(abs(turned) @ abs(body.C)))
        forms.constant = forms.constant + forms.linear[f] @ constant
        sees = abs(forms.linear[f])
        forms.own = cleaned(forms.own + forms.linear[f] @ moved, row_scale(forms.own, sees @ abs(moved)))
        forms.linear[f] = cleaned(forms.linear[f] @ matrix, row_scale(sees @ abs(matrix)))
        priced = forms.priced[f]
        fixed = priced.matrix @ constant
        forms.own = cleaned(forms.own + sparse.csr_matrix((fixed, (priced.form, priced.variable)), shape=forms.own.shape))
        forms.priced[f] = Priced(priced.form, priced.variable, priced.matrix @ matrix).gathered()
        body.columns, body.lower, body.upper = body.columns[stays], body.lower[stays], body.upper[stays]
        self.back.append(Map(f, matrix, constant, moved))

    def fix_columns(self, f: int, fixed: np.ndarray, values: np.ndarray) -> None:
        """Hold some columns (a mask) at values (full length)."""
        n = fixed.size
        stays = np.flatnonzero(~fixed)
        matrix = sparse.csr_matrix((np.ones(stays.size), (stays, np.arange(stays.size))), shape=(n, stays.size))
        self.substitute_columns(f, stays, matrix, np.where(fixed, values, 0.0))

    def substitute_variables(self, which: np.ndarray, constant: np.ndarray, weights: sparse.csr_matrix) -> None:
        """Replace leader variables by ``constant + weights @ y`` everywhere, and fix them; ``weights`` has none of them."""
        n, count = self.lower.size, which.size
        keep, shift = np.ones(n), np.zeros(n)
        keep[which], shift[which] = 0.0, constant
        place = sparse.csr_matrix((np.ones(count), (which, np.arange(count))), shape=(n, count))
        spread = (sparse.diags(keep) + place @ weights).tocsr()
        forms = self.forms
        for body in self.bodies:
            body.b0 = body.b0 + body.B @ shift
            body.c0 = body.c0 + body.C @ shift
            body.d0 += float(body.d @ shift)
            body.B, body.C, body.d = (_moved(body.B, spread), _moved(body.C, spread), spread.T @ body.d)
        forms.constant = forms.constant + forms.own @ shift
        forms.own = _moved(forms.own, spread)
        for i, k in enumerate(which.tolist()):
            entries = weights[i].tocoo()
            self._substitute_pairs(k, float(constant[i]), entries.col, entries.data)
        position = np.full(n, -1)
        position[which] = np.arange(count)
        for f, part in enumerate(forms.priced):
            chosen, rest = np.flatnonzero(position[part.variable] >= 0), np.flatnonzero(position[part.variable] < 0)
            if not chosen.size:
                continue
            which_one = position[part.variable[chosen]]
            rows = sparse.csr_matrix((constant[which_one], (part.form[chosen], np.arange(chosen.size))), shape=(forms.size, chosen.size))
            forms.linear[f] = cleaned(forms.linear[f] + rows @ part.matrix[chosen])
            terms = weights[which_one].tocoo()
            times = sparse.diags(terms.data) @ part.matrix[chosen[terms.row]]
            form, variable = np.append(part.form[rest], part.form[chosen[terms.row]]), np.append(part.variable[rest], terms.col)
            forms.priced[f] = Priced(form, variable, sparse.vstack([part.matrix[rest], times], format="csr")).gathered()
        for i, k in enumerate(which.tolist()):
            self.back.append(Definition(k, float(constant[i]), weights[i]))
            self.fix_variable(k)

    def fix_variable(self, k: int) -> None:
        """Hold a leader variable that enters nothing any more."""
        held = float(np.clip(0.0, self.lower[k], self.upper[k]))
        self.lower[k] = self.upper[k] = np.round(held) if self.kinds[k] != CONTINUOUS else held
        self.kinds[k] = CONTINUOUS

    def _substitute_pairs(self, k: int, constant: float, columns: np.ndarray, weights: np.ndarray) -> None:
        """The same in products of leader variables; a square of ``k`` is replaced in two steps."""
        forms = self.forms
        while True:
            form, first, second, weight = forms.pairs
            hit = np.flatnonzero((first == k) | (second == k))
            if not hit.size:
                return
            rest = np.setdiff1d(np.arange(form.size), hit)
            other = np.where(first[hit] == k, second[hit], first[hit])
            extra = sparse.csr_matrix((constant * weight[hit], (form[hit], other)), shape=forms.own.shape)
            parts = [(form[rest], first[rest], second[rest], weight[rest])]
            for column, factor in zip(columns.tolist(), weights.tolist(), strict=True):
                low, high = np.minimum(other, column), np.maximum(other, column)
                parts.append((form[hit], low, high, factor * weight[hit]))
            forms.pairs = tuple(np.concatenate([p[i] for p in parts]) for i in range(4))  # type: ignore[assignment]
            left = extra.tocsc()[:, [k]]
            forms.own = cleaned(forms.own + extra)
            if left.nnz:
                # A square leaves the variable itself behind, once.
                column = forms.own.tocsc()[:, [k]].toarray().ravel()
                forms.constant = forms.constant + constant * column
                without = forms.own.tolil()
                without[:, k] = 0.0
                line = sparse.csr_matrix((weights, (np.zeros(columns.size, dtype=int), columns)), shape=(1, forms.own.shape[1]))
                forms.own = cleaned(without.tocsr() + sparse.csr_matrix(column[:, None]) @ line)


def _moved(matrix: sparse.csr_matrix, spread: sparse.csr_matrix) -> sparse.csr_matrix:
    return cleaned(matrix @ spread, row_scale(abs(matrix) @ abs(spread)))
