"""Linked plans: equal to enumeration of all combinations, and bounds that hold."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.persistence import Restriction, linked_plans, one_by_one

OPTIONS = ("a", "b", "c")
CHOICES = list(itertools.product((False, True), repeat=len(OPTIONS)))


@dataclass(frozen=True)
class Answer:
    built: dict
    objective: float
    bound: float


class Table:
    """Cost of every choice in every node; some have none."""

    def __init__(self, rng, nodes, gap=0.0):
        self.gap, self.asked = gap, []
        self.cost = {n: {z: float(rng.normal()) if rng.random() > 0.15 else None for z in CHOICES} for n in nodes}

    def plan(self, node, restriction):
        self.asked.append((node, restriction))
        admitted = {
            z: cost
            for z, cost in self.cost[node].items()
            if cost is not None and restriction.admits(Answer(dict(zip(OPTIONS, z, strict=True)), 0.0, 0.0))
        }
        if not admitted:
            raise NoPlanError("infeasible", f"{node} has no plan")
        best = min(admitted, key=admitted.get)
        # A search that ends at a gap may return any plan within it.
        within = [z for z, cost in admitted.items() if cost <= admitted[best] + self.gap]
        return Answer(dict(zip(OPTIONS, within[-1], strict=True)), admitted[within[-1]], admitted[best])

    def enumerated(self, weights, links):
        nodes, best = list(weights), np.inf
        for each in itertools.product(CHOICES, repeat=len(nodes)):
            of = dict(zip(nodes, each, strict=True))
            if any(x and not y for a, b in links for x, y in zip(of[a], of[b], strict=True)):
                continue
            costs = [self.cost[n][z] for n, z in of.items()]
            if None not in costs:
                best = min(best, sum(w * c for w, c in zip(weights.values(), costs, strict=True)))
        return best


CHAIN = [("2030", "2035"), ("2035", "2040")]
FORK = [("root", "low"), ("root", "high")]
ALIKE = [("low", "high"), ("high", "low"), ("low", "later")]


@pytest.mark.parametrize("links", [CHAIN, FORK, ALIKE], ids=["chain", "fork", "alike"])
@pytest.mark.parametrize("seed", range(12))
def test_linked_plans_equal_enumeration(links, seed):
    rng = np.random.default_rng(seed)
    nodes = list(dict.fromkeys(n for link in links for n in link))
    weights, table = {n: float(rng.uniform(0.5, 2.0)) for n in nodes}, Table(rng, nodes)
    best = table.enumerated(weights, links)
    if not np.isfinite(best):
        with pytest.raises(NoPlanError):
            linked_plans(weights, links, one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=10_000)
        return
    found = linked_plans(weights, links, one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=10_000)
    assert found.objective == pytest.approx(best, abs=1e-9)
    assert found.bound == pytest.approx(best, abs=1e-8)
    assert found.separate <= found.bound + 1e-9
    assert not any(found.plans[a].built[o] and not found.plans[b].built[o] for a, b in links for o in OPTIONS)
    assert found.solves == len(table.asked) == len(set(table.asked))


@pytest.mark.parametrize("seed", range(8))
def test_bounds_hold_where_plans_have_gaps_or_work_ends(seed):
    rng = np.random.default_rng(seed)
    weights = {"2030": 1.0, "2035": 0.7, "2040": 0.5}
    exact = Table(rng, weights)
    best = exact.enumerated(weights, CHAIN)
    loose = Table(np.random.default_rng(seed), weights, gap=0.3)
    for most in (3, 5, 10_000):
        try:
            found = linked_plans(weights, CHAIN, one_by_one(loose.plan), gap=0.0, gap_eur=0.0, most=most)
        except NoPlanError:
            assert most < 10_000 or not np.isfinite(best)
            continue
        assert found.bound <= best + 1e-9 <= found.objective + 2e-9
        if most == 10_000:
            assert found.gap <= 0.3 * sum(weights.values()) + 1e-9
            assert not found.ended


def test_separate_plans_that_keep_to_each_other_are_the_answer():
    table = Table(np.random.default_rng(0), ["2030", "2035"])
    table.cost = {n: {z: float(abs(sum(z) - wanted)) for z in CHOICES} for n, wanted in (("2030", 0), ("2035", 3))}
    found = linked_plans({"2030": 1.0, "2035": 1.0}, [("2030", "2035")], one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=2)
    assert (found.objective, found.bound, found.solves) == (0.0, 0.0, 2)


def test_a_plan_that_is_not_found_ends_the_search_and_keeps_what_is_known():
    """Work that runs out in one node is no proof that it has no plan: the bound stays below the optimum, and what was found stands."""
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        weights = {"2030": 1.0, "2035": 0.7, "2040": 0.5}
        table = Table(rng, weights)
        best = table.enumerated(weights, CHAIN)

        def plan(node, restriction, table=table):
            if len(table.asked) >= 10:
                raise NoPlanError("time_limit", f"{node}: ended by the clock")
            return table.plan(node, restriction)

        try:
            found = linked_plans(weights, CHAIN, one_by_one(plan), gap=0.0, gap_eur=0.0, most=10_000)
        except NoPlanError:
            continue
        assert found.bound <= best + 1e-9 <= found.objective + 2e-9
        if found.ended:
            kept += 1
            assert "ended by the clock" in found.ended
        else:
            assert found.objective == pytest.approx(best, abs=1e-9)
    assert kept


def test_bad_input_is_named():
    table = Table(np.random.default_rng(0), ["2030", "2035"])
    with pytest.raises(ValueError, match="'2035': weight 0 is not above zero"):
        linked_plans({"2030": 1.0, "2035": 0.0}, [], one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=9)
    with pytest.raises(ValueError, match="there is no node '2040'"):
        linked_plans({"2030": 1.0, "2035": 1.0}, [("2035", "2040")], one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=9)
    with pytest.raises(ValueError, match=r"1 plans are too few for 2 nodes.*planning\.linked_plans"):
        linked_plans({"2030": 1.0, "2035": 1.0}, [], one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=1)


def test_a_restriction_that_contradicts_itself_admits_nothing():
    assert not Restriction(frozenset("a"), frozenset("a")).admits(Answer({"a": True}, 0.0, 0.0))
    assert not Restriction(frozenset("a"), frozenset("a")).admits(Answer({"a": False}, 0.0, 0.0))


@pytest.mark.parametrize("seed", range(6))
def test_nodes_planned_at_once_lead_to_what_nodes_planned_in_turn_do(seed):
    """Plans of independent nodes may be made in any order: only the number of plans differs, where some node has none."""
    weights = {"root": 1.0, "low": 0.4, "high": 0.6}
    answers = []
    for at_once in (True, False):
        table = Table(np.random.default_rng(seed), weights)

        def plans(nodes, table=table):
            return {node: found for node, restriction in list(nodes.items())[::-1] for found in [outcome(table, node, restriction)]}

        try:
            found = linked_plans(weights, FORK, plans if at_once else one_by_one(table.plan), gap=0.0, gap_eur=0.0, most=10_000)
        except NoPlanError as error:
            answers.append(error.status)
            continue
        assert found.solves == len(table.asked)
        answers.append((found.objective, found.bound, {node: plan.built for node, plan in found.plans.items()}))
    assert answers[0] == answers[1]


def outcome(table, node, restriction):
    try:
        return table.plan(node, restriction)
    except NoPlanError as error:
        return error
