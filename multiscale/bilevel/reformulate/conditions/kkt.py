"""Primal and dual feasibility of a follower as rows, shared by every reformulation.

    A x - B y  (= or <=)  b0                          primal rows, dual lambda (free or <= 0: sensitivities of the optimum)
    Q x + c0 + C y - A' lambda - r_l + r_u - z = 0    stationarity, r_l >= 0 at lower bounds, r_u >= 0 at upper bounds
    x_h >= ||x_t||,  z_h >= ||z_t||                   for every second-order cone of the follower

A reduced cost that multiplies a bound of zero, and needs no complementarity of its own, is left implicit: the equation
becomes an inequality and a column is saved.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Follower
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.cone_rows import add_cones
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived, FollowerColumns


def add_primal(builder: SingleLevelBuilder, f: int) -> np.ndarray:
    """Columns and rows of the follower's own program; returns the columns."""
    follower = builder.problem.followers[f]
    program, name = follower.program, follower.name
    x = builder.add_columns(f"{name} x", program.columns.size, program.lower, program.upper)
    builder.primal[f] = x
    if program.rows.size:
        leader = np.arange(builder.problem.leader.size)
        below = np.where(program.equality, program.b0, -np.inf)
        builder.add_rows(f"{name} rows", below, program.b0, [(program.A, x), (-program.B, leader)])
    if follower.cones:
        add_cones(builder, f"{name} cone", x[follower.cone_columns], [cone.size for cone in follower.cones])
    return x


def add_dual(builder: SingleLevelBuilder, f: int, bounds: DualBounds, *, explicit: bool) -> FollowerColumns:
    """Multipliers, reduced costs and stationarity; ``explicit`` makes a column of every reduced cost."""
    follower = builder.problem.followers[f]
    program, name, x = follower.program, follower.name, builder.primal[f]
    leader = np.arange(builder.problem.leader.size)
    multipliers = builder.add_columns(f"{name} dual", program.rows.size, bounds.lower, bounds.upper)
    builder.dual[f] = multipliers
    fixed = np.flatnonzero(program.lower == program.upper)
    has_lower = np.isfinite(program.lower) & (program.lower < program.upper)
    has_upper = np.isfinite(program.upper) & (program.lower < program.upper)
    show_lower = has_lower & (explicit | (program.lower != 0))
    show_upper = has_upper & (explicit | (program.upper != 0))
    at_lower, at_upper = np.flatnonzero(show_lower), np.flatnonzero(show_upper)
    reduced_lower = builder.add_columns(f"{name} reduced cost at lower bound", at_lower.size, 0.0, np.inf)
    reduced_upper = builder.add_columns(f"{name} reduced cost at upper bound", at_upper.size, 0.0, np.inf)
    reduced_fixed = builder.add_columns(f"{name} reduced cost of fixed column", fixed.size, -np.inf, np.inf)
    coned = follower.cone_columns
    reduced_coned = builder.add_columns(f"{name} cone multiplier", coned.size, -np.inf, np.inf)
    n = program.columns.size
    parts: list[tuple[sparse.spmatrix, np.ndarray]] = [(program.C, leader), (-program.A.T, multipliers)]
    if program.Q is not None:
        parts.append((program.Q, x))
    stationarity = [
        *parts,
        (-_selection(n, at_lower), reduced_lower),
        (_selection(n, at_upper), reduced_upper),
        (-_selection(n, fixed), reduced_fixed),
        (-_selection(n, coned), reduced_coned),
    ]
    implicit_lower, implicit_upper = has_lower & ~show_lower, has_upper & ~show_upper
    below = np.where(implicit_upper, -np.inf, -program.c0)
    above = np.where(implicit_lower, np.inf, -program.c0)
    builder.add_rows(f"{name} stationarity", below, above, stationarity)
    groups = [(at_lower, reduced_lower, "positive"), (at_upper, reduced_upper, "negative")]
    groups += [(fixed, reduced_fixed, "linear"), (coned, reduced_coned, "linear")]
    _derive_reduced_costs(builder, follower, parts, groups)
    if follower.cones:
        add_cones(builder, f"{name} dual cone", reduced_coned, [cone.size for cone in follower.cones])
    builder.conditions[f] = columns = FollowerColumns(
        x, multipliers, at_lower, reduced_lower, at_upper, reduced_upper, fixed, reduced_fixed, coned, reduced_coned
    )
    return columns


def _derive_reduced_costs(
    builder: SingleLevelBuilder, follower: Follower, parts: list[tuple[sparse.spmatrix, np.ndarray]], groups: list[tuple[np.ndarray, np.ndarray, str]]
) -> None:
    matrix = sparse.hstack([part for part, _ in parts], format="csr")
    sources = np.concatenate([columns for _, columns in parts])
    for chosen, columns, rule in groups:
        if chosen.size:
            builder.derived.append(Derived(rule, columns, sources, matrix[chosen], follower.program.c0[chosen]))


def _selection(size: int, chosen: np.ndarray) -> sparse.csr_matrix:
    """Matrix that puts entry ``k`` on row ``chosen[k]``."""
    return sparse.csr_matrix((np.ones(chosen.size), (chosen, np.arange(chosen.size))), shape=(size, chosen.size))


def state_cost(builder: SingleLevelBuilder, f: int, bounds: DualBounds | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The follower's cost ``c0'x + sum_k y_k (C_k'x) + d0 + d'y (+ 1/2 x'Qx)`` as a functional of columns, kept for the leader.

    One product for each leader variable in the costs: ``y_k`` times the aggregated quantity ``C_k'x``.

    Returns:
        Columns and weights of ``c0'x + sum_k y_k (C_k'x)``.
    """
    follower = builder.problem.followers[f]
    program, x = follower.program, builder.primal[f]
    used = np.flatnonzero(program.c0)
    columns, weights = [x[used]], [program.c0[used]]
    by_leader = program.C.tocsc()
    for k in follower.cost_columns:
        part = slice(by_leader.indptr[k], by_leader.indptr[k + 1])
        name = f"{follower.name} quantity of {builder.problem.leader.names[k]}"
        quantity, factor = builder.functional(name, x[by_leader.indices[part]], by_leader.data[part])
        if bounds is not None and int(k) in bounds.quantities:
            ends = sorted(end / factor for end in bounds.quantities[int(k)])
            builder.narrow(quantity, ends[0], ends[1])
        columns.append(np.array([builder.product(f"{name} (value)", int(k), quantity)]))
        weights.append(np.array([factor]))
    all_columns, all_weights = np.concatenate(columns), np.concatenate(weights)
    own = np.flatnonzero(program.d)
    first, second, square = curvature_terms(program.Q, x, 0.5)
    builder.cost_of[f] = (np.concatenate([all_columns, own]), np.concatenate([all_weights, program.d[own]]), program.d0, (first, second, square))
    return all_columns, all_weights


def row_scale(follower: Follower) -> float:
    """What rows of complementarity are multiplied by: a residual ``e`` moves the answer by ``sqrt(e)``, and SCIP's tolerance is absolute.

    Answers of conic followers come from an interior-point method and are themselves no more exact than 1e-8.
    """
    return 1e2 if follower.cones else 1e5


def curvature_terms(matrix: sparse.csr_matrix | None, x: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products ``factor * x'Qx`` with each pair named once."""
    if matrix is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    lower = sparse.tril(matrix).tocoo()
    weights = np.where(lower.row == lower.col, factor, 2 * factor) * lower.data
    return x[lower.row], x[lower.col], weights
