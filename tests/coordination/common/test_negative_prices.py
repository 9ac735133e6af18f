"""At prices below zero nobody is paid for power that is not consumed."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.bidirectional import negotiated_outcome
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.markets import Community, Dispatch
from multiscale.operation import dso_branch_program, operating_tree
from multiscale.programs import solve
from tests.variants import changed, charged


def test_a_dso_with_its_platforms_draws_no_more_than_they_consume(system, winter, economics, fleets):
    tree = operating_tree(system, winter, economics, fleets, charged(system.at_level("dso"), 0.0), Community())
    for dso, own in tree.distribution.items():
        solution = solve(dso_branch_program(tree, dso), {"energy_price": np.full(winter.periods, -0.2)})
        drawn = sum(solution.output(f"{child}/exchange").values for child in own.children)
        passive = system.passive(dso, winter)
        consumed = drawn + (passive.demand - passive.generation).sum("bus").values + solution.primal("curtailed").values.sum(axis=0)
        consumed -= solution.primal("unserved").values.sum(axis=0)
        np.testing.assert_allclose(solution.output("exchange").values, consumed, atol=1e-6)
        assert float(solution.primal("spilled").values.sum()) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("market", [Community(), Dispatch()], ids=lambda market: market.kind)
def test_a_negotiation_does_not_cost_less_than_the_integrated_optimum(system, winter, economics, fleets, market):
    """A DSO that was paid for curtailing what no platform feeds in ended "agreed" at a cost that no operation has.

    Where losses are counted they are paid for too: a platform draws up to the end of its program, which is within its declared band.
    """
    prices = dict.fromkeys(system.generators.generator.values.tolist(), -0.2)
    here = changed(system.cut(["north 1"]), "generators", "cost_eur_per_kwh", prices)
    tree = operating_tree(here, winter, economics, {"north 1": fleets["north 1"]}, charged(["north"], 0.0), market)
    optimum = integrated_optimum(tree)
    outcome = negotiated_outcome(tree, SerialEngine(), NegotiationOptions(gap=1e-5))
    assert not outcome.excluded
    assert outcome.energy_price["north"].min() < -0.1
    assert outcome.bound <= optimum.cost + 1e-9 * abs(optimum.cost)
    assert outcome.cost >= optimum.bound - 1e-9 * abs(optimum.cost)
