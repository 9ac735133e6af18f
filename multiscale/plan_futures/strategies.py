"""What a planner may know when it decides, as links between the years of all futures, and what each strategy costs.

    foresight      the future is known from the start: within a future, what one year builds stays built in the next
    waiting        it is known from the second year on (or from ``revealed``): until then all futures build the same
    deciding now   it is never waited for: in every year all futures build the same

Every year of every future has a bilevel plan of its own, with its own response and charge. Expected present values, each with its bound, satisfy
foresight <= waiting <= deciding now. What waiting is worth is deciding now less waiting; what knowing is worth is waiting less foresight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from multiscale.coordination.common.prepared import Progress
from multiscale.pipeline.linked_years import stage_weights
from multiscale.plan_futures.futures import Future
from multiscale.planning import Plan
from multiscale.planning.persistence import Known, LinkedPlans, Restriction, linked_plans
from multiscale.planning.settings import DsoPlanSettings

FORESIGHT, WAITING, DECIDING_NOW = "foresight", "waiting", "deciding now"


@dataclass(frozen=True)
class Strategy:
    """Plans of all years of all futures under one strategy.

    Attributes:
        name: of it.
        plans: (year, future) -> DSO -> plan.
        cost, bound: expected present value and its proven lower bound [EUR].
        made: number of plans that were made for it.
        ended: what ended a search before its end, in words; empty where nothing did.
    """

    name: str
    plans: Mapping[tuple[int, str], Mapping[str, Plan]]
    cost: float
    bound: float
    made: int
    ended: str

    def cost_in(self, future: str, weights: Mapping[int, float]) -> float:
        """Present value in a future [EUR]."""
        return sum(weights[year] * plan.objective for (year, name), plans in self.plans.items() if name == future for plan in plans.values())


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
    plan_of: Callable[[str, int, str, Restriction], Plan],
    planning: DsoPlanSettings,
    discount_rate: float,
    revealed: int,
    report_progress: Progress,
) -> list[Strategy]:
    """The three strategies; plans that one makes the others use.

    Args:
        years: rising.
        futures: of them.
        dsos: who plan, each for itself.
        plan_of: (DSO, year, future, what it may build) -> plan.
        planning: settings: gaps, and the largest number of plans for one DSO and strategy.
        discount_rate: of costs of later years [1/a].
        revealed: first year in which the planner knows the future.
        report_progress: called with what is being done.

    Raises:
        NoPlanError: some year of some future has no plan, or none that keep to each other.
    """
    nodes = {node(year, f.name): (year, f) for year in years for f in futures}
    stage = stage_weights(years, discount_rate)
    weights = {name: stage[year] * f.probability for name, (year, f) in nodes.items()}
    known: dict[str, Known[Plan]] = {dso: {} for dso in dsos}
    found = []
    for name in (FORESIGHT, WAITING, DECIDING_NOW):
        by_dso: dict[str, LinkedPlans[Plan]] = {}
        for dso in dsos:

            def plan(at: str, restriction: Restriction, dso: str = dso) -> Plan:
                year, future = nodes[at]
                return plan_of(dso, year, future.name, restriction)

            def shown(what: str, name: str = name) -> None:
                report_progress(f"{name}: {what}")

            by_dso[dso] = linked_plans(
                weights,
                links(name, years, futures, revealed),
                plan,
                gap=planning.gap,
                gap_eur=planning.gap_eur / len(dsos),
                most=max(planning.linked_plans, len(nodes)),
                known=known[dso],
                report_progress=shown,
            )
        every = list(by_dso.values())
        plans = {(year, f.name): {dso: p.plans[at] for dso, p in by_dso.items()} for at, (year, f) in nodes.items()}
        ended = "; ".join(f"{dso}: {p.ended}" for dso, p in by_dso.items() if p.ended)
        found.append(Strategy(name, plans, sum(p.objective for p in every), sum(p.bound for p in every), sum(p.solves for p in every), ended))
    return found
