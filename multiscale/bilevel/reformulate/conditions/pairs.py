"""The complementary pairs of a follower, shared by the methods that state optimality pair by pair.

Each inequality row gives the pair (slack, multiplier), each finite bound the pair (distance to the bound, reduced cost):

    s = b0 + B y - A x >= 0,  mu = -lambda >= 0,     s mu = 0
    x - l >= 0,               r_l >= 0,              (x - l) r_l = 0
    u - x >= 0,               r_u >= 0,              (u - x) r_u = 0

A second-order cone gives one product row ``x_c'z_c <= 0`` instead of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, interval
from multiscale.bilevel.reformulate.conditions.cone_rows import add_complementarity
from multiscale.bilevel.reformulate.conditions.kkt import add_dual, add_primal, state_cost
from multiscale.bilevel.reformulate.conditions.primal_dual import add_primal_dual_inequality
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.program import Derived


@dataclass(frozen=True)
class Pairs:
    """Columns of all pairs of a follower, both sides >= 0, and upper bounds of each side (infinite where none is proven)."""

    distance: np.ndarray
    multiplier: np.ndarray
    distance_bound: np.ndarray
    multiplier_bound: np.ndarray


def add_pairs(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> Pairs:
    """Primal rows, dual rows, and a column for every side of every pair."""
    follower, leader = builder.problem.followers[f], builder.problem.leader
    program = follower.program
    x = add_primal(builder, f)
    columns = add_dual(builder, f, bounds, explicit=True)
    needs_cost = any(q.kind == "cost" and q.follower == f for q in leader.quantities)
    if needs_cost:
        state_cost(builder, f)
    add_primal_dual_inequality(builder, f, columns)
    add_complementarity(builder, follower, x, columns.reduced_coned, whole=True)
    rows = np.flatnonzero(~program.equality)
    own = np.arange(leader.size)
    slack = builder.add_columns(f"{follower.name} slack", rows.size, 0.0, np.inf)
    a, b, eye = program.A[rows], program.B[rows], sparse.identity(rows.size, format="csr")
    sources = np.concatenate([own, x])
    if rows.size:
        builder.add_rows(f"{follower.name} slack (definition)", program.b0[rows], program.b0[rows], [(a, x), (-b, own), (eye, slack)])
        builder.derived.append(Derived("positive", slack, sources, sparse.hstack([b, -a], format="csr"), program.b0[rows]))
    multiplier = builder.add_columns(f"{follower.name} multiplier", rows.size, 0.0, -bounds.lower[rows])
    if rows.size:
        builder.add_rows(f"{follower.name} multiplier (definition)", 0.0, 0.0, [(eye, multiplier), (eye, columns.multipliers[rows])])
        builder.derived.append(Derived("negative", multiplier, columns.multipliers[rows], eye, np.zeros(rows.size)))
    below = _distance(builder, follower.name, x, columns.at_lower, program.lower, 1.0)
    above = _distance(builder, follower.name, x, columns.at_upper, program.upper, -1.0)
    most = row_slack_bounds(builder, f)[rows]
    width = program.upper - program.lower
    return Pairs(
        np.concatenate([slack, below, above]),
        np.concatenate([multiplier, columns.reduced_lower, columns.reduced_upper]),
        np.concatenate([most, width[columns.at_lower], width[columns.at_upper]]),
        np.concatenate([-bounds.lower[rows], np.full(columns.at_lower.size + columns.at_upper.size, np.inf)]),
    )


def _distance(builder: SingleLevelBuilder, name: str, x: np.ndarray, chosen: np.ndarray, bound: np.ndarray, sign: float) -> np.ndarray:
    """Columns ``sign * (x - bound)``; a lower bound of zero needs no new column."""
    distance = x[chosen].copy()
    shifted = np.flatnonzero((bound[chosen] != 0) | (sign < 0))
    if shifted.size:
        new = builder.add_columns(f"{name} distance to bound", shifted.size, 0.0, np.inf)
        eye = sparse.identity(shifted.size, format="csr")
        at = sign * bound[chosen[shifted]]
        builder.add_rows(f"{name} distance to bound (definition)", -at, -at, [(eye, new), (-sign * eye, x[chosen[shifted]])])
        builder.derived.append(Derived("positive", new, x[chosen[shifted]], sign * eye, -at))
        distance[shifted] = new
    return distance


def row_slack_bounds(builder: SingleLevelBuilder, f: int) -> np.ndarray:
    """Upper bound of ``b0 + B y - A x`` over the boxes of the leader and the follower (infinite where a box is open)."""
    program, leader = builder.problem.followers[f].program, builder.problem.leader
    joined = sparse.hstack([program.B, -program.A], format="csr")
    lower, upper = np.concatenate([leader.lower, program.lower]), np.concatenate([leader.upper, program.upper])
    return interval(joined, program.b0, lower, upper)[1]
