"""Plans that depend on each other: what is built in one node stays built in those after it.

    min  sum_n w_n cost_n(z_n)     subject to     z_a <= z_b  for every link (a, b)

``n`` is a node (a year, or a year of a scenario), ``cost_n(z)`` the least cost of its plan with exactly the options ``z``, and ``w_n`` its weight.
In place of the weighted sum any value of all costs may be minimised that does not fall where one of them rises: that of the nodes' bounds is a bound.
Two links in opposite directions make two nodes build the same, such as scenarios that cannot be distinguished yet.

Branch and bound on the links. Planned each by itself the nodes bound the optimum, since each bound holds for every choice of its node; where their
plans keep to all links that is the answer. Else some option k is built in ``a`` and not in ``b``, and one of two things holds in every answer:

    z_a[k] = 0, and so in every node linked before a          or          z_b[k] = 1, and so in every node linked after b

Both are bounded by planning the nodes anew whose plan contradicts them; the plan of a node is kept where it does not. Plans made in the order of the
nodes, each with what those before it build, and in the opposite order, are the first answers.

Source of the bound by separate nodes: Guignard and Kim, Mathematical Programming 39 (1987) 215-228 (decomposition by copies of variables).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from multiscale.coordination.common.prepared import Progress, silent
from multiscale.planning.no_plan import NoPlanError


class Planned(Protocol):
    """What is read of the plan of a node; see ``Plan``."""

    @property
    def built(self) -> Mapping[str, bool]:
        """Option -> whether it is built."""

    @property
    def objective(self) -> float:
        """Cost [EUR/a]."""

    @property
    def bound(self) -> float:
        """Proven lower bound on the cost [EUR/a]."""


@dataclass(frozen=True)
class Restriction:
    """Options that have to be built in a node, and that may not be."""

    required: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def admits(self, plan: Planned) -> bool:
        """Whether a plan keeps to it."""
        return not any(option in (self.excluded if built else self.required) for option, built in plan.built.items())

    def within(self, other: Restriction) -> bool:
        """Whether it demands no less than another one."""
        return other.required <= self.required and other.excluded <= self.excluded


P = TypeVar("P", bound=Planned)

PlanNodes = Callable[[Mapping[str, Restriction]], Mapping[str, "P | NoPlanError"]]
"""Nodes, and what each may build -> the plan of each, or why it has none."""

Known = dict[str, list[tuple[Restriction, P | NoPlanError]]]
"""Node -> what it was restricted to, and its plan or why there is none."""


@dataclass(frozen=True)
class LinkedPlans(Generic[P]):
    """Plans that keep to all links, with the proof.

    Attributes:
        plans: node -> plan.
        objective, bound: weighted cost (or the value that is minimised) and its proven lower bound [EUR/a times weight].
        separate: the same of the bounds of the nodes each planned by itself: what the links cost is at most ``objective - separate``.
        solves: number of plans that were made.
        ended: what ended the search before its end; empty where nothing did.
    """

    plans: Mapping[str, P]
    objective: float
    bound: float
    separate: float
    solves: int
    ended: str

    @property
    def gap(self) -> float:
        """Distance of plans and bound [EUR/a times weight]."""
        return self.objective - self.bound


def linked_plans(
    weights: Mapping[str, float],
    links: Sequence[tuple[str, str]],
    plan_nodes: PlanNodes[P],
    *,
    gap: float,
    gap_eur: float,
    most: int,
    known: Known[P] | None = None,
    value: Callable[[Mapping[str, float]], float] | None = None,
    report_progress: Progress = silent,
) -> LinkedPlans[P]:
    """The least weighted cost of plans that keep to all links.

    Args:
        weights: node -> weight [1], above zero; earlier nodes first.
        links: (a, b): what is built in ``a`` is built in ``b``.
        plan_nodes: plans nodes that do not depend on each other, at once or one after the other (see ``one_by_one``).
        gap, gap_eur: distance of plans and bound at which the search ends, relative to their cost, or per unit of weight [EUR/a].
        most: largest number of plans that are made.
        known: plans that were made, which other searches over the same nodes may use; those of this search are added.
        value: of the cost of every node [EUR/a]: what is minimised, must not fall where a cost rises; None: the weighted sum.
        report_progress: called with what is being done.

    Raises:
        ValueError: a weight is not above zero, a link names an unknown node, or ``most`` is below the number of nodes.
        NoPlanError: some node has no plan, no plans keep to all links, or none were found within ``most``.
    """
    for node, weight in weights.items():
        if not weight > 0:
            raise ValueError(f"node {node!r}: weight {weight:g} is not above zero")
    for link in links:
        if unknown := [node for node in link if node not in weights]:
            raise ValueError(f"link {link}: there is no node {unknown[0]!r}; nodes are {', '.join(map(repr, weights))}")
    if most < len(weights):
        raise ValueError(f"{most} plans are too few for {len(weights)} nodes; each is planned once at least (planning.linked_plans)")
    given = dict(weights)

    def weighted(costs: Mapping[str, float]) -> float:
        return sum(weight * costs[node] for node, weight in given.items())

    allowance, made = gap_eur * sum(given.values()), {} if known is None else known
    return _Search(given, tuple(links), plan_nodes, gap, allowance, most, report_progress, made, value or weighted).run()


State = Mapping[str, Restriction]

ROUNDING = 1e-9
"""Distance of plans and bound, relative to the bound, that is rounding [1]."""


class _OutOfWorkError(Exception):
    """The number of plans is used up."""


@dataclass
class _Search(Generic[P]):
    weights: Mapping[str, float]
    links: tuple[tuple[str, str], ...]
    plan_nodes: PlanNodes[P]
    gap: float
    allowance: float
    most: int
    report_progress: Progress
    made: Known[P]
    value: Callable[[Mapping[str, float]], float]
    best: tuple[float, Mapping[str, P]] | None = None
    solves: int = 0
    refused: NoPlanError | None = None

    def run(self) -> LinkedPlans[P]:
        free: State = dict.fromkeys(self.weights, Restriction())
        first = self._plans(free)
        if first is None:
            assert self.refused is not None
            raise self.refused
        separate = bound = self._bound(first)
        ended, count = "", itertools.count()
        heap = [(bound, next(count), free, first)]
        # Answers that keep to all links are no longer open, but their bounds still count.
        closed = float("inf")
        try:
            if self._conflict(first) is not None:
                self._in_order(list(self.weights))
                self._in_order(list(self.weights)[::-1])
            while heap:
                value, _, state, plans = heapq.heappop(heap)
                bound = max(bound, min(value, closed))
                # Below what is closed no bound can rise any more.
                if self._done(bound) or value >= closed:
                    break
                conflict = self._conflict(plans)
                if conflict is None:
                    self._take(plans)
                    closed = min(closed, value)
                    continue
                for child in self._branches(state, *conflict):
                    below = self._plans(child)
                    if below is not None:
                        heapq.heappush(heap, (max(value, self._bound(below)), next(count), child, below))
            else:
                bound = max(bound, closed if self.best is None else min(closed, self.best[0]))
        except _OutOfWorkError:
            ended = f"ended after {self.solves:,} plans (planning.linked_plans)"
        except NoPlanError as error:
            # What was found before stands, and so does the bound.
            if self.best is None:
                raise
            ended = f"ended after {self.solves:,} plans; the last could not be made: {error}"
        if self.best is None:
            if ended:
                raise NoPlanError("error", f"plans of {', '.join(self.weights)}: none that keep to each other were found; {ended}")
            raise NoPlanError(
                "infeasible", f"plans of {', '.join(self.weights)}: none keep to each other; {self.refused or 'no option can be chosen'}"
            )
        objective, plans = self.best
        return LinkedPlans(plans, objective, min(bound, objective), separate, self.solves, ended)

    def _done(self, bound: float) -> bool:
        return self.best is not None and self.best[0] - bound <= max(self.allowance, self.gap * abs(self.best[0])) + ROUNDING * abs(bound)

    def _bound(self, plans: Mapping[str, P]) -> float:
        return self.value({n: plans[n].bound for n in self.weights})

    def _take(self, plans: Mapping[str, P]) -> None:
        cost = self.value({n: plans[n].objective for n in self.weights})
        if self.best is None or cost < self.best[0]:
            self.best = cost, plans

    def _conflict(self, plans: Mapping[str, P]) -> tuple[str, str, str] | None:
        """A link and an option that is built before it and not after it; None where there is none."""
        for before, after in self.links:
            for option, built in plans[before].built.items():
                if built and not plans[after].built.get(option, True):
                    return before, after, option
        return None

    def _branches(self, state: State, before: str, after: str, option: str) -> list[State]:
        earlier, later = self._linked(before, 1), self._linked(after, 0)
        return [
            {n: Restriction(r.required, r.excluded | {option}) if n in earlier else r for n, r in state.items()},
            {n: Restriction(r.required | {option}, r.excluded) if n in later else r for n, r in state.items()},
        ]

    def _linked(self, node: str, end: int) -> set[str]:
        """A node, and all that are linked before it (``end`` 1) or after it (0), over any number of links."""
        found, fresh = {node}, [node]
        while fresh:
            here = fresh.pop()
            more = {link[1 - end] for link in self.links if link[end] == here} - found
            found |= more
            fresh += sorted(more)
        return found

    def _in_order(self, order: Sequence[str]) -> None:
        """Plans in an order, each with what the links to those before it demand."""
        plans: dict[str, P] = {}
        for node in order:
            before, after = self._linked(node, 1) - {node}, self._linked(node, 0) - {node}
            built = [{o for o, yes in plans[n].built.items() if yes} for n in before if n in plans]
            unbuilt = [{o for o, yes in plans[n].built.items() if not yes} for n in after if n in plans]
            found = self._plan(node, Restriction(frozenset().union(*built), frozenset().union(*unbuilt)))
            if found is None:
                return
            plans[node] = found
        self._take(plans)

    def _plans(self, state: State) -> Mapping[str, P] | None:
        """The plans of all nodes under restrictions; None where some node has none."""
        answers = {node: self._known(node, restriction) for node, restriction in state.items()}
        if any(isinstance(found, NoPlanError) for found in answers.values()):
            return None
        answers |= self._made({node: state[node] for node, found in answers.items() if found is None})
        plans = {node: found for node, found in answers.items() if found is not None and not isinstance(found, NoPlanError)}
        return {node: plans[node] for node in state} if len(plans) == len(state) else None

    def _plan(self, node: str, restriction: Restriction) -> P | None:
        """The plan of a node; None where there is none."""
        found = self._known(node, restriction) or self._made({node: restriction})[node]
        return None if isinstance(found, NoPlanError) else found

    def _known(self, node: str, restriction: Restriction) -> P | NoPlanError | None:
        """What answers a node of the plans that were made, or that it has none; None where it has to be planned."""
        if restriction.required & restriction.excluded:
            return NoPlanError("infeasible", f"{node}: options have to be built and may not be")
        for other, found in self.made.setdefault(node, []):
            if restriction.within(other) and (isinstance(found, NoPlanError) or restriction.admits(found)):
                return found
        return None

    def _made(self, wanted: Mapping[str, Restriction]) -> dict[str, P | NoPlanError]:
        """Plans made anew, as many as there may be."""
        if not wanted:
            return {}
        nodes = list(wanted)[: self.most - self.solves]
        if nodes:
            self.report_progress(f"plan {self.solves + 1}: {', '.join(nodes)}")
        found = dict(self.plan_nodes({node: wanted[node] for node in nodes})) if nodes else {}
        self.solves += len(found)
        none = [plan for plan in found.values() if isinstance(plan, NoPlanError)]
        for node, plan in found.items():
            if not isinstance(plan, NoPlanError) or plan.status == "infeasible":
                self.made.setdefault(node, []).append((wanted[node], plan))
        if unknown := [error for error in none if error.status != "infeasible"]:
            raise unknown[0]
        if none:
            self.refused = self.refused or none[0]
        elif len(nodes) < len(wanted):
            raise _OutOfWorkError
        return found


def one_by_one(plan_node: Callable[[str, Restriction], P]) -> PlanNodes[P]:
    """Nodes planned one after the other, none after the first without a plan.

    Args:
        plan_node: node, and what it may build -> its plan; raises ``NoPlanError`` where there is none.
    """

    def plan(nodes: Mapping[str, Restriction]) -> dict[str, P | NoPlanError]:
        found: dict[str, P | NoPlanError] = {}
        for node, restriction in nodes.items():
            try:
                found[node] = plan_node(node, restriction)
            except NoPlanError as error:
                found[node] = error
                break
        return found

    return plan
