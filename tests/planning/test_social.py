"""The regime ``social``: least cost to society, and a revenue that recovers the cost of the network."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from multiscale.planning.regimes import Leader, Social


@pytest.fixture
def leader() -> Leader:
    """One option of 30 EUR/a that saves 50 EUR/a of operation, and a charge in EUR/kWh on 1000 kWh/a; the existing network costs 100 EUR/a."""
    model = pyo.ConcreteModel()
    model.built = pyo.Var(domain=pyo.Binary)
    model.charge = pyo.Var(bounds=(0.0, 1.0))
    return Leader(
        model=model,
        tolerance=0.01,
        existing_cost=100.0,
        investment=30.0 * model.built,
        revenue=1000.0 * model.charge,
        resource_cost=500.0 - 50.0 * model.built,
    )


def test_the_objective_is_the_real_cost_without_transfers(leader: Leader):
    Social().state(leader)
    for charge in (0.0, 1.0):
        leader.model.charge.set_value(charge)
        leader.model.built.set_value(1)
        assert pyo.value(leader.model.objective) == pytest.approx(480.0)
        leader.model.built.set_value(0)
        assert pyo.value(leader.model.objective) == pytest.approx(500.0)
    assert leader.model.objective.is_minimizing()


RECOVERING = [(1, 0.1299, False), (1, 0.13, True), (1, 0.1313, True), (1, 0.132, False), (0, 0.1, True)]


@pytest.mark.parametrize(("built", "charge", "recovers"), RECOVERING)
def test_revenue_recovers_the_cost_within_the_tolerance(leader: Leader, built: int, charge: float, recovers: bool):
    Social().state(leader)
    leader.model.built.set_value(built)
    leader.model.charge.set_value(charge)
    rows = (leader.model.recovery_low, leader.model.recovery_high)
    assert all(row.slack() >= -1e-9 for row in rows) == recovers
