"""The optimal face of a follower at a leader decision, as linear rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower
from multiscale.bilevel.search.conic_face import cone_rows

FACE_TOLERANCE = 1e-8
"""A multiplier or slack below this (relative to its scale) does not tie a row or bound to the optimal face."""

_CONE_WIDTH = 1e-8
"""Room left to the rows of cones, which come from an interior-point answer."""


@dataclass(frozen=True)
class Face:
    """All optimal ``x`` (and, if asked for, all optimal duals after them): rows and bounds."""

    matrix: sparse.csr_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def optimal_face(follower: Follower, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray, *, with_dual: bool) -> Face:
    """Everything feasible that is complementary to a known optimal pair ``x``, ``multipliers``.

    For a linear program ``x'`` is optimal exactly if it is feasible and complementary to one optimal dual; for a convex quadratic
    one ``Qx' = Qx`` is held in addition, for it is the same at every optimum. Cones enter as far as they are linear there
    (see ``conic_face``): an answer drawn from the face of a conic follower must be checked.
    """
    program = follower.program
    rhs, costs = program.rhs(y), program.costs(y)
    curvature = program.Q @ x if program.Q is not None else np.zeros(x.size)
    reduced = costs + curvature - program.A.T @ multipliers
    scale = FACE_TOLERANCE * (1.0 + np.abs(costs))
    width = FACE_TOLERANCE * (1.0 + np.abs(x))
    lower, upper = program.lower.copy(), program.upper.copy()
    hold_low, hold_high = (reduced > scale) & (x <= lower + width), (reduced < -scale) & (x >= upper - width)
    upper[hold_low] = lower[hold_low]
    lower[hold_high] = upper[hold_high]
    activity = program.A @ x
    bound = multipliers < -FACE_TOLERANCE * (1.0 + np.abs(costs).max(initial=0.0))
    tight = program.equality | (bound & (activity >= rhs - 1e-7 * (1.0 + np.abs(rhs))))
    # Rounding in x must not make the face empty: a held row is held at the value it has.
    low = np.where(tight, np.where(program.equality, rhs, np.minimum(rhs, activity)), -np.inf)
    matrix, high = program.A, rhs
    if program.Q is not None:
        curved = np.flatnonzero(np.diff(program.Q.indptr))
        matrix = sparse.vstack([matrix, program.Q[curved]], format="csr")
        low, high = np.concatenate([low, curvature[curved]]), np.concatenate([high, curvature[curved]])
    if follower.cones:
        rays, values = cone_rows(follower.cones, reduced, x)
        matrix = sparse.vstack([matrix, rays], format="csr")
        low, high = np.concatenate([low, values - _CONE_WIDTH]), np.concatenate([high, values + _CONE_WIDTH])
    if not with_dual:
        return Face(matrix, low, high, lower, upper)
    loose = ~program.equality & (rhs - activity > 1e-7 * (1.0 + np.abs(rhs)))
    room = 1e-7 * (1.0 + np.abs(x))
    # A'lambda <= c + Qx unless x sits at its upper bound, >= unless it sits at its lower one.
    target = costs + curvature
    stationary_high = np.where(x < program.upper - room, target, np.inf)
    stationary_low = np.where(x > program.lower + room, target, -np.inf)
    transposed = program.A.T.tocsr()
    if follower.cones:
        # z = target - A'lambda leans on the ray opposite to x; where x is the tip of its cone, z may be anything in the cone.
        inside = follower.in_cone
        stationary_low[inside], stationary_high[inside] = -np.inf, np.inf
        rays, values = cone_rows(follower.cones, x, reduced)
        shifted = rays @ target - values
        transposed = sparse.vstack([transposed, rays @ transposed], format="csr")
        stationary_low = np.concatenate([stationary_low, shifted - _CONE_WIDTH])
        stationary_high = np.concatenate([stationary_high, shifted + _CONE_WIDTH])
    return Face(
        sparse.block_diag([matrix, transposed], format="csr"),
        np.concatenate([low, stationary_low]),
        np.concatenate([high, stationary_high]),
        np.concatenate([lower, np.where(loose, 0.0, -np.inf)]),
        np.concatenate([upper, np.where(program.equality, np.inf, 0.0)]),
    )
