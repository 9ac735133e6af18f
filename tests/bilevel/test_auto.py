"""``auto`` goes on until an answer is proven: enumeration, another method after a failure or without progress, random problems and an oracle."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel import automatic
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.gap import contradicts, excess
from multiscale.bilevel.reformulate.choose import choose_methods
from multiscale.bilevel.scip import client
from multiscale.bilevel.scip.progress import Progress
from multiscale.bilevel.search.enumeration import decisions
from tests.bilevel.feeder import TARIFF_CAP, feeder
from tests.bilevel.small import agrees, oracle, random_small


def interdiction(arcs: int, budget: int):
    """A leader removes arcs of parallel two-arc paths; the follower's largest flow is the sum of the paths' smaller capacities left."""
    m = pyo.ConcreteModel()
    m.cut = pyo.Var(range(arcs), domain=pyo.Binary)
    m.low = pyo.Block()
    m.low.flow = pyo.Var(range(arcs), bounds=(0, None))
    m.low.limit = pyo.Constraint(range(arcs), rule=lambda b, a: b.flow[a] <= (a + 1) * (1 - m.cut[a]))
    m.low.flow_out = pyo.Objective(expr=sum(m.low.flow[a] for a in range(arcs)), sense=pyo.maximize)
    m.budget = pyo.Constraint(expr=sum(m.cut[a] for a in range(arcs)) <= budget)
    m.objective = pyo.Objective(expr=sum(m.low.flow[a] for a in range(arcs)))
    return m


def toll(upper: float | None):
    """Three travellers, a free road at 10 and a tolled one at 3: the largest toll at which they take it is 7."""
    m = pyo.ConcreteModel()
    m.toll = pyo.Var(bounds=(0, upper))
    m.low = pyo.Block()
    m.low.x = pyo.Var(range(2), bounds=(0, None))
    m.low.all = pyo.Constraint(expr=m.low.x[0] + m.low.x[1] == 3)
    m.low.cost = pyo.Objective(expr=(3 + m.toll) * m.low.x[0] + 10 * m.low.x[1])
    m.revenue = pyo.Objective(expr=m.toll * m.low.x[0], sense=pyo.maximize)
    return m


# 50, 115: tolls without bounds, which time limits ended; 167: SCIP fails in an LP; 0 to 4: one of each family.
@pytest.mark.parametrize(("seed", "columns"), [*((k, 10) for k in range(5)), (50, 12), (115, 12), (167, 12)])
def test_random_problems_end_with_the_oracles_answer(seed, columns):
    small = random_small(seed, columns)
    model, followers = small.model()
    expected = oracle(small)
    assert expected is not None
    solution = bilevel.solve(model, followers, gap=1e-5, time_limit=60)
    assert agrees(expected, str(solution.status), solution.objective), (expected, solution.message)


def test_bounded_tolls_on_a_quadratic_follower_leave_pairs_alone_to_branch_on():
    """47 columns and two tolls of at most 8: price times quantity left it open after 60 s; the answer is the oracle's."""
    model, followers = random_small(2610, 48).model()
    solution = bilevel.solve(model, followers, method="sos1", gap=1e-3, time_limit=120)
    assert solution.status == "optimal"
    assert solution.certificate.holds
    assert solution.objective == pytest.approx(-0.199719669, rel=2e-3)


def test_few_decisions_are_enumerated_and_the_tree_gives_the_same():
    found = {most: bilevel.solve(m := interdiction(6, 3), [m.low], enumerate_up_to=most, gap=1e-6) for most in (1024, 0)}
    assert "enumeration" in found[1024].methods["low"]
    assert "enumeration" not in found[0].methods["low"]
    for solution in found.values():
        assert solution.status == "optimal"
        assert solution.certificate.holds
        # The three largest arcs are cut.
        assert solution.objective == pytest.approx(1 + 2 + 3, abs=1e-6)


def test_decisions_are_counted_within_the_leaders_rows():
    problem = bilevel.read_model(m := interdiction(20, 1), [m.low]).problem
    found = decisions(problem, np.arange(20), 1024)
    assert len(found) == 21
    assert decisions(problem, np.arange(20), 20) == []
    assert max(values.sum() for values in found) == 1


def test_ties_of_an_enumerated_follower_break_for_the_leader():
    m = pyo.ConcreteModel()
    m.z = pyo.Var(domain=pyo.Binary)
    m.low = pyo.Block()
    m.low.x = pyo.Var(range(2), bounds=(0, 1))
    m.low.need = pyo.Constraint(expr=m.low.x[0] + m.low.x[1] >= m.z)
    m.low.cost = pyo.Objective(expr=m.low.x[0] + m.low.x[1])
    m.objective = pyo.Objective(expr=-3 * m.z - m.low.x[1])
    solution = bilevel.solve(m, [m.low])
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(-4)
    assert (solution.certificate.optimistic, solution.certificate.pessimistic) == pytest.approx((-4, -3))


def test_no_allowed_decision_is_infeasible():
    m = interdiction(3, 3)
    m.none = pyo.Constraint(expr=m.low.flow[0] >= 5)
    assert bilevel.solve(m, [m.low]).status == "infeasible"


def test_a_method_whose_solver_fails_is_followed_by_another(monkeypatch):
    once, calls = client._run_once, []

    def failing(task):
        calls.append(task)
        if len(calls) <= 2:
            nothing = client.ScipOutcome("error", None, np.nan, -np.inf, 0, 0.1)
            return client.Run(nothing, aborted="Exception: SCIP: error in LP solver!")
        return once(task)

    monkeypatch.setattr(client, "_run_once", failing)
    solution = bilevel.solve(m := toll(20.0), [m.low], gap=1e-6)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(21, abs=1e-5)
    first, second = solution.message.split("tried in this order: ")[1].split(" | ")[:2]
    assert "error in LP solver" in first
    assert "optimal" in second


@pytest.mark.parametrize("upper", [20.0, None])
def test_tolls_with_and_without_bounds(upper):
    solution = bilevel.solve(m := toll(upper), [m.low], gap=1e-6, time_limit=30)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(21, abs=1e-4)
    assert m.toll.value == pytest.approx(7, abs=1e-4)


def test_a_tree_without_progress_gives_way_and_the_answer_is_proven(monkeypatch):
    monkeypatch.setattr(automatic, "_PATIENCE", 1.0)
    case = random_small(1004, 24)
    model, followers = case.model()
    hurried = bilevel.solve(model, followers, gap=1e-5, enumerate_up_to=0)
    monkeypatch.undo()
    model, followers = case.model()
    calm = bilevel.solve(model, followers, gap=1e-5)
    assert "stalled" in hurried.message
    assert hurried.status == calm.status == "optimal"
    assert hurried.objective == pytest.approx(calm.objective, rel=1e-4, abs=1e-4)


def test_answers_that_contradict_each_other_are_not_optimal():
    solution = bilevel.solve(m := interdiction(4, 2), [m.low])
    settings = bilevel.SolveOptions()
    other = replace(solution, objective=solution.objective + 5.0, bound=solution.objective + 5.0)
    found = automatic.combined(solution, other, settings, 1.0)
    assert found.status == "feasible"
    assert "contradicts" in found.message
    # The better bound of another way closes the gap of a point.
    open_ = replace(solution, status=bilevel.Status.FEASIBLE, bound=-np.inf, gap=np.inf)
    without = replace(open_, bound=solution.bound)
    assert automatic.combined(open_, without, settings, 1.0).status == "optimal"


def test_leaders_that_earn_payments_are_decomposed():
    case = feeder(5, 8, 1, regulated=True)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60)
    assert "decomposition" in solution.methods["community"]
    case = feeder(5, 8, 1, regulated=True)
    other = bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60, method="strong_duality")
    assert solution.status == other.status == "optimal"
    assert solution.objective == pytest.approx(other.objective, rel=2e-4, abs=1e-6)


def test_a_bound_beyond_the_objective_is_shown_and_never_closes_a_smaller_gap():
    solution = bilevel.solve(m := interdiction(4, 2), [m.low])
    open_ = replace(solution, status=bilevel.Status.FEASIBLE, bound=-np.inf, gap=np.inf)
    beyond = replace(solution, bound=solution.objective * (1 + 5e-5))
    found = automatic.combined(open_, beyond, bilevel.SolveOptions(gap=1e-6), 1.0)
    assert found.status == "feasible"
    assert found.bound == beyond.bound
    assert found.gap == pytest.approx(5e-5, rel=1e-3)
    assert "more than the tolerance" in excess(found.objective, found.bound)
    assert automatic.combined(open_, beyond, bilevel.SolveOptions(gap=1e-4), 1.0).status == "optimal"


def test_a_contradiction_ends_the_search_and_an_unbounded_objective_is_none(monkeypatch):
    solution = bilevel.solve(m := interdiction(4, 2), [m.low])
    open_ = replace(solution, status=bilevel.Status.FEASIBLE, bound=-np.inf, gap=np.inf)
    unbounded = replace(open_, status=bilevel.Status.UNBOUNDED)
    assert automatic.combined(open_, unbounded, bilevel.SolveOptions(), 1.0).status == "unbounded"
    assert automatic.combined(replace(open_, bound=0.0), unbounded, bilevel.SolveOptions(), 1.0).ended == "contradiction"
    wrong = replace(solution, objective=solution.objective + 5.0, bound=solution.objective + 5.0)
    answers = [open_, wrong, solution]
    problem = bilevel.read_model(m := interdiction(4, 2), [m.low]).problem
    settings = bilevel.SolveOptions(enumerate_up_to=0)
    found = automatic.solve_in_turn(problem, settings, None, Clock(60.0), lambda *_: answers.pop(0))
    # A third way that sides with one of two does not settle which of them is wrong.
    assert found.status == "feasible"
    assert "contradicts" in found.message
    assert len(answers) == 1


def test_numbers_that_are_none_are_violations():
    problem = bilevel.read_model(m := interdiction(4, 2), [m.low]).problem
    z = np.zeros(problem.leader.size + len(problem.leader.quantity_names))
    assert problem.violation(z) == (0.0, "")
    z[0] = np.nan
    assert np.isnan(problem.violation(z)[0])
    assert contradicts(1.0, np.nan)


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0])
def test_terms_without_bounds_exclude_no_decision(weight):
    m = interdiction(3, 3)
    m.own = pyo.Var(bounds=(0, None))
    m.link = pyo.Constraint(expr=sum(m.cut[a] for a in range(3)) + weight * m.own <= 1)
    problem = bilevel.read_model(m, [m.low]).problem
    expected = 8 if weight < 0 else 4
    assert len(decisions(problem, np.arange(3), 1024)) == expected


def test_a_large_tree_may_stand_still_for_many_times_its_root():
    def tree(iterations, nodes):
        return SimpleNamespace(getNLPIterations=lambda: iterations, getNTotalNodes=lambda: nodes, getPrimalbound=lambda: 165.0)

    progress = Progress(5e8, 28_000)
    assert not progress.stalled(tree(7_000, 0), 163.0, None)
    # 27,000 iterations and 500 nodes at the same bound, as in a feeder of 100 nodes and 24 hours that closes its gap afterwards.
    assert not progress.stalled(tree(34_000, 500), 163.0, None)
    assert progress.stalled(tree(300_000, 500), 163.0, None)


def risk_averse(scenarios, nodes=5, hours=6):
    """Lines and a charge at least conditional value at risk over scenarios: ``min eta + sum_k s_k / (K (1 - alpha))``, ``s_k + eta >= cost_k``."""
    m = pyo.ConcreteModel()
    m.build, m.tariff = pyo.Var(range(1, nodes), domain=pyo.Binary), pyo.Var([0], bounds=(0, TARIFF_CAP))
    m.eta, m.short = pyo.Var(bounds=(0, 1e4)), pyo.Var(range(scenarios), bounds=(0, 1e4))
    m.rows, followers = pyo.ConstraintList(), []
    for k in range(scenarios):
        case = feeder(nodes, hours, growth=0.9 + 0.2 * k)
        followers.append(bilevel.ProgramFollower(case.program, {"tariff": m.tariff, "built": m.build}, model=m, name=f"scenario{k}"))
        spent = sum(float(cost) * m.build[i + 1] for i, cost in enumerate(case.investment))
        revenue = m.tariff[0] * followers[-1].output("import_energy")[0]
        m.rows.add(m.short[k] + m.eta >= spent + followers[-1].cost - revenue)
        m.rows.add(revenue >= 0.9 * (case.base + spent))
    m.objective = pyo.Objective(expr=m.eta + sum(m.short[k] for k in range(scenarios)) / (0.5 * scenarios))
    return m, followers


def test_costs_that_stand_in_rows_of_a_risk_measure_are_valued():
    m, followers = risk_averse(2)
    solution = bilevel.solve(m, followers, gap=1e-4, time_limit=60, enumerate_up_to=0)
    assert solution.status == "optimal", solution.message
    assert all(why.startswith("branch_and_cut (the leader's objective values what the followers pay") for why in solution.methods.values())
    m, followers = risk_averse(2)
    other = bilevel.solve(m, followers, gap=1e-4, time_limit=60, method="strong_duality")
    assert solution.objective == pytest.approx(other.objective, rel=2e-4)


def test_a_cost_that_is_bounded_from_below_only_is_not_valued():
    """``cost >= 5`` holds nothing up that the objective presses down."""
    m, followers = risk_averse(2)
    m.rows.clear()
    m.rows.add(followers[0].cost + followers[1].cost >= 5)
    m.objective.set_value(m.eta - m.tariff[0] * followers[0].output("import_energy")[0])
    methods, _ = choose_methods(bilevel.read_model(m, followers).problem, "auto")
    assert set(methods) != {"branch_and_cut"}
