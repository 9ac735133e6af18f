"""Put the single-level program together: one reformulation for each follower, then the leader."""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.value_cuts import cost_ceiling
from multiscale.bilevel.reformulate.lazy_data import LazyData
from multiscale.bilevel.reformulate.methods import branch_and_cut
from multiscale.bilevel.reformulate.methods.registry import REFORMULATIONS
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.leader_part import add_leader
from multiscale.bilevel.reformulate.single_level.program import SingleLevel


def assemble(problem: BilevelProblem, methods: list[str], bounds: list[DualBounds], *, rewrite_prices: bool = True) -> SingleLevel:
    """The single-level program under one method for each follower."""
    builder = SingleLevelBuilder(problem, rewrite_prices=rewrite_prices)
    for f, (method, proven) in enumerate(zip(methods, bounds, strict=True)):
        REFORMULATIONS[method].function(builder, f, proven)
    return add_leader(builder)


def assemble_lazy(
    problem: BilevelProblem, bounds: list[DualBounds], answers: list[list[np.ndarray]], gap: float, *, ceilings: bool
) -> tuple[SingleLevel, LazyData]:
    """The relaxation for branch and cut with value cuts of known answers, and what its handler needs.

    ``ceilings`` caps what value cuts charge for a binary; with several prices that has been measured to slow the tree down.
    """
    builder = SingleLevelBuilder(problem)
    for f, proven in enumerate(bounds):
        branch_and_cut.add_follower(builder, f, proven)
    leader = problem.leader
    somewhere = np.clip(0.5 * (np.maximum(leader.lower, -1e9) + np.minimum(leader.upper, 1e9)), leader.lower, leader.upper)
    planes = [cost_ceiling(leader, follower, somewhere) if ceilings else None for follower in problem.followers]
    branch_and_cut.add_value_cuts(builder, bounds, planes, answers)
    costs = [builder.cost_of[f][:3] for f in range(len(problem.followers))]
    return add_leader(builder), LazyData(bounds, planes, costs, gap)
