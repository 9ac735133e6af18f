"""Plans of several years made together: what one year builds stays built in the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import pairwise

from multiscale.coordination.common.prepared import Progress
from multiscale.pipeline.compared_plans import Answers, compared_plans, kept_years, none_if_infeasible
from multiscale.planning import NoPlanError, Plan, Regime
from multiscale.planning.equilibrium import Equilibrium
from multiscale.planning.persistence import LinkedPlans, Restriction, linked_plans, one_by_one
from multiscale.planning.regimes import ComparingRegime
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.stage_weights import stage_weights
from multiscale.results.data.answer_data import StagedPlan, StudyCase
from multiscale.results.run.run_folder import NoAnswerError
from multiscale.tariffs import Prices

ROUNDING = 1e-8
"""Distance of plans and bound, relative to their cost, that is rounding of the linear programs [1]."""


def plans_of_years(
    cases: Mapping[int, StudyCase],
    plan_of: Callable[[str, int, Restriction, float, Prices], Plan],
    planning: DsoPlanSettings,
    regime: Regime,
    discount_rate: float,
    report_progress: Progress,
) -> tuple[dict[str, LinkedPlans[Plan]], StagedPlan]:
    """DSO -> its plans of all years (under the year as text), and what is proven of them together.

    Args:
        cases: year -> case, years rising.
        plan_of: plans a DSO in a year, with what it is compared with where the regime compares operators, and at prices that are held.
        planning: settings.
        regime: where it compares operators, their plans of all years are made in turn until none moves.
        discount_rate: of costs of later years [1/a].
        report_progress: called with what is being done.

    Raises:
        InvalidSystemError: there are no operators to compare.
        NoAnswerError: there is no plan in some year, or none were found that keep to each other.
    """
    years, dsos = list(cases), list(cases.values())[-1].system.at_level("dso")
    weights = stage_weights(years, discount_rate)

    tariff = list(cases.values())[-1].economics.tariff

    def linked(dso: str, yardstick: Mapping[int, float], before: LinkedPlans[Plan] | None = None, *, held: bool = False) -> LinkedPlans[Plan]:
        by_year = {str(year): weight for year, weight in weights.items()}

        def plan_year(node: str, restriction: Restriction, prices: Prices | None = None) -> Plan:
            return plan_of(dso, int(node), restriction, yardstick.get(int(node), float("nan")), prices or {})

        found = linked_plans(
            by_year,
            list(pairwise(map(str, years))),
            one_by_one(plan_year),
            gap=planning.gap,
            gap_eur=planning.gap_eur / len(dsos),
            most=max(planning.linked_plans, len(years)),
            report_progress=report_progress,
        )
        return kept_years(found, before, plan_year, by_year, planning, len(dsos), tariff, held=held)

    try:
        if isinstance(regime, ComparingRegime):
            answers = Answers(
                respond=linked,
                stand=lambda dso, yardstick, before: none_if_infeasible(lambda: linked(dso, yardstick, before, held=True)),
                costs_of=lambda found: tuple(found.plans[str(year)].network_cost for year in years),
                gain_of=lambda found: found.gap,
                unit="EUR over all years, in present value",
            )
            together = compared_plans(cases, answers, regime, planning, report_progress)
            found = {dso: _compared_years(plans, together) for dso, plans in together.answers.items()}
        else:
            found = {dso: linked(dso, {}) for dso in dsos}
    except NoPlanError as error:
        raise NoAnswerError(error.status, str(error), asdict(error.relaxation) if error.relaxation else None) from error
    every = list(found.values())
    ended = "; ".join(f"{dso}: {plans.ended}" for dso, plans in found.items() if plans.ended)
    compared = isinstance(regime, ComparingRegime)
    yardsticks = {year: {dso: plans.plans[str(year)].yardstick for dso, plans in found.items()} for year in years if compared}
    staged = StagedPlan(weights, sum(p.bound for p in every), sum(p.separate for p in every), sum(p.solves for p in every), ended, yardsticks)
    return found, staged


def _compared_years(found: LinkedPlans[Plan], together: Equilibrium[LinkedPlans[Plan]]) -> LinkedPlans[Plan]:
    plans = {node: replace(plan, rounds=together.rounds, moved=together.moved, cycle=together.cycle) for node, plan in found.plans.items()}
    return replace(found, plans=plans, ended="; ".join(filter(None, [found.ended, together.cycle])))


def reservations_of_stages(cost: float, staged: StagedPlan, planning: DsoPlanSettings, yardsticks: Mapping[int, Mapping[str, float]]) -> list[str]:
    """Why plans of several years are not the optimum together; empty where they are, to the gaps asked for.

    Also where the search ended at these gaps they may be missed: a plan that is made anew under tighter limits costs more, and the bound is for the
    limits of the rule.

    Args:
        cost: present value of the plans that stand [EUR].
        staged: what is proven of them.
        planning: settings, with the gaps.
        yardsticks: year -> DSO -> what the plan that stands was compared with [EUR/a].
    """
    asked = max(planning.gap_eur * sum(staged.weights.values()), planning.gap * abs(cost))
    if staged.ended:
        return [f"plans of the years together: {staged.ended}"]
    if moved := sorted({dso for year, known in staged.yardsticks.items() for dso, value in known.items() if yardsticks[year][dso] != value}):
        why = f"a repair moved what {', '.join(moved)} {'is' if len(moved) == 1 else 'are'} compared with"
        return [f"plans of the years together: {why}, and their bound holds for the caps before; nothing is proven of the plans that stand"]
    if not cost - staged.bound <= asked + ROUNDING * (1.0 + abs(cost)):
        return [f"plans of the years together: {cost - staged.bound:,.0f} EUR above their bound, where the gaps asked for allow {asked:,.0f} EUR"]
    return []
