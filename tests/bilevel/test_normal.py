"""The normal form: the same problem whatever way it is written, and answers that are certified as it was read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from multiscale import bilevel, programs
from multiscale.bilevel import solving
from multiscale.bilevel.normal.normalise import NormalForm, normalise
from multiscale.bilevel.normal.parallel import parallel_rows
from multiscale.bilevel.search.response import Responder
from tests.bilevel.feeder import feeder
from tests.bilevel.respelling import OPERATIONS, respelled
from tests.property.test_bilevel import enumerated, random_problem, random_supply

MIXTURES = [[o for o in OPERATIONS if np.random.default_rng(seed).permutation(len(OPERATIONS))[OPERATIONS.index(o)] % 2] for seed in range(6)]


def read(model, followers):
    return bilevel.read_model(model, followers).problem


@pytest.fixture(scope="module")
def community():
    case = feeder(4, 6, 2, hard=True, seed=3)
    return read(case.model, [case.follower])


@pytest.fixture(scope="module")
def plain(community):
    return normalise(community).problem


def size(problem):
    """Columns, rows, nonzeros of the followers; quantities, rows and products of the leader."""
    program, leader = problem.followers[0].program, problem.leader
    forms = [leader.objective, *(row.form for row in leader.curved)]
    products = sum(form.products.size for form in forms)
    return program.columns.size, program.rows.size, program.A.nnz, len(leader.quantity_names), leader.row_lower.size + len(leader.curved), products


def value(problem, y):
    """Optima of the followers at a decision."""
    found = Responder(problem).answer(y)
    assert isinstance(found, tuple)
    return [problem.cost(f, x, y) for f, x in enumerate(found[0])], found[0]


def decisions(problem, count, seed=0):
    """Random decisions within the leader's bounds."""
    rng, leader = np.random.default_rng(seed), problem.leader
    for _ in range(count):
        y = rng.uniform(np.maximum(leader.lower, -10.0), np.minimum(leader.upper, 10.0))
        yield np.where(leader.integral, np.round(y), y)


@pytest.mark.parametrize("operations", [[operation] for operation in OPERATIONS] + MIXTURES, ids=[*OPERATIONS, *map(str, range(len(MIXTURES)))])
def test_every_way_to_write_a_problem_has_one_normal_form(community, plain, operations):
    other = respelled(community, operations, seed=1)
    assert size(normalise(read(other.model, other.followers)).problem) == size(plain)


@pytest.mark.parametrize("operations", [[operation] for operation in OPERATIONS] + MIXTURES, ids=[*OPERATIONS, *map(str, range(len(MIXTURES)))])
def test_followers_have_the_same_optimum_at_every_decision_and_their_columns_come_back(community, operations):
    other = respelled(community, operations, seed=2)
    problem = read(other.model, other.followers)
    normal = normalise(problem)
    for y in decisions(normal.problem, 4):
        reduced, primal = value(normal.problem, y)
        whole, columns = normal.restored(y, primal)
        full, _ = value(problem, whole)
        assert reduced == pytest.approx(full, rel=1e-9, abs=1e-9)
        for f, follower in enumerate(problem.followers):
            # What comes back is feasible and costs the optimum: the same answer, with all columns.
            assert follower.program.violation(columns[f], whole) < 1e-8
            assert problem.cost(f, columns[f], whole) == pytest.approx(full[f], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_leader_sees_the_same_of_random_followers(seed):
    problem = read(*(random_problem if seed % 2 else random_supply)(seed))
    normal = normalise(problem)
    assert (normal is not None) == all(f.is_linear for f in problem.followers)
    if normal is None:
        return
    responder, other = Responder(problem), Responder(normal.problem)
    for y in decisions(normal.problem, 3, seed):
        reduced = other.answer(y)
        whole, _ = normal.restored(y, [np.zeros(f.program.columns.size) for f in normal.problem.followers])
        full = responder.answer(whole)
        assert isinstance(reduced, tuple) == isinstance(full, tuple)
        if isinstance(reduced, tuple):
            _, columns = normal.restored(y, reduced[0])
            before = problem.joint(whole, columns, full[1])
            after = normal.problem.joint(y, reduced[0], reduced[1])
            # The leader's objective over the same answer, and the followers' optima.
            assert normal.problem.leader.objective.value(after) == pytest.approx(problem.leader.objective.value(before), rel=1e-9, abs=1e-7)
            for f in range(len(problem.followers)):
                assert problem.cost(f, full[0][f], whole) == pytest.approx(normal.problem.cost(f, reduced[0][f], y), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("operations", MIXTURES[:3], ids=map(str, range(3)))
def test_a_problem_written_differently_has_the_same_answer_by_the_same_method(community, operations):
    case = feeder(4, 6, 2, hard=True, seed=3)
    first = bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60)
    other = respelled(community, operations, seed=4)
    second = bilevel.solve(other.model, other.followers, gap=1e-4, time_limit=60)
    sign = -1.0 if "maximise leader" in operations else 1.0
    assert (first.status, second.status) == ("optimal", "optimal")
    assert sign * second.objective == pytest.approx(first.objective, rel=2e-4)
    assert list(second.methods.values()) == list(first.methods.values())
    assert "normal form" in second.size
    assert not second.certificate.failures


@pytest.mark.parametrize("seed", range(5))
def test_a_rewritten_problem_has_the_optimum_that_branching_on_pairs_finds(seed):
    problem = read(*random_supply(seed))
    other = respelled(problem, MIXTURES[seed], seed)
    solution = bilevel.solve(other.model, other.followers, gap=1e-5, time_limit=20)
    assert solution.status == "optimal"
    sign = -1.0 if "maximise leader" in MIXTURES[seed] else 1.0
    assert sign * solution.objective == pytest.approx(enumerated(problem), rel=1e-4, abs=1e-4)


def test_the_answer_speaks_of_the_model_as_it_was_written(community):
    other = respelled(community, ["split columns", "copy decisions", "total of the leader"], seed=1)
    solution = bilevel.solve(other.model, other.followers, gap=1e-3, time_limit=60)
    program = solution.problem.followers[0].program
    assert solution.primal["follower0"].size == program.columns.size
    assert solution.dual["follower0"].size == program.rows.size
    # Values are in the model, also of variables that were substituted.
    m, block = other.model, other.followers[0]
    assert pyo.value(m.objective) == pytest.approx(solution.objective, rel=1e-6)
    sizes = [key for key in m.extra if key[0] == "size"]
    assert sizes
    assert all(pyo.value(m.extra[key]) == pytest.approx(2.0 + 3.0 * pyo.value(m.y[key[1]]), abs=1e-6) for key in sizes)
    body = (pyo.value(row.body) - pyo.value(row.upper) for row in block.rows.values() if row.upper is not None)
    assert max(body) < 1e-6
    row = next(iter(block.rows.values()))
    assert solution.dual_of(row) == pytest.approx(solution.dual["follower0"][0])
    assert "follower0.rows[1]" in solution.describe()


def test_with_write_the_problem_is_solved_as_it_was_read(community, tmp_path):
    other = respelled(community, ["split columns"], seed=1)
    solution = bilevel.solve(other.model, other.followers, gap=1e-3, time_limit=60, write=tmp_path)
    assert "normal form" not in solution.size
    assert any("part_1" in path.read_text() or "part 1" in path.read_text() for path in tmp_path.glob("*.lp"))


def test_a_wrong_step_is_noticed_and_the_problem_solved_as_it_was_read(community, monkeypatch):
    def wrong(problem):
        """A normal form that has lost the limits of lines."""
        found = normalise(problem)
        (follower,) = found.problem.followers
        program = follower.program
        free = sparse.csr_matrix(program.B.shape)
        looser = replace(program, b0=np.where(np.diff(program.B.indptr) > 0, program.b0 + 50.0, program.b0), B=free)
        return NormalForm(replace(found.problem, followers=(replace(follower, program=looser),)), found.back)

    case = feeder(4, 6, 2, hard=True, seed=3)
    right = bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60)
    monkeypatch.setattr(solving, "normalise", wrong)
    answer = bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60)
    assert "solved as it was read" in answer.message
    assert answer.status == "optimal"
    assert answer.objective == pytest.approx(right.objective, rel=2e-4)


def test_rows_that_are_multiples_have_one_representative():
    matrix = sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [-2.0, -4.0, 0.0], [1.0, 2.0, 1e-3], [0.0, 0.3, 0.3], [0.0, 0.0, 0.0]]))
    leader, factor = parallel_rows(matrix)
    assert leader.tolist() == [0, 1, 0, 3, 1, 5]
    assert factor == pytest.approx([1.0, 1.0, -2.0, 1.0, 0.3, 1.0])
    assert np.abs((sparse.diags(factor) @ matrix[leader] - matrix).toarray()).max() < 1e-15


def test_ties_stay_open_for_the_leader():
    """Two columns the follower does not distinguish but the leader does are no multiples of each other: the optimistic answer uses one."""
    m = pyo.ConcreteModel()
    m.y = pyo.Var(bounds=(0, 1))
    m.low = pyo.Block()
    m.low.x = pyo.Var([0, 1], bounds=(0, 1))
    m.low.need = pyo.Constraint(expr=m.low.x[0] + m.low.x[1] >= 1)
    m.low.cost = pyo.Objective(expr=m.low.x[0] + m.low.x[1])
    m.objective = pyo.Objective(expr=m.low.x[0] + 2 * m.low.x[1] + m.y)
    assert normalise(read(m, [m.low])).problem.followers[0].program.columns.size == 2
    solution = bilevel.solve(m, [m.low], gap=1e-6)
    assert solution.objective == pytest.approx(1.0)
    assert solution.certificate.pessimistic == pytest.approx(2.0)


def test_a_slack_column_leaves_an_inequality():
    b = programs.ProgramBuilder("supply")
    x = b.add_columns("x", {"i": np.arange(2)}, unit="kW", cost=np.array([1.0, 2.0]), upper=5.0)
    spill = b.add_columns("spill", {}, unit="kW")
    need = b.add_rows("need", {}, [(np.ones(2), x)], "==", 4.0, unit="kW")
    b.add_to_rows(need, spill, -1.0)
    m = pyo.ConcreteModel()
    m.y = pyo.Var(bounds=(0, 1))
    follower = bilevel.ProgramFollower(b.build(), {}, model=m)
    m.objective = pyo.Objective(expr=follower.cost + m.y)
    program = normalise(read(m, [follower])).problem.followers[0].program
    assert program.columns.size == 2
    assert program.equality.tolist() == [False]
    assert program.b0.tolist() == [-4.0]
