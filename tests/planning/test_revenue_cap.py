"""The regime ``revenue_cap``: profit of the operator, and a cap on its revenue that does not grow with what is built."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from multiscale.planning.regimes import Leader
from multiscale.planning.regimes.revenue_cap import RevenueCap


@pytest.fixture
def leader() -> Leader:
    """One option of 30 EUR/a that ends 20 kWh/a of unserved energy, and a charge in EUR/kWh on 1000 kWh/a; the existing network costs 100 EUR/a."""
    model = pyo.ConcreteModel()
    model.built = pyo.Var(domain=pyo.Binary)
    model.charge = pyo.Var(bounds=(0.0, 1.0))
    return Leader(
        model=model,
        tolerance=0.01,
        existing_cost=100.0,
        investment=30.0 * model.built,
        revenue=1000.0 * model.charge,
        unserved=lambda: 20.0 * (1 - model.built),
    )


@pytest.mark.parametrize(("built", "profit"), [(0, 120.0 - 100.0 - 2.0 * 20.0), (1, 120.0 - 130.0)])
def test_the_objective_is_minus_the_profit_after_penalties(leader: Leader, built: int, profit: float):
    RevenueCap(unserved_penalty=2.0).state(leader)
    leader.model.built.set_value(built)
    leader.model.charge.set_value(0.12)
    assert pyo.value(leader.model.objective) == pytest.approx(-profit)


@pytest.mark.parametrize("built", [0, 1])
def test_the_cap_is_that_of_the_existing_network_whatever_is_built(leader: Leader, built: int):
    """100 EUR/a, 4 % inflation less 1 % efficiency: 103 EUR/a."""
    RevenueCap(inflation=0.04, efficiency=0.01).state(leader)
    leader.model.built.set_value(built)
    leader.model.charge.set_value(0.103)
    assert leader.model.revenue_cap.slack() == pytest.approx(0.0, abs=1e-9)
    assert not RevenueCap().recovers_cost
