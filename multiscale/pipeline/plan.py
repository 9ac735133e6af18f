"""The stage ``plan``: every DSO decides, knowing how its platforms respond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multiscale.coordination.engine.processes import give_back_memory
from multiscale.operation import Market
from multiscale.planning import NoPlanError, Plan, PlanningProblem, planning_problem, solve_plan
from multiscale.planning.market_forecast import MarketForecast, market_forecast
from multiscale.planning.participants import chosen_view, response_difference
from multiscale.planning.regimes import Regime
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.social_reference import social_reference
from multiscale.programs import SolverSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.results.run.run_folder import NoAnswerError

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def forecast(case: StudyCase) -> MarketForecast:
    """What planners expect of the wholesale market."""
    return market_forecast(case.system, case.horizon, case.economics, case.fleets)


def make_plans(
    case: StudyCase, expected: MarketForecast, planning: DsoPlanSettings, regime: Regime, market: Market, solver: SolverSettings
) -> dict[str, Plan]:
    """A plan for every DSO, each to a proven gap.

    Args:
        case: what is planned for.
        expected: of the wholesale market.
        planning, regime, market, solver: settings of the study.

    Raises:
        NoAnswerError: no plan satisfies the conditions, or none was found in time.
    """
    plans = {}
    dsos = case.system.at_level("dso")
    for dso in dsos:
        problem = problem_of(case, dso, expected, planning, market)
        settings: dict[str, Any] = {
            "tolerance": planning.recovery_tolerance,
            "gap": planning.gap,
            "gap_eur": planning.gap_eur / len(dsos),
            "solve_limit": planning.solve_limit,
            "time_limit": None if planning.time_limit_s is None else planning.time_limit_s / len(dsos),
            "seed": solver.seed,
            "memory_limit": solver.memory_limit_mb,
        }
        try:
            plan = solve_plan(problem, regime, method=planning.method, **settings)
            reference = social_reference(problem, regime, **settings) if planning.social_reference else None
        except NoPlanError as error:
            raise NoAnswerError(error.status, str(error)) from error
        offered = {c: case.adoption[c] for c in plan.bought if c in case.adoption}
        response = problem.participants, problem.members, plan.bought, offered, case.economics, market, expected.energy_price[dso], plan.prices
        # The problem that was solved is large, and follows from the case.
        proof = replace(plan.solution, problem=None, constraint_rows={})
        plans[dso] = replace(plan, response_difference=response_difference(*response), solution=proof, social=reference)
        del problem, plan, response
        give_back_memory()
    return plans


def problem_of(case: StudyCase, dso: str, expected: MarketForecast, planning: DsoPlanSettings, market: Market) -> PlanningProblem:
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
    """The plans of a configuration; none without planning."""
    if not isinstance(config.planning, DsoPlanSettings):
        return {}
    return make_plans(case, expected, config.planning, config.regime, config.market, config.solver)


def repeatable(plans: Mapping[str, Plan]) -> bool:
    """Whether the same input gives the same plans: not where a clock ended a search."""
    return all(plan.status != "time_limit" for plan in plans.values())
