"""What is refused, with the component's name; infeasible and unbounded problems; followers that meet in leader variables; nonlinear leaders."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.optimize import minimize_scalar

from multiscale import bilevel


def shop(sense=pyo.minimize):
    """A follower buys at least 3 at price + 1, at most 10; the leader earns price times quantity."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 4))
    low = m.low = pyo.Block()
    low.q, low.other = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
    low.need = pyo.Constraint(expr=low.q + low.other >= 3)
    cost = (m.price + 1) * low.q + 4 * low.other
    low.objective = pyo.Objective(expr=cost if sense == pyo.minimize else -cost, sense=sense)
    m.objective = pyo.Objective(expr=m.price * low.q, sense=pyo.maximize)
    return m


def integer_variable(m):
    m.low.q.domain = pyo.Integers


def concave_cost(m):
    m.low.objective.set_value(-(m.low.q**2) + m.price * m.low.q)


def convex_gain(m):
    m.low.objective.set_value(m.low.q**2 - m.price * m.low.q)
    m.low.objective.sense = pyo.maximize


def two_objectives(m):
    m.low.second = pyo.Objective(expr=m.low.q)


def no_objective(m):
    m.low.del_component(m.low.objective)


def nonlinear_cost(m):
    m.low.objective.set_value(pyo.exp(m.low.q) + m.price * m.low.q)


def nonlinear_row(m):
    m.low.bad = pyo.Constraint(expr=pyo.exp(m.low.q) <= 5)


def equation_of_squares(m):
    m.low.bad = pyo.Constraint(expr=m.low.q**2 == 4)


def complementarity(m):
    from pyomo.mpec import Complementarity, complements

    m.low.bad = Complementarity(expr=complements(m.low.q >= 0, m.low.other >= 0))


def price_times_quantity_in_a_row(m):
    m.low.bad = pyo.Constraint(expr=m.price * m.low.q <= 5)


def unbounded_below(m):
    m.low.q.setlb(None)
    m.low.other.setub(None)


def unbounded_at_every_price(m):
    m.low.gift = pyo.Var(bounds=(0, None))
    m.low.objective.set_value(m.low.objective.expr + (m.price - 9) * m.low.gift)


def crossed_leader_bounds(m):
    m.price.setlb(5)


def disjunction(m):
    from pyomo.gdp import Disjunct

    m.low.bad = Disjunct()
    m.low.bad.c = pyo.Constraint(expr=m.low.q >= 5)


def leader_disjunction(m):
    from pyomo.gdp import Disjunct

    m.bad = Disjunct()
    m.bad.c = pyo.Constraint(expr=m.price <= 1)


def leader_function(m):
    m.bad = pyo.Constraint(expr=pyo.tan(m.price) <= 1)


REFUSED = {
    integer_variable: r"'low'.*low\.q is Integers",
    concave_cost: r"'low'.*not convex.*low\.q",
    convex_gain: r"'low'.*not concave \(it maximises\).*low\.q",
    two_objectives: r"'low' has 2 active objectives.*low\.objective.*low\.second",
    no_objective: r"'low' has 0 active objectives",
    nonlinear_cost: r"'low'.*low\.objective is neither linear nor quadratic in low\.q",
    nonlinear_row: r"'low'.*low\.bad is neither linear nor quadratic",
    equation_of_squares: r"'low'.*low\.bad is quadratic and an equation",
    complementarity: r"'low'.*low\.bad is a .*Complementarity",
    disjunction: r"'low'.*low\.bad is a Disjunct",
    leader_disjunction: r"leader component bad is a Disjunct",
    price_times_quantity_in_a_row: r"'low'.*low\.bad multiplies its variable low\.q by the leader variable price, which is not an integer",
    unbounded_at_every_price: r"'low' is unbounded at every leader decision: it minimises without limit along .*low\.gift",
    crossed_leader_bounds: r"price has lower bound 5 above upper bound 4",
    leader_function: r"bad uses 'tan'",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_refusals_name_the_component(change):
    m = shop()
    change(m)
    with pytest.raises(bilevel.BilevelError, match=f"(?s){REFUSED[change]}"):
        bilevel.solve(m, [m.low], time_limit=20)


@pytest.mark.parametrize("where", ["row", "cost"])
def test_a_variable_of_another_follower_is_refused_as_a_nash_problem(where):
    m = shop()
    m.rival = pyo.Block()
    m.rival.z = pyo.Var(bounds=(0, 5))
    if where == "row":
        m.rival.shared = pyo.Constraint(expr=m.rival.z + m.low.q <= 6)
    m.rival.objective = pyo.Objective(expr=m.rival.z * (m.low.q if where == "cost" else 1))
    # Rows that hold a rival's variable move the feasible set: generalised. Costs alone do not.
    name, what = ("shared", "a generalised Nash problem") if where == "row" else ("objective", "a Nash equilibrium of followers")
    with pytest.raises(bilevel.BilevelError, match=rf"'rival': rival\.{name} uses low\.q.*'low'.*this is {what}"):
        bilevel.solve(m, [m.low, m.rival], time_limit=10)


@pytest.mark.parametrize("method", ["strong_duality", "branch_and_cut"])
def test_an_unbounded_leader_variable_in_a_product_is_refused_by_name(method):
    m = shop()
    m.price.setub(None)
    with pytest.raises(bilevel.BilevelError, match=r"price enters the costs of follower 'low'.*\[0, inf\]"):
        bilevel.solve(m, [m.low], method=method, time_limit=10)


def test_a_maximising_follower_is_the_minimising_one_with_its_sign_turned():
    solutions = []
    for sense in (pyo.minimize, pyo.maximize):
        m = shop(sense)
        solutions.append(bilevel.solve(m, [m.low], gap=1e-6, time_limit=20))
        assert solutions[-1].dual_of(m.low.need) == pytest.approx(4.0 if sense == pyo.minimize else -4.0, abs=1e-5)
    # At a price of 3 both sources cost 4.
    assert [s.objective for s in solutions] == pytest.approx([9.0, 9.0], rel=1e-5)


@pytest.mark.parametrize("method", ["auto", "sos1", "strong_duality", "product", "indicator"])
def test_a_pair_that_cannot_be_met_is_infeasible(method):
    m = shop()
    m.demand = pyo.Constraint(expr=m.low.q >= 5)
    assert bilevel.solve(m, [m.low], method=method, time_limit=20).status == "infeasible"
    m = shop()
    m.low.never = pyo.Constraint(expr=m.low.q + m.low.other >= 50)
    assert bilevel.solve(m, [m.low], method=method, time_limit=20).status == "infeasible"


@pytest.mark.parametrize("method", ["auto", "sos1", "strong_duality", "product"])
def test_a_leader_without_limit_is_unbounded(method):
    m = shop()
    m.free = pyo.Var()
    m.objective.set_value(m.price * m.low.q + m.free)
    assert bilevel.solve(m, [m.low], method=method, time_limit=20).status == "unbounded"


def test_infeasible_and_unbounded_together_is_infeasible():
    m = shop()
    m.free = pyo.Var()
    m.demand = pyo.Constraint(expr=m.low.q >= 5)
    m.objective.set_value(m.price * m.low.q + m.free)
    assert bilevel.solve(m, [m.low], time_limit=20).status == "infeasible"


def test_a_follower_unbounded_at_some_decisions_is_kept_at_the_others():
    m = shop()
    m.low.gift = pyo.Var(bounds=(0, None))
    m.low.objective.set_value(m.low.objective.expr + (m.price - 2) * m.low.gift)
    m.objective.set_value(m.price * m.low.q + m.low.gift)
    m.objective.sense = pyo.minimize
    m.price.setub(2.5)
    # Below a price of 2 the gift has no end; at 2 it is free and the leader wants none.
    solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=20)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(6.0, rel=1e-5)


def test_rivals_in_equilibrium_meet_in_the_leaders_price_only():
    """Cournot-like: two followers answer the same price and capacity right; the leader clears total quantity 4 at least price."""
    m = pyo.ConcreteModel()
    m.price, m.right = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 3))
    for name, cost in (("a", 1.0), ("b", 2.0)):
        block = pyo.Block()
        m.add_component(name, block)
        block.q = pyo.Var(bounds=(0, None))
        block.room = pyo.Constraint(expr=block.q <= (m.right if name == "a" else 3 - m.right))
        block.profit = pyo.Objective(expr=(m.price - cost) * block.q - 0.5 * block.q**2, sense=pyo.maximize)
    m.need = pyo.Constraint(expr=m.a.q + m.b.q >= 2.5)
    m.objective = pyo.Objective(expr=m.price)
    solution = bilevel.solve(m, [m.a, m.b], gap=1e-6, time_limit=30)
    # q_a = p - 1, q_b = p - 2 within their rights: 2 p - 3 = 2.5.
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(2.75, abs=1e-4)


def quantity(p):
    """What the shop's follower buys at a price: all three below 3."""
    return np.where(p < 3, 3.0, 0.0)


NONLINEAR = {
    "exp": (lambda m: m.price * m.low.q - 0.1 * pyo.exp(m.price), lambda p: p * quantity(p) - 0.1 * np.exp(p)),
    "log": (lambda m: pyo.log(1 + m.price) * 4 - m.price + 0 * m.low.q, lambda p: 4 * np.log(1 + p) - p),
    "square": (lambda m: m.price * m.low.q - (m.price - 1) ** 2, lambda p: p * quantity(p) - (p - 1) ** 2),
    "product": (lambda m: m.price * m.low.q - 2 * m.price * m.extra, lambda p: p * quantity(p) - p),
    "quotient": (lambda m: m.price * m.low.q / (1 + m.price), lambda p: p * quantity(p) / (1 + p)),
    "root": (lambda m: pyo.sqrt(m.price + 0.01) + 0 * m.low.q - 0.2 * m.price, lambda p: np.sqrt(p + 0.01) - 0.2 * p),
}


@pytest.mark.parametrize("term", NONLINEAR)
def test_nonlinear_leader_terms_agree_with_a_fine_search(term):
    expression, value = NONLINEAR[term]
    m = shop()
    m.extra = pyo.Var(bounds=(0.5, 2))
    m.price.setub(2.9)
    m.objective.set_value(expression(m))
    best = minimize_scalar(lambda p: -value(p), bounds=(0, 2.9), method="bounded", options={"xatol": 1e-9})
    exact = max(-best.fun, float(value(np.array(2.9))), float(value(np.array(0.0))))
    solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=30)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(exact, rel=1e-5)


def test_a_nonlinear_leader_row_holds():
    m = shop()
    m.limit = pyo.Constraint(expr=m.price * pyo.exp(0.1 * m.low.q) <= 3)
    solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=30)
    assert solution.status == "optimal", solution.message
    # The follower buys 3 below a price of 3.
    assert solution.objective == pytest.approx(9 / np.exp(0.3), rel=1e-5)


def test_a_follower_without_variables_of_its_own_is_refused_by_name():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 1))
    m.low = pyo.Block()
    m.low.cost = pyo.Objective(expr=m.x)
    m.objective = pyo.Objective(expr=-m.x)
    with pytest.raises(bilevel.BilevelError, match="follower 'low' has no variables of its own"):
        bilevel.solve(m, [m.low])
