"""Leader terms of price times quantity: published instances, and the same optimum with and without rewriting."""

from __future__ import annotations

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.programs import CompiledProgram
from tests.bilevel.every_method import MAY_REFUSE, METHODS


def capacity_investment():
    """Conejo, Baringo, Kazempour, Siddiqui 2016, Investment in Electricity Generation and Transmission: a producer builds x MW."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 250))
    low = m.low = pyo.Block()
    low.y = pyo.Var([1, 2, 3], bounds=(0, None))
    low.balance = pyo.Constraint(expr=sum(low.y[i] for i in (1, 2, 3)) == 200)
    low.own = pyo.Constraint(expr=low.y[1] <= m.x)
    low.second = pyo.Constraint(expr=low.y[2] <= 150)
    low.third = pyo.Constraint(expr=low.y[3] <= 100)
    low.cost = pyo.Objective(expr=10 * low.y[1] + 12 * low.y[2] + 15 * low.y[3])
    price = bilevel.dual_of(low.balance)
    m.objective = pyo.Objective(expr=40_000 * m.x + 8760 * (10 * low.y[1] - price * low.y[1]))
    return m, price, -190_000.0, 15.0


def strategic_offer():
    """Fanzeres 2017, Robust Strategic Bidding in Auction-Based Markets: the offered quantity sets the price."""
    m = pyo.ConcreteModel()
    m.q = pyo.Var(bounds=(0, 100))
    low = m.low = pyo.Block()
    low.g = pyo.Var([1, 2, 3, 4], bounds=(0, None))
    low.balance = pyo.Constraint(expr=sum(low.g[i] for i in (1, 2, 3, 4)) == 100)
    low.own = pyo.Constraint(expr=low.g[1] <= m.q)
    low.room = pyo.Constraint([2, 3, 4], rule=lambda b, i: b.g[i] <= {2: 40, 3: 40, 4: 100}[i])
    low.cost = pyo.Objective(expr=50 * low.g[2] + 100 * low.g[3] + 1000 * low.g[4])
    price = bilevel.dual_of(low.balance)
    m.objective = pyo.Objective(expr=price * low.g[1], sense=pyo.maximize)
    return m, price, 20_000.0, 1000.0


def price_offer():
    """The equilibrium-price case of BilevelJuMP's tests: the offered price, with a forward position of 10 at a price of 1."""
    m = pyo.ConcreteModel()
    m.u = pyo.Var(bounds=(0, 200))
    low = m.low = pyo.Block()
    low.g = pyo.Var([1, 2, 3], bounds=(0, None))
    low.deficit = pyo.Var(bounds=(0, None))
    low.room = pyo.Constraint([1, 2, 3], rule=lambda b, i: b.g[i] <= {1: 10, 2: 15, 3: 12}[i])
    low.balance = pyo.Constraint(expr=sum(low.g[i] for i in (1, 2, 3)) + low.deficit == 26)
    low.cost = pyo.Objective(expr=m.u * low.g[1] + 2 * low.g[2] + 1.5 * low.g[3] + 100 * low.deficit)
    price = bilevel.dual_of(low.balance)
    m.objective = pyo.Objective(expr=price * low.g[1] - low.g[1] - (price - 1) * 10, sense=pyo.maximize)
    return m, price, 0.0, 2.0


@pytest.mark.parametrize("build", [capacity_investment, strategic_offer, price_offer])
def test_published_instances_with_duals_in_the_leaders_objective(build):
    applied = []
    for method, rewrite in itertools.product(METHODS, (True, False)):
        m, price, optimum, _ = build()
        try:
            solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=20, rewrite_prices=rewrite)
        except bilevel.BilevelError:
            assert method in MAY_REFUSE
            continue
        applied.append(method)
        assert solution.status == "optimal", (method, rewrite, solution.message)
        assert solution.objective == pytest.approx(optimum, rel=1e-5, abs=1e-5), (method, rewrite)
        assert solution.certificate.holds
        if build is not price_offer:
            assert price.value == pytest.approx(build()[3], rel=1e-5)
    assert {"auto", "sos1", "indicator", "product"} <= set(applied)


def nodal_market(seed, hours=2, quadratic=False):
    """A producer at one bus of a three-bus network offers prices for each hour; it earns the price of its bus."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.offer = pyo.Var(range(hours), bounds=(0, 40))
    low = m.low = pyo.Block()
    buses, hours_ = range(3), range(hours)
    lines = [(0, 1), (1, 2), (0, 2)]
    low.own = pyo.Var(hours_, bounds=(0, 60))
    low.rest = pyo.Var(buses, hours_, bounds=(0, 50))
    low.flow = pyo.Var(range(3), hours_, bounds=(-25, 25))
    low.angle = pyo.Var(buses, hours_)
    low.shed = pyo.Var(buses, hours_, bounds=(0, None))
    load = rng.uniform(10, 40, (3, hours))
    cost = rng.uniform(5, 30, 3)
    for t in hours_:
        low.angle[0, t].fix(0.0)

    def balance(b, n, t):
        net = sum(b.flow[k, t] * ((n == j) - (n == i)) for k, (i, j) in enumerate(lines))
        return b.rest[n, t] + (b.own[t] if n == 1 else 0) + b.shed[n, t] + net == load[n, t]

    low.balance = pyo.Constraint(buses, hours_, rule=balance)
    low.kirchhoff = pyo.Constraint(range(3), hours_, rule=lambda b, k, t: b.flow[k, t] == 10 * (b.angle[lines[k][0], t] - b.angle[lines[k][1], t]))
    curve = sum(0.1 * low.rest[n, t] ** 2 for n in buses for t in hours_) if quadratic else 0
    low.cost = pyo.Objective(
        expr=sum(m.offer[t] * low.own[t] + sum(cost[n] * low.rest[n, t] + 60 * low.shed[n, t] for n in buses) for t in hours_) + curve
    )
    revenue = sum(bilevel.dual_of(low.balance[1, t]) * low.own[t] for t in hours_)
    m.objective = pyo.Objective(expr=revenue - sum(12 * low.own[t] for t in hours_), sense=pyo.maximize)
    return m


@pytest.mark.parametrize("quadratic", [False, True])
def test_the_rewritten_program_has_the_same_value_at_every_follower_answer(quadratic):
    m = nodal_market(3, quadratic=quadratic)
    problem = bilevel.read_model(m, [m.low]).problem
    bounds = [bounds_for(problem, 0, "sos1", 5.0)]
    rewritten = assemble(problem, ["sos1"], bounds)
    plain = assemble(problem, ["sos1"], bounds, rewrite_prices=False)
    left = rewritten.objective
    # What is left are squares the leader wants small; no dual multiplies anything any more.
    assert (left.first == left.second).all()
    assert (left.products > 0).all()
    assert plain.objective.products.size == 2
    compiled = CompiledProgram(problem.followers[0].program)
    rng = np.random.default_rng(1)
    for _ in range(10):
        y = rng.uniform(0, 40, problem.leader.size)
        answer = compiled.solve(y)
        values = [single.objective.value(single.complete(y, [answer.x], [answer.y])) for single in (rewritten, plain)]
        assert values[0] == pytest.approx(values[1], rel=1e-6 if quadratic else 1e-9)
        assert values[0] == pytest.approx(problem.leader.objective.value(problem.joint(y, [answer.x], [answer.y])), rel=1e-6)


@pytest.mark.parametrize("seed", [3, 8])
def test_the_optimum_is_the_same_with_and_without(seed):
    values = []
    for rewrite in (True, False):
        m = nodal_market(seed, hours=1)
        solution = bilevel.solve(m, [m.low], gap=1e-7, time_limit=60, rewrite_prices=rewrite)
        assert solution.status == "optimal", solution.message
        values.append(solution.objective)
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_a_price_of_a_row_the_quantity_does_not_stand_in_stays_a_product():
    m = nodal_market(3, hours=1)
    m.objective.set_value(bilevel.dual_of(m.low.balance[0, 0]) * m.low.own[0] - 12 * m.low.own[0])
    problem = bilevel.read_model(m, [m.low]).problem
    bounds = [bounds_for(problem, 0, "sos1", 5.0)]
    assert assemble(problem, ["sos1"], bounds).objective.products.size == 1


def test_the_merchandising_surplus_of_a_network_becomes_linear():
    """Loads pay more than producers earn; the difference is the rent of the lines: bounds of the flows times their multipliers."""
    m = nodal_market(3, hours=1)
    m.offer.fix(12.0)
    m.extra = pyo.Var(bounds=(0, 1))
    low = m.low
    price = {n: bilevel.dual_of(low.balance[n, 0]) for n in range(3)}
    produced = {n: low.rest[n, 0] + low.shed[n, 0] + (low.own[0] if n == 1 else 0) for n in range(3)}
    m.surplus = pyo.Constraint(expr=sum(price[n] * produced[n] for n in range(3)) >= 5)
    m.objective.set_value(m.extra - low.own[0])
    problem = bilevel.read_model(m, [m.low]).problem
    bounds = [bounds_for(problem, 0, "sos1", 5.0)]
    rewritten, plain = assemble(problem, ["sos1"], bounds), assemble(problem, ["sos1"], bounds, rewrite_prices=False)
    assert not rewritten.curved
    assert len(plain.curved) == 1
