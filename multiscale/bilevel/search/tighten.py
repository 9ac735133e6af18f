"""Bounds of leader variables that the problem itself implies: linear programs over the relaxation without follower optimality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.solvers.linear_program import LinearProgram


def tighten_leader(problem: BilevelProblem, *, time_limit: float = 10.0) -> BilevelProblem:
    """Replace infinite bounds of leader variables that followers see by implied ones, where there are any.

    Every bilevel-feasible point satisfies the leader's linear rows and the followers' rows: the least and largest value of a
    variable over those bounds it. An infinite bound that stays infinite there is left as it is.
    """
    leader = problem.leader
    seen = np.zeros(leader.size, dtype=bool)
    for follower in problem.followers:
        seen[follower.cost_columns] = seen[follower.limit_columns] = True
    lower, upper = leader.lower.copy(), leader.upper.copy()
    wanted = np.flatnonzero(seen & (np.isinf(lower) | np.isinf(upper)))
    if not wanted.size:
        return problem
    program = relaxation(problem, time_limit)
    for k in wanted:
        costs = np.zeros(program.columns)
        costs[k] = 1.0
        if np.isinf(lower[k]):
            answer = program.solve(costs)
            if answer.status == "optimal":
                lower[k] = answer.value - 1e-6 * max(1.0, abs(answer.value))
        if np.isinf(upper[k]):
            answer = program.solve(-costs)
            if answer.status == "optimal":
                upper[k] = -answer.value + 1e-6 * max(1.0, abs(answer.value))
    whole = leader.integral
    lower[whole], upper[whole] = np.ceil(lower[whole] - 1e-5), np.floor(upper[whole] + 1e-5)
    return replace(problem, leader=replace(leader, lower=lower, upper=upper))


def friendly_decision(problem: BilevelProblem, prices: np.ndarray, at: np.ndarray, time_limit: float) -> np.ndarray | None:
    """The leader's variables if followers chose in its favour, integers relaxed and some prices held; None without an optimum.

    The objective is the leader's with every follower's cost counted at the prices held; products of other variables, nonlinear terms
    and nonlinear rows are excluded. It is a starting point, not a bound.

    Args:
        problem: the bilevel problem.
        prices: leader variables to hold.
        at: their values (a full leader vector).
        time_limit: seconds.
    """
    leader, followers = problem.leader, problem.followers
    n, q = leader.size, len(leader.quantity_names)
    starts = n + q + np.cumsum([0, *[f.program.columns.size for f in followers]])
    owner = np.concatenate([np.full(part.size, part.follower) for part in leader.quantities]) if q else np.zeros(0, dtype=np.int64)
    is_cost = np.concatenate([np.full(part.size, part.kind == "cost") for part in leader.quantities]) if q else np.zeros(0, dtype=bool)
    held = np.zeros(n, dtype=bool)
    held[prices] = True
    costs = np.zeros(int(starts[-1]))
    form = leader.objective
    terms = list(zip(form.columns.tolist(), form.coefficients.tolist(), strict=True))
    for a, b, weight in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True):
        for price, other in ((a, b), (b, a)):
            if price < n and held[price]:
                terms.append((other, weight * at[price]))
                break
    for k, weight in terms:
        if k >= n and is_cost[k - n]:
            program = followers[int(owner[k - n])].program
            costs[starts[owner[k - n]] : starts[owner[k - n] + 1]] += weight * program.costs(np.where(held, at, 0.0))
            costs[:n] += weight * program.d
        else:
            costs[k] += weight
    fixed = replace(leader, lower=np.where(held, at, leader.lower), upper=np.where(held, at, leader.upper))
    answer = relaxation(replace(problem, leader=fixed), time_limit).solve(costs)
    return answer.x[:n].copy() if answer.status == "optimal" else None


def relaxation(problem: BilevelProblem, time_limit: float) -> LinearProgram:
    """Leader variables, quantities, follower columns; linear leader rows, definitions of primal quantities, follower rows."""
    leader, followers = problem.leader, problem.followers
    n, q = leader.size, len(leader.quantity_names)
    widths = [f.program.columns.size for f in followers]
    starts = n + q + np.cumsum([0, *widths])
    total = int(starts[-1])
    rows = [sparse.hstack([leader.matrix, sparse.csr_matrix((leader.row_lower.size, total - n - q))], format="csr")]
    low, high = [leader.row_lower], [leader.row_upper]
    position = n
    for quantity in leader.quantities:
        if quantity.kind == "primal":
            pick = sparse.csr_matrix(
                (np.ones(quantity.size), (np.arange(quantity.size), position + np.arange(quantity.size))), shape=(quantity.size, total)
            )
            entries = quantity.matrix.tocoo()
            value = sparse.csr_matrix((entries.data, (entries.row, entries.col + starts[quantity.follower])), shape=(quantity.size, total))
            rows.append(pick - value)
            low.append(quantity.constant)
            high.append(quantity.constant)
        position += quantity.size
    for f, follower in enumerate(followers):
        program = follower.program
        parts = [
            -program.B,
            sparse.csr_matrix((program.rows.size, starts[f] - n)),
            program.A,
            sparse.csr_matrix((program.rows.size, total - starts[f + 1])),
        ]
        rows.append(sparse.hstack(parts, format="csr"))
        low.append(np.where(program.equality, program.b0, -np.inf))
        high.append(program.b0)
    lower = np.concatenate([leader.lower, leader.quantity_lower, *[f.program.lower for f in followers]])
    upper = np.concatenate([leader.upper, leader.quantity_upper, *[f.program.upper for f in followers]])
    return LinearProgram(sparse.vstack(rows, format="csr"), np.concatenate(low), np.concatenate(high), lower, upper, time_limit=time_limit)
