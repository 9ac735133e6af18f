"""The single-level program a reformulation produces, as plain arrays, and the rules that complete a bilevel point to a full one."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import CONTINUOUS, CurvedRow, Form


@dataclass(frozen=True)
class Derived:
    """Columns that follow from columns before them.

    ``linear``: ``v[columns] = constant + matrix @ v[sources]``; ``product``: ``v[columns] = v[sources] * v[others]``;
    ``positive`` / ``negative``: largest of 0 and the (negated) linear form; ``switch``: 1 where the linear form is above
    ``threshold``, else 0.
    """

    rule: str
    columns: np.ndarray
    sources: np.ndarray
    matrix: sparse.csr_matrix | None = None
    constant: np.ndarray | None = None
    others: np.ndarray | None = None
    threshold: float = 1e-7

    def apply(self, v: np.ndarray) -> None:
        """Set the derived columns of ``v`` in place."""
        if self.rule == "product":
            v[self.columns] = v[self.sources] * v[self.others]
            return
        value = self.constant + self.matrix @ v[self.sources]
        if self.rule == "positive":
            value = np.maximum(value, 0.0)
        elif self.rule == "negative":
            value = np.maximum(-value, 0.0)
        elif self.rule == "switch":
            value = (value > self.threshold).astype(float)
        v[self.columns] = value


@dataclass(frozen=True)
class Indicators:
    """``binary == active  implies  v[column] <= 0``, one for each entry."""

    binary: np.ndarray
    column: np.ndarray
    active: bool


@dataclass(frozen=True)
class FollowerColumns:
    """Columns of a follower in the single-level program.

    Attributes:
        x, multipliers: primal columns and duals of the rows.
        at_lower, reduced_lower: follower columns with an explicit reduced cost at their lower bound, and its column.
        at_upper, reduced_upper: the same at the upper bound.
        fixed, reduced_fixed: columns whose bounds coincide: one reduced cost of free sign.
        coned, reduced_coned: columns of second-order cones, cone after cone: their reduced costs are the cones' multipliers.
    """

    x: np.ndarray
    multipliers: np.ndarray
    at_lower: np.ndarray
    reduced_lower: np.ndarray
    at_upper: np.ndarray
    reduced_upper: np.ndarray
    fixed: np.ndarray
    reduced_fixed: np.ndarray
    coned: np.ndarray
    reduced_coned: np.ndarray


@dataclass
class SingleLevel:
    """Minimise ``objective`` over columns with bounds, linear rows, curved rows, SOS1 pairs and indicators.

    Attributes:
        joint: for every entry of the leader's joint vector, its column and factor (``z = factor * column``).
        primal, dual: columns of each follower's ``x`` and ``y``.
        derived: how the remaining columns follow from ``y``, ``x`` and the duals, in order.
        follower_rows: positions of rows that state a follower's optimality (all others are the leader's or definitions).
        blocks: (name, first column, count), for names on demand.
    """

    lower: np.ndarray
    upper: np.ndarray
    kinds: np.ndarray
    rows: sparse.csr_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    row_blocks: list[tuple[str, int, int]]
    curved: list[CurvedRow]
    products: np.ndarray
    pairs: list[np.ndarray]
    indicators: list[Indicators]
    objective: Form
    joint_columns: np.ndarray
    joint_factors: np.ndarray
    primal: list[np.ndarray]
    dual: list[np.ndarray]
    derived: list[Derived]
    blocks: list[tuple[str, int, int]]
    leader_size: int
    leader_rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.lower.size

    def complete(self, y: np.ndarray, primal: list[np.ndarray], dual: list[np.ndarray]) -> np.ndarray:
        """The full vector that belongs to a leader decision and the followers' answers."""
        v = np.zeros(self.size)
        v[: self.leader_size] = y
        for columns, x in zip(self.primal, primal, strict=True):
            v[columns] = x
        for columns, multipliers in zip(self.dual, dual, strict=True):
            if columns.size:
                v[columns] = multipliers
        for rule in self.derived:
            rule.apply(v)
        return v

    def violation(self, v: np.ndarray, *, leader: bool = True) -> tuple[float, str]:
        """Largest violation, relative to the largest term of the row, and its name; ``leader=False`` leaves the leader's rows out."""
        short = np.maximum(np.maximum(self.lower - v, v - self.upper), 0.0) / np.maximum(1.0, np.abs(v))
        if not leader:
            short[self.joint_columns] = 0.0
        worst, name = 0.0, ""
        if short.size and short.max() > 0:
            worst, name = float(short.max()), self.column_name(int(short.argmax()))
        activity = self.rows @ v
        scaled = self.rows.copy()
        scaled.data = np.abs(scaled.data * v[scaled.indices])
        scale = np.maximum(1.0, scaled.max(axis=1).toarray().ravel()) if scaled.shape[0] else np.ones(0)
        gaps = np.maximum(np.maximum(self.row_lower - activity, activity - self.row_upper), 0.0) / scale
        if not leader:
            gaps[self.leader_rows] = 0.0
        if gaps.size and gaps.max() > worst:
            worst, name = float(gaps.max()), self.row_name(int(gaps.argmax()))
        if self.products.size:
            target, first, second = self.products.T
            gap = np.abs(v[target] - v[first] * v[second]) / np.maximum(1.0, np.abs(v[target]))
            if gap.max() > worst:
                worst, name = float(gap.max()), f"product {self.column_name(int(first[gap.argmax()]))}"
        for row in self.curved if leader else [r for r in self.curved if r.name.startswith("follower")]:
            value = row.form.value(v)
            gap_here = max(row.lower - value, value - row.upper, 0.0) / max(row.scale, row.form.magnitude(v))
            if gap_here > worst:
                worst, name = float(gap_here), row.name
        for pairs in self.pairs:
            gap = np.minimum(np.abs(v[pairs[:, 0]]), np.abs(v[pairs[:, 1]]))
            if gap.size and gap.max() > worst:
                worst, name = float(gap.max()), f"pair of {self.column_name(int(pairs[gap.argmax(), 0]))}"
        for group in self.indicators:
            on = (v[group.binary] > 0.5) == group.active
            gap = np.where(on, v[group.column], 0.0)
            if gap.size and gap.max() > worst:
                worst, name = float(gap.max()), f"indicator of {self.column_name(int(group.column[gap.argmax()]))}"
        return worst, name

    def without(self, ending: str) -> SingleLevel:
        """The program without the rows whose block name has an ending."""
        low, high = self.row_lower.copy(), self.row_upper.copy()
        for name, first, count in self.row_blocks:
            if name.endswith(ending):
                low[first : first + count], high[first : first + count] = -np.inf, np.inf
        return replace(self, row_lower=low, row_upper=high)

    def column_name(self, j: int) -> str:
        """Block name and position inside the block."""
        return _label(self.blocks, j)

    def row_name(self, i: int) -> str:
        """Block name and position inside the block."""
        return _label(self.row_blocks, i)

    def describe(self) -> str:
        """Size of the program."""
        binaries = int((self.kinds != CONTINUOUS).sum())
        pairs, indicators = sum(len(p) for p in self.pairs), sum(g.binary.size for g in self.indicators)
        return (
            f"{self.size:,} columns ({binaries:,} integer), {self.rows.shape[0]:,} linear rows with {self.rows.nnz:,} nonzeros, "
            f"{len(self.products):,} products, {len(self.curved):,} nonlinear rows, {pairs:,} SOS1 pairs, {indicators:,} indicators"
        )


def _label(blocks: list[tuple[str, int, int]], position: int) -> str:
    # Blocks lie one after another; empty ones share their first position with the next.
    place = bisect_right(blocks, position, key=lambda block: block[1])
    for name, first, count in reversed(blocks[:place]):
        if count:
            return (name if count == 1 else f"{name}[{position - first}]") if position < first + count else f"#{position}"
    return f"#{position}"
