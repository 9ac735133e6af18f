"""Published instances give their published optima, in every method that applies."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from tests.bilevel.published import INSTANCES, NON_CONVEX, Published, box
from tests.bilevel.published_textbook import TEXTBOOK

METHODS = ("auto", "sos1", "indicator", "product", "strong_duality", "big_m", "branch_and_cut")


@pytest.mark.parametrize("instance", INSTANCES + TEXTBOOK, ids=lambda instance: instance.name)
def test_published_optimum_in_every_method(instance):
    applied = 0
    for method in METHODS:
        model, lower = instance.model()
        try:
            solution = bilevel.solve(model, [lower], method=method, gap=1e-5, time_limit=20)
        except bilevel.BilevelError:
            # These refuse what they have no proof for; the others take everything here.
            assert method in ("strong_duality", "big_m", "branch_and_cut")
            continue
        applied += 1
        if instance.optimum is None:
            assert solution.status == "infeasible", method
            continue
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(instance.optimum, rel=instance.tolerance, abs=instance.tolerance), method
        assert solution.certificate.holds
        assert solution.certificate.follower_gap <= 1e-6
    assert applied >= 4


@pytest.mark.parametrize("instance", NON_CONVEX, ids=lambda instance: instance.name)
def test_followers_without_duals_are_refused_by_name(instance):
    model, lower = instance.model()
    with pytest.raises(bilevel.BilevelError, match="lower"):
        bilevel.solve(model, [lower], time_limit=10)


def test_moore_and_bards_integer_follower_is_refused_and_its_integer_leader_solved():
    rows = ("20*y - 25*x <= 30", "2*y + x <= 10", "-y + 2*x <= 15", "10*y + 2*x >= 15")
    for integer, refused in (("y", True), ("x", False)):
        instance = Published("mb_1990", "Moore and Bard 1990", box("x"), box("y"), "-10*y - x", "y", rows, kinds={integer: pyo.Integers})
        for method in METHODS[:5]:
            model, lower = instance.model()
            if refused:
                with pytest.raises(bilevel.BilevelError, match="continuous"):
                    bilevel.solve(model, [lower], method=method)
                continue
            try:
                solution = bilevel.solve(model, [lower], method=method, gap=1e-6, time_limit=20)
            except bilevel.BilevelError:
                assert method == "strong_duality"
                continue
            assert solution.objective == pytest.approx(-18.0, rel=1e-6)


def conejo():
    """Investment of a producer paid the market's price (Conejo, Baringo, Kazempour and Siddiqui 2016)."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 250))
    low = m.low = pyo.Block()
    low.y = pyo.Var(range(3), bounds=(0, None))
    low.balance = pyo.Constraint(expr=low.y[0] + low.y[1] + low.y[2] == 200)
    low.own = pyo.Constraint(expr=low.y[0] <= m.x)
    low.second = pyo.Constraint(expr=low.y[1] <= 150)
    low.third = pyo.Constraint(expr=low.y[2] <= 100)
    low.cost = pyo.Objective(expr=10 * low.y[0] + 12 * low.y[1] + 15 * low.y[2])
    price = bilevel.dual_of(low.balance)
    m.cost = pyo.Objective(expr=40_000 * m.x + 8760 * (10 * low.y[0] - price * low.y[0]))
    return m, -190_000.0


def fanzeres():
    """Quantity bid of a producer paid the market's price (Fanzeres 2017)."""
    m = pyo.ConcreteModel()
    m.q = pyo.Var(bounds=(0, 100))
    low = m.low = pyo.Block()
    low.g = pyo.Var(range(4), bounds=(0, None))
    low.balance = pyo.Constraint(expr=sum(low.g.values()) == 100)
    low.own = pyo.Constraint(expr=low.g[0] <= m.q)
    low.second, low.third = pyo.Constraint(expr=low.g[1] <= 40), pyo.Constraint(expr=low.g[2] <= 40)
    low.fourth = pyo.Constraint(expr=low.g[3] <= 100)
    low.cost = pyo.Objective(expr=50 * low.g[1] + 100 * low.g[2] + 1000 * low.g[3])
    m.income = pyo.Objective(expr=bilevel.dual_of(low.balance) * low.g[0], sense=pyo.maximize)
    return m, 20_000.0


@pytest.mark.parametrize("case", [conejo, fanzeres])
def test_leaders_paid_at_the_followers_price(case):
    applied = 0
    for method in METHODS:
        m, optimum = case()
        try:
            solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=20)
        except bilevel.BilevelError:
            assert method in ("strong_duality", "big_m", "branch_and_cut")
            continue
        applied += 1
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(optimum, rel=1e-5), method
    assert applied >= 4
