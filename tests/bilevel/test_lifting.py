"""Binary leader variables in a follower's coefficients: exact, certified on the follower as written, or refused by name."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.read.lifting import Lifting
from multiscale.programs import CompiledProgram


def retrofit(seed=0, bounded=True):
    """Binaries raise the efficiency of two plants: output (e + gain z) x in the balance; the leader owns the fuel and taxes emissions."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.z = pyo.Var(range(2), domain=pyo.Binary)
    m.tax = pyo.Var(bounds=(0, 3))
    low = m.low = pyo.Block()
    low.fuel = pyo.Var(range(2), bounds=(0, 10 if bounded else None))
    low.buy = pyo.Var(bounds=(0, None))
    gain, cost = rng.uniform(0.2, 0.6, 2), rng.uniform(1.0, 2.0, 2)
    low.output = pyo.Constraint(expr=sum((0.5 + float(gain[i]) * m.z[i]) * low.fuel[i] for i in range(2)) + low.buy >= 7)
    low.stock = pyo.Constraint(expr=low.fuel[0] + (1 - 0.3 * m.z[0]) * low.fuel[1] <= 11)
    low.cost = pyo.Objective(expr=sum((float(cost[i]) + m.tax) * low.fuel[i] for i in range(2)) + 6 * low.buy)
    m.objective = pyo.Objective(
        expr=m.tax * (low.fuel[0] + low.fuel[1]) - 0.7 * (m.z[0] + m.z[1]) - 0.2 * (low.fuel[0] + low.fuel[1]), sense=pyo.maximize
    )
    return m


def enumerated(build):
    """Every design, a fine tax grid, the follower read and solved with both fixed."""
    best = -np.inf
    for design in itertools.product((0, 1), repeat=2):
        for tax in np.linspace(0, 3, 31):
            m = build()
            for i in range(2):
                m.z[i].fix(design[i])
            m.tax.fix(tax)
            program = bilevel.read_model(m, [m.low]).problem.followers[0].program
            answer = CompiledProgram(program).solve(np.zeros(program.parameters.size))
            burnt = answer.x[0] + answer.x[1]
            best = max(best, tax * burnt - 0.7 * sum(design) - 0.2 * burnt)
    return best


@pytest.mark.parametrize("bounded", [True, False])
def test_binaries_in_coefficients_agree_with_enumeration(bounded):
    best = enumerated(lambda: retrofit(1, bounded))
    for method in ("auto", "branch_and_cut"):
        m = retrofit(1, bounded)
        solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=60)
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective >= best - 1e-6
        # The grid of the enumeration is 0.1 apart, and at most 20 units are taxed.
        assert solution.objective <= best + 0.1 * 20
        assert "original follower with the leader's variables fixed: gap" in solution.describe()
    values = []
    for method in ("sos1", "indicator", "product", "strong_duality"):
        m = retrofit(1, bounded)
        values.append(bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=60).objective)
    assert values == pytest.approx([values[0]] * 4, rel=1e-5)


def units(low, high):
    """The leader installs a whole number of units of a plant, of 1.5 each, and taxes its output; a second follower runs some of them too."""
    m = pyo.ConcreteModel()
    m.units = pyo.Var(domain=pyo.Integers, bounds=(low, high))
    m.tax = pyo.Var(bounds=(0, 4))
    for name, need in (("east", 6.0), ("west", 3.5)):
        block = pyo.Block(concrete=True)
        m.add_component(name, block)
        block.hours = pyo.Var(bounds=(0, 2))
        block.buy = pyo.Var(bounds=(0, None))
        block.balance = pyo.Constraint(expr=1.5 * (m.units + 2) * block.hours + block.buy >= need)
        block.cost = pyo.Objective(expr=(1 + m.tax) * 3 * block.hours + 5 * block.buy)
    taxed = 3 * m.tax * (m.east.hours + m.west.hours)
    m.objective = pyo.Objective(expr=taxed - 2.0 * m.units, sense=pyo.maximize)
    return m


@pytest.mark.parametrize("method", ["auto", "sos1", "indicator", "strong_duality"])
@pytest.mark.parametrize(("low", "high"), [(0, 5), (-1, 2)])
def test_integers_in_coefficients_agree_with_every_value_fixed(method, low, high):
    fixed = []
    for value in range(low, high + 1):
        m = units(low, high)
        m.units.fix(value)
        fixed.append(bilevel.solve(m, [m.east, m.west], gap=1e-6, time_limit=30).objective)
    m = units(low, high)
    solution = bilevel.solve(m, [m.east, m.west], method=method, gap=1e-6, time_limit=30)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(max(fixed), rel=1e-5)
    assert m.units.value == low + int(np.argmax(fixed))
    start = pyo.ComponentMap([(m.units, low), (m.tax, 0.5)])
    again = bilevel.solve(m, [m.east, m.west], method=method, gap=1e-6, time_limit=30, start=start)
    assert again.objective == pytest.approx(max(fixed), rel=1e-5)


def test_duals_are_those_of_the_follower_as_written():
    m = retrofit(1)
    m.z[0].fix(1)
    m.z[1].setlb(1)
    m.tax.fix(0.5)
    solution = bilevel.solve(m, [m.low], method="sos1", time_limit=30)
    assert solution.status == "optimal"

    def optimum(need):
        again = retrofit(1)
        for i in range(2):
            again.z[i].fix(1)
        again.tax.fix(0.5)
        again.low.output.set_value(again.low.output.body >= need)
        program = bilevel.read_model(again, [again.low]).problem.followers[0].program
        return CompiledProgram(program).solve(np.zeros(program.parameters.size)).objective

    assert solution.dual_of(m.low.output) == pytest.approx((optimum(7.001) - optimum(6.999)) / 0.002, rel=1e-6)


def test_a_wrong_product_fails_the_certificate_of_the_original(monkeypatch):
    """Half the bound in one row of the lifted product is a wrong follower; only its original form can tell."""
    finish = Lifting.finish

    def wrong(self, program, leaders):
        finish(self, program, leaders)
        for i, (name, own, leader, rhs, equality) in enumerate(self.added.rows):
            if name == "z[1] * low.fuel[1] (upper if 1)":
                self.added.rows[i] = (name, own, [(k, 0.3 * a) for k, a in leader], rhs, equality)

    m = retrofit(1)
    m.z[0].fix(0)
    m.z[1].setlb(1)
    monkeypatch.setattr(Lifting, "finish", wrong)
    solution = bilevel.solve(m, [m.low], method="sos1", time_limit=30)
    assert solution.status == "error"
    assert any("original form" in failure for failure in solution.certificate.failures)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.low.add_component("bad", pyo.Constraint(expr=m.tax * m.low.fuel[0] <= 5)), r"low\.bad.*fuel\[0\].*tax, which is not an integer"),
        (lambda m: m.low.add_component("bad", pyo.Constraint(expr=m.z[0] * m.low.buy <= 5)), r"low\.bad.*low\.buy.*z\[0\].*both bounds"),
    ],
    ids=["continuous", "unbounded"],
)
def test_products_that_are_not_exact_are_refused_by_name(change, message):
    m = retrofit()
    change(m)
    with pytest.raises(bilevel.BilevelError, match=message):
        bilevel.solve(m, [m.low], time_limit=10)


# Products of leader variables alone, in a follower's rows.


def market(kind, product):
    """A follower buys from a plant of a capacity that the leader's decisions multiply, else at 6; the leader pays 2 for each unit of a decision."""
    m = pyo.ConcreteModel()
    domain = {"binary": pyo.Binary, "integer": pyo.Integers, "continuous": pyo.Reals}
    m.a = pyo.Var(domain=domain[kind[0]], bounds=(0, 1 if kind[0] == "binary" else 3))
    m.b = pyo.Var(domain=domain[kind[1]], bounds=(0, 1 if kind[1] == "binary" else 3))
    m.low = pyo.Block()
    m.low.x, m.low.dear = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    m.low.capacity = pyo.Constraint(expr=m.low.x <= product(m))
    m.low.need = pyo.Constraint(expr=m.low.x + m.low.dear >= 5)
    m.low.cost = pyo.Objective(expr=m.low.x + 6 * m.low.dear)
    m.objective = pyo.Objective(expr=2 * m.a + 2 * m.b + m.low.x + 6 * m.low.dear)
    return m


PRODUCTS = {
    "binary x binary": (("binary", "binary"), lambda m: 4 * m.a * m.b),
    "binary squared": (("binary", "binary"), lambda m: 2 * m.a**2 + m.b),
    "binary x continuous": (("binary", "continuous"), lambda m: m.a * m.b + 0.5 * m.a),
    "integer x integer": (("integer", "integer"), lambda m: m.a * m.b),
    "integer squared": (("integer", "binary"), lambda m: m.a**2 - m.b),
    "continuous x continuous": (("continuous", "continuous"), lambda m: m.a * m.b),
    "continuous squared": (("continuous", "binary"), lambda m: 0.5 * m.a**2 + m.b),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_leader_variables_in_a_followers_right_hand_side(name):
    """Against a grid over the decisions: the follower buys what the capacity allows."""
    kind, product = PRODUCTS[name]
    steps = {"binary": [0, 1], "integer": range(4), "continuous": np.linspace(0, 3, 601)}
    values = []
    for a in steps[kind[0]]:
        for b in steps[kind[1]]:
            capacity = product(SimpleNamespace(a=a, b=b))
            if capacity >= 0:
                x = min(5.0, capacity)
                values.append(2 * a + 2 * b + x + 6 * (5 - x))
    m = market(kind, product)
    solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=40)
    assert solution.status == "optimal", solution.message
    # Between points of the grid, 0.005 apart, the leader may save a little.
    finer = 0.02 if "continuous" in kind else 0.0
    assert min(values) - finer - 1e-4 <= solution.objective <= min(values) + 1e-4
    assert pyo.value(m.low.x) <= pyo.value(product(m)) + 1e-5


def test_a_product_of_unbounded_leader_variables_keeps_its_meaning():
    """``x <= a b`` with ``a, b >= 0`` and no upper bounds: 2 a + 2 b + 5 is least for a = b = root of 5."""
    m = market(("continuous", "continuous"), lambda m: m.a * m.b)
    m.a.setub(None)
    m.b.setub(None)
    solution = bilevel.solve(m, [m.low], gap=1e-4, time_limit=20)
    assert solution.certificate is not None, solution.message
    assert solution.certificate.holds
    assert solution.objective == pytest.approx(4 * np.sqrt(5) + 5, rel=1e-3)
