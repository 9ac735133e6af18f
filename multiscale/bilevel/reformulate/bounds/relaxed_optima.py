"""The relaxed set of all optimal primal-dual pairs of a follower, over all leader decisions.

It holds primal feasibility, dual feasibility and the strong-duality row with its products relaxed (McCormick for ``y_k C_k'x``, the least
right-hand side for ``B y``). Minimising or maximising a multiplier over it bounds it for every optimal dual.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.cones import cone_boxes
from multiscale.bilevel.problem.description import BilevelProblem, Leader
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, interval
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import ParametricProgram


class RelaxedOptima:
    """The relaxed set of all optimal primal-dual pairs, over ``(y, x, lambda+, lambda-, r_l, r_u, t)``; ``lambda = lambda+ - lambda-``."""

    def __init__(self, problem: BilevelProblem, f: int, bounds: DualBounds, time_limit: float) -> None:
        leader, program = problem.leader, problem.followers[f].program
        n, m, k = program.columns.size, program.rows.size, leader.size
        products = problem.followers[f].cost_columns
        self.sizes = np.cumsum([0, k, n, m, m, n, n, products.size])
        least, most = interval(program.B, program.b0, leader.lower, leader.upper)
        free = program.equality
        upper_dual, lower_dual = np.where(free, np.maximum(bounds.upper, 0.0), 0.0), np.maximum(-bounds.lower, 0.0)
        has_lower, has_upper = np.isfinite(program.lower), np.isfinite(program.upper)
        # The reduced costs of a cone's columns are of either sign and cost nothing; both sides lie in the cone's box.
        may_rise, may_fall = has_lower | problem.followers[f].in_cone, has_upper | problem.followers[f].in_cone
        lower = np.concatenate([leader.lower, program.lower, np.zeros(2 * m + 2 * n), np.full(products.size, -np.inf)])
        upper = np.concatenate(
            [
                leader.upper,
                program.upper,
                upper_dual,
                lower_dual,
                np.where(may_rise, np.inf, 0),
                np.where(may_fall, np.inf, 0),
                np.full(products.size, np.inf),
            ]
        )
        eye = sparse.identity(n, format="csr")
        curvature = program.Q if program.Q is not None else sparse.csr_matrix((n, n))
        transposed = program.A.T.tocsr()
        blocks: list[list[sparse.spmatrix | None]] = [
            # The products have columns even where none of them meets a row.
            [-program.B, program.A, sparse.csr_matrix((m, m)), None, None, None, sparse.csr_matrix((m, products.size))],
            [program.C, curvature, -transposed, transposed, -eye, eye, None],
        ]
        row_lower = [np.where(free, program.b0, -np.inf), -program.c0]
        row_upper = [program.b0, -program.c0]
        own = abs(leader.matrix[:, k:]).sum(axis=1) if leader.matrix.shape[0] else np.zeros((0, 1))
        alone = np.flatnonzero(np.asarray(own).ravel() == 0)
        if alone.size:
            blocks.append([leader.matrix[alone][:, :k], None, None, None, None, None, None])
            row_lower.append(leader.row_lower[alone])
            row_upper.append(leader.row_upper[alone])
        if problem.followers[f].cones:
            box = cone_boxes(problem.followers[f].cones, n)
            blocks.append([None, box, None, None, None, None, None])
            blocks.append([None, None, None, None, box, -box, None])
            row_lower += [np.full(box.shape[0], -np.inf)] * 2
            row_upper += [np.zeros(box.shape[0])] * 2
        self._mccormick(program, leader, products, blocks, row_lower, row_upper)
        # An infinite coefficient (a right-hand side without limit) would relax the row away: the multiplier then costs nothing.
        plus = -np.where(free, np.where(np.isfinite(most), most, 0.0), 0.0)
        minus = np.where(np.isfinite(least), least, 0.0)
        usable = bool(np.isfinite(most[free]).all() and np.isfinite(least).all())
        if usable:
            limits = [np.where(has_lower, -np.where(has_lower, program.lower, 0), 0), np.where(has_upper, np.where(has_upper, program.upper, 0), 0)]
            row = [None, program.c0, plus, minus, *limits, np.ones(products.size)]
            blocks.append([sparse.csr_matrix((1, k)) if part is None else sparse.csr_matrix(part[None, :]) for part in row])
            row_lower.append(np.array([-np.inf]))
            row_upper.append(np.array([0.0]))
        if not products.size:
            blocks = [row[:-1] for row in blocks]
        self.program = LinearProgram(
            sparse.bmat(blocks, format="csc"), np.concatenate(row_lower), np.concatenate(row_upper), lower, upper, time_limit=time_limit
        )

    @staticmethod
    def _mccormick(
        program: ParametricProgram,
        leader: Leader,
        products: np.ndarray,
        blocks: list[list[sparse.spmatrix | None]],
        row_lower: list[np.ndarray],
        row_upper: list[np.ndarray],
    ) -> None:
        """``t_k >= y_k w_k`` relaxed: rows ``t - y_lo w - w_lo y >= -y_lo w_lo`` and the same at the upper ends, ``w = C_k'x``."""
        if not products.size:
            return
        quantity = program.C.T.tocsr()[products]
        w_low, w_high = interval(quantity, np.zeros(products.size), program.lower, program.upper)
        for y_end, w_end in ((leader.lower[products], w_low), (leader.upper[products], w_high)):
            usable = np.flatnonzero(np.isfinite(y_end) & np.isfinite(w_end))
            if not usable.size:
                continue
            count = usable.size
            on_y = sparse.csr_matrix((-w_end[usable], (np.arange(count), products[usable])), shape=(count, leader.size))
            on_x = sparse.diags(-y_end[usable]) @ quantity[usable]
            on_t = sparse.csr_matrix((np.ones(count), (np.arange(count), usable)), shape=(count, products.size))
            blocks.append([on_y, on_x, None, None, None, None, on_t])
            row_lower.append(-y_end[usable] * w_end[usable])
            row_upper.append(np.full(count, np.inf))

    def quantity(self, weights: np.ndarray, direction: float) -> float | None:
        """Largest (+1) or least (-1) possible ``weights'x``, widened; None if not bounded or not solved."""
        costs = np.zeros(self.sizes[-1])
        costs[self.sizes[1] : self.sizes[2]] = -direction * weights
        answer = self.program.solve(costs)
        if answer.status != "optimal":
            return None
        value = -direction * answer.value
        return value + direction * 1e-5 * max(1.0, abs(value))

    def extreme(self, rows: np.ndarray, direction: float) -> float | None:
        """Largest (+1) or least (-1) possible sum of the duals of some rows, widened; None if not bounded or not solved."""
        costs = np.zeros(self.sizes[-1])
        costs[self.sizes[2] + rows] = -direction
        costs[self.sizes[3] + rows] = direction
        answer = self.program.solve(costs)
        if answer.status != "optimal":
            return None
        value = -direction * answer.value
        return value + direction * 1e-5 * max(1.0, abs(value))
