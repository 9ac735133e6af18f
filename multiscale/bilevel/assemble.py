"""Put the single-level program together: one reformulation for each follower, then the leader."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multiscale.bilevel import big_m, indicator, product, sos1, strong_duality
from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.description import BilevelProblem
from multiscale.bilevel.single_level import SingleLevel, SingleLevelBuilder

Reformulation = Callable[[SingleLevelBuilder, int, DualBounds], None]

REFORMULATIONS: Mapping[str, Reformulation] = {
    "strong_duality": strong_duality.add_follower,
    "sos1": sos1.add_follower,
    "indicator": indicator.add_follower,
    "big_m": big_m.add_follower,
    "product": product.add_follower,
}
"""Ways to state that a follower is optimal. A new one is one file and one line here."""


def assemble(problem: BilevelProblem, methods: list[str], bounds: list[DualBounds]) -> SingleLevel:
    """The single-level program under one method for each follower."""
    builder = SingleLevelBuilder(problem)
    for f, (method, proven) in enumerate(zip(methods, bounds, strict=True)):
        REFORMULATIONS[method](builder, f, proven)
    return builder.add_leader()
