"""Definitions in the leader's problem: copies of decisions, totals, and variables that the objective presses on one row are substituted."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.normal.work import Work
from multiscale.bilevel.problem.description import CONTINUOUS


def substitute_copies(work: Work) -> bool:
    """A leader variable that an equation of leader variables defines: of two variables, or of any number where no follower sees it."""
    forms = work.forms
    candidates = np.flatnonzero((forms.lower == forms.upper) & np.isfinite(forms.lower))
    taken = np.zeros(work.lower.size, dtype=bool)
    kept = np.zeros(work.lower.size, dtype=bool)
    gone: list[int] = []
    found: list[tuple[int, float, sparse.csr_matrix]] = []
    linking = work.linking
    for i in candidates.tolist():
        part = slice(forms.own.indptr[i], forms.own.indptr[i + 1])
        columns, values = forms.own.indices[part].copy(), forms.own.data[part].copy()
        if not columns.size or taken[columns].any() or not forms.is_plain(i):
            continue
        rhs = float(forms.lower[i] - forms.constant[i])
        at = _chosen(work, linking, columns, values, rhs)
        if at is None or kept[columns[at]]:
            continue
        k, a = int(columns[at]), float(values[at])
        rest = np.delete(np.arange(columns.size), at)
        weights = sparse.csr_matrix((-values[rest] / a, (np.zeros(rest.size, dtype=int), columns[rest])), shape=(1, work.lower.size))
        if _bounds_go_over(work, k, rhs / a, weights):
            # Each variable plays one part in a pass: it is defined once, or stays.
            taken[k] = True
            found.append((k, rhs / a, weights))
            gone.append(i)
            kept[columns[rest]] = True
    if not found:
        return False
    work.forms = work.forms.without(np.array(gone))
    which, constants = np.array([k for k, _, _ in found]), np.array([c for _, c, _ in found])
    work.substitute_variables(which, constants, sparse.vstack([w for _, _, w in found], format="csr"))
    return True


def _chosen(work: Work, linking: np.ndarray, columns: np.ndarray, values: np.ndarray, rhs: float) -> int | None:
    """Which variable of an equation is defined by the others; None if none is."""
    for at in np.argsort(linking[columns], kind="stable").tolist():
        k, a = int(columns[at]), float(values[at])
        if linking[k] and columns.size > 2:
            continue
        if work.kinds[k] == CONTINUOUS:
            if abs(a) >= 1e-7 * np.abs(values).max():
                return at
            continue
        others = np.delete(np.arange(columns.size), at)
        ratios = values[others] / a
        if (work.kinds[columns[others]] != CONTINUOUS).all() and (ratios == np.round(ratios)).all() and rhs / a == round(rhs / a):
            return at
    return None


def _bounds_go_over(work: Work, k: int, constant: float, weights: sparse.csr_matrix) -> bool:
    """Move the bounds of a defined variable to the only one left, or to a row; False where they contradict each other."""
    entries = weights.tocoo()
    low, high = float(work.lower[k]), float(work.upper[k])
    ends = np.sort([entries.data * work.lower[entries.col], entries.data * work.upper[entries.col]], axis=0)
    least, most = constant + ends[0].sum(), constant + ends[1].sum()
    room = 1e-12 * max(1.0, abs(constant))
    if least >= low - room and most <= high + room:
        return True
    if entries.nnz == 0:
        return False
    if entries.nnz > 1:
        work.forms = work.forms.with_row("bounds of a defined variable", weights, low - constant, high - constant)
        return True
    other, factor = int(entries.col[0]), float(entries.data[0])
    first, last = sorted(((low - constant) / factor, (high - constant) / factor))
    if work.kinds[other] != CONTINUOUS:
        first, last = np.ceil(first - 1e-9), np.floor(last + 1e-9)
    new = max(work.lower[other], first), min(work.upper[other], last)
    if new[0] > new[1]:
        return False
    work.lower[other], work.upper[other] = new
    return True


def substitute_totals(work: Work) -> bool:
    """A continuous variable that only the leader sees, linear everywhere, and that one row with a follower's part or a product defines.

    The row is an equation, or an inequality on which the objective presses the variable.
    """
    forms = work.forms
    by_column = forms.own.tocsc()
    in_products = np.zeros(work.lower.size, dtype=bool)
    in_products[forms.pairs[1]] = in_products[forms.pairs[2]] = True
    for priced in forms.priced:
        in_products[priced.variable] = True
    free = ~work.linking & ~in_products & (work.kinds == CONTINUOUS)
    for k in np.flatnonzero(free & (np.diff(by_column.indptr) > 0)).tolist():
        part = slice(by_column.indptr[k], by_column.indptr[k + 1])
        rows, values = by_column.indices[part], by_column.data[part]
        i = _defining(work, k, rows, values)
        if i is None:
            continue
        a = float(values[rows == i][0])
        value = forms.upper[i] if np.isfinite(forms.upper[i]) else forms.lower[i]
        low, high = float(work.lower[k]), float(work.upper[k])
        # form_r - w_r / a (form_i - value): the variable is gone; its row keeps what its bounds say of the rest.
        others = rows[rows != i]
        weights = -values[rows != i] / a
        size = forms.size
        change = sparse.identity(size, format="csr") + sparse.csr_matrix((weights, (others, np.full(others.size, i))), shape=(size, size))
        forms.mixed(change.tocsr())
        forms.constant[others] -= weights * value
        forms.own = _without_entry(forms.own, k)
        if np.isfinite(low) or np.isfinite(high):
            ends = sorted((value - a * low, value - a * high))
            forms.lower[i], forms.upper[i] = ends
        else:
            work.forms = forms.without(np.array([i]))
        work.fix_variable(k)
        return True
    return False


def _defining(work: Work, k: int, rows: np.ndarray, values: np.ndarray) -> int | None:
    """The row that defines variable ``k``; None without one."""
    forms = work.forms
    for i, a in zip(rows.tolist(), values.tolist(), strict=True):
        if i and forms.lower[i] == forms.upper[i] and abs(a) >= 1e-7 * np.abs(forms.own.data[forms.own.indptr[i] : forms.own.indptr[i + 1]]).max():
            return int(i)
    if rows.size != 2 or rows.min() != 0:
        return None
    push, i, a = float(values[rows == 0][0]), int(rows.max()), float(values[rows != 0][0])
    # The objective moves the variable down (push > 0) until the row or its own bound stops it.
    if np.isfinite(work.lower[k] if push > 0 else work.upper[k]):
        return None
    stops = forms.lower[i] if (a > 0) == (push > 0) else forms.upper[i]
    loose = forms.upper[i] if (a > 0) == (push > 0) else forms.lower[i]
    if not np.isfinite(stops) or np.isfinite(loose):
        return None
    forms.lower[i] = forms.upper[i] = stops
    return i


def _without_entry(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The matrix with column ``k`` empty."""
    out = matrix.tocsr()
    out.data[out.indices == k] = 0.0
    out.eliminate_zeros()
    return out
