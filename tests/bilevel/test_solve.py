"""Statuses, refusals, several followers, duals in the leader, ties, and what happens when SCIP's process does not survive."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.scip import client as scip_client
from multiscale.programs import ProgramBuilder
from tests.bilevel.feeder import feeder


def bard():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 10))
    m.low = pyo.Block()
    m.low.y = pyo.Var(bounds=(0, 10))
    m.low.objective = pyo.Objective(expr=m.low.y)
    m.low.c = pyo.ConstraintList()
    for row in (m.x + m.low.y >= 3, 2 * m.x - m.low.y >= 0, 2 * m.x + m.low.y <= 12, 3 * m.x - 2 * m.low.y <= 4):
        m.low.c.add(row)
    m.objective = pyo.Objective(expr=m.x - 4 * m.low.y)
    return m


def producer(m, name, cost, capacity=10.0):
    """A follower that sells at the leader's price: maximises (price - cost) q - q^2 / 2 up to a capacity."""
    block = pyo.Block()
    m.add_component(name, block)
    block.q = pyo.Var(bounds=(0, None))
    block.room = pyo.Constraint(expr=block.q <= capacity)
    block.profit = pyo.Objective(expr=(m.price - cost) * block.q - 0.5 * block.q**2, sense=pyo.maximize)
    return block


def test_values_are_loaded_into_the_model():
    m = bard()
    solution = bilevel.solve(m, [m.low], time_limit=20)
    assert (m.x.value, m.low.y.value) == pytest.approx((4.0, 4.0))
    assert solution.values["x"] == pytest.approx(4.0)
    assert "optimal" in solution.describe()


def test_two_maximising_followers_share_a_price():
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 10))
    a, b = producer(m, "a", 1.0), producer(m, "b", 2.0)
    m.need = pyo.Constraint(expr=a.q + b.q >= 5)
    m.objective = pyo.Objective(expr=m.price * (a.q + b.q))
    solution = bilevel.solve(m, [a, b], gap=1e-6, time_limit=30)
    # q = price - cost for each, so 2 price - 3 = 5.
    assert solution.status == "optimal"
    assert m.price.value == pytest.approx(4.0, abs=1e-5)
    assert (a.q.value, b.q.value) == pytest.approx((3.0, 2.0), abs=1e-5)
    assert solution.dual_of(a.room) == pytest.approx(0.0, abs=1e-6)


def test_duals_are_derivatives_of_the_followers_own_objective():
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(6, 6))
    a = producer(m, "a", 1.0, capacity=3.0)
    m.objective = pyo.Objective(expr=a.q)
    solution = bilevel.solve(m, [a], time_limit=20)
    # Profit 5 q - q^2 / 2 at q = 3: one more unit of capacity is worth 5 - 3 = 2.
    assert solution.dual_of(a.room) == pytest.approx(2.0, abs=1e-6)


def test_the_leader_may_use_a_price_of_the_followers_market():
    """A generator with market power chooses its offer quantity; the price is the dual of the market's balance."""
    m = pyo.ConcreteModel()
    m.offer = pyo.Var(bounds=(0, 10))
    m.market = pyo.Block()
    m.market.own = pyo.Var(bounds=(0, None))
    m.market.cheap = pyo.Var(bounds=(0, 4))
    m.market.dear = pyo.Var(bounds=(0, 10))
    m.market.limit = pyo.Constraint(expr=m.market.own <= m.offer)
    m.market.balance = pyo.Constraint(expr=m.market.own + m.market.cheap + m.market.dear == 9)
    m.market.cost = pyo.Objective(expr=m.market.own + 2 * m.market.cheap + 5 * m.market.dear)
    price = bilevel.dual_of(m.market.balance)
    m.objective = pyo.Objective(expr=(price - 1) * m.market.own, sense=pyo.maximize)
    solution = bilevel.solve(m, [m.market], gap=1e-6, time_limit=30)
    # Up to 5 units the dear source sets the price of 5: (5 - 1) * 5 = 20.
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(20.0, rel=1e-5)
    assert price.value == pytest.approx(5.0, abs=1e-5)


def test_ties_are_reported_for_and_against_the_leader():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 1))
    m.low = pyo.Block()
    m.low.y = pyo.Var(range(2), bounds=(0, 1))
    m.low.sum = pyo.Constraint(expr=m.low.y[0] + m.low.y[1] == 1 + m.x)
    m.low.objective = pyo.Objective(expr=m.low.y[0] + m.low.y[1])
    m.objective = pyo.Objective(expr=m.x + m.low.y[0])
    solution = bilevel.solve(m, [m.low], time_limit=20)
    assert solution.objective == pytest.approx(0.0, abs=1e-6)
    assert solution.certificate.optimistic == pytest.approx(0.0, abs=1e-6)
    assert solution.certificate.pessimistic == pytest.approx(1.0, abs=1e-6)


def test_infeasible_and_unbounded_are_distinguished():
    m = bard()
    m.never = pyo.Constraint(expr=m.low.y >= 9)
    assert bilevel.solve(m, [m.low], time_limit=20).status == "infeasible"
    m = bard()
    m.free = pyo.Var()
    m.objective.set_value(m.x - m.free)
    assert bilevel.solve(m, [m.low], time_limit=20).status == "unbounded"


def two_objectives():
    m = bard()
    m.low.second = pyo.Objective(expr=m.low.y)
    return m, [m.low], r"low.*2 active objectives.*low\.second"


def no_objective():
    m = bard()
    m.low.objective.deactivate()
    return m, [m.low], r"low.*0 active objectives"


def leader_without_objective():
    m = bard()
    m.objective.deactivate()
    return m, [m.low], r"leader has 0 active objectives"


def shared_follower_variable():
    m = bard()
    m.other = pyo.Block()
    m.other.z = pyo.Var(bounds=(0, 1))
    m.other.c = pyo.Constraint(expr=m.other.z + m.low.y <= 5)
    m.other.objective = pyo.Objective(expr=m.other.z)
    return m, [m.low, m.other], r"other.*low\.y.*follower 'low'"


def unbounded_price():
    m = pyo.ConcreteModel()
    m.price = pyo.Var()
    block = producer(m, "a", 1.0)
    m.objective = pyo.Objective(expr=block.q)
    return m, [block], r"price.*needs?|price.*bounds"


def variable_of_nobody():
    m = bard()
    m.stranger = pyo.Block()
    m.stranger.z = pyo.Var(bounds=(0, 1))
    m.stranger.objective = pyo.Objective(expr=m.stranger.z)
    return m, [], r"at least one follower"


@pytest.mark.parametrize("case", [two_objectives, no_objective, leader_without_objective, shared_follower_variable, variable_of_nobody])
def test_bad_input_is_refused_with_the_components_name(case):
    m, followers, message = case()
    with pytest.raises(bilevel.BilevelError, match=message):
        bilevel.solve(m, followers, time_limit=10)


def test_a_price_without_bounds_is_refused_by_strong_duality():
    m, followers, _ = unbounded_price()
    with pytest.raises(bilevel.BilevelError, match="price"):
        bilevel.solve(m, followers, method="strong_duality", time_limit=10)


def program_with_two_prices():
    b = ProgramBuilder("shop")
    price = b.add_parameters("price", {"good": np.array(["a", "b"])}, unit="EUR")
    demand = b.add_parameters("demand", {}, unit="1")
    buy = b.add_columns("buy", {"good": np.array(["a", "b"])}, unit="1", upper=4.0, cost=[1.0, 2.0])
    make = b.add_columns("make", {}, unit="1", cost=5.0)
    b.add_rows("need", {}, [(1.0, buy), (1.0, make)], "==", 1.0, unit="1", parameters=[(1.0, demand)])
    b.add_cost_parameter(buy, price)
    b.add_output("bought", {"good": np.array(["a", "b"])}, [(1.0, buy)], unit="1")
    return b.build()


def test_program_follower_offers_outputs_cost_and_duals():
    m = pyo.ConcreteModel()
    m.price = pyo.Var(["a", "b"], bounds=(0, 10))
    m.open = pyo.Var(domain=pyo.Binary)
    shop = bilevel.ProgramFollower(program_with_two_prices(), {"price": m.price, "demand": 4 + m.open}, model=m)
    bought = shop.output("bought")
    need = shop.dual_of("need")
    m.objective = pyo.Objective(expr=m.price["a"] * bought["a"] + m.price["b"] * bought["b"] - 1.5 * m.open, sense=pyo.maximize)
    solution = bilevel.solve(m, [shop], gap=1e-6, time_limit=30)
    # Prices rise to where making (5) is as cheap: 4 on a, 3 on b; 4 + 2 units at demand 6, 4 + 1 at demand 5.
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(4 * 4 + 3 * 2 - 1.5, rel=1e-5)
    assert m.open.value == 1
    assert shop.cost.value is None or shop.cost.value == pytest.approx(30.0)
    assert need.value is None or need.value == pytest.approx(5.0)
    assert float(solution.duals("shop", "need")) == pytest.approx(5.0, abs=1e-6)


def test_parameters_that_do_not_fit_are_refused():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 1))
    with pytest.raises(bilevel.BilevelError, match=r"missing parameters \['demand'\]"):
        bilevel.ProgramFollower(program_with_two_prices(), {"price": 1.0}, model=m)
    with pytest.raises(bilevel.BilevelError, match="shape"):
        bilevel.ProgramFollower(program_with_two_prices(), {"price": [1.0, 2.0, 3.0], "demand": 1.0}, model=m)
    shop = bilevel.ProgramFollower(program_with_two_prices(), {"price": m.x**2, "demand": 1.0}, model=m)
    m.objective = pyo.Objective(expr=shop.cost)
    with pytest.raises(bilevel.BilevelError, match="not affine"):
        bilevel.solve(m, [shop], time_limit=10)


def test_mixed_methods_give_the_same_answer():
    objectives = []
    for methods in ("sos1", "strong_duality", {"a": "sos1", "b": "strong_duality"}, {"a": "product", "b": "indicator"}):
        m = pyo.ConcreteModel()
        m.price = pyo.Var(bounds=(0, 10))
        a, b = producer(m, "a", 1.0, 2.0), producer(m, "b", 2.0)
        m.objective = pyo.Objective(expr=(7 - m.price) * (a.q + b.q), sense=pyo.maximize)
        solution = bilevel.solve(m, [a, b], method=methods, gap=1e-5, time_limit=30)
        assert solution.status == "optimal"
        objectives.append(solution.objective)
    assert objectives == pytest.approx([objectives[0]] * 4, rel=1e-4)


def test_a_killed_solver_process_is_retried():
    case = feeder(6, 24, 1, hard=True, seed=5)
    killed = []

    def kill_once():
        for _ in range(400):
            for worker in running:
                os.kill(worker.process.pid, signal.SIGKILL)
                killed.append(worker.process.pid)
                return
            threading.Event().wait(0.01)

    running: list = []
    taken = scip_client._take

    def take():
        worker = taken()
        if not killed:
            running.append(worker)
        return worker

    scip_client._take = take
    try:
        thread = threading.Thread(target=kill_once)
        thread.start()
        solution = bilevel.solve(case.model, [case.follower], gap=1e-3, time_limit=60, method="strong_duality")
        thread.join()
    finally:
        scip_client._take = taken
    assert killed
    assert solution.status == "optimal"
    assert "safe settings" in solution.message


def test_an_interrupt_keeps_the_incumbent(monkeypatch):
    case = feeder(15, 24, 3, hard=True)
    began, run_once = threading.Event(), scip_client._run_once

    def announced(task):
        began.set()
        return run_once(task)

    def interrupt():
        if began.wait(60):
            threading.Event().wait(1.0)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(scip_client, "_run_once", announced)
    timer = threading.Thread(target=interrupt)
    timer.start()
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=60, method="strong_duality", heuristic=False)
    timer.join()
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert "interrupted" in solution.message


def test_a_time_limit_gives_a_certified_point_and_a_bound():
    case = feeder(15, 24, 3, hard=True)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=3, method="strong_duality")
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert solution.bound <= solution.objective
