"""Proven ranges of a follower's multipliers, and interval arithmetic with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem, Follower


@dataclass(frozen=True)
class DualBounds:
    """Bounds of a follower's row duals (``lambda``, free for equations, <= 0 for ``<=`` rows).

    Attributes:
        lower, upper: infinite where nothing is proven (``upper`` of ``<=`` rows is 0 by sign).
        how: block of rows -> the argument in words.
        scope: ``every`` optimal dual, or ``some`` optimal dual of each leader decision.
        quantities: leader variable -> proven range of the follower's quantity ``C_k'x`` at any of its optima.
    """

    lower: np.ndarray
    upper: np.ndarray
    how: dict[str, str] = field(default_factory=dict)
    scope: str = "every"
    quantities: dict[int, tuple[float, float]] = field(default_factory=dict)

    def proven(self, rows: np.ndarray) -> bool:
        """Whether all of these rows have finite bounds."""
        return bool(np.isfinite(self.lower[rows]).all() and np.isfinite(self.upper[rows]).all())


def no_bounds(follower: Follower) -> DualBounds:
    """Only what the sign convention says."""
    m = follower.program.rows.size
    return DualBounds(np.full(m, -np.inf), np.where(follower.program.equality, np.inf, 0.0))


def interval(matrix: sparse.csr_matrix, constant: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of ``constant + matrix @ v`` over a box, without 0 times infinity."""
    entries = matrix.tocoo()
    up, down = np.maximum(entries.data, 0.0), np.minimum(entries.data, 0.0)

    def side(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            terms = np.where(up > 0, up * high[entries.col], 0.0) + np.where(down < 0, down * low[entries.col], 0.0)
        return constant + np.bincount(entries.row, weights=terms, minlength=constant.size)

    return side(lower, upper), side(upper, lower)


def reduced_cost_bounds(problem: BilevelProblem, f: int, bounds: DualBounds) -> tuple[np.ndarray, np.ndarray]:
    """Upper bounds of ``r_l`` and ``r_u`` of the columns with finite bounds, from proven bounds of the row duals.

    ``r = c + Qx - A'lambda`` lies in an interval; ``r_l`` and ``r_u`` are its positive and negative part, of which one is zero.
    """
    program, leader = problem.followers[f].program, problem.leader
    parts = [program.C, -program.A.T]
    lower, upper = [leader.lower, bounds.lower], [leader.upper, bounds.upper]
    if program.Q is not None:
        parts.append(program.Q)
        lower.append(program.lower)
        upper.append(program.upper)
    low, high = interval(sparse.hstack(parts, format="csr"), program.c0, np.concatenate(lower), np.concatenate(upper))
    movable = program.lower < program.upper
    return np.maximum(high, 0.0)[np.isfinite(program.lower) & movable], np.maximum(-low, 0.0)[np.isfinite(program.upper) & movable]
