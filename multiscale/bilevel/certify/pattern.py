"""Solve the leader's problem again with the complementary pattern of a nearly feasible point held: no pairs, products or tolerances left.

A product or strong-duality row met to a tolerance leaves both sides of a pair a little above zero. With the smaller side of each
pair fixed at zero the followers' optimality is linear, and the leader's best point of that pattern is a plain program.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.bounds.dual_bounds import no_bounds
from multiscale.bilevel.reformulate.methods.sos1 import add_follower
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.leader_part import add_leader
from multiscale.bilevel.reformulate.single_level.program import SingleLevel

LARGEST = 50_000
"""Columns of all followers together beyond which the pattern is not tried."""


def pattern_program(problem: BilevelProblem, y: np.ndarray, primal: list[np.ndarray], dual: list[np.ndarray]) -> SingleLevel | None:
    """The single-level program with the pattern of a point held; None for very large followers."""
    if sum(f.program.columns.size for f in problem.followers) > LARGEST:
        return None
    builder = SingleLevelBuilder(problem)
    for f, follower in enumerate(problem.followers):
        add_follower(builder, f, no_bounds(follower))
    single = add_leader(builder)
    v = single.complete(y, primal, dual)
    lower, upper = single.lower.copy(), single.upper.copy()
    for pairs in single.pairs:
        small = np.where(v[pairs[:, 0]] <= v[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        lower[small] = upper[small] = 0.0
    integral = np.flatnonzero(problem.leader.integral)
    lower[integral] = upper[integral] = y[integral]
    return replace(single, lower=lower, upper=upper, pairs=[])
