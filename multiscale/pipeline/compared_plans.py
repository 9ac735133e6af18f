"""Plans of operators that a regime compares: made in turn until none moves, see ``planning.equilibrium``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from multiscale.coordination.common.prepared import Progress
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.equilibrium import Costs, Equilibrium, Rules, best_responses
from multiscale.planning.persistence import LinkedPlans, Restriction
from multiscale.planning.regimes import ComparingRegime, Regime
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import InvalidSystemError, Problem
from multiscale.system.existing_network import demand_today, existing_network_cost
from multiscale.tariffs import Prices, Tariff

A = TypeVar("A")

ROUNDING = 1e-6
"""Distance of a cost below a bound, relative to the bound, that is rounding of the solvers [1]."""

Respond = Callable[[str, Mapping[int, float], A | None], A]
"""Operator, its yardstick in every year [EUR/a], its answer before -> its best answer."""

Stand = Callable[[str, Mapping[int, float], A], A | None]
"""Operator, its yardstick in every year [EUR/a], an answer -> what was decided in it with the bound of its best answer; None where it is no plan."""


@dataclass(frozen=True)
class Answers(Generic[A]):
    """How operators answer, and what is read of an answer.

    Attributes:
        respond, stand: see there.
        costs_of: yearly cost of the operator's network in every year [EUR/a].
        gain_of: the most that its operator gains by another plan [unit].
        unit: of gains.
    """

    respond: Respond[A]
    stand: Stand[A]
    costs_of: Callable[[A], Costs]
    gain_of: Callable[[A], float]
    unit: str = "EUR/a"


def compared_plans(
    cases: Mapping[int, StudyCase], given: Answers[A], regime: ComparingRegime, planning: DistributionPlanSettings, report_progress: Progress
) -> Equilibrium[A]:
    """An equilibrium of the operators' plans, or of a cycle those by which they gain least.

    Args:
        cases: year -> case, in the order of the years.
        given: how operators answer.
        regime: rules.
        planning: settings, with the gap to within which costs count as standing.
        report_progress: called with what is being done.

    Raises:
        InvalidSystemError: there are no operators to compare.
        NoPlanError: there is no plan, or plans do not come to rest and cannot be kept.
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

    def of(dso: str, costs: Mapping[str, Costs]) -> dict[int, float]:
        return {year: regime.yardsticks({name: each[k] for name, each in costs.items()}, sizes)[dso] for k, year in enumerate(cases)}

    rules = Rules(
        respond=lambda dso, costs, before: given.respond(dso, of(dso, costs), before),
        stand=lambda dso, costs, answer: given.stand(dso, of(dso, costs), answer),
        costs_of=given.costs_of,
        gain_of=given.gain_of,
        unit=given.unit,
    )
    rest = planning.gap_eur / len(dsos)
    return best_responses(dsos, first, rules, most=regime.response_rounds, rest=rest, report_progress=report_progress)


def compared(plan: Plan, found: Equilibrium[Any]) -> Plan:
    """A plan of an equilibrium, with how it was found; one of a cycle says so."""
    said = f"{plan.message}; {found.cycle}" if plan.message and found.cycle else found.cycle or plan.message
    status = "feasible" if found.cycle and plan.status == "optimal" else plan.status
    return replace(plan, rounds=found.rounds, moved=found.moved, cycle=found.cycle, message=said, status=status)


def none_if_infeasible(plan: Callable[[], A]) -> A | None:
    """A plan; None where there is none under these conditions."""
    try:
        return plan()
    except NoPlanError as error:
        if error.status != "infeasible":
            raise
        return None


def bought_at(plan: Plan, tariff: Tariff) -> dict[str, np.ndarray]:
    """Prices decided in a plan at which its operator buys, and so has costs that the others are compared with."""
    return {name: np.asarray(plan.prices[name], dtype=float) for name, component in tariff.decided.items() if component.expenditure}


Again = Callable[[Restriction, Prices], Plan]
"""Plans under a restriction, at prices that are held, against the same costs."""


def kept_plan(
    found: Plan,
    before: Plan | None,
    again: Again,
    planning: DistributionPlanSettings,
    operators: int,
    tariff: Tariff = Tariff(),
    *,
    held: bool = False,
) -> Plan:
    """What an operator decided before, where that is as good as the best answer to within the gap that was asked for; else the best answer.

    Without it, answers that are worth the same might alternate indefinitely. What is kept is what the others are compared with: what is built, and
    prices at which the operator buys. Its charges follow the cap.

    Args:
        found: best answer, with its bound.
        before: answer to the costs before; None at first.
        again: plans under a restriction against the same costs.
        planning: settings, with the gaps.
        operators: number of them.
        tariff: that is charged.
        held: whether it is kept whatever it is worth.

    Raises:
        NoPlanError: the plan before was not found in time, contradicts the bound, or, where it has to be kept, there is none.
    """
    if before is None:
        return found
    prices = bought_at(before, tariff)
    if before.built == found.built and all(np.array_equal(price, found.prices[name]) for name, price in prices.items()):
        return found
    built = frozenset(option for option, yes in before.built.items() if yes)
    try:
        kept = again(Restriction(built, frozenset(before.built) - built), prices)
    except NoPlanError as error:
        if held or error.status != "infeasible":
            raise
        # What was built before is no plan under the cap that stands now.
        return found
    apart = kept.objective - found.bound
    if apart < -ROUNDING * (1.0 + abs(found.bound)):
        message = f"plan of {kept.dso}: {kept.objective:.9g} EUR/a with what was built before is below the proven bound of {found.bound:.9g} EUR/a"
        raise NoPlanError("error", f"{message}; an answer it counts on is wrong, or a program is badly scaled")
    if apart > max(planning.gap_eur / operators, planning.gap * abs(kept.objective)):
        if not held:
            return found
        kept = replace(kept, status="feasible")
    gap = max(apart, 0.0) / max(abs(kept.objective), 1e-9)
    return replace(kept, bound=min(found.bound, kept.objective), gap=gap, restriction=found.restriction, decision_range=None)


def compared_in_year(
    case: StudyCase,
    plan_of: Callable[[str, Restriction, float, Prices], Plan],
    kept: Mapping[str, Restriction],
    regime: Regime,
    planning: DistributionPlanSettings,
    report_progress: Progress,
) -> dict[str, Plan]:
    """A plan for every operator of one year that does not move while those of the others stand.

    Args:
        case: of the year.
        plan_of: plans an operator under a restriction against a yardstick [EUR/a], at prices that are held.
        kept: operator -> options that have to be built, or may not be.
        regime, planning, report_progress: as of ``compared_plans``.
    """
    assert isinstance(regime, ComparingRegime)
    operators, tariff = len(case.system.at_level("dso")), case.economics.tariff

    def asked(dso: str, given: Mapping[int, float], before: Plan | None, *, held: bool) -> Plan:
        def again(restriction: Restriction, prices: Prices) -> Plan:
            return plan_of(dso, restriction, given[case.year], prices)

        return kept_plan(again(kept.get(dso, Restriction()), {}), before, again, planning, operators, tariff, held=held)

    answers = Answers(
        respond=lambda dso, given, before: asked(dso, given, before, held=False),
        stand=lambda dso, given, before: none_if_infeasible(lambda: asked(dso, given, before, held=True)),
        costs_of=lambda plan: (plan.network_cost,),
        gain_of=lambda plan: plan.gap_eur,
    )
    found = compared_plans({case.year: case}, answers, regime, planning, report_progress)
    return {dso: compared(plan, found) for dso, plan in found.answers.items()}


AgainInYear = Callable[[str, Restriction, Prices], Plan]
"""Year, and the same of that year."""


def kept_years(
    found: LinkedPlans[Plan],
    before: LinkedPlans[Plan] | None,
    again: AgainInYear,
    weights: Mapping[str, float],
    planning: DistributionPlanSettings,
    operators: int,
    tariff: Tariff = Tariff(),
    *,
    held: bool = False,
) -> LinkedPlans[Plan]:
    """The same of plans of several years: what was decided in them before, where their weighted cost is as good to within the gap that was asked for.

    Plans that are kept state their own options as required and excluded; nothing but charges was left open to them.

    Args:
        found: best answer, with the bound of all years together.
        before: answer to the costs before; None at first.
        again: plans a year under a restriction against the same costs.
        weights: year -> weight of its cost [1].
        planning: settings, with the gaps.
        operators: number of them.
        tariff: that is charged.
        held: whether they are kept whatever they are worth.

    Raises:
        NoPlanError: a plan before was not found in time, the plans contradict the bound, or, where they have to be kept, there are none.
    """
    if before is None:
        return found
    prices = {year: bought_at(plan, tariff) for year, plan in before.plans.items()}
    if all(
        before.plans[year].built == plan.built and all(np.array_equal(price, plan.prices[name]) for name, price in prices[year].items())
        for year, plan in found.plans.items()
    ):
        return found
    kept: dict[str, Plan] = {}
    for year, plan in before.plans.items():
        built = frozenset(option for option, yes in plan.built.items() if yes)
        try:
            kept[year] = again(year, Restriction(built, frozenset(plan.built) - built), prices[year])
        except NoPlanError as error:
            if held or error.status != "infeasible":
                raise
            return found
    cost = sum(weights[year] * plan.objective for year, plan in kept.items())
    apart, total = cost - found.bound, sum(weights.values())
    if apart < -ROUNDING * (1.0 + abs(found.bound)):
        who = next(iter(kept.values())).dso
        message = f"plans of {who}: {cost:.9g} EUR with what was built before is below the proven bound of {found.bound:.9g} EUR"
        raise NoPlanError("error", f"{message}; an answer it counts on is wrong, or a program is badly scaled")
    if not held and apart > max(planning.gap_eur * total / operators, planning.gap * abs(cost)):
        return found
    return replace(found, plans=kept, objective=cost, bound=min(found.bound, cost))
