r"""Nested planning: the transmission operator plans with what distribution operators offer; bound and plan of all together.

Every round

1. prices of the best or latest plan go to the distribution operators, and each answers with its own plan and a proven bound (``offers``);
2. the transmission operator plans with what all offers prove, a lower bound on every joint plan (``master``):

       min  a'z_T + V(z_T, y) + sum_d theta_d      s.t.  theta_d >= v_dk - sum_t h_t lambda_dkt y_dt  for all offers k,    z_T in {0, 1}

3. what it builds and what the distribution operators offered to build is operated at least cost, together and with the best plan so far, and so is
   the best plan with that of one distribution operator exchanged for another of its offers: whatever that costs is the cost of a plan. The nodal
   prices of these plans are the next to ask about.

The bound rises to the Lagrangean bound of the exchange. That is the optimum where one plan of every distribution operator is best at the prices.
Else a duality gap remains, and the choices are parted: an option on which offers disagree is built in one part and not in the other, and both are
explored alike, the lower bound first; what was offered before still holds in a part. Where all options of distribution operators are decided they are
also asked for the prices at which they would draw what the transmission operator's plan expects of them: there the under-estimator is raised until it
is exact.

Source of the scheme: Geoffrion, Journal of Optimization Theory and Applications 10 (1972) 237-260 (generalised Benders decomposition), the cuts as in
Kelley, SIAM Journal 8 (1960) 703-712.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from multiscale.coordination.common.prepared import Progress, silent
from multiscale.planning.follower_names import BUILT
from multiscale.planning.nested.offers import DistributionPlanner, Offer, as_offered
from multiscale.planning.nested.problem import NestedProblem, Operated
from multiscale.programs.mixed_integer import MixedSolution, solve_mixed

ROUNDING = 1e-9
"""Distance of cost and bound, relative to the cost, that is rounding [1]."""


@dataclass(frozen=True)
class NestedPlan:
    """A joint plan with its proof.

    Attributes:
        best: the plan, operated at least cost.
        bound: proven lower bound on the cost of every joint plan [EUR/a].
        nothing, everything: cost of building the fewest and the most options admitted [EUR/a].
        first: the plan in which every distribution operator answers the prices of the network as it is, and the transmission operator builds nothing.
        rounds: of asking.
        history: cost of the best plan and bound after every round [EUR/a].
        message: what ended the search.
        closed: whether cost and bound met to the gap asked for.
    """

    best: Operated
    bound: float
    nothing: float
    everything: float
    first: Operated
    rounds: int
    history: tuple[tuple[float, float], ...]
    message: str
    closed: bool

    @property
    def gap_eur(self) -> float:
        """Distance of cost and bound [EUR/a]."""
        return self.best.cost - self.bound

    @property
    def decision_range(self) -> float:
        """What decisions move: the more expensive of the fewest and the most options, less the plan [EUR/a]."""
        return max(0.0, max(self.nothing, self.everything) - self.best.cost)


@dataclass
class _Node:
    """Part of the choices: options of distribution operators that are built, and that are not; with what is known of it."""

    required: frozenset[str]
    excluded: frozenset[str]
    offers: dict[str, list[Offer]]
    price: Mapping[str, np.ndarray]
    bound: float = -np.inf


class _OutOfRoundsError(Exception):
    """The rounds are used up."""


@dataclass
class _Search:
    problem: NestedProblem
    gap_eur: float
    gap: float
    rounds: int
    nodes: int
    report_progress: Progress
    known: dict[frozenset[str], Operated] = field(default_factory=dict)
    offered: dict[str, set[frozenset[str]]] = field(default_factory=dict)
    history: list[tuple[float, float]] = field(default_factory=list)
    best: Operated = field(init=False)
    first: Operated | None = None

    def run(self) -> NestedPlan:
        fewest, most = self.problem.admitted
        nothing, everything = self.operated(fewest), self.operated(most)
        self.best = min(nothing, everything, key=lambda o: o.cost)
        root, count = _Node(frozenset(), frozenset(), {}, nothing.price), itertools.count()
        heap: list[tuple[float, int, _Node]] = []
        # Parts in which nothing is left to decide: their bounds still count.
        decided, explored, ended = np.inf, 0, ""
        open_parts = [root]
        try:
            while True:
                for k, part in enumerate(open_parts):
                    self.explore(part, min([decided] + [p.bound for p in open_parts[k + 1 :]] + [entry[0] for entry in heap]))
                    explored += 1
                    heapq.heappush(heap, (part.bound, next(count), part))
                if not heap or self.closed(heap[0][0]):
                    break
                bound, _, node = heapq.heappop(heap)
                open_parts = self.parts(node)
                decided = decided if open_parts else min(decided, bound)
        except _OutOfRoundsError:
            ended = f"ended after {self.rounds} rounds (planning.rounds)"
            for part in open_parts:
                heapq.heappush(heap, (part.bound, next(count), part))
        bound = min(heap[0][0] if heap else np.inf, decided, self.best.cost)
        message = f"{len(self.history)} rounds" + (f" in {explored} parts of the choices" if explored > 1 else "")
        first = nothing if self.first is None else self.first
        outcome = self.best, bound, nothing.cost, everything.cost, first, len(self.history), tuple(self.history)
        closed = self.closed(bound)
        return NestedPlan(*outcome, ended or message + ("" if closed else "; no prices were left to ask about"), closed)

    def closed(self, bound: float) -> bool:
        """Whether a bound is within the gap asked for of the best plan."""
        return self.best.cost - bound <= max(self.gap_eur, self.gap * abs(self.best.cost)) + ROUNDING * abs(self.best.cost)

    def parts(self, node: _Node) -> list[_Node]:
        """Both parts of a node: an option on which its offers disagree is built, or is not; none where all options are decided."""
        free = [name for names in self.below.values() for name in names if name not in node.required | node.excluded]
        built = {name: {name in offer.built for d, names in self.below.items() if name in names for offer in node.offers[d]} for name in free}
        cost = {name: float(a) for p in self.problem.operators.values() for name, a in zip(p.options.option.values.tolist(), p.annuity, strict=True)}
        chosen = max(free, key=lambda name: (len(built[name]), cost[name], name), default=None)
        if chosen is None:
            return []
        more = (node.required | {chosen}, node.excluded), (node.required, node.excluded | {chosen})
        # What is proven of all plans of an operator holds for those that are left.
        return [_Node(*these, {d: list(offers) for d, offers in node.offers.items()}, self.best.price, node.bound) for these in more]

    @cached_property
    def below(self) -> dict[str, tuple[str, ...]]:
        """Distribution operator -> its options that may be built or not."""
        return {d: tuple(p.options.option.values[~p.required & ~p.excluded].astype(str).tolist()) for d, p in self.problem.operators.items()}

    def explore(self, node: _Node, others: float) -> None:
        """Raise the bound of a node until it is within the gap, or no prices are left to ask about.

        Args:
            node: what is explored.
            others: lowest bound of all other nodes, those in which nothing is left to decide included.

        Raises:
            _OutOfRoundsError: the rounds are used up.
        """
        problem, price = self.problem, node.price
        dsos, top = problem.network.children, problem.network.system.top
        planners = {d: self.planner(d, node) for d in dsos}
        names = np.array(problem.names[top], dtype=str)
        mine, asked = frozenset(names.tolist()), list[Mapping[str, np.ndarray]]()
        decided = not any(name not in node.required | node.excluded for names in self.below.values() for name in names)
        while not self.closed(node.bound):
            if len(self.history) >= self.rounds:
                raise _OutOfRoundsError
            asked.append(price)
            latest = {d: planners[d].offer(price[d]) for d in dsos}
            for d, offer in latest.items():
                node.offers.setdefault(d, []).append(offer)
                self.offered.setdefault(d, set()).add(offer.built)
            below = frozenset().union(*(offer.built for offer in latest.values()))
            if self.first is None:
                self.first = self.operated(below)
            found, drawn = self.master(planners, node)
            node.bound = max(node.bound, found.bound)
            above = frozenset(names[problem.transmission.columns.values(BUILT, found.x) > 0.5].tolist())
            sought = (above | below, above | (self.best.built - mine), (self.best.built & mine) | below)
            self.best = self.with_other_plans(min([self.best, self.first, *map(self.operated, sought)], key=lambda o: o.cost))
            self.history.append((self.best.cost, min(others, node.bound, self.best.cost)))
            self.report_progress(f"round {len(self.history)}: cost {self.best.cost:,.0f}, bound {self.history[-1][1]:,.0f} EUR/a")
            options = [self.operated(b).price for b in sought]
            if decided:
                options.append({d: planners[d].price_at(drawn[d]) for d in dsos})
            # What was offered at the same prices by the whole, of which this is a part, may be less than what is offered here.
            new = [p for p in options if not any(all(np.array_equal(p[d], q[d]) for d in dsos) for q in asked)]
            if not new:
                return
            price = new[0]

    def planner(self, dso: str, node: _Node) -> DistributionPlanner:
        """A distribution operator with some options that it has to build, and some that it may not."""
        problem = self.problem
        program = problem.distribution[dso]
        block = program.columns[BUILT]
        labels, at = block.coords["option"].astype(str), block.positions.ravel()
        lower, upper = program.lower.copy(), program.upper.copy()
        lower[at] = np.where(np.isin(labels, list(node.required)), 1.0, lower[at])
        upper[at] = np.where(np.isin(labels, list(node.excluded)), 0.0, upper[at])
        missed = 2.0 * problem.network.economics.value_of_lost_load
        share = self.gap_eur / (10 * len(problem.network.children))
        return DistributionPlanner(replace(program, lower=lower, upper=upper), problem.hours, missed, share, self.nodes)

    def with_other_plans(self, best: Operated) -> Operated:
        """The best plan with that of one operator exchanged for another that it offered, as long as that costs less."""
        while True:
            others = [(best.built - set(self.problem.names[d])) | mine for d, plans in self.offered.items() for mine in sorted(plans, key=sorted)]
            found = min(map(self.operated, dict.fromkeys(others)), key=lambda o: o.cost)
            if found.cost >= best.cost - ROUNDING * abs(best.cost):
                return best
            best = found

    def operated(self, built: frozenset[str]) -> Operated:
        if built not in self.known:
            self.known[built] = self.problem.operated(built)
        return self.known[built]

    def master(self, planners: Mapping[str, DistributionPlanner], node: _Node) -> tuple[MixedSolution, dict[str, np.ndarray]]:
        """The transmission operator's plan with what is offered, and what distribution operators draw in it [kW]."""
        problem = self.problem
        periods = problem.network.horizon.labels
        offered = {d: as_offered(node.offers[d], planner.band, problem.hours, periods) for d, planner in planners.items()}
        program = problem.joined_to(offered, "transmission with offers")
        found = solve_mixed(program, program.columns[BUILT].positions.ravel(), gap_eur=self.gap_eur / 10, nodes=self.nodes)
        return found, {d: program.columns.values(f"{d}/power", found.x) for d in planners}


def nested_plan(
    problem: NestedProblem,
    *,
    gap_eur: float = 0.0,
    gap: float = 0.0,
    rounds: int = 200,
    nodes: int = 100_000,
    report_progress: Progress = silent,
) -> NestedPlan:
    """Plan transmission and distribution together by prices and offers.

    Args:
        problem: what is planned.
        gap_eur, gap: distance of cost and bound at which the search ends [EUR/a], or relative to the cost [1].
        rounds: largest number of rounds, over all parts.
        nodes: of each search for a plan at most.
        report_progress: called with how far it has come.
    """
    return _Search(problem, gap_eur, gap, rounds, nodes, report_progress).run()
