"""Columns of a follower: fixed, defined, empty and parallel ones are replaced; what the leader sees of them goes with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.normal.parallel import parallel_rows
from multiscale.bilevel.normal.work import Body, Work

_PIVOT = 1e-7
"""Smallest coefficient of a column that is replaced, relative to the largest of its row: smaller ones would blow up rounding."""


def fix_columns(work: Work, f: int) -> bool:
    """Columns with equal bounds, and columns of no row whose cost has one sign at every decision."""
    body = work.bodies[f]
    low, high = body.cost_range(work.lower, work.upper)
    empty = np.bincount(body.A.indices, minlength=body.c0.size) == 0
    unseen = np.bincount(work.seen(f).indices, minlength=body.c0.size) == 0
    free = empty & unseen & (body.c0 == 0) & (np.diff(body.C.indptr) == 0)
    value = np.where(np.isfinite(body.lower), body.lower, np.where(np.isfinite(body.upper), body.upper, 0.0))
    at_low, at_high = empty & (low > 0) & np.isfinite(body.lower), empty & (high < 0) & np.isfinite(body.upper)
    value = np.where(at_low, body.lower, np.where(at_high, body.upper, value))
    eased, rows = _easing(body, unseen)
    value[eased] = np.where(rows > 0, body.lower[eased], body.upper[eased])
    fixed = (body.lower == body.upper) | free | at_low | at_high
    fixed[eased] = True
    if not fixed.any():
        return False
    work.fix_columns(f, fixed, value)
    return True


def _easing(body: Body, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of one inequality that cost nothing and that the leader does not see: they stand where they ease it most; and their coefficients."""
    by_column = body.A.tocsc()
    idle = unseen & (body.c0 == 0) & (np.diff(body.C.indptr) == 0)
    alone = np.flatnonzero((np.diff(by_column.indptr) == 1) & idle)
    rows, values = by_column.indices[by_column.indptr[alone]], by_column.data[by_column.indptr[alone]]
    usable = ~body.equality[rows] & np.isfinite(np.where(values > 0, body.lower[alone], body.upper[alone]))
    return alone[usable], values[usable]


def press_rows(work: Work, f: int) -> bool:
    """An inequality with a free column of its own that costs push against it is an equation at every optimum."""
    body = work.bodies[f]
    by_column = body.A.tocsc()
    low, high = body.cost_range(work.lower, work.upper)
    single = np.flatnonzero((np.diff(by_column.indptr) == 1) & np.isinf(body.lower) & np.isinf(body.upper))
    rows, values = by_column.indices[by_column.indptr[single]], by_column.data[by_column.indptr[single]]
    pushed = np.where(values > 0, high[single] < 0, low[single] > 0) & ~body.equality[rows]
    body.equality[rows[pushed]] = True
    return bool(pushed.any())


def define_columns(work: Work, f: int) -> bool:
    """Columns that an equation defines are replaced: those of no other row, and those of equations with two columns. No row gets longer."""
    body = work.bodies[f]
    by_column = body.A.tocsc()
    counts = np.diff(by_column.indptr)
    sizes = np.diff(body.A.indptr)
    products = np.bincount(work.forms.priced[f].matrix.indices, minlength=counts.size)
    priced = (np.diff(body.C.indptr) > 0) | (products > 0)
    unseen = np.bincount(work.seen(f).indices, minlength=counts.size) == 0
    idle = (body.c0 == 0) & ~priced & unseen
    moved = np.diff(body.B.indptr) > 0
    row_range = _row_ranges(body)
    taken = np.zeros(counts.size, dtype=bool)
    chosen: list[tuple[int, int]] = []
    slack_rows: dict[int, tuple[float, bool]] = {}
    rows = np.repeat(np.arange(sizes.size), sizes)
    with_own = np.bincount(rows[counts[body.A.indices] == 1], minlength=sizes.size) > 0
    for i in np.flatnonzero(body.equality & ((sizes == 2) | ((sizes > 1) & with_own))).tolist():
        part = slice(body.A.indptr[i], body.A.indptr[i + 1])
        columns, values = body.A.indices[part], body.A.data[part]
        if taken[columns].any():
            continue
        largest = np.abs(values).max()
        best, as_slack = -1, False
        for at in np.argsort(counts[columns], kind="stable").tolist():
            j, a = int(columns[at]), float(values[at])
            if abs(a) < _PIVOT * largest or (counts[j] > 1 and sizes[i] > 2) or (moved[i] and priced[j]):
                continue
            if _is_implied(body, row_range, i, j, a):
                best = at
                break
            if counts[j] == 1 and idle[j] and np.isinf(body.lower[j]) != np.isinf(body.upper[j]):
                best, as_slack = at, True
                break
            # The bounds go over to the other column.
            if sizes[i] == 2 and not moved[i] and _take_bounds(body, j, a, int(columns[1 - at]), float(values[1 - at]), float(body.b0[i])):
                best = at
                break
        if best < 0:
            continue
        j, a = int(columns[best]), float(values[best])
        taken[columns] = True
        chosen.append((i, j))
        if as_slack:
            at_lower = bool(np.isfinite(body.lower[j]))
            slack_rows[i] = (a * float(body.lower[j] if at_lower else body.upper[j]), (a > 0) == at_lower)
    if not chosen:
        return False
    _replace(work, f, chosen, slack_rows)
    return True


def _replace(work: Work, f: int, chosen: list[tuple[int, int]], slack_rows: dict[int, tuple[float, bool]]) -> None:
    """Solve equation ``i`` for column ``j``, all pairs at once; an equation with a slack column stays as an inequality."""
    body = work.bodies[f]
    n, k = body.c0.size, work.lower.size
    rows, columns = (np.array(side, dtype=np.int64) for side in zip(*chosen, strict=True))
    pivots = np.asarray(body.A[rows, columns]).ravel()
    kept = np.ones(n, dtype=bool)
    kept[columns] = False
    stays = np.flatnonzero(kept)
    place = np.full(n, -1)
    place[stays] = np.arange(stays.size)
    part = body.A[rows].tocoo()
    other = kept[part.col]
    entries = (np.append(np.ones(stays.size), -part.data[other] / pivots[part.row[other]]),)
    where = (np.append(stays, columns[part.row[other]]), np.append(np.arange(stays.size), place[part.col[other]]))
    matrix = sparse.csr_matrix((entries[0], where), shape=(n, stays.size))
    constant = np.zeros(n)
    constant[columns] = body.b0[rows] / pivots
    spread = sparse.csr_matrix((1.0 / pivots, (columns, np.arange(rows.size))), shape=(n, rows.size))
    leader = sparse.csr_matrix(spread @ body.B[rows]) if k else sparse.csr_matrix((n, k))
    slack = np.array(sorted(slack_rows), dtype=np.int64)
    saved = body.A[slack][:, stays], body.B[slack], body.b0[slack]
    work.substitute_columns(f, stays, matrix, constant, leader)
    keep = np.ones(body.b0.size, dtype=bool)
    keep[np.setdiff1d(rows, slack)] = False
    if slack.size:
        # The rest of the row is at most (or at least) the right-hand side less the slack column's part at its bound.
        at_bound, most = (np.array([slack_rows[i][side] for i in slack.tolist()]) for side in (0, 1))
        sign = np.where(most, 1.0, -1.0)
        body.A = _with_rows(body.A, slack, sparse.diags(sign) @ saved[0])
        body.B = _with_rows(body.B, slack, sparse.diags(sign) @ saved[1])
        body.b0[slack] = sign * (saved[2] - at_bound)
        body.equality[slack] = False
    body.keep_rows(keep)


def _with_rows(matrix: sparse.csr_matrix, rows: np.ndarray, new: sparse.spmatrix) -> sparse.csr_matrix:
    """The matrix with some rows replaced."""
    keep = np.ones(matrix.shape[0])
    keep[rows] = 0.0
    place = sparse.csr_matrix((np.ones(rows.size), (rows, np.arange(rows.size))), shape=(matrix.shape[0], rows.size))
    out = (sparse.diags(keep) @ matrix + place @ new).tocsr()
    out.eliminate_zeros()
    return out


def _row_ranges(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Finite part and number of infinite terms of the least and largest activity of every row."""
    entries = body.A.tocoo()
    at_low = np.where(entries.data > 0, body.lower[entries.col], body.upper[entries.col]) * entries.data
    at_high = np.where(entries.data > 0, body.upper[entries.col], body.lower[entries.col]) * entries.data
    out = []
    for ends in (at_low, at_high):
        out.append(np.bincount(entries.row, weights=np.where(np.isinf(ends), 0.0, ends), minlength=body.b0.size))
        out.append(np.bincount(entries.row, weights=np.isinf(ends), minlength=body.b0.size))
    return out[0], out[1], out[2], out[3]


def _is_implied(body: Body, ranges: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], i: int, j: int, a: float) -> bool:
    """Whether equation ``i`` keeps column ``j`` within its bounds whatever the others are (a row that the leader moves: only free columns)."""
    if np.isinf(body.lower[j]) and np.isinf(body.upper[j]):
        return True
    if body.B.indptr[i] < body.B.indptr[i + 1]:
        return False
    low, low_open, high, high_open = (float(side[i]) for side in ranges)
    ends = (body.lower[j], body.upper[j]) if a > 0 else (body.upper[j], body.lower[j])
    own_low, own_high = a * ends[0], a * ends[1]
    rest_low = -np.inf if low_open - np.isinf(own_low) > 0 else low - (0.0 if np.isinf(own_low) else own_low)
    rest_high = np.inf if high_open - np.isinf(own_high) > 0 else high - (0.0 if np.isinf(own_high) else own_high)
    values = sorted(((body.b0[i] - rest_high) / a, (body.b0[i] - rest_low) / a))
    room = 1e-12 * np.maximum(1.0, np.abs([body.lower[j], body.upper[j]]))
    return bool(values[0] >= body.lower[j] - room[0] and values[1] <= body.upper[j] + room[1])


def _take_bounds(body: Body, j: int, a: float, other: int, b: float, rhs: float) -> bool:
    """Bounds of ``j`` as bounds of the other column of ``a x_j + b x_other = rhs``; not where they contradict each other."""
    ends = sorted(((rhs - a * body.lower[j]) / b, (rhs - a * body.upper[j]) / b))
    low, high = max(body.lower[other], ends[0]), min(body.upper[other], ends[1])
    if low > high and low - high <= 1e-12 * max(1.0, abs(high)):
        low = high
    if low <= high:
        body.lower[other], body.upper[other] = low, high
    return bool(low <= high)


@dataclass(frozen=True)
class Split:
    """``x_first + factor x_second`` was one column: each goes as far as its bounds let it, and the columns after are moved up."""

    follower: int
    first: int
    second: int
    factor: float
    lower: tuple[float, float]
    upper: tuple[float, float]

    def apply(self, y: np.ndarray, primal: list[np.ndarray]) -> None:
        """See ``Back``."""
        del y
        x = primal[self.follower]
        total = float(x[self.first])
        second = float(np.clip(0.0, self.lower[1], self.upper[1]))
        first = float(np.clip(total - self.factor * second, self.lower[0], self.upper[0]))
        second = float(np.clip((total - first) / self.factor, self.lower[1], self.upper[1]))
        x = np.insert(x, self.second, second)
        x[self.first] = first
        primal[self.follower] = x


def merge_columns(work: Work, f: int) -> bool:
    """Columns that are multiples of each other in rows, costs and all that the leader sees become one."""
    body = work.bodies[f]
    everything = sparse.vstack([body.A, sparse.csr_matrix(body.c0[None, :]), body.C.T, work.seen(f)], format="csc")
    owner, factor = parallel_rows(everything.T.tocsr())
    second = np.flatnonzero((owner != np.arange(owner.size)) & (np.diff(body.A.tocsc().indptr) > 0))
    if not second.size:
        return False
    for j in second[::-1].tolist():
        first, s = int(owner[j]), float(factor[j])
        ends = (s * body.lower[j], s * body.upper[j])
        split = Split(f, first, j, s, (float(body.lower[first]), float(body.lower[j])), (float(body.upper[first]), float(body.upper[j])))
        body.lower[first] += min(ends)
        body.upper[first] += max(ends)
        work.back.append(split)
    keep = np.ones(owner.size, dtype=bool)
    keep[second] = False
    _drop(work, f, keep)
    return True


def _drop(work: Work, f: int, keep: np.ndarray) -> None:
    """Columns (a mask) whose part another column has taken over."""
    body, forms = work.bodies[f], work.forms
    body.A, body.C = body.A[:, keep], body.C[keep]
    body.c0, body.lower, body.upper, body.columns = body.c0[keep], body.lower[keep], body.upper[keep], body.columns[keep]
    forms.linear[f] = forms.linear[f][:, keep].tocsr()
    priced = forms.priced[f]
    priced.matrix = priced.matrix[:, keep].tocsr()
