"""The years of a study: its stages in their order, and the answer of every year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from multiscale.assessment.operated import Operation
from multiscale.pipeline.incomes import income_problems, incomes_of
from multiscale.pipeline.repaired_plan import Made, repaired_plan
from multiscale.pipeline.stages import Artefact
from multiscale.pipeline.study_stages import Study
from multiscale.pipeline.targets import target_problems
from multiscale.planning import Plan
from multiscale.planning.market_forecast import MarketForecast
from multiscale.results.data.answer_data import RepairRecord, Scenario, StudyCase, YearAnswer
from multiscale.results.scenarios import HEADLINE, REFERENCES
from multiscale.system import InvalidSystemError
from multiscale.verification.ac import Verification


def year_answers(study: Study) -> list[YearAnswer]:
    """The answer of every year, in their order.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
        NoAnswerError: a year has no plan, or none was found in time.
    """
    config, years = study.config, study.config.horizon.years
    cases: dict[int, Artefact[StudyCase]] = {}
    with study.progress.stage("build") as stage:
        for year in reversed(years):
            stage.update(str(year))
            cases[year] = study.build(year, cases.get(years[-1]))
    wrong = [problem for case in cases.values() for problem in config.market.problems(case.value.fleets)]
    wrong += income_problems(config.results, cases[years[-1]].value.system)
    wrong += target_problems(config, cases[years[-1]].value.system)
    if wrong:
        raise InvalidSystemError(dict.fromkeys(wrong))
    expected = {}
    with study.progress.stage("plan") as stage:
        for year in years:
            stage.update(f"{cases[year].value.system.options.sizes['option']} options")
            expected[year] = study.expected(cases[year])
    linked = study.linked(cases, expected) if study.planned and len(years) > 1 else {}
    found: list[YearAnswer] = []
    for year in years:
        before = found[-1].plans if found else {}
        found.append(year_answer(study, cases[year], expected[year], {d: plans.plans[str(year)] for d, plans in linked.items()}, before))
    return found


def year_answer(
    study: Study, case: Artefact[StudyCase], expected: Artefact[MarketForecast], linked: Mapping[str, Plan], before: Mapping[str, Plan]
) -> YearAnswer:
    """Operate, verify and assess one year, and plan it where that was not done with the other years.

    Args:
        study: whose stages.
        case, expected: of the year.
        linked: DSO -> plan that was made with those of the other years.
        before: DSO -> plan of the year before, which this one keeps.
    """
    specs = {spec.name: spec for spec in study.scenarios}
    operations = study.operate_alone([specs[name] for name in REFERENCES], case, expected)
    above = study.transmission(case, expected)
    repair = repaired_plan(study, above, operations, linked, before)
    plans = {
        dso: study.with_social(study.with_response(plan, case, above.expected), repair.state.case, above.expected)
        for dso, plan in repair.state.plans.items()
    }
    made = replace(repair.state, plans=plans)
    operations[HEADLINE], verified = made.operation, {HEADLINE: made.verified}
    alike: dict[bool, Artefact[Operation]] = {}
    for name, spec in specs.items():
        here, ahead = (made.case, above.expected) if spec.network == "plan" else (case, expected)
        if name not in operations:
            # Scenarios of one market differ in prices and limits alone: each starts where the one before it ended, the first where the plan's did.
            design, near = study.design(spec, made.plans, operations, above.plan), alike.get(spec.trade, made.operation)
            operations[name] = alike[spec.trade] = study.operate(spec, here, ahead, design, {}, keep_bases=True, near=near)
        if name not in verified:
            verified[name] = study.verify(spec, here, operations[name])
    year = study.whole_year(made.case, made.operation, made.bought, above.expected)
    relief = float((above.expected.value.idle.cost - expected.value.idle.cost).sum())
    scenarios = _assessed(study, case, made, operations, verified, relief)
    prices, baseline = above.expected.value.energy_price, study.config.results.baseline
    rounds = RepairRecord(repair.violations, repair.stopped)
    found = YearAnswer(made.case.value, prices, made.plans, scenarios, baseline, HEADLINE, made.bought, year, rounds, study.config.regime)
    found = replace(found, incomes=incomes_of(study.config.results), outages=made.outages or {}, targets=study.config.targets)
    return replace(found, transmission=above.plan, relief=relief)


def _assessed(
    study: Study,
    case: Artefact[StudyCase],
    made: Made,
    operations: Mapping[str, Artefact[Operation]],
    verified: Mapping[str, Mapping[str, Verification]],
    relief: float,
) -> dict[str, Scenario]:
    """Every scenario with its ledger.

    Args:
        study: whose stages.
        case: before anything is planned.
        made: the plan that stands.
        operations, verified: of the scenarios.
        relief: of the cost of supplying customers on the transmission level by what is built there [EUR/a].
    """
    found = {}
    paid = sum(plan.account.payment for plan in made.plans.values())
    # Of platforms that are excluded on a day, nothing inside is compared on that day.
    excluded = made.operation.value.excluded
    with study.progress.stage("assess"):
        for spec in study.scenarios:
            planned = spec.network == "plan"
            bought = made.bought if spec.adoption else {}
            ledger = study.settled(spec, case, operations[spec.name], bought, excluded, paid if planned else 0.0, relief if planned else 0.0)
            found[spec.name] = Scenario(spec.name, spec.title, operations[spec.name].value, ledger, verified[spec.name])
    return found
