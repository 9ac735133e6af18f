"""At prices below zero nobody is paid for power that is not consumed."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.markets import Community
from multiscale.operation import dso_branch_program, operating_tree
from multiscale.programs import solve
from tests.variants import charged


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
