"""CPU seconds to a proven gap of trees of the feeder family: three scenarios over three years, lines persist.

Run: ``pytest tests/benchmarks/bilevel_tree.py -m benchmark -s``. Seven nodes: the scenarios part after the first year; thirteen: after each.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.scip import client
from tests.bilevel.feeder import TARIFF_CAP, VALUE_OF_LOST_LOAD, feeder
from tests.bilevel.test_parts import feeders

pytestmark = pytest.mark.benchmark

GROWTH = {"low": 0.95, "middle": 1.1, "high": 1.3}
YEARS = 5

CASES = [
    # nodes x hours of the feeder, kind, whether scenarios part after each year, relative gap
    (8, 24, "base", False, 1e-3),
    (15, 24, "base", False, 1e-3),
    (15, 24, "hard", False, 1e-3),
    (15, 24, "base", True, 1e-3),
    (33, 24, "base", True, 1e-3),
    (33, 24, "hard", True, 1e-3),
]


def feeder_tree(nodes: int, hours: int, *, hard: bool = False, wide: bool = False) -> list[bilevel.TreeNode]:
    """Three years with demand growing by scenario, PV 10 % cheaper and costs discounted by 1.05^-5 a stage."""
    found = []

    def add(name, parent, probability, growth, stage):
        case = feeder(nodes, hours, hard=hard, growth=growth, pv_price=0.9**stage)
        found.append(bilevel.TreeNode(name, case.model, [case.follower], parent, probability, 1.05 ** (-YEARS * stage)))

    add("now", None, 1.0, 1.0, 0)
    for scenario, growth in GROWTH.items():
        add((1, scenario), "now", 1 / 3, growth, 1)
        for then, further in GROWTH.items() if wide else [(scenario, growth)]:
            add((2, scenario, then), (1, scenario), 1 / 3 if wide else 1.0, growth * further, 2)
    return found


def regulated_tree(nodes: int, hours: int, *, wide: bool = False) -> tuple[Any, list[Any]]:
    """The tree in one model: in each node, revenue is at most 1.01 of the investment, and unserved energy is paid for."""
    stages = [("now", None, 1.0, 1.0, 0)]
    for scenario, growth in GROWTH.items():
        stages.append((f"1 {scenario}", "now", 1 / 3, growth, 1))
        for then, further in GROWTH.items() if wide else [(scenario, growth)]:
            stages.append((f"2 {scenario} {then}", f"1 {scenario}", 1 / 3 if wide else 1.0, growth * further, 2))
    m, lines = pyo.ConcreteModel(), range(1, nodes)
    names = [name for name, *_ in stages]
    m.build, m.tariff = pyo.Var(names, lines, domain=pyo.Binary), pyo.Var(names, bounds=(0, TARIFF_CAP))
    m.cap, m.persistence = pyo.ConstraintList(), pyo.ConstraintList()
    followers, total, chance = [], 0.0, {}
    for name, parent, probability, growth, stage in stages:
        case = feeder(nodes, hours, regulated=True, growth=growth, pv_price=0.9**stage)
        built = [m.build[name, k] for k in lines]
        follower = bilevel.ProgramFollower(case.program, {"tariff": [m.tariff[name]], "built": built}, model=m, name=name)
        revenue = m.tariff[name] * follower.output("import_energy")[0]
        spent = sum(float(cost) * b for cost, b in zip(case.investment, built, strict=True))
        m.cap.add(revenue <= 1.01 * spent)
        chance[name] = probability * chance.get(parent, 1.0)
        profit = revenue - spent - VALUE_OF_LOST_LOAD * follower.output("unserved_energy")[0]
        total = total + chance[name] * 1.05 ** (-YEARS * stage) * profit
        for k in lines if parent else ():
            m.persistence.add(m.build[name, k] >= m.build[parent, k])
        followers.append(follower)
    m.objective = pyo.Objective(expr=total, sense=pyo.maximize)
    return m, followers


def cpu() -> float:
    """CPU seconds of this process and of those it has ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


@pytest.mark.parametrize(("nodes", "hours", "kind", "wide", "gap"), CASES)
def test_trees_close_their_gap(nodes, hours, kind, wide, gap):
    stated = feeder_tree(nodes, hours, hard=kind == "hard", wide=wide)
    before = cpu()
    solution = bilevel.solve_tree(stated, ["build"], gap=gap, time_limit=600)
    client._stop_idle()
    print(f"\n{nodes}x{hours} {kind}, {len(stated)} nodes: {cpu() - before:.1f} CPU s, gap {solution.gap:.1e}, {solution.solves} node solves")
    assert solution.status == "optimal", solution.describe()


@pytest.mark.parametrize("nodes", [8, 15])
def test_three_years_in_one_model(nodes):
    """The same kind of tree (hard, three years, no scenarios) as one problem with three followers, within 100 s on the clock."""
    model, followers, _ = feeders(3, nodes, 24)
    began = time.perf_counter()
    solution = bilevel.solve(model, followers, gap=1e-3, time_limit=100)
    print(
        f"\n{nodes}x24 hard, 3 years in one model: {solution.status} after {time.perf_counter() - began:.0f} s on the clock, gap {solution.gap:.1e}"
    )
    assert solution.certificate is not None
    assert solution.certificate.holds


@pytest.mark.parametrize(("nodes", "wide"), [(8, False), (15, False), (33, False), (33, True)])
def test_a_tree_of_leaders_that_earn_in_one_model(nodes, wide):
    """Seven or thirteen nodes, each with a price and a cap of its revenue, as one problem by decomposition."""
    model, followers = regulated_tree(nodes, 24, wide=wide)
    before = cpu()
    solution = bilevel.solve(model, followers, gap=1e-3, time_limit=300)
    used = cpu() - before
    print(f"\n{nodes}x24 regulated, {len(followers)} nodes in one: {used:.1f} CPU s, {solution.status}, gap {solution.gap:.1e}, {solution.message}")
    assert solution.status == "optimal", solution.message
