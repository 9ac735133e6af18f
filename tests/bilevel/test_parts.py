"""Problems whose parts meet in nothing, or in integers only: solved apart, with the answer of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.problem.parts import split
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_cutting import PriceCutting
from multiscale.bilevel.search.price_parts import PriceParts
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Responder
from tests.bilevel.feeder import TARIFF_CAP, feeder
from tests.bilevel.small import oracle, random_small
from tests.further import first


def shops(needs=(1, 2, 3), constant=0.0):
    """A shop with a price of its own in every district: the leader earns 3 for each unit of the need."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(range(len(needs)), bounds=(0, 4))

    def rule(low, i):
        low.q, low.other = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
        low.need = pyo.Constraint(expr=low.q + low.other >= needs[i])
        low.objective = pyo.Objective(expr=(low.model().price[i] + 1) * low.q + 4 * low.other)

    m.low = pyo.Block(range(len(needs)), rule=rule)
    m.objective = pyo.Objective(expr=constant + sum(m.price[i] * m.low[i].q for i in range(len(needs))), sense=pyo.maximize)
    return m


def test_parts_are_solved_apart_and_joined_with_one_certificate():
    m = shops(constant=100.0)
    solution = bilevel.solve(m, m.low, gap=1e-6, time_limit=30)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(118.0, rel=1e-6))
    assert solution.bound == pytest.approx(118.0, rel=1e-5)
    assert solution.message.startswith("3 parts")
    assert [c.name for c in solution.certificate.followers] == ["low[0]", "low[1]", "low[2]"]
    assert solution.certificate.holds
    # At a price of 3 the follower is indifferent: it may buy nothing.
    assert solution.certificate.optimistic == pytest.approx(118.0, rel=1e-6)
    assert solution.certificate.pessimistic == pytest.approx(100.0, rel=1e-6)
    assert [pyo.value(m.price[i]) for i in range(3)] == pytest.approx([3.0] * 3)
    assert solution.dual_of(m.low[1].need) == pytest.approx(4.0)


def joined_by_row(m):
    m.budget = pyo.Constraint(expr=m.price[0] + m.low[1].q + m.price[2] <= 9)


def joined_by_product(m):
    m.objective.set_value(m.objective.expr + 1e-3 * m.price[0] * m.low[1].q + 1e-3 * m.price[1] * m.price[2])


def joined_by_function(m):
    m.objective.set_value(m.objective.expr - 1e-3 * pyo.exp(m.price[0] + m.price[1] + m.price[2]))


def joined_by_follower(m):
    m.low[1].objective.set_value(m.low[1].objective.expr + m.price[0] * m.low[1].other + m.price[2] * m.low[1].other)


@pytest.mark.parametrize("join", [joined_by_row, joined_by_product, joined_by_function, joined_by_follower])
def test_what_joins_followers_keeps_them_together(join):
    m = shops()
    assert len(split(bilevel.read_model(m, m.low).problem)[0]) == 3
    join(m)
    assert split(bilevel.read_model(m, m.low).problem) is None


def test_a_part_without_an_answer_leaves_the_whole_without_one():
    m = shops()
    m.demand = pyo.Constraint(expr=m.low[1].q >= 5)
    assert bilevel.solve(m, m.low, time_limit=30).status == "infeasible"
    m = shops()
    m.free = pyo.Var()
    m.objective.set_value(m.objective.expr + m.free)
    assert bilevel.solve(m, m.low, time_limit=30).status == "unbounded"
    # Infeasible in one part and unbounded in another: infeasible.
    m.demand = pyo.Constraint(expr=m.low[2].q >= 5)
    assert bilevel.solve(m, m.low, time_limit=30).status == "infeasible"


@pytest.mark.parametrize("seeds", first(3, [(1, 2), (3, 10), (5, 13), (16, 22), (18, 24), (29, 36)]))
def test_two_random_problems_in_one_model_add_up(seeds):
    smalls = [random_small(seed, 8) for seed in seeds]
    m = pyo.ConcreteModel()
    followers, parts = [], []
    for name, small in zip("ab", smalls, strict=True):
        model, blocks = small.model()
        m.add_component(name, model)
        model.objective.deactivate()
        parts.append(model.objective.expr)
        followers += blocks
    m.objective = pyo.Objective(expr=sum(parts))
    solution = bilevel.solve(m, followers, gap=1e-6, time_limit=60)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(sum(oracle(small) for small in smalls), rel=1e-4, abs=1e-4)


# Parts that meet in integers only.


def feeders(count, nodes, hours):
    """Feeders of several years in one model, each with a charge and its own recovery of cost; lines persist."""
    m = pyo.ConcreteModel()
    lines = range(1, nodes)
    m.build, m.tariff = pyo.Var(range(count), lines, domain=pyo.Binary), pyo.Var(range(count), bounds=(0, TARIFF_CAP))
    m.recovery, m.persistence = pyo.ConstraintList(), pyo.ConstraintList()
    followers, total, stated = [], 0.0, []
    for i in range(count):
        case = feeder(nodes, hours, hard=True, growth=1.0 + 0.1 * i, pv_price=0.9**i)
        built = [m.build[i, k] for k in lines]
        follower = bilevel.ProgramFollower(case.program, {"tariff": [m.tariff[i]], "built": built}, model=m, name=f"year{i}")
        revenue = m.tariff[i] * follower.output("import_energy")[0]
        spent = sum(float(cost) * b for cost, b in zip(case.investment, built, strict=True))
        m.recovery.add(revenue >= case.base + spent)
        total = total + 0.8**i * (spent + follower.cost - revenue)
        for k in lines if i else ():
            m.persistence.add(m.build[i, k] >= m.build[i - 1, k])
        followers.append(follower)
        stated.append(bilevel.TreeNode(i, case.model, [case.follower], i - 1 if i else None, 1.0, 0.8**i))
    m.objective = pyo.Objective(expr=total)
    return m, followers, stated


def test_three_followers_with_a_charge_each_are_three_prices_not_nine():
    m, followers, _ = feeders(3, 4, 4)
    problem = bilevel.read_model(m, followers).problem
    assert split(problem) is None
    search = DecisionSearch(problem)
    assert isinstance(search.exact, PriceParts)
    assert search.exact.applies
    # As one search over all prices: three pairs of a price and a follower that pays it.
    assert PriceCutting(problem, Responder(problem)).applies


def test_prices_found_apart_are_those_found_together():
    m, followers, _ = feeders(2, 4, 4)
    problem = bilevel.read_model(m, followers).problem
    apart, together = DecisionSearch(problem).exact, PriceCutting(problem, Responder(problem))
    rng = np.random.default_rng(3)
    for _ in range(4):
        y = np.where(problem.leader.integral, rng.integers(0, 2, problem.leader.size), 0.1)
        for k in range(1, 4):
            # What the second year has, the first may have.
            names = problem.leader.names
            y[names.index(f"build[1,{k}]")] = max(y[names.index(f"build[{i},{k}]")] for i in (0, 1))
        one, other = apart.solve(y, gap=1e-5), together.solve(y, gap=1e-5)
        if one.response is None or other.response is None:
            assert one.response is other.response
            continue
        assert one.response.objective == pytest.approx(other.response.objective, rel=1e-4)
        assert one.bound <= other.response.objective * (1 + 1e-4)


def test_a_bound_that_contradicts_the_point_is_no_answer(monkeypatch):
    m, followers, _ = feeders(2, 4, 4)
    search = DecisionSearch(bilevel.read_model(m, followers).problem)
    y = search.clipped(np.zeros(search.problem.leader.size))
    known = search.exact.solve(y, gap=1e-5)
    assert known.bound <= known.response.objective + 1e-6 * abs(known.response.objective)
    before = PriceSearch.solve
    raised = 1e-3 * abs(known.response.objective)
    monkeypatch.setattr(PriceSearch, "solve", lambda *a, **b: replace(found := before(*a, **b), bound=found.bound + raised))
    assert DecisionSearch(search.problem).exact.solve(y, gap=1e-5) is None


def test_several_followers_under_recovery_give_the_answer_of_the_tree():
    m, followers, nodes = feeders(3, 5, 6)
    solution = bilevel.solve(m, followers, gap=1e-4, time_limit=60)
    tree = bilevel.solve_tree(nodes, ["build"], gap=1e-4, time_limit=60)
    assert (solution.status, tree.status) == ("optimal", "optimal"), solution.message + tree.message
    assert solution.objective == pytest.approx(tree.objective, rel=3e-4)


def test_objectives_that_cancel_are_closed_to_the_gap_of_their_sum():
    """Parts of about 10 each, a whole of 1 % of that: a gap of 1 % of the whole is 0.01 % of the parts."""
    m, followers, _ = feeders(2, 5, 6)
    m.persistence.deactivate()
    whole = bilevel.solve(m, followers, gap=1e-4, time_limit=60).objective
    m.objective.set_value(m.objective.expr - 0.99 * whole)
    solution = bilevel.solve(m, followers, gap=1e-2, time_limit=60)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(0.01 * whole, rel=0.02)
    assert abs(solution.objective - solution.bound) <= 1e-2 * abs(solution.objective) + 1e-5


@pytest.mark.parametrize("gap", [0.0, 1e-3])
def test_an_absolute_gap_ends_the_search_however_small_the_objective(gap: float):
    m, followers, _ = feeders(2, 5, 6)
    m.persistence.deactivate()
    whole = bilevel.solve(m, followers, gap=1e-6, time_limit=60).objective
    m.objective.set_value(m.objective.expr - whole)
    solution = bilevel.solve(m, followers, gap=gap, absolute_gap=0.002 * whole, time_limit=60)
    assert solution.status == "optimal", solution.message
    # Relative to an objective of zero no gap is closed: the absolute one ended the search, before its end.
    assert 1e-4 * whole < abs(solution.objective - solution.bound) <= 0.002 * whole + 1e-5
    assert solution.bound <= 1e-5 * whole


def test_a_row_without_variables_counts_in_a_problem_of_parts():
    m = shops()
    m.never = pyo.Constraint(expr=0 * m.price[0] >= 5)
    assert bilevel.solve(m, m.low, time_limit=30).status == "infeasible"
