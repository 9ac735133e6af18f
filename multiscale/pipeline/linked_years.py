"""Plans of several years made together: what one year builds stays built in the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise

from multiscale.coordination.common.prepared import Progress
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.persistence import LinkedPlans, Restriction, linked_plans
from multiscale.planning.settings import DsoPlanSettings
from multiscale.results.data.answer_data import StagedPlan
from multiscale.results.run.run_folder import NoAnswerError

ROUNDING = 1e-8
"""Distance of plans and bound, relative to their cost, that is rounding of the linear programs [1]."""


def plans_of_years(
    years: Sequence[int],
    dsos: Sequence[str],
    plan_of: Callable[[str, int, Restriction], Plan],
    planning: DsoPlanSettings,
    discount_rate: float,
    report_progress: Progress,
) -> tuple[dict[str, LinkedPlans[Plan]], StagedPlan]:
    """DSO -> its plans of all years (under the year as text), and what is proven of them together.

    Args:
        years: rising.
        dsos: who plan, each for itself.
        plan_of: plans a DSO in a year.
        planning: settings.
        discount_rate: of costs of later years [1/a].
        report_progress: called with what is being done.

    Raises:
        NoAnswerError: there is no plan in some year, or none were found that keep to each other.
    """
    weights = stage_weights(years, discount_rate)
    found = {}
    for dso in dsos:

        def plan(node: str, restriction: Restriction, dso: str = dso) -> Plan:
            return plan_of(dso, int(node), restriction)

        try:
            found[dso] = linked_plans(
                {str(year): weight for year, weight in weights.items()},
                list(pairwise(map(str, years))),
                plan,
                gap=planning.gap,
                gap_eur=planning.gap_eur / len(dsos),
                most=max(planning.linked_plans, len(years)),
                report_progress=report_progress,
            )
        except NoPlanError as error:
            raise NoAnswerError(error.status, str(error), asdict(error.relaxation) if error.relaxation else None) from error
    every = list(found.values())
    ended = "; ".join(f"{dso}: {plans.ended}" for dso, plans in found.items() if plans.ended)
    return found, StagedPlan(weights, sum(p.bound for p in every), sum(p.separate for p in every), sum(p.solves for p in every), ended)


def reservations_of_stages(cost: float, staged: StagedPlan, planning: DsoPlanSettings) -> list[str]:
    """Why plans of several years are not the optimum together; empty where they are, to the gaps asked for.

    Also where the search ended at these gaps they may be missed: a plan that is made anew under tighter limits costs more, and the bound is for the
    limits of the rule.

    Args:
        cost: present value of the plans that stand [EUR].
        staged: what is proven of them.
        planning: settings, with the gaps.
    """
    asked = max(planning.gap_eur * sum(staged.weights.values()), planning.gap * abs(cost))
    if staged.ended:
        return [f"plans of the years together: {staged.ended}"]
    if not cost - staged.bound <= asked + ROUNDING * (1.0 + abs(cost)):
        return [f"plans of the years together: {cost - staged.bound:,.0f} EUR above their bound, where the gaps asked for allow {asked:,.0f} EUR"]
    return []


def stage_weights(years: Sequence[int], discount_rate: float) -> dict[int, float]:
    """Present value of 1 EUR/a over the stage that each of some years stands for [a], in EUR of the first year.

    A year stands for the time until the next one; the last for as long as the one before it, or for itself where it is the only one.
    """
    lengths = [later - earlier for earlier, later in pairwise(years)]
    lengths.append(lengths[-1] if lengths else 1)
    first = years[0]
    return {year: sum((1.0 + discount_rate) ** -(year - first + t) for t in range(n)) for year, n in zip(years, lengths, strict=True)}
