"""Refuse what the reformulations would answer wrongly, with the component's name."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.bilevel.problem.description import BilevelError, BilevelProblem, Follower, MethodError


def check_convex(follower: Follower) -> None:
    """Refuse a follower whose quadratic cost is not positive semidefinite.

    Raises:
        BilevelError: names the columns of the negative curvature.
    """
    program = follower.program
    if program.Q is None or program.Q.nnz == 0:
        return
    matrix = program.Q.tocsr()
    count, label = connected_components(matrix, directed=False)
    if count == matrix.shape[0]:
        _check_values(follower, matrix.diagonal(), np.arange(matrix.shape[0]))
        return
    order = np.argsort(label, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(label))[:-1]):
        part = matrix[members][:, members]
        if members.size <= 3000:
            values, vectors = np.linalg.eigh(part.toarray())
            worst = int(members[np.abs(vectors[:, 0]).argmax()])
            _check_values(follower, values[:1], np.array([worst]), float(np.abs(values).max(initial=0.0)))
        else:
            # Too large for all eigenvalues: the factorisation of the matrix shifted by a rounding error must have positive pivots.
            shift = 1e-9 * abs(part).max()
            pivots = sparse.linalg.splu(
                (part + shift * sparse.identity(members.size)).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0
            ).U.diagonal()
            _check_values(follower, pivots, members)


def _check_values(follower: Follower, values: np.ndarray, members: np.ndarray, scale: float | None = None) -> None:
    scale = float(np.abs(values).max(initial=0.0)) if scale is None else scale
    bad = np.flatnonzero(values < -1e-9 * max(scale, 1e-12))
    if bad.size:
        name = follower.program.columns.label(int(members[bad[0]]))
        what = "convex" if follower.sense > 0 else "concave (it maximises)"
        raise BilevelError(f"follower {follower.name!r}: its objective is not {what}; curvature {follower.sense * values[bad[0]]:.6g} at {name}")


def check_products(problem: BilevelProblem) -> None:
    """Refuse leader variables without bounds in products with follower quantities.

    Raises:
        MethodError: names the variable and the follower.
    """
    leader = problem.leader
    unbounded = np.isinf(leader.lower) | np.isinf(leader.upper)
    for follower in problem.followers:
        for columns, where in ((follower.cost_columns, "costs"), (follower.limit_columns, "right-hand sides")):
            for k in columns[unbounded[columns]]:
                raise MethodError(
                    f"leader variable {leader.names[k]} enters the {where} of follower {follower.name!r} and has bounds "
                    f"[{leader.lower[k]:g}, {leader.upper[k]:g}]; products need both finite: "
                    "give it bounds, or use a method without products (sos1)"
                )


def check_preconditions(problem: BilevelProblem) -> None:
    """All checks that do not depend on the method."""
    for follower in problem.followers:
        check_convex(follower)
    crossed = np.flatnonzero(problem.leader.lower > problem.leader.upper)
    if crossed.size:
        k = int(crossed[0])
        raise BilevelError(
            f"leader variable {problem.leader.names[k]} has lower bound {problem.leader.lower[k]:g} above upper bound {problem.leader.upper[k]:g}"
        )
