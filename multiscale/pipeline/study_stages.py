"""The stages of one study, year by year: which there are, what each is given, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.mechanisms import mechanism_of
from multiscale.markets import TimeOfUse
from multiscale.operation import Design
from multiscale.pipeline.assessment import settled
from multiscale.pipeline.case import build_case, case_inputs, with_limits
from multiscale.pipeline.linked_years import plans_of_years
from multiscale.pipeline.operation import operate_alone, operate_coordinated, real_purchases
from multiscale.pipeline.plan import forecast, forecast_with, make_plan, repeatable
from multiscale.pipeline.stages import Artefact, Stages
from multiscale.pipeline.transmission_plan import plan_transmission, restrictions, with_transmission
from multiscale.pipeline.verification import verify_days
from multiscale.pipeline.year import verify_year
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.distribution_planning import planned_limits
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.planning.persistence import LinkedPlans, Restriction
from multiscale.planning.repair import Repaired, Violations, repaired
from multiscale.planning.settings import DistributionPlanSettings, DsoPlanSettings, TransmissionPlanning
from multiscale.results.data.answer_data import RepairRecord, Scenario, StagedPlan, StudyCase, YearAnswer
from multiscale.results.run.progress import Progress
from multiscale.results.run.run_folder import NoAnswerError
from multiscale.results.scenarios import HEADLINE, REFERENCES, ScenarioSpec, chosen_scenarios
from multiscale.system import InvalidSystemError, LoadingLimits
from multiscale.verification.ac import Verification
from multiscale.verification.violations import violations_of
from multiscale.verification.year import YearCheck

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

STAGES = ("build", "plan", "operate", "verify", "assess")

Engine = SerialEngine | DaskEngine


@dataclass(frozen=True)
class Above:
    """What planning goes by on the transmission level.

    Attributes:
        plan: of the transmission operator; None where it does not plan.
        case: with what it builds.
        expected: of the wholesale market with it.
    """

    plan: TransmissionPlan | None
    case: Artefact[StudyCase]
    expected: Artefact[MarketForecast]


@dataclass(frozen=True)
class Made:
    """A plan with its operation, under the limits of its case.

    Attributes:
        case: under the limits.
        plans: DSO -> plan.
        bought: new capacity of prosumers.
        operation: of the headline scenario.
        verified: DSO -> AC power flow of its periods.
    """

    case: Artefact[StudyCase]
    plans: Mapping[str, Plan]
    bought: Bought
    operation: Artefact[Operation]
    verified: Mapping[str, Verification]


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
        self.planned = isinstance(config.planning, DistributionPlanSettings)
        self.above = isinstance(config.planning, TransmissionPlanning)
        given = {"planned": self.planned or self.above, "purchases": self.planned}
        self.scenarios = chosen_scenarios(config.results.operated, config.results.baseline, **given)
        self.mechanism = mechanism_of(config.coordination)
        self.staged: StagedPlan | None = None

    def answers(self) -> list[YearAnswer]:
        """The answer of every year, in their order."""
        years = self.config.horizon.years
        cases: dict[int, Artefact[StudyCase]] = {}
        with self.progress.stage("build") as stage:
            for year in reversed(years):
                stage.update(str(year))
                cases[year] = self.build(year, cases.get(years[-1]))
        wrong = [problem for case in cases.values() for problem in self.config.market.problems(case.value.fleets)]
        if wrong:
            raise InvalidSystemError(dict.fromkeys(wrong))
        expected = {}
        with self.progress.stage("plan") as stage:
            for year in years:
                stage.update(f"{cases[year].value.system.options.sizes['option']} options")
                expected[year] = self.expected(cases[year])
        linked = self.linked(cases, expected) if self.planned and len(years) > 1 else {}
        answers: list[YearAnswer] = []
        for year in years:
            before = answers[-1].plans if answers else {}
            answers.append(self.answer(cases[year], expected[year], {d: plans.plans[str(year)] for d, plans in linked.items()}, before))
        return answers

    def expected(self, case: Artefact[StudyCase]) -> Artefact[MarketForecast]:
        """What planners expect of the wholesale market in a year."""
        return self.stages.run("forecast", forecast, {"case": case}, label=self.label(case))

    def transmission(self, case: Artefact[StudyCase], expected: Artefact[MarketForecast]) -> Above:
        """The plan of the transmission operator, and the case and the forecast with what it builds; as they are where it does not plan."""
        planning = self.config.planning
        if not isinstance(planning, TransmissionPlanning):
            return Above(None, case, expected)
        given: dict[str, object] = {"case": case, "planning": planning, "market": self.config.market}
        with self.progress.stage("plan") as stage:
            more = self.config.solver
            found = self.stages.run(
                "plan_transmission", plan_transmission, given, label=self.label(case), means=lambda: {"report_progress": stage.update}, more=more
            )
            built = self.stages.run("build_transmission", with_transmission, {"case": case, "plan": found}, label=self.label(case))
            ahead = self.stages.run("forecast", forecast_with, {"case": built, "plan": found}, label=f"{self.label(case)} with plan".strip())
        return Above(found.value, built, ahead)

    def linked(self, cases: Mapping[int, Artefact[StudyCase]], expected: Mapping[int, Artefact[MarketForecast]]) -> dict[str, LinkedPlans[Plan]]:
        """DSO -> plans of all years, of which each keeps what those before it build."""
        years, planning = self.config.horizon.years, self.config.planning
        assert isinstance(planning, DsoPlanSettings)

        def plan_of(dso: str, year: int, restriction: Restriction) -> Plan:
            return self.plan_of(dso, cases[year], expected[year], restriction)

        with self.progress.stage("plan") as stage:
            dsos, rate = cases[years[0]].value.system.at_level("dso"), self.config.costs.discount_rate
            found, self.staged = plans_of_years(years, dsos, plan_of, planning, rate, stage.update)
        return found

    def answer(
        self, case: Artefact[StudyCase], expected: Artefact[MarketForecast], linked: Mapping[str, Plan], before: Mapping[str, Plan]
    ) -> YearAnswer:
        """Operate, verify and assess one year, and plan it where that was not done with the other years.

        Args:
            case, expected: of the year.
            linked: DSO -> plan that was made with those of the other years.
            before: DSO -> plan of the year before, which this one keeps.
        """
        operations: dict[str, Artefact[Operation]] = {}
        verified: dict[str, Mapping[str, Verification]] = {}
        specs = {spec.name: spec for spec in self.scenarios}
        for name in REFERENCES:
            operations[name] = self.operate(specs[name], case, expected, Design(), {})
        above = self.transmission(case, expected)
        repair = self.repaired(above, operations, linked, before)
        made = repair.state
        operations[HEADLINE], verified[HEADLINE] = made.operation, made.verified
        # Scenarios on the network of the plan keep the limits under which it was made; the others those of the rule.
        cases = {name: made.case if spec.network == "plan" else case for name, spec in specs.items()}
        for name, spec in specs.items():
            if name not in operations:
                ahead = above.expected if spec.network == "plan" else expected
                operations[name] = self.operate(spec, cases[name], ahead, self.design(spec, made.plans, operations, above.plan), {})
            if name not in verified:
                verified[name] = self.verify(spec, cases[name], operations[name])
        year = self.whole_year(made, above.expected) if self.config.verification.year else YearCheck()
        with self.progress.stage("assess"):
            # Of platforms that are excluded on a day, nothing inside is compared on that day.
            excluded = made.operation.value.excluded
            scenarios = {}
            relief = float((above.expected.value.idle.cost - expected.value.idle.cost).sum())
            for name, spec in specs.items():
                operation = operations[name].value
                paid = sum(plan.account.payment for plan in made.plans.values()) if spec.network == "plan" else 0.0
                eased = relief if spec.network == "plan" else 0.0
                ledger = settled(case.value, operation, made.bought if spec.adoption else {}, excluded, paid, eased)
                scenarios[name] = Scenario(name, spec.title, operation, ledger, verified[name])
        prices, baseline = above.expected.value.energy_price, self.config.results.baseline
        rounds = RepairRecord(repair.violations, repair.stopped)
        decided = made.plans, scenarios, baseline, HEADLINE, made.bought, year, rounds, self.config.regime, above.plan, relief
        return YearAnswer(made.case.value, prices, *decided)

    def repaired(
        self,
        above: Above,
        operations: Mapping[str, Artefact[Operation]],
        linked: Mapping[str, Plan],
        before: Mapping[str, Plan],
    ) -> Repaired[Made]:
        """The plan and its operation, made anew under tighter limits as long as its AC power flow violates limits."""
        case, expected = above.case, above.expected
        kept = {dso: Restriction(frozenset(o for o, yes in plan.built.items() if yes)) for dso, plan in before.items()}
        # The first plans are those of the joint plan; under tighter limits more may be built.
        joint = {} if above.plan is None else restrictions(above.plan)
        kept |= {dso: Restriction(one.required) for dso, one in joint.items()}
        headline = next(spec for spec in self.scenarios if spec.name == HEADLINE)

        def under(limits: LoadingLimits) -> Artefact[StudyCase]:
            if limits == case.value.limits:
                return case
            return self.stages.run("tighten", with_limits, {"case": case, "limits": limits}, label=self.label(case))

        planned: dict[str, Mapping[str, Plan]] = {}

        def made(limits: LoadingLimits) -> Made:
            here = under(limits)
            # Limits inside platforms that planning does not see leave its problem as it is.
            seen = under(planned_limits(case.value.system, limits))
            try:
                if seen.key not in planned:
                    planned[seen.key] = self.plan(seen, expected, linked if seen is case else {}, kept | (joint if seen is case else {}))
                plans = planned[seen.key]
            except NoAnswerError as error:
                if here is case:
                    raise
                raise NoPlanError(error.status, str(error)) from error
            bought: Bought = real_purchases({p: sizes for plan in plans.values() for p, sizes in plan.bought.items()})
            operation = self.operate(headline, here, expected, self.design(headline, plans, operations, above.plan), bought)
            return Made(here, plans, bought, operation, self.verify(headline, here, operation))

        def checked(state: Made) -> Violations:
            system, found = state.case.value.system, Violations()
            for dso, verification in state.verified.items():
                operation = state.operation.value
                built = operation.design.options(system.options)
                found = found.joined(violations_of(system, dso, verification, operation.injections(dso), built))
            return found

        return repaired(case.value.system, case.value.limits, made, checked, rounds=self.repair_rounds)

    @property
    def repair_rounds(self) -> int:
        """Largest number of times that limits are tightened; none without planning."""
        return self.config.planning.repair_rounds if isinstance(self.config.planning, DistributionPlanSettings) else 0

    def verify(self, spec: ScenarioSpec, case: Artefact[StudyCase], operation: Artefact[Operation]) -> Mapping[str, Verification]:
        """AC power flow of a scenario on the representative days."""
        with self.progress.stage("verify") as stage:
            stage.update(spec.title)
            return self.stages.run("verify", verify_days, {"case": case, "operation": operation}, label=self.label(case, spec)).value

    def whole_year(self, made: Made, expected: Artefact[MarketForecast]) -> YearCheck:
        """AC power flow of every hour of the year under the plan."""
        given: dict[str, object] = {"case": made.case, "operation": made.operation, "bought": made.bought, "expected": expected}
        given |= {"further_days": self.config.verification.further_days, "rounds": self.repair_rounds}
        with self.progress.stage("verify") as stage:
            stage.update("every hour of the year")

            def means() -> dict[str, object]:
                return {"engine": self.engine(), "report_progress": lambda what: stage.update(f"every hour of the year: {what}")}

            return self.stages.run("verify_year", verify_year, given, label=self.label(made.case), means=means).value

    def build(self, year: int, last: Artefact[StudyCase] | None) -> Artefact[StudyCase]:
        """The case of a year; an earlier one takes over days and options of the last."""
        return self.stages.run("build", build_case, case_inputs(self.config) | {"year": year, "last": last}, label=str(year), more=self.inputs)

    def plan(
        self,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        linked: Mapping[str, Plan],
        kept: Mapping[str, Restriction],
    ) -> Mapping[str, Plan]:
        """A plan for every DSO, one of ``linked`` where it keeps what has to be kept; none without planning.

        Raises:
            NoAnswerError: there is no plan, or none was found in time.
        """
        plans = {}
        with self.progress.stage("plan"):
            for dso in case.value.system.at_level("dso") if self.planned else ():
                restriction = kept.get(dso, Restriction())
                known = linked.get(dso)
                try:
                    plans[dso] = known if known is not None and restriction.admits(known) else self.plan_of(dso, case, expected, restriction)
                except NoPlanError as error:
                    raise NoAnswerError(error.status, str(error)) from error
        return plans

    def plan_of(self, dso: str, case: Artefact[StudyCase], expected: Artefact[MarketForecast], restriction: Restriction) -> Plan:
        """The plan of a DSO."""
        given: dict[str, object] = {
            "case": case,
            "dso": dso,
            "restriction": restriction,
            "expected": expected,
            "planning": self.config.planning,
            "regime": self.config.regime,
            "market": self.config.market,
            "solver": self.config.solver,
        }
        return self.stages.run("plan", make_plan, given, label=f"{dso} {self.label(case)}".strip(), keep=repeatable).value

    def design(
        self, spec: ScenarioSpec, plans: Mapping[str, Plan], operations: Mapping[str, Artefact[Operation]], above: TransmissionPlan | None
    ) -> Design:
        """What is built and charged in a scenario; an uncoordinated one finds its charge itself."""
        if spec.network == "plan":
            built = {option: yes for plan in plans.values() for option, yes in plan.built.items()} | dict(above.built if above else {})
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
    ) -> Artefact[Operation]:
        """One scenario on all days."""
        with self.progress.stage("operate") as stage:
            stage.update(spec.title)
            return self._operated(spec, case, expected, design, bought, stage.update)

    def _operated(
        self,
        spec: ScenarioSpec,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        design: Design,
        bought: Bought,
        report_progress: Callable[[str], None],
    ) -> Artefact[Operation]:
        label = self.label(case, spec)
        if not spec.coordinated:
            built = conventional_options(case.value) if spec.network == "conventional" else {}
            given = {"case": case, "expected": expected, "built": built}
            return self.stages.run("operate", operate_alone, given, label=label, means=lambda: {"engine": self.engine()}, more=self.config.solver)
        coordination = self.config.coordination
        given = {
            "case": case,
            "expected": expected,
            "design": design,
            "bought": bought,
            "market": self.config.market if spec.trade else TimeOfUse(),
            "in_full": spec.name == HEADLINE,
            "find_gains": spec.name == HEADLINE and self.config.results.market_gains,
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
