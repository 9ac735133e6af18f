"""Trees of bilevel problems with persistent investments: against enumeration, against single solves, and what is refused."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.tree.node_solves import NodeSolves, node_solves
from multiscale.bilevel.tree.search import TreeSearch
from multiscale.bilevel.tree.statement import read_tree
from tests.bilevel.small import oracle, random_small


def node(gain, *, cost=1.0, sense=pyo.minimize, options=2, unused=False):
    """A need of 4 is met over lines (2 each once built, at 1 EUR) and from a dear source at 1 + gain; the leader pays for lines and supply."""
    m = pyo.ConcreteModel()
    m.build = pyo.Var(range(options), domain=pyo.Binary)
    low = m.low = pyo.Block()
    low.x, low.dear = pyo.Var(range(options), bounds=(0, None)), pyo.Var(bounds=(0, None))
    low.room = pyo.Constraint(range(options), rule=lambda b, i: b.x[i] <= (0 if unused else 2 * m.build[i]))
    low.need = pyo.Constraint(expr=sum(low.x[i] for i in range(options)) + low.dear >= 4)
    low.cost = pyo.Objective(expr=sum(low.x[i] for i in range(options)) + (1 + gain) * low.dear)
    built = 0 if unused else sum(cost * m.build[i] for i in range(options))
    paid = built + sum(low.x[i] for i in range(options)) + (1 + gain) * low.dear
    m.objective = pyo.Objective(expr=paid if sense == pyo.minimize else -paid, sense=sense)
    return m


def tree(*stated):
    """Nodes from (name, parent, probability, model)."""
    return [bilevel.TreeNode(name, m, [m.low], parent, probability) for name, parent, probability, m in stated]


def test_what_a_parent_builds_its_children_have():
    # Alone: the root gains 2 x 3 of each line at a cost of 1, each child 2 x 0.1 at a cost of 1: they would build nothing.
    nodes = tree(("now", None, 1.0, node(3)), ("high", "now", 0.5, node(3)), ("low", "now", 0.5, node(0.1)))
    solution = bilevel.solve_tree(nodes, ["build"], gap=1e-6, time_limit=60)
    assert solution.status == "optimal", solution.message
    assert all(value == 1 for built in solution.investments.values() for value in built.values())
    # Supply costs 4 with both lines, 4.4 without in the low scenario; the lines cost 2.
    assert solution.objective == pytest.approx(6 + 0.5 * 6 + 0.5 * 6, rel=1e-6)
    assert solution.separate["low"] == pytest.approx(4.4, rel=1e-6)
    assert solution.objective == pytest.approx(sum(solution.weights[n] * s.objective for n, s in solution.nodes.items()))
    assert all(s.certificate.holds for s in solution.nodes.values())
    assert pyo.value(nodes[2].model.build[0]) == 1
    assert "low" in solution.describe()


def test_a_parent_builds_less_where_its_children_would_pay_too_much():
    # A line gains the root 2 x 0.6 - 1 = 0.2 and costs the children 1 each, weighted 0.9.
    nodes = tree(("now", None, 1.0, node(0.6)), ("later", "now", 1.0, node(0.0)))
    nodes[1] = replace(nodes[1], weight=0.9)
    solution = bilevel.solve_tree(nodes, ["build"], gap=1e-6, time_limit=60)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(6.4 + 0.9 * 4, rel=1e-6))
    assert sum(solution.investments["now"].values()) == 0


def test_a_maximum_is_the_minimum_with_its_sign_turned():
    found = []
    for sense in (pyo.minimize, pyo.maximize):
        nodes = tree(("a", None, 1.0, node(3, sense=sense)), ("b", "a", 1.0, node(0.1, sense=sense)))
        found.append(bilevel.solve_tree(nodes, ["build"], gap=1e-6, time_limit=60))
    assert [s.status for s in found] == ["optimal", "optimal"]
    assert found[0].objective == pytest.approx(-found[1].objective, rel=1e-6)
    assert found[1].bound >= found[1].objective - 1e-6


def test_a_tree_of_one_node_is_the_node():
    alone = bilevel.solve(m := node(3), [m.low], gap=1e-6, time_limit=30)
    solution = bilevel.solve_tree(tree(("only", None, 1.0, node(3))), ["build"], gap=1e-6, time_limit=30)
    assert (solution.status, solution.solves) == ("optimal", 1)
    assert solution.objective == pytest.approx(alone.objective, rel=1e-9)
    assert solution.bound == pytest.approx(alone.bound, rel=1e-9)


def test_persistence_passes_through_a_node_that_does_not_use_the_investment():
    nodes = tree(("a", None, 1.0, node(3)), ("b", "a", 1.0, node(0.1, unused=True)), ("c", "b", 1.0, node(0.1)))
    solution = bilevel.solve_tree(nodes, ["build"], gap=1e-6, time_limit=60)
    assert solution.status == "optimal"
    assert sum(solution.investments["c"].values()) == sum(solution.investments["b"].values()) == sum(solution.investments["a"].values()) == 2


def test_a_tree_without_investments_that_keep_persistence_is_infeasible():
    parent, child = node(3), node(3)
    parent.build[0].setlb(1)
    child.build[0].setub(0)
    solution = bilevel.solve_tree(tree(("a", None, 1.0, parent), ("b", "a", 1.0, child)), ["build"], gap=1e-6, time_limit=30)
    assert solution.status == "infeasible"
    assert child.build[1].value is None


def test_a_node_without_an_answer_is_named():
    child = node(3)
    child.never = pyo.Constraint(expr=child.low.dear >= 50)
    solution = bilevel.solve_tree(tree(("a", None, 1.0, node(3)), (("b", 2), "a", 1.0, child)), ["build"], gap=1e-6, time_limit=30)
    assert (solution.status, "node ('b', 2) is infeasible" in solution.message) == ("infeasible", True)


# Against enumeration: the oracle of ``small`` gives each node's optimum at every choice of its binaries.


def weighted_tree(seed):
    """A root that likes to build and two children that do not, from one small problem; nodes, names of its binaries, and the optimum."""
    small = random_small(seed, 8)
    rng = np.random.default_rng(seed + 7)
    binaries = [k for k in range(small.g.size) if small.integral[k] and small.upper[k] == 1]
    smalls = []
    for low, high in ((-6, 2), (3, 14), (0, 9)):
        g = small.g.copy()
        g[binaries] = rng.integers(low, high, len(binaries))
        smalls.append(replace(small, g=g))
    weights = (1.0, 0.9 * 0.3, 0.9 * 0.7)
    values = [at_every_choice(s, binaries) for s in smalls]
    optimum = min(
        weights[0] * first
        + sum(
            w * min((v for z, v in of.items() if all(a <= b for a, b in zip(root, z, strict=True))), default=np.inf)
            for w, of in zip(weights[1:], values[1:], strict=True)
        )
        for root, first in values[0].items()
    )
    apart = sum(w * min(of.values()) for w, of in zip(weights, values, strict=True))
    nodes = []
    for name, (s, probability) in enumerate(zip(smalls, (1.0, 0.3, 0.7), strict=True)):
        model, blocks = s.model()
        nodes.append(bilevel.TreeNode(name, model, blocks, 0 if name else None, probability, 0.9 if name else 1.0))
    return nodes, [f"y[{k}]" for k in binaries], optimum, apart


def at_every_choice(small, binaries):
    found = {}
    for z in itertools.product((0, 1), repeat=len(binaries)):
        lower, upper = small.lower.copy(), small.upper.copy()
        lower[binaries] = upper[binaries] = z
        value = oracle(replace(small, lower=lower, upper=upper))
        assert value not in (None, "unbounded")
        found[z] = np.inf if value == "infeasible" else value
    return found


@pytest.mark.parametrize("seed", [1, 5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (4, 10, 15, 16, 18, 23, 33, 50, 56))])
def test_tiny_trees_give_the_optimum_of_enumeration(seed):
    nodes, names, optimum, apart = weighted_tree(seed)
    solution = bilevel.solve_tree(nodes, names, gap=1e-5, time_limit=60)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(optimum, rel=1e-4, abs=1e-5)
    assert solution.bound <= optimum + 1e-4 * abs(optimum)
    separate = sum(solution.weights[n] * bound for n, bound in solution.separate.items())
    assert separate == pytest.approx(apart, rel=1e-4, abs=1e-5)


def test_multipliers_alone_close_what_persistence_costs_here(monkeypatch):
    """Without the cuts, the Lagrangean bound of an instance without duality gap meets the feasible tree."""
    monkeypatch.setattr(TreeSearch, "_cuts", lambda _: None)
    nodes, names, optimum, apart = weighted_tree(5)
    solution = bilevel.solve_tree(nodes, names, gap=1e-5, time_limit=60)
    assert apart < optimum - 1e-3
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(optimum, rel=1e-4))


@pytest.mark.slow
def test_nodes_in_processes_give_the_same_answer():
    nodes, names, optimum, _ = weighted_tree(1)
    solution = bilevel.solve_tree(nodes, names, gap=1e-5, time_limit=120, processes=2)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(optimum, rel=1e-4))


def test_processes_for_nodes_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "runpy.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    tree, settings, clock = read_tree(*weighted_tree(1)[:2]), SolveOptions(), Clock(60.0)
    with node_solves(tree, settings, clock, 2) as solves:
        assert solves.pool.submit(os.getenv, "PYTHONSAFEPATH").result(timeout=60) == "1"


# Nodes without a point or without a bound, and investments that are not binary.


def answers_changed(monkeypatch, change):
    """Every answer of a node solve passes ``change(job, answer)``."""
    before = NodeSolves._answer
    monkeypatch.setattr(NodeSolves, "_answer", lambda self, job, solution: change(job, before(self, job, solution)))


def pointless(answer):
    return replace(answer, z=None, y=None, value=np.inf, solution=replace(answer.solution, status=bilevel.Status.TIME_LIMIT, certificate=None))


def three():
    return tree(("now", None, 1.0, node(3)), ("high", "now", 0.5, node(3)), ("low", "now", 0.5, node(0.1)))


def test_a_node_without_a_point_leaves_the_tree_without_one_but_with_its_bound(monkeypatch):
    answers_changed(monkeypatch, lambda job, answer: pointless(answer) if job.node == 1 else answer)
    solution = bilevel.solve_tree(three(), ["build"], gap=1e-6, time_limit=20)
    assert (solution.status, "no feasible tree is known" in solution.message) == ("error", True)
    # Both lines at 1 each and supply of 4, in all nodes.
    assert 11.2 - 1e-6 <= solution.bound <= 12 + 1e-6


def test_a_node_that_ends_once_without_a_bound_is_solved_again(monkeypatch):
    jobs = []

    def once(job, answer):
        jobs.append(job)
        return replace(answer, bound=-np.inf) if len(jobs) == 2 else answer

    answers_changed(monkeypatch, once)
    solution = bilevel.solve_tree(three(), ["build"], gap=1e-6, time_limit=30)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(12, rel=1e-6))


def test_a_box_that_proves_nothing_is_solved_once(monkeypatch):
    answers_changed(monkeypatch, lambda job, answer: replace(answer, bound=-np.inf) if job.box is not None else answer)
    monkeypatch.setattr(TreeSearch, "_multipliers", lambda _: None)
    solution = bilevel.solve_tree(three(), ["build"], gap=1e-6, time_limit=20)
    assert (solution.status, solution.objective, solution.bound) == ("feasible", pytest.approx(12), pytest.approx(11.2))
    assert solution.solves < 20
    assert "have been tried" in solution.message


def capacity(need):
    """A need in kW is met over a line of any capacity, at 0.6 EUR/kW, or from a source at 1.6 EUR/kW; the leader pays for both."""
    m = pyo.ConcreteModel()
    m.build = pyo.Var(bounds=(0, 10))
    low = m.low = pyo.Block()
    low.x, low.dear = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    low.room = pyo.Constraint(expr=low.x <= m.build)
    low.need = pyo.Constraint(expr=low.x + low.dear >= need)
    low.cost = pyo.Objective(expr=1.6 * low.dear)
    m.objective = pyo.Objective(expr=0.6 * m.build + 1.6 * low.dear)
    return m


def test_continuous_investments_are_found_between_those_of_the_nodes():
    # A kW saves the root 1 EUR up to 4 kW, and costs a child 0.6 EUR beyond its own need of 1 or 2.5 kW: the root stops at 2.5 kW.
    nodes = tree(("now", None, 1.0, capacity(4)), ("a", "now", 0.5, capacity(1)), ("b", "now", 0.5, capacity(2.5)))
    nodes = [nodes[0], *(replace(n, weight=2.0) for n in nodes[1:])]
    solution = bilevel.solve_tree(nodes, ["build"], gap=1e-5, time_limit=30)
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(0.6 * 2.5 + 1.6 * 1.5 + 2 * 0.6 * 2.5, rel=1e-5))
    assert solution.investments["now"]["build"] == pytest.approx(2.5, abs=1e-4)


def test_persistence_of_an_unknown_investment_is_unknown():
    found = read_tree(three(), ["build"])
    assert found.violation([np.ones(2), np.zeros(2), np.ones(2)]) == 1.0
    assert np.isnan(found.violation([np.ones(2), np.zeros(2), np.array([np.nan, 1.0])]))


def test_an_infeasible_node_counts_before_an_unbounded_one(monkeypatch):
    child = node(3)
    child.never = pyo.Constraint(expr=child.low.dear >= 50)

    def first_unbounded(job, answer):
        return replace(answer, solution=replace(answer.solution, status=bilevel.Status.UNBOUNDED)) if job.node == 0 else answer

    answers_changed(monkeypatch, first_unbounded)
    solution = bilevel.solve_tree(tree(("a", None, 1.0, node(3)), ("b", "a", 1.0, child)), ["build"], time_limit=30)
    assert (solution.status, "node 'b' is infeasible" in solution.message) == ("infeasible", True)


# Refusals.


def half(nodes):
    return [nodes[0], replace(nodes[1], probability=0.5)]


def orphan(nodes):
    return [nodes[0], replace(nodes[1], parent="b9")]


def circle(nodes):
    return [nodes[0], replace(nodes[1], parent="b")]


def twice(nodes):
    return [nodes[0], replace(nodes[1], name="a", parent=None)]


def one_model(nodes):
    return [nodes[0], replace(nodes[1], model=nodes[0].model, followers=nodes[0].followers)]


def weightless(nodes):
    return [nodes[0], replace(nodes[1], weight=0.0)]


def fewer_options(nodes):
    return [nodes[0], replace(nodes[1], model=(m := node(3, options=1)), followers=[m.low])]


def no_options(nodes):
    nodes[1].model.del_component("build")
    return nodes


def held(nodes):
    nodes[1].model.build[0].fix(1)
    return nodes


def other_sense(nodes):
    return [nodes[0], replace(nodes[1], model=(m := node(3, sense=pyo.maximize)), followers=[m.low])]


def refused_node(nodes):
    nodes[1].model.low.dear.domain = pyo.Integers
    return nodes


TREES = {
    half: r"probabilities of the children of 'a' \['b'\] sum to 0\.5, not to 1",
    orphan: r"node 'b': its parent 'b9' is not a node; there are \['a', 'b'\]",
    circle: r"\['b'\] have no root: their parents form a circle",
    twice: r"\[\"'a'\"\] are stated twice",
    one_model: r"two nodes share a Pyomo model",
    weightless: r"node 'b': weight is 0\.0",
    fewer_options: r"node 'b' has no build\[1\], which its parent 'a' may have built",
    no_options: r"node 'b' has no variable 'build', which persistence names",
    held: r"node 'b': build\[0\] is fixed; give it equal bounds",
    other_sense: r"some nodes minimise and others maximise",
    refused_node: r"node 'b': follower 'low'.*low\.dear is Integers",
}


@pytest.mark.parametrize("change", TREES, ids=lambda change: change.__name__)
def test_refusals_name_the_node(change):
    nodes = tree(("a", None, 1.0, node(3)), ("b", "a", 1.0, node(1)))
    with pytest.raises(bilevel.BilevelError, match=f"(?s){TREES[change]}"):
        bilevel.solve_tree(change(nodes), ["build"], time_limit=20)


def test_an_absolute_gap_is_refused_for_a_tree():
    with pytest.raises(bilevel.BilevelError, match=r"absolute_gap: .* give a relative one"):
        bilevel.solve_tree(tree(("a", None, 1.0, node(3))), ["build"], absolute_gap=1.0, time_limit=20)


def test_a_followers_variable_does_not_persist():
    with pytest.raises(bilevel.BilevelError, match=r"node 'a': low\.dear belongs to a follower"):
        bilevel.solve_tree(tree(("a", None, 1.0, node(3))), ["low.dear"], time_limit=20)
