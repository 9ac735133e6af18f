"""The stage ``plan``: every DSO decides, knowing how its platforms respond."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multiscale.assessment.construction import Bought
from multiscale.coordination.engine.processes import give_back_memory
from multiscale.operation import Market
from multiscale.planning import Plan, PlanningProblem, planning_problem, solve_plan
from multiscale.planning.distribution_planning import seen_participants
from multiscale.planning.market_forecast import MarketForecast, market_forecast
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.planning.participants import chosen_view, response_difference
from multiscale.planning.persistence import Restriction
from multiscale.planning.plan import SocialReference
from multiscale.planning.regimes import Regime
from multiscale.planning.search_start import SearchStart
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.planning.social_reference import social_reference
from multiscale.planning.targets import Target, Targets, groups
from multiscale.programs import SolverSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.tariffs import Prices

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def forecast(case: StudyCase) -> MarketForecast:
    """What planners expect of the wholesale market."""
    return market_forecast(case.system, case.horizon, case.economics, case.fleets)


def forecast_with(case: StudyCase, plan: TransmissionPlan) -> MarketForecast:
    """The same with a plan of the transmission operator, at its nodal prices; ``case`` holds what it builds."""
    return replace(forecast(case), energy_price=plan.energy_price)


def make_plan(
    case: StudyCase,
    dso: str,
    expected: MarketForecast,
    planning: DistributionPlanSettings,
    regime: Regime,
    market: Market,
    solver: SolverSettings,
    restriction: Restriction = Restriction(),
    start: SearchStart | None = None,
    targets: Targets | None = None,
    yardstick: float = float("nan"),
    held: Prices | None = None,
) -> Plan:
    """The plan of a DSO, to a proven gap.

    Args:
        case: what is planned for.
        expected: of the wholesale market.
        dso: who plans.
        planning, regime, market, solver: settings of the study.
        restriction: options that have to be built, as they were in an earlier year, or may not be.
        start: where the search for a similar plan ended.
        targets: that the plan has to reach.
        yardstick: what the operator is compared with, where the regime compares operators [EUR/a].
        held: prices of decided components that are given here.

    Raises:
        NoPlanError: no plan satisfies the conditions or reaches the targets, or none was found in time.
    """
    problem = problem_of(case, dso, expected, planning, market).among(restriction.required, restriction.excluded)
    problem = replace(problem, yardstick=yardstick).at_prices(held or {})
    wanted = _of(problem, targets)
    plan = solve_plan(problem, regime, method=planning.method, start=start, targets=wanted, **_effort(case, planning, solver))
    # The problem that was solved is large, and follows from the case.
    plan = replace(plan, solution=replace(plan.solution, problem=None, constraint_rows={}), restriction=restriction, yardstick=yardstick)
    del problem
    give_back_memory()
    return plan


def social_plan(
    case: StudyCase,
    dso: str,
    expected: MarketForecast,
    planning: DistributionPlanSettings,
    market: Market,
    solver: SolverSettings,
    restriction: Restriction,
    targets: Targets | None = None,
) -> SocialReference:
    """The plan of least social cost under restriction and targets of a plan that stands, whatever its regime; arguments as of ``make_plan``."""
    problem = problem_of(case, dso, expected, planning, market).among(restriction.required, restriction.excluded)
    found = social_reference(problem, targets=_of(problem, targets), **_effort(case, planning, solver))
    del problem
    give_back_memory()
    return found


def _effort(case: StudyCase, planning: DistributionPlanSettings, solver: SolverSettings) -> dict[str, Any]:
    """How exact a plan has to be, and what the search for it may spend: the operators share what the study allows."""
    count = len(case.system.at_level("dso"))
    return {
        "tolerance": planning.recovery_tolerance,
        "gap": planning.gap,
        "gap_eur": planning.gap_eur / count,
        "solve_limit": planning.solve_limit,
        "time_limit": None if planning.time_limit_s is None else planning.time_limit_s / count,
        "seed": solver.seed,
        "memory_limit": solver.memory_limit_mb,
    }


def _of(problem: PlanningProblem, targets: Targets | None) -> dict[str, Target]:
    """The targets that concern an operator: not those of platforms of others."""
    known = groups(problem), list(problem.tariff.policies)
    return {name: target for name, target in (targets or {}).items() if not target.problem(*known)}


def response_of_members(
    case: StudyCase,
    dso: str,
    expected: MarketForecast,
    planning: DistributionPlanSettings,
    market: Market,
    bought: Bought,
    prices: Prices,
) -> dict[str, float]:
    """How far the planner's view of the members is from their own answer to a plan, see ``response_difference``.

    Args:
        case, dso, expected, planning, market: as of ``make_plan``.
        bought, prices: of the plan.
    """
    members = {c: case.fleets[c] for c in case.system.children(dso)}
    view = chosen_view(planning.participants, members, planning.members_limit)
    seen = seen_participants(case.system, dso, case.economics, case.fleets, case.system.options, market, case.adoption, view)
    offered = {c: case.adoption[c] for c in bought if c in case.adoption}
    return response_difference(seen, members, bought, offered, case.economics, market, expected.energy_price[dso], prices)


def problem_of(case: StudyCase, dso: str, expected: MarketForecast, planning: DistributionPlanSettings, market: Market) -> PlanningProblem:
    """The planning problem of one DSO of the case."""
    members = {c: case.fleets[c] for c in case.system.children(dso)}
    return planning_problem(
        case.system,
        dso,
        case.horizon,
        case.economics,
        case.fleets,
        case.system.options,
        expected.energy_price[dso],
        market,
        limits=case.limits,
        adoption=case.adoption,
        view=chosen_view(planning.participants, members, planning.members_limit),
    )


def planned(config: StudyConfig, case: StudyCase, expected: MarketForecast) -> dict[str, Plan]:
    """The plans of a configuration, each for itself; none without planning."""
    if not isinstance(config.planning, DistributionPlanSettings):
        return {}
    given = expected, config.planning, config.regime, config.market, config.solver
    return {dso: make_plan(case, dso, *given, targets=config.targets) for dso in case.system.at_level("dso")}


def repeatable(plan: Plan | SocialReference) -> bool:
    """Whether the same input gives the same plan: not where a clock ended the search for it."""
    return plan.status != "time_limit"
