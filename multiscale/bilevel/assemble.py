"""Put the single-level program together: one reformulation for each follower, then the leader."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from multiscale.bilevel import big_m, branch_and_cut, indicator, product, sos1, strong_duality
from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.description import BilevelProblem
from multiscale.bilevel.lazy_data import LazyData
from multiscale.bilevel.single_level import SingleLevel, SingleLevelBuilder
from multiscale.bilevel.value_cuts import cost_ceiling

Reformulation = Callable[[SingleLevelBuilder, int, DualBounds], None]

REFORMULATIONS: Mapping[str, Reformulation] = {
    "strong_duality": strong_duality.add_follower,
    "sos1": sos1.add_follower,
    "indicator": indicator.add_follower,
    "big_m": big_m.add_follower,
    "product": product.add_follower,
    "branch_and_cut": branch_and_cut.add_follower,
}
"""Ways to state that a follower is optimal. A new one is one file and one line here."""


def assemble(problem: BilevelProblem, methods: list[str], bounds: list[DualBounds]) -> SingleLevel:
    """The single-level program under one method for each follower."""
    builder = SingleLevelBuilder(problem)
    for f, (method, proven) in enumerate(zip(methods, bounds, strict=True)):
        REFORMULATIONS[method](builder, f, proven)
    return builder.add_leader()


def assemble_lazy(problem: BilevelProblem, bounds: list[DualBounds], answers: list[list[np.ndarray]], gap: float) -> tuple[SingleLevel, LazyData]:
    """The relaxation for branch and cut with value cuts of known answers, and what its handler needs."""
    builder = SingleLevelBuilder(problem)
    for f, proven in enumerate(bounds):
        branch_and_cut.add_follower(builder, f, proven)
    leader = problem.leader
    somewhere = np.clip(0.5 * (np.maximum(leader.lower, -1e9) + np.minimum(leader.upper, 1e9)), leader.lower, leader.upper)
    ceilings = [cost_ceiling(leader, follower, somewhere) for follower in problem.followers]
    branch_and_cut.add_value_cuts(builder, bounds, ceilings, answers)
    costs = [builder.cost_of[f][:3] for f in range(len(problem.followers))]
    return builder.add_leader(), LazyData(bounds, ceilings, costs, gap)
