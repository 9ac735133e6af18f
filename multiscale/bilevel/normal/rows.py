"""Rows of a follower: those that are multiples of each other become one, those of one column become bounds.

The feasible set of every leader decision stays exactly as it is.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.normal.parallel import parallel_rows
from multiscale.bilevel.normal.work import Body, Work

_SAME = 1e-12
"""Relative difference of right-hand sides that rounding explains."""


def merge_rows(work: Work, f: int) -> bool:
    """Rows that are multiples of each other, leader's part included: an equation, or an upper and a lower side, of which the tightest stays."""
    body = work.bodies[f]
    leader, factor = parallel_rows(sparse.hstack([body.A, body.B], format="csr"))
    gone = np.zeros(body.b0.size, dtype=bool)
    order = np.argsort(leader, kind="stable")
    filled = np.diff(body.A.indptr) > 0
    changed = False
    counts = np.bincount(leader, minlength=leader.size)
    ends = np.cumsum(counts)
    for group in np.flatnonzero((counts > 1) & filled).tolist():
        members = order[ends[group] - counts[group] : ends[group]]
        changed |= _merge(body, members, factor[members], gone)
    if gone.any():
        body.keep_rows(~gone)
    return changed


def _merge(body: Body, members: np.ndarray, factor: np.ndarray, gone: np.ndarray) -> bool:
    """One group, in units of its representative; nothing happens where the sides contradict each other."""
    sides = body.b0[members] / factor
    scale = _SAME * max(1.0, float(np.abs(sides).max()))
    equations = np.flatnonzero(body.equality[members])
    above, below = (np.flatnonzero(~body.equality[members] & (factor * sign > 0)) for sign in (1.0, -1.0))
    high = sides[above].min() if above.size else np.inf
    low = sides[below].max() if below.size else -np.inf
    if equations.size:
        value = sides[equations[0]]
        if np.abs(sides[equations] - value).max() > scale or not low - scale <= value <= high + scale:
            return False
        gone[np.delete(members, equations[0])] = True
        return True
    if low > high + scale:
        return False
    if high - low <= scale:
        kept = above[sides[above].argmin()]
        body.equality[members[kept]] = True
        gone[np.delete(members, kept)] = True
        return True
    kept_sides = [*([above[sides[above].argmin()]] if above.size else []), *([below[sides[below].argmax()]] if below.size else [])]
    if len(kept_sides) == members.size:
        return False
    gone[np.delete(members, kept_sides)] = True
    return True


def rows_to_bounds(work: Work, f: int) -> bool:
    """Rows of one column and no leader variable become bounds; rows of nothing at all are dropped."""
    body = work.bodies[f]
    sizes = np.diff(body.A.indptr)
    plain = np.diff(body.B.indptr) == 0
    scale = _SAME * np.maximum(1.0, np.abs(body.b0))
    empty = plain & (sizes == 0) & np.where(body.equality, np.abs(body.b0) <= scale, body.b0 >= -scale)
    alone = np.flatnonzero(plain & (sizes == 1))
    if not alone.size and not empty.any():
        return False
    columns, values = body.A.indices[body.A.indptr[alone]], body.A.data[body.A.indptr[alone]]
    end = body.b0[alone] / values
    lower, upper = body.lower.copy(), body.upper.copy()
    is_upper, is_lower = body.equality[alone] | (values > 0), body.equality[alone] | (values < 0)
    np.minimum.at(upper, columns[is_upper], end[is_upper])
    np.maximum.at(lower, columns[is_lower], end[is_lower])
    crossed = lower > upper
    close = crossed & (lower - upper <= _SAME * np.maximum(1.0, np.abs(upper)))
    upper[close] = lower[close]
    # A follower without a feasible point stays as it was written.
    contradictory = crossed & ~close
    stays = contradictory[columns]
    lower[contradictory], upper[contradictory] = body.lower[contradictory], body.upper[contradictory]
    gone = empty.copy()
    gone[alone[~stays]] = True
    body.lower, body.upper = lower, upper
    if gone.any():
        body.keep_rows(~gone)
    return bool(gone.any())


def drop_implied_bounds(work: Work, f: int) -> None:
    """Bounds of columns that a row of one column and leader variables implies at every decision: they would only hide what costs imply of duals."""
    body = work.bodies[f]
    alone = np.flatnonzero((np.diff(body.A.indptr) == 1) & (np.diff(body.B.indptr) > 0))
    if not alone.size:
        return
    columns, values = body.A.indices[body.A.indptr[alone]], body.A.data[body.A.indptr[alone]]
    moved = body.B[alone]
    ends = moved.multiply(work.lower[None, :]).tocsr(), moved.multiply(work.upper[None, :]).tocsr()
    most = body.b0[alone] + np.asarray(ends[0].maximum(ends[1]).sum(axis=1)).ravel()
    limit = most / values
    for i, j in enumerate(columns.tolist()):
        if not np.isfinite(limit[i]) or body.equality[alone[i]]:
            continue
        if values[i] > 0 and limit[i] <= body.upper[j]:
            body.upper[j] = np.inf
        elif values[i] < 0 and limit[i] >= body.lower[j]:
            body.lower[j] = -np.inf


def scale_rows(work: Work, f: int) -> None:
    """Every row times a number, so that its largest coefficient is one; rows that differ in sign alone do so to the last digit."""
    body = work.bodies[f]
    if not body.A.nnz:
        return
    largest = abs(body.A).max(axis=1).toarray().ravel()
    factor = 1.0 / np.where(largest > 0, largest, 1.0)
    first = np.zeros(body.b0.size)
    filled = np.diff(body.A.indptr) > 0
    first[filled] = body.A.data[body.A.indptr[:-1][filled]]
    # The sign of an equation says nothing; it is that of its first entry.
    factor = np.where(body.equality & (first < 0), -factor, factor)
    scale = sparse.diags(factor)
    body.A, body.B, body.b0 = (scale @ body.A).tocsr(), (scale @ body.B).tocsr(), factor * body.b0
    same, sign = parallel_rows(body.A)
    body.A = (sparse.diags(np.round(sign)) @ body.A[same]).tocsr()
