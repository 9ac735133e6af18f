"""Cuts that round what a binary adds to a limit of a follower up to what is needed there.

A limit ``a'x <= b + B u`` with a binary ``u`` is added up with follower rows that hold no leader variable, until every column that is left has a
lower bound: of a line, its flow is replaced by the balances of all nodes behind it. With ``x = l + t``, ``t >= 0``, and columns of positive weight
dropped (they only make the limit tighter), what is left is

    r  <=  B u + sum_j |h_j| t_j                so that, for 0 < r < B,                r  <=  r u + sum_j |h_j| t_j

(mixed-integer rounding; Nemhauser and Wolsey 1990): where nothing else serves the need ``r``, the binary is one and not ``r / B``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower, Leader

_TIGHT = 1e-6
"""Relative slack up to which a limit is looked at."""

_VIOLATED = 1e-4
"""Share of the need by which a cut must be violated to be added."""

_STEPS = 2_000
"""Rows that are added up at most."""


@dataclass(frozen=True)
class LimitCut:
    """``need * y[binary] + weights'x[columns] >= least`` for a follower's columns ``x``."""

    binary: int
    need: float
    columns: np.ndarray
    weights: np.ndarray
    least: float


def limit_cuts(leader: Leader, follower: Follower, x: np.ndarray, y: np.ndarray) -> list[LimitCut]:
    """Cuts that a point of the relaxation violates: columns ``x`` of the follower, the leader's own variables ``y``."""
    program = follower.program
    by_leader = program.B.tocsr()
    if not follower.is_linear:
        return []
    sums = _Sums(follower)
    slack = program.rhs(y) - program.A @ x
    found = []
    for i in np.flatnonzero(np.diff(by_leader.indptr) == 1):
        k, gain = int(by_leader.indices[by_leader.indptr[i]]), float(by_leader.data[by_leader.indptr[i]])
        fractional = leader.is_binary(k) and 1e-4 < y[k] < 1.0 - 1e-4
        if not fractional or gain <= 0.0 or program.equality[i] or slack[i] > _TIGHT * (1.0 + abs(program.b0[i])):
            continue
        total = sums.of(int(i))
        if total is None:
            continue
        columns, weights, need = total
        value = need * float(y[k]) + float(weights @ (x[columns] - program.lower[columns]))
        if 1e-9 < need < gain and value < need - _VIOLATED * need:
            found.append(LimitCut(k, need, columns, weights, need + float(weights @ program.lower[columns])))
    return found


class _Sums:
    """Adds rows up; see the module."""

    def __init__(self, follower: Follower) -> None:
        program = follower.program
        self.program, self.rows, self.columns = program, program.A.tocsr(), sparse.csc_matrix(program.A)
        self.free = np.isinf(program.lower)
        self.own = np.diff(program.B.tocsr().indptr) == 0

    def of(self, i: int) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Columns with positive weights, and the need, of the sum that begins with row ``i``; None where a column without a bound is left."""
        part = slice(self.rows.indptr[i], self.rows.indptr[i + 1])
        total = dict(zip(self.rows.indices[part].tolist(), self.rows.data[part].tolist(), strict=True))
        limit, used = float(self.program.b0[i]), {i}
        waiting = [j for j in total if self.free[j]]
        for _ in range(_STEPS):
            waiting = [j for j in waiting if j in total]
            if not waiting:
                break
            j = waiting.pop()
            chosen = self._row(j, total[j], used)
            if chosen is None:
                return None
            row, factor = chosen
            used.add(row)
            limit += factor * float(self.program.b0[row])
            part = slice(self.rows.indptr[row], self.rows.indptr[row + 1])
            for column, entry in zip(self.rows.indices[part].tolist(), self.rows.data[part].tolist(), strict=True):
                value = total.get(column, 0.0) + factor * entry
                if column == j or abs(value) <= 1e-12 * max(1.0, abs(factor * entry)):
                    total.pop(column, None)
                    continue
                if self.free[column] and column not in total:
                    waiting.append(column)
                total[column] = value
        else:
            return None
        held = np.array(sorted(total), dtype=np.int64)
        weights = np.array([total[j] for j in held.tolist()])
        # Columns of positive weight are at their lower bound at best, and of the others that bound is what is there anyway.
        need = -limit + float(weights @ self.program.lower[held])
        helping = weights < 0.0
        return held[helping], -weights[helping], need

    def _row(self, j: int, weight: float, used: set[int]) -> tuple[int, float] | None:
        """The row, and its factor, that removes a column and leaves the most to be served; inequalities keep their sense."""
        part = slice(self.columns.indptr[j], self.columns.indptr[j + 1])
        best: tuple[float, int, float] | None = None
        for row, entry in zip(self.columns.indices[part].tolist(), self.columns.data[part].tolist(), strict=True):
            factor = -weight / entry
            if row in used or not self.own[row] or (factor < 0.0 and not self.program.equality[row]):
                continue
            limit = factor * float(self.program.b0[row])
            if best is None or limit < best[0]:
                best = (limit, row, factor)
        return None if best is None else (best[1], best[2])
