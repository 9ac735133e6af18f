"""The cheapest answer of a follower with given slopes ``C_k'x``, whatever prices it takes to have it choose them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.search.price_space import PriceSpace
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import ParametricProgram


class SlopeOracle:
    """``V(w) = min s(x) + M sum_k |C_k'x + d_k - w_k|`` over the follower's answers at fixed integers.

    The duals of the slopes are prices ``tau'`` in ``[-M, M]`` at which the other duals are dual feasible: a level below
    ``V(w)`` violates ``s + tau'w >= phi(tau')``.

    Args:
        space: levels and slopes.
        f: position of the follower.
    """

    def __init__(self, space: PriceSpace, f: int) -> None:
        self.space = space
        self.program: ParametricProgram = space.problem.followers[f].program
        leader = space.problem.leader
        count, columns = space.prices.size, self.program.columns.size
        # Twice the leader's own range: prices beyond it hardly ever cut.
        self.most = 2.0 * float(np.maximum(np.abs(leader.lower), np.abs(leader.upper))[space.prices].max()) + 1e-3
        eye = sparse.identity(count, format="csr")
        matrix = sparse.bmat([[self.program.A, None, None], [space.directions[f].T, eye, -eye]], format="csc")
        self.columns = columns
        none = np.zeros(self.program.rows.size + count)
        self._linear = LinearProgram(
            matrix,
            none,
            none,
            np.concatenate([self.program.lower, np.zeros(2 * count)]),
            np.concatenate([self.program.upper, np.full(2 * count, np.inf)]),
        )

    def cheapest(self, base: np.ndarray, slope: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray | None] | None:
        """``V``, the prices ``tau'``, the duals of the follower's rows, and the answer if it is feasible; None without an optimum."""
        program, prices = self.program, self.space.prices
        y = base.copy()
        y[prices] = 0.0
        rhs = program.rhs(y)
        held = slope - program.d[prices]
        self._linear.change_rows(np.concatenate([np.where(program.equality, rhs, -np.inf), held]), np.concatenate([rhs, held]))
        answer = self._linear.solve(np.concatenate([program.costs(y), np.full(2 * prices.size, self.most)]))
        if answer.status != "optimal":
            return None
        x = np.clip(answer.x[: self.columns], program.lower, program.upper)
        at = -answer.y[program.rows.size :]
        return answer.value + program.constant(y), at, answer.y[: program.rows.size], x if program.violation(x, y) <= 1e-9 else None
