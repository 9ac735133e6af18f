"""Proven bounds of multipliers, or none: never a guess.

Every bound holds, all at once, for at least one optimal dual of every leader decision (``scope`` "some"), or for all optimal duals
("every"). Three arguments are used, and the one that gave a bound is recorded in words:

1. *Propagation.* ``A_j'lambda <= max c_j(y)`` for columns that may grow without limit (``>= min c_j`` for those that may fall,
   both for free ones) is a system of inequalities in the multipliers alone; interval arithmetic runs over it, for the whole box
   of leader variables.
2. *Opposite rows.* ``a'x <= b1(y)`` and ``-a'x <= b2(y)`` with ``b1 + b2 >= 0`` everywhere: taking the smaller multiplier off both
   changes no reduced cost and does not lower the dual objective, so some optimal dual has one of them at zero (every one, if
   ``b1 + b2 > 0``). Each is then bounded by their difference, which is what propagation sees.
3. *Linear programs.* All optimal primal-dual pairs of all leader decisions lie in the set of primal feasibility, dual
   feasibility and the strong-duality row with its products relaxed (McCormick for ``y_k C_k'x``, the least right-hand side for
   ``B y``). Minimising or maximising a multiplier over it bounds it for every optimal dual. The largest possible sum of a group of
   multipliers of one sign bounds each of them with a single linear program.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.cones import cone_boxes
from multiscale.bilevel.problem.description import BilevelProblem, Follower, Leader
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import ParametricProgram

_MARGIN = 1e-6
"""Relative widening of a bound that came out of floating-point arithmetic."""


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


def prove_bounds(problem: BilevelProblem, f: int, needed: np.ndarray, *, time_limit: float = 10.0, every: bool = False) -> DualBounds:
    """Bounds for the duals of follower ``f``.

    Args:
        problem: the bilevel problem.
        f: position of the follower.
        needed: rows for which linear programs may be spent when propagation gives nothing.
        time_limit: seconds for all linear programs.
        every: demand bounds of every optimal dual (needed where the leader uses duals); argument 2 is then limited to ``b1 + b2 > 0``.
    """
    started = time.perf_counter()
    follower, leader = problem.followers[f], problem.leader
    bounds = _by_propagation(follower, leader, every)
    missing = needed[~(np.isfinite(bounds.lower[needed]) & np.isfinite(bounds.upper[needed]))]
    if missing.size:
        bounds = _by_programs(problem, f, bounds, missing, started + time_limit)
    return bounds


def interval(matrix: sparse.csr_matrix, constant: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of ``constant + matrix @ v`` over a box, without 0 times infinity."""
    entries = matrix.tocoo()
    up, down = np.maximum(entries.data, 0.0), np.minimum(entries.data, 0.0)

    def side(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            terms = np.where(up > 0, up * high[entries.col], 0.0) + np.where(down < 0, down * low[entries.col], 0.0)
        return constant + np.bincount(entries.row, weights=terms, minlength=constant.size)

    return side(lower, upper), side(upper, lower)


def _opposite_rows(follower: Follower, leader: Leader, every: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Pairs of rows ``a'x <= b1``, ``-a'x <= b2`` of which some optimal dual uses at most one; whether that holds for every one."""
    program = follower.program
    rows = np.flatnonzero(~program.equality)
    none = np.zeros(0, dtype=np.int64)
    if rows.size < 2:
        return none, none, True
    # A random projection finds candidates in one pass; each candidate is then compared entry by entry.
    mark = program.A @ np.random.default_rng(7).normal(size=program.columns.size)
    order = rows[np.argsort(np.abs(mark[rows]), kind="stable")]
    a, b = order[:-1], order[1:]
    close = (np.abs(np.abs(mark[a]) - np.abs(mark[b])) <= 1e-12 * np.abs(mark[a])) & (mark[a] * mark[b] < 0)
    a, b = a[close], b[close]
    taken = np.zeros(program.rows.size, dtype=bool)
    pairs = []
    difference = abs(program.A[a] + program.A[b]).sum(axis=1)
    least, _ = interval((program.B[a] + program.B[b]).tocsr(), program.b0[a] + program.b0[b], leader.lower, leader.upper)
    strict = True
    for i, j, gap, room in zip(a, b, np.asarray(difference).ravel(), least, strict=True):
        if gap == 0 and not taken[i] and not taken[j] and (room > 0 or (room == 0 and not every)):
            taken[[i, j]] = True
            pairs.append((i, j))
            strict &= room > 0
    if not pairs:
        return none, none, True
    first, second = np.array(pairs, dtype=np.int64).T
    return first, second, bool(strict)


def _by_propagation(follower: Follower, leader: Leader, every: bool) -> DualBounds:
    program = follower.program
    m = program.rows.size
    first, second, strict = _opposite_rows(follower, leader, every)
    cost_low, cost_high = interval(program.C, program.c0, leader.lower, leader.upper)
    if program.Q is not None:
        curve_low, curve_high = interval(program.Q, np.zeros(program.columns.size), program.lower, program.upper)
        cost_low, cost_high = cost_low + curve_low, cost_high + curve_high
    # r = c - A'lambda: r >= 0 unless the column may be at an upper bound, r <= 0 unless at a lower one.
    # The reduced costs of a cone's columns may have either sign.
    above = np.where(np.isinf(program.upper) & ~follower.in_cone, cost_high, np.inf)
    below = np.where(np.isinf(program.lower) & ~follower.in_cone, cost_low, -np.inf)
    low, high = np.full(m, -np.inf), np.where(program.equality, np.inf, 0.0)
    matrix = program.A.tocoo()
    keep = ~np.isin(matrix.row, second)
    rows, columns, data = matrix.row[keep], matrix.col[keep], matrix.data[keep]
    high[first] = np.inf
    low[second], high[second] = 0.0, 0.0
    low, high, rounds = _propagate(rows, columns, data, below, above, low, high)
    net_low, net_high = low[first].copy(), high[first].copy()
    low[first], high[first] = np.minimum(net_low, 0.0), 0.0
    low[second], high[second] = -np.maximum(net_high, 0.0), 0.0
    paired = np.zeros(m, dtype=bool)
    paired[first] = paired[second] = True
    widen = _MARGIN * np.maximum(1.0, np.maximum(np.where(np.isfinite(low), np.abs(low), 0), np.where(np.isfinite(high), np.abs(high), 0)))
    low = low - widen
    high = np.where(program.equality, high + widen, 0.0)
    how = {}
    for block in program.rows:
        part = slice(block.offset, block.offset + block.size)
        finite = np.isfinite(low[part]) & np.isfinite(high[part])
        if finite.any():
            text = f"bound propagation on A'lambda <= c over the leader's box ({rounds} rounds), {int(finite.sum())} of {block.size} rows"
            if paired[part].any():
                text += "; opposite rows never bind together" if strict else "; of opposite rows some optimal dual uses one"
            how[block.name] = f"{text}; values in [{low[part][finite].min():.6g}, {high[part][finite].max():.6g}]"
    return DualBounds(low, high, how, "every" if strict else "some")


def _propagate(
    rows: np.ndarray, columns: np.ndarray, data: np.ndarray, below: np.ndarray, above: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Interval arithmetic on ``below_j <= sum_i data_ij lambda_i <= above_j`` until nothing moves noticeably."""
    count = below.size
    for round_ in range(1, 101):
        lo_end, hi_end = np.where(data > 0, low[rows], high[rows]) * data, np.where(data > 0, high[rows], low[rows]) * data
        new_low, new_high = low.copy(), high.copy()
        for ends, limit, side in ((lo_end, above, 1), (hi_end, below, -1)):
            infinite = np.isinf(ends)
            finite_sum = np.bincount(columns, weights=np.where(infinite, 0.0, ends), minlength=count)
            infinities = np.bincount(columns, weights=infinite, minlength=count)
            others = infinities[columns] - infinite
            room = limit[columns] - (finite_sum[columns] - np.where(infinite, 0.0, ends))
            usable = (others == 0) & np.isfinite(room)
            value, where, positive = room[usable] / data[usable], rows[usable], (data[usable] > 0) == (side > 0)
            np.minimum.at(new_high, where[positive], value[positive])
            np.maximum.at(new_low, where[~positive], value[~positive])
        with np.errstate(invalid="ignore"):
            moved_low = np.where(np.isinf(low), np.isfinite(new_low), new_low - low > 1e-6 * (1 + np.abs(low)))
            moved_high = np.where(np.isinf(high), np.isfinite(new_high), high - new_high > 1e-6 * (1 + np.abs(high)))
        low, high = new_low, new_high
        if not (moved_low.any() or moved_high.any()):
            return low, high, round_
    return low, high, round_


def _by_programs(problem: BilevelProblem, f: int, bounds: DualBounds, missing: np.ndarray, deadline: float) -> DualBounds:
    follower = problem.followers[f]
    program = follower.program
    relaxation = _Relaxation(problem, f, bounds, max(1.0, deadline - time.perf_counter()))
    low, high = bounds.lower.copy(), bounds.upper.copy()
    solved: dict[str, list[str]] = {}
    for block in program.rows:
        chosen = missing[(missing >= block.offset) & (missing < block.offset + block.size)]
        if not chosen.size:
            continue
        one_sign = not program.equality[chosen].any()
        if one_sign:
            total = relaxation.extreme(chosen, -1.0)
            if total is None:
                continue
            low[chosen] = np.maximum(low[chosen], total)
            solved.setdefault(block.name, []).append(f"sum of {chosen.size} multipliers over the relaxed optimality set is at most {-total:.6g}")
        singly = 0
        for i in chosen:
            if time.perf_counter() > deadline:
                break
            least = relaxation.extreme(np.array([i]), -1.0)
            most = 0.0 if one_sign else relaxation.extreme(np.array([i]), 1.0)
            if least is None or most is None:
                break
            low[i], high[i] = max(low[i], least), min(high[i], most)
            singly += 1
        if singly:
            solved.setdefault(block.name, []).append(f"{singly} of {chosen.size} rows by a linear program each over the relaxed optimality set")
    how = dict(bounds.how)
    for name, texts in solved.items():
        how[name] = "; ".join([*([how[name]] if name in how else []), *texts])
    return replace(bounds, lower=low, upper=high, how=how)


class _Relaxation:
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
            [-program.B, program.A, sparse.csr_matrix((m, m)), None, None, None, None],
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


def with_quantity_bounds(problem: BilevelProblem, f: int, bounds: DualBounds, *, time_limit: float) -> DualBounds:
    """Add proven ranges of the quantities ``C_k'x`` that leader variables multiply, by two linear programs each.

    Only valid together with ``bounds``: the range covers every optimum that has an optimal dual within them, which is every optimum.
    """
    follower = problem.followers[f]
    deadline = time.perf_counter() + time_limit
    if not follower.cost_columns.size:
        return bounds
    relaxation = _Relaxation(problem, f, bounds, time_limit)
    by_leader = follower.program.C.tocsc()
    ranges: dict[int, tuple[float, float]] = {}
    for k in follower.cost_columns:
        weights = np.asarray(by_leader[:, [int(k)]].todense()).ravel()
        low, high = interval(sparse.csr_matrix(weights[None, :]), np.zeros(1), follower.program.lower, follower.program.upper)
        least, most = float(low[0]), float(high[0])
        for direction in (-1.0, 1.0):
            if time.perf_counter() > deadline:
                break
            found = relaxation.quantity(weights, direction)
            if found is not None:
                least, most = (max(least, found), most) if direction < 0 else (least, min(most, found))
        ranges[int(k)] = (least, most)
    return replace(bounds, quantities=ranges)
