"""Solve a convex quadratic program by a primal-dual interior-point method, and tell whether a given answer solves it.

HiGHS's active-set method for quadratic programs now and then calls a bounded program unbounded, returns a point that is not optimal, or
does not end when the curvature is singular. Its answers are checked by ``residual``; where one fails, this method decides. With slacks
``s`` of inequality rows and multipliers ``mu = -y >= 0``, each step solves Newton's equations of

    Q x + c - A'y - z_l + z_u = 0,   A x (+ s) = b,   s mu = t,   (x - l) z_l = t,   (u - x) z_u = t

for a falling ``t`` (predictor and corrector after Mehrotra, SIAM Journal on Optimization 2, 1992).
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from multiscale.programs.program import ParametricProgram

_DENSE = 400
_STEPS = 80


def residual(program: ParametricProgram, p: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Largest violation of the optimality conditions (feasibility, signs, the smaller side of each pair), relative to 1 + size."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return np.inf
    slack = program.rhs(p) - program.A @ x
    costs = program.costs(p)
    reduced = costs - program.A.T @ y
    if program.Q is not None:
        reduced = reduced + program.Q @ x
    row_scale, cost_scale = 1.0 + np.abs(program.rhs(p)), 1.0 + np.abs(costs)
    pair = np.maximum(np.maximum(-slack, y), np.minimum(np.maximum(slack, 0.0), np.maximum(-y, 0.0)))
    rows = np.where(program.equality, np.abs(slack), pair) / row_scale
    column_scale = 1.0 + np.abs(x)
    low = np.minimum(np.maximum(reduced, 0.0) / cost_scale, np.maximum(x - program.lower, 0.0) / column_scale)
    high = np.minimum(np.maximum(-reduced, 0.0) / cost_scale, np.maximum(program.upper - x, 0.0) / column_scale)
    outside = np.maximum(program.lower - x, x - program.upper) / column_scale
    return float(max(part.max(initial=0.0) for part in (rows, low, high, outside)))


def has_feasible_point(program: ParametricProgram, p: np.ndarray) -> bool | None:
    """Whether any ``x`` satisfies the rows and bounds; None if the linear program could not be solved."""
    rhs = program.rhs(p)
    below = np.where(program.equality, rhs, -np.inf)
    status, _ = _linear(program.A, below, rhs, program.lower, program.upper, np.zeros(program.columns.size))
    return {"optimal": True, "infeasible": False}.get(status)


def falls_forever(program: ParametricProgram, p: np.ndarray) -> bool | None:
    """Whether a direction ``d`` with ``Qd = 0``, ``Ad (= or <=) 0`` inside the open bounds has ``c'd < 0``: then a feasible program is unbounded."""
    costs = program.costs(p)
    zero = np.zeros(program.rows.size)
    matrix, low, high = program.A, np.where(program.equality, 0.0, -np.inf), zero
    if program.Q is not None:
        curved = np.flatnonzero(np.diff(program.Q.indptr))
        matrix = sparse.vstack([matrix, program.Q[curved]], format="csr")
        low, high = np.concatenate([low, np.zeros(curved.size)]), np.concatenate([high, np.zeros(curved.size)])
    d_low, d_high = np.where(np.isinf(program.lower), -1.0, 0.0), np.where(np.isinf(program.upper), 1.0, 0.0)
    status, value = _linear(matrix, low, high, d_low, d_high, costs)
    return value < -1e-7 * (1.0 + np.abs(costs).max(initial=0.0)) if status == "optimal" else None


def _linear(
    matrix: sparse.spmatrix, row_low: np.ndarray, row_high: np.ndarray, low: np.ndarray, high: np.ndarray, costs: np.ndarray
) -> tuple[str, float]:
    highs = highspy.Highs()
    for key, value in {"output_flag": False, "threads": 1, "random_seed": 1}.items():
        highs.setOptionValue(key, value)
    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_col_, lp.num_row_ = low.size, row_high.size
    lp.col_cost_ = costs
    ends = [np.clip(part, -highspy.kHighsInf, highspy.kHighsInf) for part in (low, high, row_low, row_high)]
    lp.col_lower_, lp.col_upper_, lp.row_lower_, lp.row_upper_ = ends
    by_column = sparse.csc_matrix(matrix)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = by_column.indptr, by_column.indices, by_column.data
    highs.passModel(model)
    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        highs.setOptionValue("presolve", "off")
        highs.run()
        status = highs.getModelStatus()
    names = {highspy.HighsModelStatus.kOptimal: "optimal", highspy.HighsModelStatus.kModelEmpty: "optimal"}
    names[highspy.HighsModelStatus.kInfeasible] = "infeasible"
    return names.get(status, "error"), highs.getInfo().objective_function_value


def interior_point(program: ParametricProgram, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solution and row duals of a program that has an optimum; check them with ``residual``."""
    fixed = program.lower == program.upper
    free = np.flatnonzero(~fixed)
    x_all = np.where(fixed, program.lower, 0.0)
    curvature = program.Q if program.Q is not None else sparse.csr_matrix((program.columns.size,) * 2)
    costs = (program.costs(p) + curvature @ x_all)[free]
    rhs = program.rhs(p) - program.A @ x_all
    inner = _Newton(curvature[free][:, free], program.A[:, free], program.equality, costs, rhs, program.lower[free], program.upper[free])
    x_all[free], y = inner.solve()
    return x_all, y


class _Newton:
    """The method on a program without fixed columns."""

    def __init__(
        self,
        Q: sparse.csr_matrix,
        A: sparse.csr_matrix,
        equality: np.ndarray,
        costs: np.ndarray,
        rhs: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
    ) -> None:
        self.Q, self.A, self.costs, self.rhs, self.lower, self.upper = Q, A, costs, rhs, lower, upper
        self.loose = np.flatnonzero(~equality)
        self.has_low, self.has_high = np.flatnonzero(np.isfinite(lower)), np.flatnonzero(np.isfinite(upper))
        self.n, self.m = costs.size, rhs.size
        self.dense = self.n + self.m <= _DENSE
        if self.dense:
            self.Q, self.A = Q.toarray(), A.toarray()

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = self.lower, self.upper
        both = np.isfinite(lower) & np.isfinite(upper)
        x = np.where(np.isfinite(lower), lower + 1.0, np.where(np.isfinite(upper), upper - 1.0, 0.0))
        x = np.where(both, 0.5 * (np.where(both, lower, 0.0) + np.where(both, upper, 0.0)), x)
        size = 1.0 + max(np.abs(self.costs).max(initial=0.0), np.abs(self.rhs).max(initial=0.0))
        y = np.zeros(self.m)
        y[self.loose] = -size
        s = np.maximum((self.rhs - self.A @ x)[self.loose], size)
        z_low, z_high = np.full(self.has_low.size, size), np.full(self.has_high.size, size)
        best, best_error = (x, y), np.inf
        for _ in range(_STEPS):
            to_low, to_high = x[self.has_low] - lower[self.has_low], upper[self.has_high] - x[self.has_high]
            mu = -y[self.loose]
            gradient = self.Q @ x + self.costs - self.A.T @ y
            gradient[self.has_low] -= z_low
            gradient[self.has_high] += z_high
            short = self.rhs - self.A @ x
            short[self.loose] -= s
            pairs = s.size + to_low.size + to_high.size
            total = float(s @ mu + to_low @ z_low + to_high @ z_high)
            mean = total / pairs if pairs else 0.0
            error = max(np.abs(gradient).max(initial=0.0), np.abs(short).max(initial=0.0), mean) / size
            if error < best_error:
                best, best_error = (x.copy(), y.copy()), error
            state = (s, mu, to_low, z_low, to_high, z_high)
            # The distance of a column to its bound is known to rounding only: no step is left once a side vanishes.
            if not error >= 1e-14 or min(part.min(initial=1.0) for part in state) <= 1e-16:
                break
            system = self._factor(s / mu, z_low / to_low, z_high / to_high)
            step = self._direction(system, gradient, short, state, tuple(a * b for a, b in ((s, mu), (to_low, z_low), (to_high, z_high))))
            length = self._length(step, state)
            dx, ds, dmu, dl, dh = step[0], step[2], -step[1][self.loose], step[3], step[4]
            ahead = float((s + length * ds) @ (mu + length * dmu) + (to_low + length * dx[self.has_low]) @ (z_low + length * dl))
            ahead += float((to_high - length * dx[self.has_high]) @ (z_high + length * dh))
            centre = (max(ahead, 0.0) / total) ** 3 * mean if total > 0 else 0.0
            target = (s * mu + ds * dmu - centre, to_low * z_low + dx[self.has_low] * dl - centre, to_high * z_high - dx[self.has_high] * dh - centre)
            step = self._direction(system, gradient, short, state, target)
            length = 0.995 * self._length(step, state) if pairs else 1.0
            x, y = x + length * step[0], y + length * step[1]
            s, z_low, z_high = s + length * step[2], z_low + length * step[3], z_high + length * step[4]
        return best

    def _factor(self, ratio: np.ndarray, low: np.ndarray, high: np.ndarray) -> object:
        """Factors of ``[[Q + D, -A'], [A, R]]``; a rounding error on the diagonal keeps dependent rows and flat directions solvable."""
        diagonal = np.full(self.n, 1e-11)
        diagonal[self.has_low] += low
        diagonal[self.has_high] += high
        rows = np.full(self.m, 1e-11)
        rows[self.loose] += ratio
        if self.dense:
            matrix = np.empty((self.n + self.m,) * 2)
            matrix[: self.n, : self.n] = self.Q + np.diag(diagonal)
            matrix[: self.n, self.n :] = -self.A.T
            matrix[self.n :, : self.n] = self.A
            matrix[self.n :, self.n :] = np.diag(rows)
            return matrix
        blocks = [[self.Q + sparse.diags(diagonal), -self.A.T], [self.A, sparse.diags(rows)]]
        return splu(sparse.bmat(blocks, format="csc"))

    def _direction(
        self, system: object, gradient: np.ndarray, short: np.ndarray, state: tuple[np.ndarray, ...], products: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, ...]:
        """Steps of x, y, s, z_l, z_u that bring the linearised products to zero from ``products``."""
        s, mu, to_low, z_low, to_high, z_high = state
        top, bottom = -gradient, short.copy()
        top[self.has_low] -= products[1] / to_low
        top[self.has_high] += products[2] / to_high
        # s dmu + mu ds = -product and dmu = -dy: ds = -product / mu + (s / mu) dy.
        bottom[self.loose] += products[0] / mu
        right = np.concatenate([top, bottom])
        found = np.linalg.solve(system, right) if isinstance(system, np.ndarray) else system.solve(right)  # type: ignore[attr-defined]
        dx, dy = found[: self.n], found[self.n :]
        ds = -products[0] / mu + s / mu * dy[self.loose]
        dl = (-products[1] - z_low * dx[self.has_low]) / to_low
        dh = (-products[2] + z_high * dx[self.has_high]) / to_high
        return dx, dy, ds, dl, dh

    def _length(self, step: tuple[np.ndarray, ...], state: tuple[np.ndarray, ...]) -> float:
        """Longest step up to 1 that keeps every side of every pair positive."""
        dx, dy, ds, dl, dh = step
        s, mu, to_low, z_low, to_high, z_high = state
        moves = ((s, ds), (mu, -dy[self.loose]), (to_low, dx[self.has_low]), (z_low, dl), (to_high, -dx[self.has_high]), (z_high, dh))
        longest = 1.0
        for value, move in moves:
            falling = move < 0
            if falling.any():
                longest = min(longest, float((-value[falling] / move[falling]).min()))
        return longest
