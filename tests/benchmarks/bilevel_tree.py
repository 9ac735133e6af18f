"""CPU seconds to a proven gap of trees of the feeder family: three scenarios over three years, lines persist.

Run: ``pytest tests/benchmarks/bilevel_tree.py -m benchmark -s``. Seven nodes: the scenarios part after the first year; thirteen: after each.
"""

from __future__ import annotations

import resource
import time

import pytest

from multiscale import bilevel
from multiscale.bilevel.scip import client
from tests.bilevel.feeder import feeder
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
