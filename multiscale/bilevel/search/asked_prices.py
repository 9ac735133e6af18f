"""Prices at which given answers of linear followers are optimal: the way back from an answer that the leader wants to the prices that ask for it.

Where answers tie, a leader that has rows on other quantities than prices multiply (a share, an emission, a budget) wants a mixture of them, and
prices next to the tie bring about one or the other. With the answers ``x`` held, complementarity is linear in prices ``tau`` and multipliers ``mu``,
and so are the leader's rows, products of prices and quantities included:

    min  sum e      s.t.   c + C tau - A'mu  >= -e where x is at its lower bound,  <= e at its upper one,  both between
                           mu <= 0 on rows that bind, free on equations, zero on the others;  rows of the leader at x

With ``e = 0`` the answers are optimal at ``tau``. Rounding in ``x`` leaves a little, so what counts is the answer at these prices, ties looked into.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.affine import affine_leader
from multiscale.bilevel.problem.description import BilevelProblem, Follower
from multiscale.bilevel.solvers.linear_program import LinearProgram

_NEAR = 1e-6
"""Distance from a bound or a right-hand side, relative, within which an answer is on it."""


def asked_prices(
    problem: BilevelProblem, y: np.ndarray, primal: list[np.ndarray], prices: np.ndarray, own: np.ndarray, *, time_limit: float = 600.0
) -> np.ndarray | None:
    """The leader's decision with prices (and own variables) at which answers are as near to optimal as its rows permit; None where there are none.

    Args:
        problem: with linear followers, and no duals of theirs among the leader's quantities.
        y: the decision; its prices and own variables are replaced.
        primal: answers of all followers.
        prices: positions of the prices.
        own: positions of variables that followers do not see.
        time_limit: seconds for the linear program.
    """
    leader = problem.leader
    if any(not f.is_linear for f in problem.followers) or any(q.kind == "dual" for q in leader.quantities):
        return None
    base = y.copy()
    base[prices] = base[own] = 0.0
    nothing = [np.zeros(f.program.rows.size) for f in problem.followers]
    z0 = problem.joint(base, primal, nothing)
    moved = np.concatenate([own, prices])
    columns = []
    for k in moved.tolist():
        step = base.copy()
        step[k] = 1.0
        columns.append(sparse.csr_matrix((problem.joint(step, primal, nothing) - z0)[:, None]))
    affine = affine_leader(leader, z0, sparse.hstack(columns, format="csr"))
    rows, low, high = [affine.matrix], [affine.row_lower], [affine.row_upper]
    lower, upper = [leader.lower[moved]], [leader.upper[moved]]
    costs, first = [np.zeros(moved.size)], moved.size
    blocks: list[sparse.csr_matrix] = []
    for follower, x in zip(problem.followers, primal, strict=True):
        stationary, ends, multipliers = _stationary(follower, base, x, prices, own.size)
        blocks.append(stationary)
        low.append(ends[0])
        high.append(ends[1])
        lower += [multipliers[0], np.zeros(x.size)]
        upper += [multipliers[1], np.full(x.size, np.inf)]
        costs += [np.zeros(multipliers[0].size), np.ones(x.size)]
    size = sum(part.size for part in costs)
    rows[0] = sparse.hstack([affine.matrix, sparse.csr_matrix((affine.matrix.shape[0], size - first))], format="csr")
    at = first
    for block in blocks:
        width = block.shape[1] - first
        parts = [
            block[:, :first],
            sparse.csr_matrix((block.shape[0], at - first)),
            block[:, first:],
            sparse.csr_matrix((block.shape[0], size - at - width)),
        ]
        rows.append(sparse.hstack(parts, format="csr"))
        at += width
    integral = np.zeros(size, dtype=bool)
    integral[: own.size] = leader.integral[own]
    matrix = sparse.vstack(rows, format="csr")
    limits = np.concatenate(low), np.concatenate(high), np.concatenate(lower), np.concatenate(upper)
    answer = LinearProgram(matrix, *limits, np.concatenate(costs), integral, time_limit).solve()
    if answer.status != "optimal":
        return None
    found = y.copy()
    found[moved] = np.clip(answer.x[:first], leader.lower[moved], leader.upper[moved])
    return found


def _stationary(
    follower: Follower, base: np.ndarray, x: np.ndarray, prices: np.ndarray, before: int
) -> tuple[sparse.csr_matrix, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Rows over (own, prices, multipliers, slack), two for each column, with their ends; and the bounds of the multipliers."""
    program = follower.program
    rhs, costs = program.rhs(base), program.costs(base)
    near = _NEAR * (1.0 + np.abs(x))
    at_lower, at_upper = x <= program.lower + near, x >= program.upper - near
    activity = program.A @ x
    binds = program.equality | (activity >= rhs - _NEAR * (1.0 + np.abs(rhs)))
    count = x.size
    moving = sparse.hstack([sparse.csr_matrix((count, before)), program.C.tocsc()[:, prices], -program.A.T.tocsr()], format="csr")
    slack = sparse.identity(count, format="csr")
    rows = sparse.vstack([sparse.hstack([moving, slack]), sparse.hstack([moving, -slack])], format="csr")
    none = np.full(count, np.inf)
    low = np.concatenate([np.where(at_upper, -np.inf, -costs), -none])
    high = np.concatenate([none, np.where(at_lower, np.inf, -costs)])
    return rows, (low, high), (np.where(binds, -np.inf, 0.0), np.where(program.equality, np.inf, 0.0))
