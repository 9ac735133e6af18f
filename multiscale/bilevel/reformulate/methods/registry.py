"""The ways to state that a follower is optimal. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.methods import big_m, branch_and_cut, indicator, product, sos1, strong_duality
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.settings import Entry, registry

Reformulation = Callable[[SingleLevelBuilder, int, DualBounds], None]

REFORMULATIONS: Mapping[str, Entry[Reformulation]] = registry(
    Entry(strong_duality.StrongDuality, strong_duality.add_follower),
    Entry(sos1.Sos1, sos1.add_follower),
    Entry(indicator.Indicator, indicator.add_follower),
    Entry(big_m.BigM, big_m.add_follower),
    Entry(product.Product, product.add_follower),
    Entry(branch_and_cut.BranchAndCut, branch_and_cut.add_follower),
)
