"""Small studies that were planned and operated, with their ledgers, without power flow and report."""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiscale.config import load_config
from multiscale.coordination.engine import make_engine
from multiscale.coordination.mechanisms import mechanism_of
from multiscale.operation import Design
from multiscale.pipeline.assessment import settled
from multiscale.pipeline.case import case_of
from multiscale.pipeline.operation import operate_alone, operate_coordinated, real_purchases
from multiscale.pipeline.plan import forecast, planned, social_plan
from multiscale.planning import Plan, Social
from multiscale.planning.settings import DsoPlanSettings
from multiscale.results.data.answer_data import Scenario, StudyCase


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
    case = case_of(config)
    expected = forecast(case)
    plans = planned(config, case, expected)
    if isinstance(config.planning, DsoPlanSettings) and config.planning.social_reference and not isinstance(config.regime, Social):
        given = expected, config.planning, config.market, config.solver
        plans = {dso: replace(plan, social=social_plan(case, dso, *given, plan.restriction)) for dso, plan in plans.items()}
    bought = real_purchases({p: sizes for plan in plans.values() for p, sizes in plan.bought.items()})
    with make_engine(config.engine, config.solver) as engine:
        alone = operate_alone(case, expected, {"existing": {}}, engine)["existing"]
        built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
        design = Design(built, dict(alone.design.prices) | {dso: plan.prices for dso, plan in plans.items()})
        how = mechanism_of(config.coordination), config.coordination.error, engine, lambda _: None
        together = operate_coordinated(case, expected, design, bought, config.market, False, False, False, False, None, *how)
    paid = sum(plan.account.payment for plan in plans.values())
    return OperatedStudy(
        case,
        plans,
        Scenario("plan", "", together, settled(case, together, bought, together.excluded, paid), {}),
        Scenario("existing", "", alone, settled(case, alone, {}, together.excluded), {}),
    )
