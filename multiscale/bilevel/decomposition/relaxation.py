"""The value of a block's relaxation at given integers, and what its duals prove for all others.

    phi(u) = min { c'v : rows, envelopes of products, value cuts, l <= v <= h, v_integers = u }

is convex in ``u``. Multipliers ``lambda`` of its rows give, for every ``u``, whatever rounding has done to them,

    phi(u)  >=  sum_i lambda_i side_i  +  sum over other columns of min(d_j l_j, d_j h_j)  +  d_u'u,       d = c - A'lambda,

where ``side_i`` is the lower limit of a row for a positive multiplier and the upper one for a negative. The reduced cost of a column without a bound
on its side must be zero to HiGHS's dual tolerance, or there is no cut. With the violation of rows as the objective the same bound proves integers
infeasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.envelopes import Envelopes, check_factors
from multiscale.bilevel.problem.description import CONTINUOUS, MethodError
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.solvers.linear_program import LinearProgram

_DUAL = 1e-7
"""Reduced cost, relative to the largest cost, that counts as zero in a column without a bound on its side: HiGHS's own dual tolerance."""

_INFEASIBLE = 1e-6
"""Sum of violations above which integers are infeasible."""


@dataclass(frozen=True)
class Cut:
    """``constant + slope'u`` bounds the block's value from below; of a cut of infeasibility it is at most zero where the block is feasible."""

    constant: float
    slope: np.ndarray
    feasible: bool = True

    def at(self, u: np.ndarray) -> float:
        """Value at integers."""
        return self.constant + float(self.slope @ u)

    def least(self, low: np.ndarray, high: np.ndarray) -> float:
        """Least value over a box of integers, which need not be bounded."""
        used = self.slope != 0.0
        slope = self.slope[used]
        return self.constant + float((slope * np.where(slope > 0, low[used], high[used])).sum())


class Relaxation:
    """The relaxation of one block, kept warm.

    Args:
        single: primal rows of the followers and the leader's problem (see ``assemble_lazy``).
        clock: seconds left.
    """

    def __init__(self, single: SingleLevel, clock: Clock) -> None:
        if single.curved or not single.objective.is_linear or single.pairs or single.indicators:
            raise MethodError("decomposition takes a leader whose objective and rows are linear but for products of prices and quantities")
        check_factors(single)
        self.single, self.clock = single, clock
        self.integers = np.flatnonzero(single.kinds != CONTINUOUS)
        self.others = np.flatnonzero(single.kinds == CONTINUOUS)
        self.lower, self.upper = single.lower.copy(), single.upper.copy()
        envelopes = Envelopes(single)
        entries, low, high = envelopes.rows(self.lower, self.upper)
        where = np.repeat(np.arange(envelopes.count), 3)
        shape = (envelopes.count, single.size)
        self.matrix = sparse.vstack(
            [single.rows, sparse.csr_matrix((entries.ravel(), (where, envelopes.columns.ravel())), shape=shape)], format="csr"
        )
        self.row_lower, self.row_upper = np.concatenate([single.row_lower, low]), np.concatenate([single.row_upper, high])
        self.costs = np.zeros(single.size)
        np.add.at(self.costs, single.objective.columns, single.objective.coefficients)
        self._program = LinearProgram(self.matrix, self.row_lower, self.row_upper, self.lower, self.upper, self.costs)
        self._elastic: LinearProgram | None = None

    def add_row(self, columns: np.ndarray, values: np.ndarray, upper: float) -> None:
        """A value cut ``values'v[columns] <= upper``."""
        row = sparse.csr_matrix((values, (np.zeros(columns.size, dtype=np.int64), columns)), shape=(1, self.single.size))
        row.sum_duplicates()
        self.matrix = sparse.vstack([self.matrix, row], format="csr")
        self.row_lower, self.row_upper = np.append(self.row_lower, -np.inf), np.append(self.row_upper, upper)
        self._program.add_row(-np.inf, upper, row.indices, row.data)
        self._elastic = None

    def change_row(self, row: int, column: int, value: float, upper: float) -> None:
        """Another entry, in a column that the row has, and another limit of a value cut."""
        part = np.arange(self.matrix.indptr[row], self.matrix.indptr[row + 1])
        self.matrix.data[part[self.matrix.indices[part] == column]] = value
        self.row_upper[row] = upper
        self._program.change_entries(np.array([row]), np.array([column]), np.array([value]))
        self._program.change_rows(self.row_lower, self.row_upper)
        self._elastic = None

    def inside(self, low: np.ndarray, high: np.ndarray) -> tuple[float, np.ndarray | None]:
        """What the duals prove in a box of integers (infinite: infeasible, by a ray; minus infinity: nothing), and the relaxation's point."""
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[self.integers], upper[self.integers] = low, high
        self._program.change_columns(lower, upper)
        self._program.allow(self.clock.left())
        answer = self._program.solve()
        if answer.status == "optimal":
            cut = self._cut(self.matrix, self.costs, answer.y, self.single.objective.constant)
            return (-np.inf if cut is None else cut.least(low, high)), answer.x
        return (np.inf if answer.status == "infeasible" and self._program.is_proven_infeasible() else -np.inf), None

    def least(self) -> tuple[Cut | None, np.ndarray | None]:
        """A cut that bounds the block everywhere, integers relaxed, and the point; see ``at``."""
        return self._solve(self.lower[self.integers], self.upper[self.integers])

    def at(self, u: np.ndarray) -> tuple[Cut | None, np.ndarray | None]:
        """The cut of integers (fractional ones too), and the relaxation's point (None where they are infeasible). No cut: not solved."""
        return self._solve(u, u)

    def _solve(self, low: np.ndarray, high: np.ndarray) -> tuple[Cut | None, np.ndarray | None]:
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[self.integers], upper[self.integers] = low, high
        self._program.change_columns(lower, upper)
        self._program.allow(self.clock.left())
        answer = self._program.solve()
        if answer.status == "unbounded":
            raise MethodError("decomposition needs a relaxation with a bound; the leader's objective has none while followers act in its favour")
        if answer.status == "optimal":
            return self._cut(self.matrix, self.costs, answer.y, self.single.objective.constant), answer.x
        if answer.status != "infeasible":
            return None, None
        cut = self._infeasible(lower, upper)
        return (cut if cut is not None and cut.least(low, high) > _INFEASIBLE else None), None

    def _infeasible(self, lower: np.ndarray, upper: np.ndarray) -> Cut | None:
        """Least violation of rows as a function of the integers."""
        rows, n = self.matrix.shape
        if self._elastic is None:
            eye = sparse.identity(rows, format="csr")
            slack = np.concatenate([np.zeros(n), np.ones(2 * rows)])
            ends = np.append(self.lower, np.zeros(2 * rows)), np.append(self.upper, np.full(2 * rows, np.inf))
            whole = sparse.hstack([self.matrix, eye, -eye], format="csr")
            self._elastic = LinearProgram(whole, self.row_lower, self.row_upper, *ends, slack)
        self._elastic.change_columns(np.append(lower, np.zeros(2 * rows)), np.append(upper, np.full(2 * rows, np.inf)))
        self._elastic.allow(self.clock.left())
        answer = self._elastic.solve()
        if answer.status != "optimal":
            return None
        # No row costs more than one: multipliers beyond that come from rounding.
        cut = self._cut(self.matrix, np.zeros(n), np.clip(answer.y, -1.0, 1.0), 0.0)
        return None if cut is None else Cut(cut.constant, cut.slope, feasible=False)

    def _cut(self, matrix: sparse.csr_matrix, costs: np.ndarray, multipliers: np.ndarray, constant: float) -> Cut | None:
        """The bound of the module's docstring; None where the multipliers do not bound it."""
        y = np.where((multipliers > 0) & np.isinf(self.row_lower), 0.0, multipliers)
        y = np.where((y < 0) & np.isinf(self.row_upper), 0.0, y)
        sides = np.where(y > 0, self.row_lower, np.where(y < 0, self.row_upper, 0.0))
        reduced = costs - matrix.T @ y
        d = reduced[self.others]
        ends = np.where(d > 0, self.lower[self.others], np.where(d < 0, self.upper[self.others], 0.0))
        without = np.isinf(ends)
        if not (np.abs(d[without]) <= _DUAL * (1.0 + np.abs(costs).max(initial=0.0))).all():
            return None
        total = constant + float(y @ sides) + float(d[~without] @ ends[~without])
        return Cut(total - 1e-9 * abs(total), reduced[self.integers])
