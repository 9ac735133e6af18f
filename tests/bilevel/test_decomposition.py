"""Decomposition: exact prices for any output, cuts that bound every decision, blocks that meet in integers, and what it refuses."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import highspy
import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from multiscale import bilevel
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition import decompose as decomposing
from multiscale.bilevel.decomposition.block import Block
from multiscale.bilevel.decomposition.master import Master
from multiscale.bilevel.decomposition.relaxation import Cut
from multiscale.bilevel.normal.normalise import normalise
from multiscale.bilevel.problem.description import Form
from multiscale.bilevel.problem.gap import closing_bound
from multiscale.bilevel.problem.parts import Part, split
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.bounds.ranges import slope_range
from multiscale.bilevel.reformulate.choose import suits_decomposition
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Responder
from multiscale.bilevel.solvers.linear_program import LinearProgram
from tests.bilevel.feeder import feeder
from tests.bilevel.price_blocks import optimum, random_priced
from tests.bilevel.small import agrees, oracle, random_small
from tests.bilevel.test_parts import feeders

CLOCK = Clock(600.0)


def block_of(problem) -> Block:
    """The whole problem as one block."""
    part = Part(problem, np.arange(problem.leader.size), np.arange(len(problem.followers)))
    return Block(part, SolveOptions(), CLOCK, 10.0, None)


def read(case):
    return bilevel.read_model(case.model, [case.follower]).problem


def integers(problem):
    """Every combination of the binaries."""
    return [np.array(u, dtype=float) for u in itertools.product((0.0, 1.0), repeat=int(problem.leader.integral.sum()))]


def assert_exact(problem, value, *, integers=0.0, cutoff=np.inf):
    """Both searches over one price find the value, and prove it."""
    levels = PriceSearch(problem, Responder(problem))
    assert levels.applies
    y = np.zeros(problem.leader.size)
    y[problem.leader.integral] = integers
    for search in (levels, block_of(problem).faces):
        found = search.solve(y, gap=1e-7, cutoff=cutoff)
        assert found.response.objective == pytest.approx(value, abs=1e-6)
        assert found.bound == pytest.approx(value, abs=1e-6)


def test_exact_prices_are_those_of_the_search_in_levels_and_slopes():
    problem = read(feeder(4, 4, hard=True))
    block, levels = block_of(problem), PriceSearch(problem, Responder(problem))
    assert levels.applies
    for u in integers(problem):
        y = np.where(problem.leader.integral, 0.0, 0.1)
        y[problem.leader.integral] = u
        mine, theirs = block.faces.solve(y, gap=1e-7), levels.solve(y, gap=1e-7)
        assert (mine.response is None) == (theirs.response is None)
        if mine.response is not None:
            assert mine.response.objective == pytest.approx(theirs.response.objective, rel=1e-6)
            assert mine.bound == pytest.approx(theirs.bound, rel=1e-5)


def test_exact_prices_take_outputs_that_neither_cost_nor_price_values():
    # The owner pays for energy that is not served: PriceSearch does not apply; strong duality at held integers is the other opinion.
    case = feeder(4, 4, regulated=True)
    problem = read(case)
    assert not PriceSearch(problem, Responder(problem)).applies
    block = block_of(problem)
    lines = list(case.build.values())
    for u in ((0, 0, 0), (1, 0, 1), (1, 1, 1)):
        y = np.zeros(problem.leader.size)
        y[problem.leader.integral] = u
        found = block.faces.solve(y, gap=1e-7)
        for line, value in zip(lines, u, strict=True):
            line.setlb(value)
            line.setub(value)
        held = bilevel.solve(case.model, [case.follower], method="strong_duality", gap=1e-6, time_limit=30, load=False)
        assert held.status == "optimal"
        assert -found.response.objective == pytest.approx(held.objective, rel=1e-5, abs=1e-6)
        assert found.bound == pytest.approx(found.response.objective, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("other", [1.0, 2.0])
@pytest.mark.parametrize("wanted", [1.0, -1.0])
def test_ties_at_the_ends_of_the_price_range_go_to_the_leader(other, wanted):
    # The follower is indifferent at a price of 0 (other = 1) or 1 (other = 2), the ends of the range; whatever the leader wants is had there.
    m = pyo.ConcreteModel()
    m.z, m.price = pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(0, 1))
    low = m.low = pyo.Block()
    low.x = pyo.Var(range(2), bounds=(0, None))
    low.need = pyo.Constraint(expr=low.x[0] + low.x[1] == 3)
    low.limit = pyo.Constraint(expr=low.x[0] <= 2 + m.z)
    low.cost = pyo.Objective(expr=(1 + m.price) * low.x[0] + other * low.x[1])
    m.objective = pyo.Objective(expr=0.1 * m.z - wanted * low.x[0])
    assert_exact(bilevel.read_model(m, low).problem, -2.9 if wanted > 0 else 0.1, integers=1.0)
    # An objective of zero, of which a relative gap leaves nothing, ends too.
    solution = bilevel.solve(m, low, method="decomposition", gap=1e-5, time_limit=30, load=False)
    assert (solution.status, solution.message.rsplit(" ", 1)[-1]) == ("optimal", "gap")
    assert solution.objective == pytest.approx(-2.9 if wanted > 0 else 0.0, abs=1e-6)


def test_followers_of_one_price_may_change_their_answers_at_different_prices():
    # One leaves the priced good at a price of 1, the other at 3; the leader wants the first gone, the second there, and a high price.
    m = pyo.ConcreteModel()
    m.z, m.price = pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(0, 4))

    def rule(low, i):
        low.x = pyo.Var(range(2), bounds=(0, None))
        low.need = pyo.Constraint(expr=low.x[0] + low.x[1] == 1)
        low.limit = pyo.Constraint(expr=low.x[0] <= 1 + low.model().z)
        low.cost = pyo.Objective(expr=low.model().price * low.x[0] + (1, 3)[i] * low.x[1])

    m.low = pyo.Block(range(2), rule=rule)
    m.objective = pyo.Objective(expr=m.z - m.low[0].x[1] - m.low[1].x[0] - 0.1 * m.price)
    assert_exact(bilevel.read_model(m, m.low).problem, -2.3)


@pytest.mark.parametrize("first", [1.0, -1.0])
def test_at_one_price_one_follower_may_tie_upwards_and_another_downwards(first):
    # Both may buy 1 or 2 at a price of 2, halfway along their steps; there alone the leader wants more of one and less of the other.
    m = pyo.ConcreteModel()
    m.z, m.price, m.off = pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(0, 4)), pyo.Var(bounds=(0, None))

    def rule(low, i):
        # Columns in another order, so that the solver ends at another of the answers that tie.
        columns = {"x": pyo.Var(bounds=(0, None)), "other": pyo.Var(range(3), bounds=(0, 1))}
        for name in reversed(columns) if i else columns:
            low.add_component(name, columns[name])
        low.need = pyo.Constraint(expr=low.x + sum(low.other.values()) == 3)
        low.limit = pyo.Constraint(expr=low.x <= 3 + low.model().z)
        low.cost = pyo.Objective(expr=low.model().price * low.x + sum(c * low.other[k] for k, c in enumerate((2, 1, 3) if i else (1, 2, 3))))

    m.low = pyo.Block(range(2), rule=rule)
    m.above, m.below = pyo.Constraint(expr=m.off >= m.price - 2), pyo.Constraint(expr=m.off >= 2 - m.price)
    m.objective = pyo.Objective(expr=m.z + first * (m.low[0].x - m.low[1].x) + 10 * m.off)
    assert_exact(bilevel.read_model(m, m.low).problem, -1.0)


def test_prices_may_be_negative():
    # What is paid without the price is 2 at both ends of the range, and 0 between; the leader wants that to be little.
    m = pyo.ConcreteModel()
    m.z, m.price = pyo.Var(domain=pyo.Binary), pyo.Var(bounds=(-2, 2))
    low = m.low = pyo.Block()
    low.x, low.effort = pyo.Var(bounds=(0, 4)), pyo.Var(bounds=(0, None))
    low.less, low.more = pyo.Constraint(expr=low.effort >= 2 - low.x), pyo.Constraint(expr=low.effort >= low.x - 2)
    low.limit = pyo.Constraint(expr=low.x <= 4 + m.z)
    low.cost = pyo.Objective(expr=m.price * low.x + low.effort)
    m.objective = pyo.Objective(expr=m.z + low.effort)
    assert_exact(bilevel.read_model(m, low).problem, 0.0, cutoff=1.0)


def test_an_exact_value_is_kept_to_the_gap_it_was_asked_for():
    # Of the block the objective may be near zero: the gap is absolute.
    block = block_of(read(feeder(4, 4, regulated=True)))
    u = np.array([1.0, 0.0, 1.0])
    coarse = block.exact(u, None, 1e3, np.inf)
    assert block.exact(u, None, 1e3, np.inf) is coarse
    fine = block.exact(u, None, 1e-7, np.inf)
    assert fine.response.objective - fine.bound <= 1e-7
    assert block.exact(u, None, 1e-3, np.inf) is fine


def test_a_search_without_a_point_ends_at_its_cutoff_alone():
    assert closing_bound(np.inf, 1e-4, 0.1, cutoff=7.0) == 7.0
    assert closing_bound(np.inf, 0.0) == np.inf
    assert closing_bound(-10.0, 0.01, 0.05) == pytest.approx(-10.1)
    assert closing_bound(-10.0, 0.01, 0.5) == -10.5
    assert closing_bound(-10.0, 0.01, 0.5, cutoff=-11.0) == -11.0


@pytest.mark.parametrize("entry", ["col_value", "row_dual"])
def test_an_answer_that_is_not_a_number_is_an_error(entry, monkeypatch):
    program = LinearProgram(sparse.csr_matrix(np.ones((1, 1))), np.ones(1), np.full(1, 2.0), np.zeros(1), np.ones(1), np.ones(1))
    assert program.solve().status == "optimal"
    found = {"col_value": [1.0], "row_dual": [1.0]} | {entry: [np.nan]}

    monkeypatch.setattr(highspy.Highs, "getSolution", lambda _: SimpleNamespace(**found))
    assert program.solve().status == "error"


def test_a_value_below_the_bound_of_its_block_bounds_no_other_integers():
    block = block_of(read(feeder(4, 4)))
    master = Master(block.problem, [block], Form())
    master.bound_block(0, 5.0)
    master.add_value(0, np.zeros(3), 4.9)
    _, bound, _ = master.solve(integral=True, seconds=10.0)
    assert bound == pytest.approx(5.0)
    master.costs[:3] = -1e-3
    _, bound, v = master.solve(integral=True, seconds=10.0)
    assert v[:3].tolist() == [1.0, 1.0, 1.0]
    assert bound == pytest.approx(4.997)


def test_integers_without_bounds_leave_a_cut_its_least_value():
    assert Cut(1.0, np.array([0.0, -2.0])).least(np.array([-np.inf, 0.0]), np.array([np.inf, 3.0])) == -5.0
    assert Cut(1.0, np.array([1.0, -2.0])).least(np.array([-np.inf, 0.0]), np.array([np.inf, 3.0])) == -np.inf


# At both, HiGHS's presolve calls a program of the exact search infeasible that is not.
@pytest.mark.parametrize(("seed", "value"), [(368, -23.5), (414, -15.266667)])
def test_rows_that_meet_in_a_point_exclude_nothing(seed, value):
    model, followers = random_small(seed, 12).model()
    solution = bilevel.solve(model, followers, method="decomposition", gap=1e-5, time_limit=30)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(value, rel=1e-6))


@pytest.mark.parametrize("build", [lambda: feeder(4, 4), lambda: feeder(4, 4, regulated=True)])
def test_cuts_and_ranges_hold_at_every_decision(build):
    problem = read(build())
    block, leader = block_of(problem), problem.leader
    rng = np.random.default_rng(1)
    points = [rng.random(3) for _ in range(3)] + [np.zeros(3), np.ones(3)]
    cuts = [block.relaxation.least()[0], *(block.cut(u)[0] for u in points)]
    low, high = slope_range(leader, problem.followers[0], int(block.faces.price), 10.0)
    slope = problem.followers[0].program.C.tocsc()[:, [int(block.faces.price)]]
    for u in integers(problem):
        y = np.where(leader.integral, 0.0, rng.uniform(leader.lower, leader.upper))
        y[leader.integral] = u
        (x,), _ = block.responder.answer(y)
        assert low - 1e-6 <= float((slope.T @ x)[0]) <= high + 1e-6
        exact = block.faces.solve(y, gap=1e-7)
        value = np.inf if exact.response is None else exact.response.objective
        assert max(cut.at(u) for cut in cuts) <= value + 1e-6 * max(1.0, abs(value))
    # At its own point a cut is the relaxation's value.
    for u, cut in zip(points, cuts[1:], strict=True):
        _, v = block.cut(u)
        assert cut.at(u) == pytest.approx(float(block.relaxation.costs @ v) + block.single.objective.constant, rel=1e-6, abs=1e-6)


def test_cuts_of_infeasible_integers_leave_the_feasible_ones():
    # Without unserved energy a follower is infeasible where lines are missing.
    m = pyo.ConcreteModel()
    m.z, m.price = pyo.Var(range(3), domain=pyo.Binary), pyo.Var(bounds=(0, 2))
    low = m.low = pyo.Block()
    low.x = pyo.Var(range(3), bounds=(0, None))
    low.need = pyo.Constraint(expr=sum(low.x[k] for k in range(3)) == 4)
    low.limit = pyo.Constraint(range(3), rule=lambda b, k: b.x[k] <= 1 + 2 * m.z[k])
    low.cost = pyo.Objective(expr=(1 + m.price) * low.x[0] + 2 * low.x[1] + 3 * low.x[2])
    m.objective = pyo.Objective(expr=sum(m.z[k] * (k + 1.0) for k in range(3)) - m.price * low.x[0])
    problem = bilevel.read_model(m, low).problem
    block = block_of(problem)
    none, _ = block.cut(np.zeros(3))
    assert not none.feasible
    assert none.at(np.zeros(3)) > 0.1
    for u in integers(problem)[1:]:
        assert none.at(u) <= 1e-6
        assert block.cut(u)[0].feasible
    solution = bilevel.solve(m, low, method="decomposition", gap=1e-6, time_limit=30)
    other = bilevel.solve(m, low, method="sos1", gap=1e-6, time_limit=30)
    assert solution.status == other.status == "optimal"
    assert solution.objective == pytest.approx(other.objective, abs=1e-5)


@pytest.mark.parametrize("seed", [11, 24, 30, 37, 48, 61])
def test_random_problems_have_the_oracles_answer(seed):
    small = random_small(seed, 10)
    model, followers = small.model()
    solution = bilevel.solve(model, followers, method="decomposition", gap=1e-5, time_limit=30)
    expected = oracle(small)
    assert expected is not None
    assert agrees(expected, str(solution.status), solution.objective), (seed, expected, solution.message)


def test_years_in_one_model_are_blocks_and_have_the_answer_of_branch_and_cut():
    m, followers, _ = feeders(2, 4, 4)
    problem = bilevel.read_model(m, followers).problem
    held = problem.leader.integral
    assert [part.followers.tolist() for part in split(problem, held)[0]] == [[0], [1]]
    found = bilevel.solve(m, followers, gap=1e-4, time_limit=60)
    assert all(why.startswith("decomposition") for why in found.methods.values())
    assert "2 blocks" in found.message
    other = bilevel.solve(m, followers, method="branch_and_cut", gap=1e-4, time_limit=60)
    assert found.status == other.status == "optimal"
    assert found.objective == pytest.approx(other.objective, rel=2e-4)
    assert found.certificate.holds


def test_a_row_of_a_binary_times_a_price_is_refused_for_what_it_is():
    m, followers, _ = feeders(2, 4, 4)
    m.extra = pyo.Constraint(expr=m.build[0, 1] * m.tariff[0] <= 0.05)
    with pytest.raises(bilevel.BilevelError, match="rows are linear but for products of prices and quantities"):
        bilevel.solve(m, followers, method="decomposition", time_limit=30)


def test_auto_decomposes_leaders_that_earn_and_several_blocks_but_not_one_whose_cost_the_leader_bears():
    assert suits_decomposition(read(feeder(4, 4, regulated=True)))
    assert suits_decomposition(bilevel.read_model(*feeders(2, 4, 4)[:2]).problem)
    assert not suits_decomposition(normalise(read(feeder(4, 4))).problem)
    # Two tariffs of one follower are two prices.
    assert not suits_decomposition(read(feeder(4, 4, 2, regulated=True)))


def test_without_progress_auto_goes_on_with_another_method(monkeypatch):
    monkeypatch.setattr(decomposing, "_STALLED", -1)
    monkeypatch.setattr(decomposing, "_IDLE", 0)
    m, followers, _ = feeders(2, 4, 4)
    solution = bilevel.solve(m, followers, gap=1e-4, time_limit=60)
    assert solution.status == "optimal"
    assert "decomposition: feasible" in solution.message
    assert "branch_and_cut: optimal" in solution.message


def test_a_search_out_of_time_keeps_its_certified_point_and_bound(monkeypatch):
    monkeypatch.setattr(decomposing._Search, "is_late", property(lambda self: self.cuts > 0))
    case = feeder(5, 6)
    solution = bilevel.solve(case.model, [case.follower], method="decomposition", gap=1e-6, time_limit=60)
    assert solution.status == "feasible"
    assert solution.message.endswith("time limit")
    assert solution.certificate.holds
    assert solution.bound <= solution.objective


def small_model(**changes):
    m = pyo.ConcreteModel()
    m.z = pyo.Var(domain=changes.get("domain", pyo.Binary), bounds=(0, 2 if "domain" in changes else 1))
    m.price = pyo.Var(range(2), bounds=(0, changes.get("most", 2)))
    m.low = pyo.Block()
    m.low.x = pyo.Var(range(3), bounds=(0, None))
    m.low.need = pyo.Constraint(expr=sum(m.low.x[k] for k in range(3)) == 3)
    m.low.limit = pyo.Constraint(expr=m.low.x[0] <= 1 + m.z + (m.price[1] if "moved" in changes else 0.0))
    square = changes["square"] * m.low.x[0] ** 2 if "square" in changes else 0.0
    second = m.price[1] * m.low.x[1] if changes.get("second") else 0.0
    m.low.cost = pyo.Objective(expr=(1 + m.price[0]) * m.low.x[0] + second + 2 * m.low.x[1] + 4 * m.low.x[2] + square)
    curve = changes["curve"] * m.price[1] ** 2 if "curve" in changes else 0.0
    m.objective = pyo.Objective(expr=m.z - m.price[0] * m.low.x[0] + curve)
    return m


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": pyo.Integers}, "general integer"),
        ({"square": 1.0}, "is quadratic"),
        ({"second": True}, "takes one price"),
        ({"moved": 1.0}, "moves a right-hand side"),
        ({"most": None}, "bounds"),
        ({"curve": 1.0}, "linear but for products"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name_and_solved_by_auto(changes, said):
    m = small_model(**changes)
    with pytest.raises(bilevel.BilevelError, match=said):
        bilevel.solve(m, m.low, method="decomposition", time_limit=30)
    assert bilevel.solve(m, m.low, gap=1e-5, time_limit=60).status == "optimal"


def test_it_is_the_method_of_all_followers_and_writes_nothing(tmp_path):
    m = small_model()
    with pytest.raises(bilevel.BilevelError, match="method of all"):
        bilevel.solve(m, m.low, method={"low": "decomposition"})
    with pytest.raises(bilevel.BilevelError, match="write with branch_and_cut"):
        bilevel.solve(m, m.low, method="decomposition", write=tmp_path)
    assert DecisionSearch(bilevel.read_model(m, m.low).problem).prices.size == 1


# 28: of two blocks, one has a row that presolve leaves without a variable, and that cannot hold.
@pytest.mark.parametrize("seed", [0, 1, 2, 28])
def test_followers_of_one_price_have_the_optimum_of_their_vertices(seed):
    problem = random_priced(seed)
    expected = optimum(problem)
    for method in ("decomposition", "branch_and_cut"):
        model, followers = problem.model()
        solution = bilevel.solve(model, followers, method=method, gap=1e-6, time_limit=30, load=False)
        assert agrees("infeasible" if expected == np.inf else expected, str(solution.status), solution.objective), (
            method,
            expected,
            solution.message,
        )
