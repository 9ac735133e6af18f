"""Plans of operators that a regime compares: made in turn until none moves, see ``planning.equilibrium``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from multiscale.coordination.common.prepared import Progress
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.equilibrium import Costs, Equilibrium, best_responses
from multiscale.planning.persistence import LinkedPlans, Restriction
from multiscale.planning.regimes import ComparingRegime
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import InvalidSystemError, Problem
from multiscale.system.existing_network import demand_today, existing_network_cost

A = TypeVar("A")

ROUNDING = 1e-6
"""Distance of a cost below a bound, relative to the bound, that is rounding of the solvers [1]."""

Respond = Callable[[str, Mapping[int, float], A | None], A]
"""Operator, its yardstick in every year [EUR/a], its answer before -> its best answer."""


def compared_plans(
    cases: Mapping[int, StudyCase], respond: Respond[A], costs_of: Callable[[A], Costs], regime: ComparingRegime, report_progress: Progress
) -> Equilibrium[A]:
    """An equilibrium of the operators' plans.

    Args:
        cases: year -> case, in the order of the years.
        respond: the best answer of an operator.
        costs_of: yearly cost of the operator's network in every year, of an answer [EUR/a].
        regime: rules.
        report_progress: called with what is being done.

    Raises:
        InvalidSystemError: there are no operators to compare.
        NoPlanError: there is no plan, or plans do not come to rest.
    """
    last = list(cases.values())[-1]
    dsos = last.system.at_level("dso")
    sizes = {dso: demand_today(last.system, dso, last.horizon) for dso in dsos}
    first = {dso: tuple(existing_network_cost(case.system, dso, case.horizon, case.economics) for case in cases.values()) for dso in dsos}
    try:
        regime.yardsticks({dso: sum(costs) for dso, costs in first.items()}, sizes)
    except ValueError as error:
        message = f"{error} (system.dsos)" if len(dsos) < 2 else str(error)
        raise InvalidSystemError([Problem("regime", regime.kind, "dsos", ", ".join(dsos), "", message)]) from error

    def answer(dso: str, costs: Mapping[str, Costs], before: A | None) -> A:
        given = {year: regime.yardsticks({name: each[k] for name, each in costs.items()}, sizes)[dso] for k, year in enumerate(cases)}
        return respond(dso, given, before)

    return best_responses(dsos, first, answer, costs_of, most=regime.response_rounds, report_progress=report_progress)


def kept_plan(found: Plan, before: Plan | None, again: Callable[[Restriction], Plan], planning: DistributionPlanSettings, operators: int) -> Plan:
    """What an operator built before, where that is as good as the best answer to within the gap that was asked for; else the best answer.

    Without it, answers that are worth the same might alternate indefinitely.

    Args:
        found: best answer, with its bound.
        before: answer to the costs before; None at first.
        again: plans under a restriction against the same costs.
        planning: settings, with the gaps.
        operators: number of them.

    Raises:
        NoPlanError: the plan before was not found in time, or contradicts the bound.
    """
    if before is None or before.built == found.built:
        return found
    built = frozenset(option for option, yes in before.built.items() if yes)
    try:
        kept = again(Restriction(built, frozenset(before.built) - built))
    except NoPlanError as error:
        if error.status != "infeasible":
            raise
        # What was built before is no plan under the cap that stands now.
        return found
    apart = kept.objective - found.bound
    if apart < -ROUNDING * (1.0 + abs(found.bound)):
        message = f"plan of {kept.dso}: {kept.objective:.9g} EUR/a with what was built before is below the proven bound of {found.bound:.9g} EUR/a"
        raise NoPlanError("error", f"{message}; an answer it counts on is wrong, or a program is badly scaled")
    if apart > max(planning.gap_eur / operators, planning.gap * abs(kept.objective)):
        return found
    return replace(kept, bound=found.bound, gap=max(apart, 0.0) / max(abs(kept.objective), 1e-9), restriction=found.restriction, decision_range=None)


def kept_years(
    found: LinkedPlans[Plan],
    before: LinkedPlans[Plan] | None,
    again: Callable[[str, Restriction], Plan],
    weights: Mapping[str, float],
    planning: DistributionPlanSettings,
    operators: int,
) -> LinkedPlans[Plan]:
    """The same of plans of several years: what was built in them before, where their weighted cost is as good to within the gap that was asked for.

    Plans that are kept state their own options as required and excluded; nothing but prices was left open to them.

    Args:
        found: best answer, with the bound of all years together.
        before: answer to the costs before; None at first.
        again: plans a year under a restriction against the same costs.
        weights: year -> weight of its cost [1].
        planning: settings, with the gaps.
        operators: number of them.

    Raises:
        NoPlanError: a plan before was not found in time, or the plans contradict the bound.
    """
    if before is None or all(before.plans[year].built == plan.built for year, plan in found.plans.items()):
        return found
    kept: dict[str, Plan] = {}
    for year, plan in before.plans.items():
        built = frozenset(option for option, yes in plan.built.items() if yes)
        try:
            kept[year] = again(year, Restriction(built, frozenset(plan.built) - built))
        except NoPlanError as error:
            if error.status != "infeasible":
                raise
            return found
    cost = sum(weights[year] * plan.objective for year, plan in kept.items())
    apart, total = cost - found.bound, sum(weights.values())
    if apart < -ROUNDING * (1.0 + abs(found.bound)):
        who = next(iter(kept.values())).dso
        message = f"plans of {who}: {cost:.9g} EUR with what was built before is below the proven bound of {found.bound:.9g} EUR"
        raise NoPlanError("error", f"{message}; an answer it counts on is wrong, or a program is badly scaled")
    if apart > max(planning.gap_eur * total / operators, planning.gap * abs(cost)):
        return found
    return replace(found, plans=kept, objective=cost)
