"""Unbounded, infeasible and finite problems whose relaxations are unbounded are told apart, in every method."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from multiscale import bilevel

METHODS = ("auto", "sos1", "indicator", "product", "strong_duality", "big_m", "branch_and_cut")


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
    applied = 0
    for method in METHODS:
        m = problem(kind)
        try:
            solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=20)
        except bilevel.BilevelError:
            assert method in ("strong_duality", "big_m", "branch_and_cut")
            continue
        applied += 1
        assert solution.status == status, (method, solution.message)
        if kind == "finite":
            assert solution.objective == pytest.approx(-4.0)
    assert applied >= 4
