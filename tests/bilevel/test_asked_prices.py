"""Prices that bring about a mixture of answers that tie, found from the mixture."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.search.asked_prices import asked_prices
from multiscale.bilevel.search.decision_search import DecisionSearch


def two_taxes(least: float) -> tuple[pyo.ConcreteModel, pyo.Block]:
    """A customer buys from three suppliers, of which two are taxed; a row of the leader is on what the third sells and emits."""
    model = pyo.ConcreteModel()
    model.tax = pyo.Var([0, 1], bounds=(0, 10))
    model.customer = pyo.Block()
    model.customer.x = pyo.Var([0, 1, 2], bounds=(0, 3))
    x = model.customer.x
    model.customer.demand = pyo.Constraint(expr=x[0] + x[1] + x[2] == 4)
    model.customer.cost = pyo.Objective(expr=(1 + model.tax[0]) * x[0] + (2 + model.tax[1]) * x[1] + 5 * x[2])
    model.share = pyo.Constraint(expr=x[2] >= least)
    model.budget = pyo.Constraint(expr=model.tax[0] * x[0] + model.tax[1] * x[1] <= 8)
    model.objective = pyo.Objective(expr=x[0] + 2 * x[1] + 5 * x[2])
    return model, model.customer


def test_a_mixture_leads_to_the_prices_at_which_it_ties():
    model, customer = two_taxes(0.7)
    problem = bilevel.read_model(model, [customer]).problem
    search = DecisionSearch(problem)
    x = np.array([3.0, 0.3, 0.7])
    y = asked_prices(problem, np.zeros(problem.leader.size), [x], search.prices, search.responder.own)
    assert y is not None
    taxes = dict(zip(problem.leader.names, y.tolist(), strict=True))
    # The second and third supplier tie where the tax makes up for the difference of their costs; the first sells all it can.
    assert taxes["tax[1]"] == pytest.approx(3.0, abs=1e-7)
    assert taxes["tax[0]"] <= 4.0 + 1e-7
    response = search.try_answers(np.zeros(problem.leader.size), [x])
    assert response is not None
    assert response.violation[0] <= 1e-9
    assert response.objective == pytest.approx(3.0 + 0.6 + 3.5)


@pytest.mark.parametrize(("least", "cost"), [(0.2, 5.6), (0.7, 7.1), (1.5, 12.0)])
def test_the_least_cost_under_a_row_that_only_a_mixture_meets(least: float, cost: float):
    """As long as the first sells its 3, it need not be taxed; else the first two tie with the third at taxes of 4 and 3, and the budget binds."""
    model, customer = two_taxes(least)
    solution = bilevel.solve(model, [customer], gap=1e-6)
    assert solution.status is bilevel.Status.OPTIMAL
    assert solution.objective == pytest.approx(cost, rel=1e-6)
