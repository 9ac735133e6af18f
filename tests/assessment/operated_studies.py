"""Small studies that were planned and operated, with their ledgers, without power flow and report."""

from __future__ import annotations

from dataclasses import dataclass

from multiscale import study
from multiscale.assessment import Ledger, settle_day
from multiscale.assessment.construction import book_construction
from multiscale.config import load_config
from multiscale.coordination.engine import make_engine
from multiscale.planning import Plan
from multiscale.results.answer_data import Scenario, StudyCase


@dataclass(frozen=True)
class OperatedStudy:
    """A study as far as its ledgers.

    Attributes:
        case: what it is about.
        plans: DSO -> plan.
        plan, existing: scenarios with their ledgers.
    """

    case: StudyCase
    plans: dict[str, Plan]
    plan: Scenario
    existing: Scenario


def operated_study(*overrides: str) -> OperatedStudy:
    """The tiny case of one operator over one day of eight steps, with some settings changed."""
    config = load_config(["study=tiny", "horizon=one_day", "horizon.step_hours=3 h", "system.dsos=[north]", *overrides])
    case = study.build_case(config)
    with make_engine(config.engine, config.solver) as engine:
        price, transmission = study.forecast_prices(case)
        plans = study.make_plans(config, case, price)
        grown = study.with_bought_capacity(case, plans)
        existing = study.without_trade(case, price, engine, transmission)["existing"]
        _, plan = study.operate_plan(config, grown, plans, existing.design.prices, engine, transmission)
    return OperatedStudy(grown, plans, settled(grown, plan, plans), settled(case, existing, {}))


def settled(case: StudyCase, scenario: Scenario, plans: dict[str, Plan]) -> Scenario:
    """The scenario with its ledger."""
    ledger = Ledger()
    for tree, outcome in zip(scenario.trees, scenario.outcomes, strict=True):
        ledger.add(settle_day(tree, outcome))
    bought = [plan.bought for plan in plans.values()]
    book_construction(ledger, case.system, case.horizon, case.economics, case.fleets, scenario.design.built, bought)
    return Scenario(scenario.name, scenario.title, scenario.design, scenario.trees, scenario.outcomes, ledger, {})
