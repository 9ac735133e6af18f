"""Follower optimality by branching over the leader's integers: the tree holds the follower's primal rows only.

The single-level program keeps the follower feasible but not optimal: a relaxation. At every integer leader point SCIP visits, the
remaining problem is solved exactly (see ``lazy_handler``), its answer injected, and the point's value cut into the tree:

    eta >= v(u') - (v(u') - L) * Hamming(u, u')

with ``eta`` the leader's objective and ``L`` a bound of it everywhere. Value cuts of known answers tighten the relaxation. No bound
of a multiplier is needed for exactness. It is strong where the leader's objective values what the follower pays.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.kkt import add_primal, state_cost
from multiscale.bilevel.reformulate.conditions.value_cuts import Plane, value_cut
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.settings import Settings


class BranchAndCut(Settings):
    """Primal rows alone; optimality is enforced by value cuts and exact solutions at integer leader points."""

    kind: Literal["branch_and_cut"] = "branch_and_cut"


def add_follower(builder: SingleLevelBuilder, f: int, bounds: DualBounds) -> None:
    """Lay down the primal rows of follower ``f`` and its cost."""
    add_primal(builder, f)
    state_cost(builder, f, bounds)
    # One column for the cost keeps the many value cuts sparse.
    columns, weights, constant, none = builder.cost_of[f]
    column, factor = builder.functional(f"{builder.problem.followers[f].name} cost", columns, weights)
    builder.cost_of[f] = (np.array([column]), np.array([factor]), constant, none)


def add_value_cuts(builder: SingleLevelBuilder, bounds: list[DualBounds], ceilings: list[Plane | None], answers: list[list[np.ndarray]]) -> None:
    """Rows ``cost_f(x, y) <= a'y + b`` for known answers (one list of follower solutions each)."""
    leader = builder.problem.leader
    for answer in answers:
        for f, follower in enumerate(builder.problem.followers):
            cut = value_cut(leader, follower, bounds[f], answer[f], ceilings[f])
            if cut is None:
                continue
            columns, weights, constant, _ = builder.cost_of[f]
            own = np.flatnonzero(cut[0])
            row = sparse.csr_matrix(np.concatenate([weights, -cut[0][own]])[None, :])
            builder.add_rows(f"{follower.name} value cut", -np.inf, cut[1] - constant, [(row, np.concatenate([columns, own]))])
