"""The stages of one study, year by year: which there are, what each is given, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.mechanisms import mechanism_of
from multiscale.markets import TimeOfUse
from multiscale.operation import Design
from multiscale.pipeline.assessment import settled
from multiscale.pipeline.case import build_case, case_inputs
from multiscale.pipeline.operation import operate_alone, operate_coordinated, real_purchases
from multiscale.pipeline.plan import forecast, make_plans, repeatable
from multiscale.pipeline.stages import Artefact, Stages
from multiscale.pipeline.verification import verify_days, verify_year
from multiscale.planning import Plan
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.settings import DsoPlanSettings
from multiscale.results.answer_data import Scenario, StudyCase, YearAnswer
from multiscale.results.progress import Progress
from multiscale.results.scenarios import HEADLINE, ScenarioSpec, chosen_scenarios

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

STAGES = ("build", "plan", "operate", "verify", "assess")

Engine = SerialEngine | DaskEngine


class Study:
    """The stages of one study, year by year; each is handed what its key knows and nothing else.

    Args:
        config: the study.
        inputs: what is read from outside -> its hash.
        stages: where finished stages are found and kept.
        progress: of the run.
        engine: starts the engine at the first use.
    """

    def __init__(self, config: StudyConfig, inputs: Mapping[str, str], stages: Stages, progress: Progress, engine: Callable[[], Engine]) -> None:
        self.config, self.inputs, self.stages, self.progress, self.engine = config, inputs, stages, progress, engine
        self.planned = isinstance(config.planning, DsoPlanSettings)
        self.scenarios = chosen_scenarios(config.results.operated, config.results.baseline, planned=self.planned)
        self.mechanism = mechanism_of(config.coordination)

    def answers(self) -> list[YearAnswer]:
        """The answer of every year, in their order."""
        years = self.config.horizon.years
        cases: dict[int, Artefact[StudyCase]] = {}
        with self.progress.stage("build") as stage:
            for year in reversed(years):
                stage.update(str(year))
                cases[year] = self.build(year, cases.get(years[-1]))
        return [self.answer(cases[year]) for year in years]

    def answer(self, case: Artefact[StudyCase]) -> YearAnswer:
        """Plan, operate, verify and assess one year."""
        with self.progress.stage("plan") as stage:
            stage.update(f"{case.value.system.options.sizes['option']} options")
            expected = self.stages.run("forecast", forecast, {"case": case}, label=self.label(case))
            plans = self.plan(case, expected)
        bought: Bought = real_purchases({p: sizes for plan in plans.values() for p, sizes in plan.bought.items()})
        operations: dict[str, Artefact[Operation]] = {}
        with self.progress.stage("operate") as stage:
            for spec in self.scenarios:
                stage.update(spec.title)
                design = self.design(spec, plans, operations)
                operations[spec.name] = self.operate(spec, case, expected, design, bought if spec.adoption else {}, stage.update)
        with self.progress.stage("verify") as stage:
            verified = {}
            for spec in self.scenarios:
                stage.update(spec.title)
                verified[spec.name] = self.stages.run(
                    "verify", verify_days, {"case": case, "operation": operations[spec.name]}, label=self.label(case, spec)
                ).value
            year = {}
            if self.config.verification.year:
                stage.update("every hour of the year")
                given = {"case": case, "operation": operations[HEADLINE], "bought": bought}
                year = self.stages.run("verify_year", verify_year, given, label=self.label(case)).value
        with self.progress.stage("assess"):
            # Of platforms that are excluded on a day, nothing inside is compared on that day.
            excluded = operations[HEADLINE].value.excluded
            scenarios = {
                spec.name: Scenario(
                    spec.name,
                    spec.title,
                    operations[spec.name].value,
                    settled(case.value, operations[spec.name].value, bought if spec.adoption else {}, excluded),
                    verified[spec.name],
                )
                for spec in self.scenarios
            }
        return YearAnswer(case.value, expected.value.energy_price, plans, scenarios, self.config.results.baseline, HEADLINE, bought, year)

    def build(self, year: int, last: Artefact[StudyCase] | None) -> Artefact[StudyCase]:
        """The case of a year; an earlier one takes over days and options of the last."""
        return self.stages.run("build", build_case, case_inputs(self.config) | {"year": year, "last": last}, label=str(year), more=self.inputs)

    def plan(self, case: Artefact[StudyCase], expected: Artefact[MarketForecast]) -> Mapping[str, Plan]:
        """A plan for every DSO; none without planning."""
        if not self.planned:
            return {}
        given = {
            "case": case,
            "expected": expected,
            "planning": self.config.planning,
            "regime": self.config.regime,
            "market": self.config.market,
            "solver": self.config.solver,
        }
        return self.stages.run("plan", make_plans, given, label=self.label(case), keep=repeatable).value

    def design(self, spec: ScenarioSpec, plans: Mapping[str, Plan], operations: Mapping[str, Artefact[Operation]]) -> Design:
        """What is built and charged in a scenario; an uncoordinated one finds its charge itself."""
        if spec.network == "plan":
            built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
            existing = operations["existing"].value.design.prices
            return Design(built, dict(existing) | {dso: plan.prices for dso, plan in plans.items()})
        if spec.coordinated:
            return operations[spec.network].value.design
        return Design()

    def operate(
        self,
        spec: ScenarioSpec,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        design: Design,
        bought: Bought,
        report_progress: Callable[[str], None],
    ) -> Artefact[Operation]:
        """One scenario on all days."""
        label = self.label(case, spec)
        if not spec.coordinated:
            built = conventional_options(case.value) if spec.network == "conventional" else {}
            given = {"case": case, "expected": expected, "built": built}
            return self.stages.run("operate", operate_alone, given, label=label, means=lambda: {"engine": self.engine()})
        coordination = self.config.coordination
        given = {
            "case": case,
            "expected": expected,
            "design": design,
            "bought": bought,
            "market": self.config.market if spec.trade else TimeOfUse(),
            "in_full": spec.name == HEADLINE,
        }

        def means() -> dict[str, object]:
            common = {"mechanism": self.mechanism, "error": coordination.error}
            return common | {"engine": self.engine(), "report_progress": lambda what: report_progress(f"{spec.title}: {what}")}

        decisive = self.config.decisive["coordination"]
        return self.stages.run("operate", operate_coordinated, given, label=label, means=means, more=(decisive, self.config.solver))

    def label(self, case: Artefact[StudyCase], spec: ScenarioSpec | None = None) -> str:
        """What a stage is about: its year where there are several, and its scenario."""
        year = str(case.value.year) if len(self.config.horizon.years) > 1 else ""
        return f"{spec.name if spec else ''} {year}".strip()


def conventional_options(case: StudyCase) -> dict[str, bool]:
    """What planning without any response builds, in all DSOs."""
    options = case.system.options
    return {str(o): True for need in case.need.values() for o in options.option.values[need.needed(options)].tolist()}
