"""What a planner may know when it decides, as links between the years of all futures, and what each strategy costs.

    foresight      the future is known from the start: within a future, what one year builds stays built in the next
    waiting        it is known from the second year on (or from ``revealed``): until then all futures build the same
    deciding now   it is never waited for: in every year all futures build the same

Every year of every future has a bilevel plan of its own, with its own response and charge. What is minimised is a measure of present values (see
``measures``); each with its bound, they satisfy foresight <= waiting <= deciding now. What waiting is worth is deciding now less waiting; what
knowing is worth is waiting less foresight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from multiscale.coordination.common.prepared import Progress
from multiscale.plan_futures.futures import Future
from multiscale.plan_futures.measures import EXPECTED, Measure
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.persistence import Known, LinkedPlans, Restriction, linked_plans
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.stage_weights import stage_weights

Place = tuple[str, int, str]
"""DSO, year, future."""

PlansOf = Callable[[Mapping[Place, Restriction]], Mapping[Place, Plan | NoPlanError]]
"""Nodes, and what each may build -> the plan of each, or why it has none."""

FORESIGHT, WAITING, DECIDING_NOW = "foresight", "waiting", "deciding now"

ROUNDING = 1e-6
"""Distance of a bound above a value, relative to the cost of all futures, that is rounding of the solvers [1]."""


@dataclass(frozen=True)
class Strategy:
    """Plans of all years of all futures under one strategy.

    Attributes:
        name: of it.
        plans: (year, future) -> DSO -> plan.
        value, bound: the measure that is minimised, of present values, and its proven lower bound [EUR].
        made: number of plans that were made for it.
        ended: what ended a search before its end, in words; empty where nothing did.
    """

    name: str
    plans: Mapping[tuple[int, str], Mapping[str, Plan]]
    value: float
    bound: float
    made: int
    ended: str

    def cost_in(self, future: str, weights: Mapping[int, float]) -> float:
        """Present value in a future [EUR]."""
        return sum(weights[year] * plan.objective for (year, name), plans in self.plans.items() if name == future for plan in plans.values())

    def costs(self, futures: Sequence[Future], weights: Mapping[int, float]) -> dict[str, float]:
        """Present value in every future [EUR]."""
        return {f.name: self.cost_in(f.name, weights) for f in futures}


@dataclass(frozen=True)
class Strategies:
    """The strategies, and what they are measured by.

    Attributes:
        found: the strategies, in the order of what they know.
        measure: that was minimised.
        proven: future -> proven lower bound of the cost with foresight of it [EUR].
    """

    found: Sequence[Strategy]
    measure: Measure
    proven: Mapping[str, float]


def node(year: int, future: str) -> str:
    """Name of a year of a future."""
    return f"{year} {future}"


def links(name: str, years: Sequence[int], futures: Sequence[Future], revealed: int) -> list[tuple[str, str]]:
    """Links between the years of all futures under a strategy: what is built in the first of a pair is built in the second."""
    found = [(node(a, f.name), node(b, f.name)) for f in futures for a, b in pairwise(years)]
    for year in years:
        if name == DECIDING_NOW or (name == WAITING and year < revealed):
            for one, other in pairwise(futures):
                pair = node(year, one.name), node(year, other.name)
                found += [pair, pair[::-1]]
    return found


def strategies(
    years: Sequence[int],
    futures: Sequence[Future],
    dsos: Sequence[str],
    plans_of: PlansOf,
    planning: DsoPlanSettings,
    discount_rate: float,
    revealed: int,
    report_progress: Progress,
    measure: Measure = Measure(),
) -> Strategies:
    """The three strategies; plans that one makes the others use.

    With foresight every future is planned by itself, which is best for every measure. Under an expected value operators are planned each by itself;
    under other measures all together, since neither the worst futures nor the largest regret of several are those of each.

    Args:
        years: rising.
        futures: of them.
        dsos: who plan.
        plans_of: plans nodes that do not depend on each other; all at once where there are workers.
        planning: settings: gaps, and the largest number of plans for one DSO and strategy.
        discount_rate: of costs of later years [1/a].
        revealed: first year in which the planner knows the future.
        report_progress: called with what is being done.
        measure: what is minimised; costs with foresight are added to it here.

    Raises:
        NoPlanError: some year of some future has no plan, or none that keep to each other, or a bound contradicts a value.
    """
    stage, probability = stage_weights(years, discount_rate), {f.name: f.probability for f in futures}
    known: Known[Plan] = {}
    places = {f"{dso} {node(year, f.name)}": (dso, year, f.name) for dso in dsos for year in years for f in futures}

    def plan(nodes: Mapping[str, Restriction]) -> dict[str, Plan | NoPlanError]:
        found = plans_of({places[at]: restriction for at, restriction in nodes.items()})
        return {at: found[places[at]] for at in nodes}

    def joint(name: str, which: Sequence[Future], who: Sequence[str], measured: Measure | None = None) -> LinkedPlans[Plan]:
        """Plans of some operators in some futures together, under the links of a strategy."""
        chosen = [f.name for f in which]
        nodes = {at: place for at, place in places.items() if place[0] in who and place[2] in chosen}
        pairs = [(f"{dso} {a}", f"{dso} {b}") for dso in who for a, b in links(name, years, which, revealed)]

        def value(costs: Mapping[str, float]) -> float:
            assert measured is not None
            total = dict.fromkeys(chosen, 0.0)
            for at, (_, year, future) in nodes.items():
                total[future] += stage[year] * costs[at]
            return measured.of(total, probability)

        return linked_plans(
            {at: stage[year] * (1.0 if len(chosen) == 1 else probability[future]) for at, (_, year, future) in nodes.items()},
            pairs,
            plan,
            gap=planning.gap,
            gap_eur=planning.gap_eur / len(dsos),
            most=max(planning.linked_plans * len(who), len(nodes)),
            known=known,
            value=None if measured is None else value,
            report_progress=lambda what: report_progress(f"{name}: {what}"),
        )

    def strategy(name: str, parts: Sequence[LinkedPlans[Plan]], value: float, bound: float) -> Strategy:
        plans: dict[tuple[int, str], dict[str, Plan]] = {(year, f.name): {} for year in years for f in futures}
        for part in parts:
            for at, one in part.plans.items():
                dso, year, future = places[at]
                plans[year, future][dso] = one
        return Strategy(name, plans, value, bound, sum(p.solves for p in parts), "; ".join(p.ended for p in parts if p.ended))

    # Every node planned by itself: what all searches begin with, and the most that can be done at once.
    report_progress(f"{len(places)} nodes, each by itself")
    separate = plan(dict.fromkeys(places, Restriction()))
    for at, one in separate.items():
        if isinstance(one, NoPlanError):
            raise one
        known[at] = [(Restriction(), one)]
    ahead = {f.name: [joint(FORESIGHT, [f], [dso]) for dso in dsos] for f in futures}
    best = {future: sum(p.objective for p in parts) for future, parts in ahead.items()}
    proven = {future: sum(p.bound for p in parts) for future, parts in ahead.items()}
    measure = replace(measure, best=best)
    parts = [part for of_future in ahead.values() for part in of_future]
    first = strategy(FORESIGHT, parts, measure.of(best, probability), measure.of(proven, probability))
    found = [replace(first, made=first.made + len(separate))]
    for name in (WAITING, DECIDING_NOW):
        whole = [joint(name, futures, [dso]) for dso in dsos] if measure.kind == EXPECTED else [joint(name, futures, dsos, measure)]
        value = sum(p.objective for p in whole)
        # Who knows less can do no better: the bound of the strategy before holds too.
        bound = max(found[-1].bound, sum(p.bound for p in whole))
        if not bound <= value + ROUNDING * (1.0 + sum(map(abs, best.values()))):
            message = f"strategy {name!r}: a bound of {bound:.9g} EUR is proven, above its value of {value:.9g} EUR"
            raise NoPlanError("error", f"{message}; an answer it counts on is wrong, or a program is badly scaled")
        found.append(strategy(name, whole, value, min(value, bound)))
    return Strategies(found, measure, proven)
