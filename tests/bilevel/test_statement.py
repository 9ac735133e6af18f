"""How followers are stated: who decides which variable, which spellings are taken, what a dual's sign is; Pyomo's own solver interfaces."""

from __future__ import annotations

import subprocess
import sys

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

# Whoever imported ``multiscale.bilevel`` before Pyomo imports this as well.
import multiscale.bilevel.pyomo_solver  # noqa: F401
from multiscale import bilevel


def shop(*, outside=False):
    """A follower buys 3 units from a shop at price + 1 or elsewhere at 4; the leader earns price times quantity: 3 x 3 at a price of 3."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 4))
    low = m.low = pyo.Block()
    home = m if outside else low
    home.q, home.other = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
    low.need = pyo.Constraint(expr=home.q + home.other >= 3)
    low.objective = pyo.Objective(expr=(m.price + 1) * home.q + 4 * home.other)
    m.objective = pyo.Objective(expr=m.price * home.q, sense=pyo.maximize)
    return m


def districts(count=3):
    """The shop once for each district, with needs of 1, 2, 3: the leader earns 3 for each unit."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 4))

    def rule(low, i):
        low.q, low.other = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
        low.need = pyo.Constraint(expr=low.q + low.other >= i + 1)
        low.objective = pyo.Objective(expr=(low.model().price + 1) * low.q + 4 * low.other)

    m.low = pyo.Block(range(count), rule=rule)
    m.objective = pyo.Objective(expr=m.price * sum(m.low[i].q for i in range(count)), sense=pyo.maximize)
    return m


# Who decides.


def test_a_follower_owns_variables_outside_its_block_where_it_lists_them():
    m = shop(outside=True)
    solution = bilevel.solve(m, [bilevel.BlockFollower(m.low, variables=[m.q, m.other])], gap=1e-6, time_limit=20)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(9.0, rel=1e-5))
    assert (pyo.value(m.q), pyo.value(m.price)) == (pytest.approx(3.0), pytest.approx(3.0))
    inside = bilevel.solve(n := shop(), [n.low], gap=1e-6, time_limit=20)
    assert solution.dual_of(m.low.need) == pytest.approx(inside.dual_of(n.low.need))


def test_an_indexed_variable_outside_belongs_to_the_follower_with_all_its_entries():
    m = pyo.ConcreteModel()
    m.price, m.x = pyo.Var(bounds=(0, 4)), pyo.Var(range(2), bounds=(0, 10))
    m.low = pyo.Block()
    m.low.need = pyo.Constraint(expr=m.x[0] + m.x[1] >= 3)
    m.low.cost = pyo.Objective(expr=(m.price + 1) * m.x[0] + 4 * m.x[1])
    m.objective = pyo.Objective(expr=m.price * m.x[0], sense=pyo.maximize)
    solution = bilevel.solve(m, bilevel.BlockFollower(m.low, variables=m.x), gap=1e-6, time_limit=20)
    assert solution.objective == pytest.approx(9.0, rel=1e-5)


def test_a_follower_without_variables_of_its_own_is_refused_with_both_remedies():
    m = shop(outside=True)
    with pytest.raises(bilevel.BilevelError, match=r"'low' has no variables of its own.*move .* into the block.*BlockFollower\(block, variables="):
        bilevel.solve(m, [m.low], time_limit=10)


def test_two_followers_cannot_own_one_variable():
    m = shop(outside=True)
    m.rival = pyo.Block()
    m.rival.z = pyo.Var(bounds=(0, 1))
    m.rival.cost = pyo.Objective(expr=m.rival.z)
    followers = [bilevel.BlockFollower(m.low, variables=[m.q, m.other]), bilevel.BlockFollower(m.rival, variables=[m.q])]
    with pytest.raises(bilevel.BilevelError, match=r"variable q belongs to the followers 'low' and 'rival'"):
        bilevel.solve(m, followers, time_limit=10)
    with pytest.raises(bilevel.BilevelError, match=r"variables lists .*need.*not a variable"):
        bilevel.BlockFollower(m.low, variables=[m.low.need])
    with pytest.raises(bilevel.BilevelError, match=r"variables lists price, which does not belong to the model"):
        bilevel.BlockFollower(m.low, variables=[shop().price])


def test_leader_terms_in_a_followers_cost_are_warned_of_and_do_not_move_it():
    m = shop()
    m.low.objective.set_value(m.low.objective.expr + 7 * m.price)
    with pytest.warns(bilevel.BilevelWarning, match=r"'low': terms of low\.objective hold leader variables only \(price\)"):
        solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=20)
    assert solution.objective == pytest.approx(9.0, rel=1e-5)
    m = shop()
    m.low.objective.set_value(m.low.objective.expr + m.price**2)
    with pytest.warns(bilevel.BilevelWarning, match=r"terms of low\.objective hold leader variables only \(price\)"):
        assert bilevel.solve(m, [m.low], gap=1e-6, time_limit=20).objective == pytest.approx(9.0, rel=1e-5)


def test_a_row_of_leader_variables_inside_a_follower_is_warned_of_and_binds_the_leader():
    m = shop()
    m.low.ceiling = pyo.Constraint(expr=m.price <= 2)
    with pytest.warns(bilevel.BilevelWarning, match=r"'low': low\.ceiling holds leader variables only and binds the leader"):
        solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=20)
    assert solution.objective == pytest.approx(6.0, rel=1e-5)


# Which blocks.


@pytest.mark.parametrize("listed", [lambda m: m.low, lambda m: m.low.values(), lambda m: [m.low], lambda m: [m.low[0], m.low[1], m.low[2]]])
def test_an_indexed_block_is_its_members(listed):
    m = districts()
    solution = bilevel.solve(m, listed(m), gap=1e-6, time_limit=20)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(18.0, rel=1e-5))
    assert set(solution.primal) == {"low[0]", "low[1]", "low[2]"}


def test_a_deactivated_member_of_an_indexed_block_is_no_follower():
    m = districts()
    m.low[2].deactivate()
    m.objective.set_value(m.price * (m.low[0].q + m.low[1].q))
    assert bilevel.solve(m, m.low, gap=1e-6, time_limit=20).objective == pytest.approx(9.0, rel=1e-5)
    with pytest.raises(bilevel.BilevelError, match=r"'low\[2\]' is deactivated"):
        bilevel.solve(m, list(m.low.values()), time_limit=10)


def trilevel(m):
    m.low.inner = pyo.Block()
    m.low.inner.z = pyo.Var(bounds=(0, 1))
    m.low.inner.cost = pyo.Objective(expr=m.low.inner.z * m.low.q)
    return [m.low]


def trilevel_listed(m):
    return [*trilevel(m), m.low.inner]


def not_listed(m):
    m.rival = pyo.Block()
    m.rival.z = pyo.Var(bounds=(0, 1))
    m.rival.cost = pyo.Objective(expr=m.rival.z)
    return [m.low]


def listed_twice(m):
    return [m.low, m.low]


def not_a_block(m):
    return [m.price]


def not_iterable(m):
    return 3


def of_another_model(m):
    return [shop().low]


def the_model_itself(m):
    return [m]


NAMED = {
    trilevel: r"'low' has 2 active objectives.*'low\.inner' is a follower of this follower.*trilevel",
    trilevel_listed: r"'low\.inner' is a block of follower 'low'.*trilevel",
    not_listed: r"2 active objectives.*The blocks \['rival'\] are not listed.*list followers in followers",
    listed_twice: r"share a name: \['low', 'low'\]",
    not_a_block: r"'price' is neither a Pyomo Block",
    not_iterable: r"followers: 3 is neither",
    of_another_model: r"'low' does not belong to the model",
    the_model_itself: r"is the leader's model itself",
}


@pytest.mark.parametrize("followers", NAMED, ids=lambda change: change.__name__)
def test_what_cannot_be_a_list_of_followers_is_named(followers):
    m = shop()
    with pytest.raises(bilevel.BilevelError, match=f"(?s){NAMED[followers]}"):
        bilevel.solve(m, followers(m), time_limit=10)


MEANT = {"timelimit": "time_limit", "TimeLimit": "time_limit", "mip_gap": "gap", "mip_abs_gap": "absolute_gap", "sed": "seed"}


@pytest.mark.parametrize(("name", "meant"), MEANT.items())
def test_an_unknown_option_names_the_one_that_is_meant(name, meant):
    m = shop()
    with pytest.raises(bilevel.BilevelError, match=rf"unknown option '{name}'\. did you mean '{meant}'\?"):
        bilevel.solve(m, [m.low], **{name: 10})


@pytest.mark.parametrize(("option", "text"), [({"gap": -1e-3}, r"gap is -0\.001"), ({"time_limit": 0}, r"time_limit is 0 s")])
def test_options_out_of_range_are_refused(option, text):
    m = shop()
    with pytest.raises(bilevel.BilevelError, match=text):
        bilevel.solve(m, [m.low], **option)


# Signs of duals: the derivative of the follower's optimum, as its objective states it, with respect to the right-hand side as written.

SPELLINGS = {
    "body <= b": (lambda x, b, _: x <= b, +2.0),
    "b >= body": (lambda x, b, _: b >= x, +2.0),
    "body - y <= b": (lambda x, b, y: x - y <= b, +2.0),
    "body >= b": (lambda x, b, _: x >= b, -2.0),
    "b <= body": (lambda x, b, _: b <= x, -2.0),
    "-body >= b": (lambda x, b, _: -x >= b - 8, +2.0),
    "body == b, gained": (lambda x, b, _: x == b, +2.0),
    "body == b, paid": (lambda x, b, _: x == b, -2.0),
    "ranged, upper side": (lambda x, b, _: (b - 1, x, b), +2.0),
    "ranged, lower side": (lambda x, b, _: (b, x, b + 1), -2.0),
    "ranged, neither": (lambda x, b, _: (b - 5, x, b + 9), 0.0),
}
"""Row over ``x`` in [0, 9], a leader variable ``y`` = 1 and ``b`` = 4; what a unit of ``x`` gains the follower."""


def single(spelling, b, sense):
    """``max gain x`` (or ``min -gain x``) subject to one row; the leader reads the row's dual."""
    row, gain = SPELLINGS[spelling]
    m = pyo.ConcreteModel()
    m.y, m.seen = pyo.Var(bounds=(1, 1)), pyo.Var(bounds=(-50, 50))
    m.low = pyo.Block()
    m.low.x = pyo.Var(bounds=(0, 9))
    m.low.row = pyo.Constraint(expr=row(m.low.x, b, m.y))
    m.low.cost = pyo.Objective(expr=(gain if sense == pyo.maximize else -gain) * m.low.x + 3, sense=sense)
    m.link = pyo.Constraint(expr=m.seen == bilevel.dual_of(m.low.row))
    m.objective = pyo.Objective(expr=m.seen + m.low.x)
    return m


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize], ids=["min", "max"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_dual_is_the_derivative_of_the_optimum_in_every_spelling(spelling, sense):
    optima, step = [], 1e-3
    for b in (4.0 - step, 4.0 + step, 4.0):
        m = single(spelling, b, sense)
        solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=20)
        assert solution.status == "optimal", solution.message
        optima.append(pyo.value(m.low.cost))
    derivative = (optima[1] - optima[0]) / (2 * step)
    if spelling == "-body >= b":
        # Its right-hand side is b - 8.
        assert derivative == pytest.approx(-2.0 if sense == pyo.maximize else 2.0, rel=1e-5)
    assert solution.dual_of(m.low.row) == pytest.approx(derivative, abs=1e-5)
    assert pyo.value(m.seen) == pytest.approx(derivative, abs=1e-5)
    if spelling.startswith("body <="):
        assert (derivative > 0) == (sense == pyo.maximize)
    if spelling.startswith("body >="):
        assert (derivative < 0) == (sense == pyo.maximize)


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize], ids=["min", "max"])
def test_the_dual_of_a_bound_is_that_of_the_bound_written_as_a_constraint(sense):
    m = single("body <= b", 4.0, sense)
    with pytest.raises(bilevel.BilevelError, match=r"dual_of\(low\.x\): it takes a constraint; write the bound"):
        bilevel.dual_of(m.low.x)
    m.low.x.setub(4.0)
    m.low.row.set_value(m.low.x <= 4.5)
    # The bound binds, not the row.
    solution = bilevel.solve(m, [m.low], gap=1e-6, time_limit=20)
    assert solution.dual_of(m.low.row) == pytest.approx(0.0, abs=1e-6)


# Pyomo's interfaces.


@pytest.mark.parametrize(
    "imports", ["import pyomo.environ as pyo; from multiscale import bilevel", "import multiscale.bilevel.pyomo_solver, pyomo.environ as pyo"]
)
def test_the_solver_is_known_to_pyomo(imports):
    command = f"{imports}; print(pyo.SolverFactory('multiscale.bilevel').available())"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split() == ["True"]


def test_pyomos_solver_factory_gives_the_answer_of_bilevel_solve():
    m = shop()
    solver = pyo.SolverFactory("multiscale.bilevel")
    assert solver.available()
    results = solver.solve(m, followers=[m.low], timelimit=20, gap=1e-6)
    pyo.assert_optimal_termination(results)
    assert pyo.value(m.objective) == pytest.approx(9.0, rel=1e-5)
    assert results.problem.upper_bound == pytest.approx(9.0, rel=1e-5)
    assert results.problem.upper_bound >= results.problem.lower_bound - 1e-5
    assert solver.solution.certificate.holds
    # Followers of one solve are not kept for the next.
    with pytest.raises(bilevel.BilevelError, match="followers: None"):
        solver.solve(m)


def test_an_infeasible_problem_under_pyomos_solver_factory():
    m = shop()
    m.demand = pyo.Constraint(expr=m.low.q >= 5)
    results = pyo.SolverFactory("multiscale.bilevel").solve(m, followers=[m.low], timelimit=20)
    assert results.solver.termination_condition == pyo.TerminationCondition.infeasible
    assert m.price.value is None


def test_the_new_solver_interface_gives_values_and_duals():
    m = shop()
    solver = SolverFactory("multiscale.bilevel")
    results = solver.solve(m, followers=m.low, time_limit=20, rel_gap=1e-6, abs_gap=1e-6, load_solutions=False)
    assert results.termination_condition == TerminationCondition.convergenceCriteriaSatisfied
    assert results.solution_status == SolutionStatus.optimal
    assert (results.incumbent_objective, results.objective_bound) == (pytest.approx(9.0, rel=1e-5), pytest.approx(9.0, rel=1e-5))
    assert m.price.value is None
    assert results.solution_loader.get_duals()[m.low.need] == pytest.approx(4.0)
    results.solution_loader.load_vars()
    assert pyo.value(m.price) == pytest.approx(3.0)
    assert results.extra_info.solution.certificate.holds
