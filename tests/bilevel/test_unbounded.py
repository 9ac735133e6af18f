"""Unbounded, infeasible and finite problems whose relaxations are unbounded are distinguished, in every method."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from tests.bilevel.every_method import solved_by_every_method


def problem(kind):
    m = pyo.ConcreteModel()
    m.y = pyo.Var(bounds=(0, 2))
    m.build = pyo.Var(domain=pyo.Binary)
    low = m.low = pyo.Block()
    low.x = pyo.Var(bounds=(0, None))
    low.z = pyo.Var(bounds=(0, None))
    low.need = pyo.Constraint(expr=low.x + low.z >= 1 + m.build)
    # The follower likes z least: it stays zero at every optimum, and only the relaxation lets it grow.
    low.cost = pyo.Objective(expr=low.x + (2 + m.y) * low.z)
    if kind == "finite":
        m.objective = pyo.Objective(expr=-low.z - low.x - m.y)
    elif kind == "unbounded":
        low.free = pyo.Var(bounds=(0, None))
        m.objective = pyo.Objective(expr=-low.free - low.x)
    else:
        m.never = pyo.Constraint(expr=low.z >= 1)
        m.objective = pyo.Objective(expr=-low.z)
    return m


@pytest.mark.parametrize(("kind", "status"), [("finite", "optimal"), ("unbounded", "unbounded"), ("infeasible", "infeasible")])
def test_open_relaxations(kind, status):
    def build():
        m = problem(kind)
        return m, m.low

    for method, solution in solved_by_every_method(build, gap=1e-6, time_limit=20):
        assert solution.status == status, (method, solution.message)
        if kind == "finite":
            assert solution.objective == pytest.approx(-4.0)
