"""Boxes of binaries: a leader that earns under a ceiling on its price, and must recover what it spends."""

from __future__ import annotations

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition import decompose as decomposing
from multiscale.bilevel.decomposition.block import Block
from multiscale.bilevel.decomposition.boxes import BoxSearch
from multiscale.bilevel.problem.parts import Part
from multiscale.bilevel.problem.solve_options import SolveOptions
from tests.bilevel.feeder import feeder
from tests.further import first


def under_a_ceiling(nodes, hours, ceiling, seed=0):
    """A feeder whose owner earns at most 1.2 of its investment and at least all of it, at a price of at most ``ceiling``."""
    case = feeder(nodes, hours, seed=seed)
    m = case.model
    m.del_component(m.recovery)
    m.del_component(m.objective)
    spent = sum(float(cost) * m.build[k + 1] for k, cost in enumerate(case.investment))
    revenue = m.tariff[0] * case.follower.output("import_energy")[0]
    m.least, m.most = pyo.Constraint(expr=revenue >= spent), pyo.Constraint(expr=revenue <= 1.2 * spent)
    m.objective = pyo.Objective(expr=spent - revenue)
    m.tariff[0].setub(ceiling)
    return case


def box_search(case):
    problem = bilevel.read_model(case.model, [case.follower]).problem
    part = Part(problem, np.arange(problem.leader.size), np.arange(len(problem.followers)))
    return BoxSearch(Block(part, SolveOptions(), Clock(100.0), 10.0, None), Clock(100.0))


@pytest.mark.parametrize(("ceiling", "seed"), first(1, [(0.1, 0), (0.08, 1)], names=2))
def test_the_answer_under_a_ceiling_is_the_best_of_all_decisions(ceiling, seed, monkeypatch):
    monkeypatch.setattr(decomposing, "_BOXES", -1)
    case = under_a_ceiling(5, 8, ceiling, seed)
    found = bilevel.solve(case.model, [case.follower], method="decomposition", gap=1e-5, enumerate_up_to=0)
    values = []
    for built in itertools.product((0, 1), repeat=4):
        held = under_a_ceiling(5, 8, ceiling, seed)
        for k, value in enumerate(built):
            held.model.build[k + 1].fix(value)
        one = bilevel.solve(held.model, [held.follower], method="strong_duality", gap=1e-6)
        values.append(one.objective if one.status == "optimal" else np.inf)
        assert one.status in ("optimal", "infeasible")
    assert found.status == "optimal", found.message
    assert found.objective == pytest.approx(min(values), rel=1e-4)


def test_a_box_bounds_every_decision_within_it():
    search = box_search(under_a_ceiling(5, 8, 0.1))
    assert search.applies
    search._prepare()
    points = [np.array(u, dtype=float) for u in itertools.product((0.0, 1.0), repeat=4)]
    exact = {}
    for u in points:
        found = search.block.exact(u, None, 1e-6, np.inf)
        exact[u.tobytes()] = np.inf if found.response is None else found.response.objective
    assert min(exact.values()) < 0
    for low, high in itertools.product(points, repeat=2):
        if (low <= high).all():
            bound, _ = search._bound(low, high)
            least = min(exact[u.tobytes()] for u in points if (low <= u).all() and (u <= high).all())
            assert bound <= least + 1e-5, (low, high)


def test_no_answer_under_a_ceiling_that_recovers_nothing_is_infeasible(monkeypatch):
    monkeypatch.setattr(decomposing, "_BOXES", -1)
    case = under_a_ceiling(5, 8, 1e-3)
    case.model.some = pyo.Constraint(expr=sum(case.model.build.values()) >= 2)
    found = bilevel.solve(case.model, [case.follower], method="decomposition", gap=1e-4, enumerate_up_to=0)
    assert found.status == "infeasible", found.message


def test_a_binary_that_widens_one_row_and_narrows_another_has_no_narrow_side():
    case = under_a_ceiling(4, 8, 0.1)
    search = box_search(case)
    assert search.narrow.tolist() == [1.0, 1.0, 1.0]
    problem = search.problem
    matrix = problem.followers[0].program.B.tolil()
    column = int(search.integers[0])
    row = int(matrix.tocsc()[:, [column]].indices[0])
    matrix[row, column] = -matrix[row, column]
    program = problem.followers[0].program
    changed = type(program)(**(program.__dict__ | {"B": matrix.tocsr()}))
    object.__setattr__(problem.followers[0], "program", changed)
    assert BoxSearch(search.block, Clock(10.0)).narrow.tolist() == [0.0, 1.0, 1.0]
    assert not BoxSearch(search.block, Clock(10.0)).applies
