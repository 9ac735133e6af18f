"""The stages of one study: which there are, and what each is given. Their order is that of ``study_years``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from multiscale.assessment import Ledger
from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.mechanisms import mechanism_of
from multiscale.markets import TimeOfUse
from multiscale.operation import Design
from multiscale.pipeline.assessment import settled
from multiscale.pipeline.case import build_case, case_inputs, with_limits
from multiscale.pipeline.compared_plans import compared_in_year
from multiscale.pipeline.linked_years import plans_of_years
from multiscale.pipeline.operation import operate_alone, operate_coordinated
from multiscale.pipeline.plan import forecast, forecast_with, make_plan, repeatable, response_of_members, social_plan
from multiscale.pipeline.stages import Artefact, Stages
from multiscale.pipeline.transmission_plan import plan_transmission, with_transmission
from multiscale.pipeline.verification import verify_days, verify_outages
from multiscale.pipeline.year import verify_year
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.distribution_planning import planned_limits
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.planning.persistence import LinkedPlans, Restriction
from multiscale.planning.regimes import ComparingRegime, Social
from multiscale.planning.search_start import SearchStart
from multiscale.planning.settings import DistributionPlanSettings, DsoPlanSettings, TransmissionPlanning
from multiscale.results.data.answer_data import StagedPlan, StudyCase
from multiscale.results.results_settings import ALL_SCENARIOS
from multiscale.results.run.progress import Progress
from multiscale.results.run.run_folder import NoAnswerError
from multiscale.results.scenarios import HEADLINE, ScenarioSpec, chosen_scenarios
from multiscale.system import LoadingLimits
from multiscale.tariffs import Prices
from multiscale.verification.ac import Verification
from multiscale.verification.outages import OutageCheck
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


class Study:
    """The stages of one study; each is handed what its key knows and nothing else.

    Args:
        config: the study.
        inputs: what is read from outside -> its hash.
        stages: where finished stages are found and kept.
        progress: of the run.
        engine: starts the engine at the first use.
    """

    def __init__(self, config: StudyConfig, inputs: Mapping[str, str], stages: Stages, progress: Progress, engine: Callable[[], Engine]) -> None:
        self.config, self.stages, self.progress, self.engine = config, stages, progress, engine
        # What only the assessment reads decides on no stage.
        assessed = set(map(str, config.results.files))
        self.inputs = {name: key for name, key in inputs.items() if name not in assessed}
        self.planned = isinstance(config.planning, DistributionPlanSettings)
        given = {"planned": self.planned or isinstance(config.planning, TransmissionPlanning), "purchases": case_inputs(config)["may_buy"]}
        self.scenarios = chosen_scenarios(config.results.operated, config.results.baseline, **given)
        self.mechanism = mechanism_of(config.coordination)
        self.staged: StagedPlan | None = None

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

        def plan_of(dso: str, year: int, restriction: Restriction, yardstick: float, held: Prices) -> Plan:
            return self.plan_of(dso, cases[year], expected[year], restriction, yardstick=yardstick, held=held)

        with self.progress.stage("plan") as stage:
            of_years = {year: cases[year].value for year in years}
            found, self.staged = plans_of_years(of_years, plan_of, planning, self.config.regime, self.config.costs.discount_rate, stage.update)
        return found

    @property
    def headline(self) -> ScenarioSpec:
        """The scenario of the plan."""
        return next(spec for spec in self.scenarios if spec.name == HEADLINE)

    @property
    def repair_rounds(self) -> int:
        """Largest number of times that limits are tightened; none without planning."""
        return self.config.planning.repair_rounds if isinstance(self.config.planning, DistributionPlanSettings) else 0

    def verify(self, spec: ScenarioSpec, case: Artefact[StudyCase], operation: Artefact[Operation]) -> Mapping[str, Verification]:
        """AC power flow of a scenario on the representative days."""
        with self.progress.stage("verify") as stage:
            stage.update(spec.title)
            return self.stages.run("verify", verify_days, {"case": case, "operation": operation}, label=self.label(case, spec)).value

    def outages(self, case: Artefact[StudyCase], operation: Artefact[Operation], verified: Mapping[str, Verification]) -> Mapping[str, OutageCheck]:
        """AC power flow of the plan on the representative days under single outages; none where it is not asked for."""
        if not self.config.verification.outages:
            return {}
        given = {"case": case, "operation": operation, "verified": dict(verified)}
        with self.progress.stage("verify") as stage:
            stage.update("single outages of lines")
            return self.stages.run("verify_outages", verify_outages, given, label=self.label(case)).value

    def whole_year(self, case: Artefact[StudyCase], operation: Artefact[Operation], bought: Bought, expected: Artefact[MarketForecast]) -> YearCheck:
        """AC power flow of every hour of the year under the plan; nothing where it is not asked for."""
        if not self.config.verification.year:
            return YearCheck()
        given: dict[str, object] = {"case": case, "operation": operation, "bought": bought, "expected": expected}
        given |= {"further_days": self.config.verification.further_days, "rounds": self.repair_rounds}
        with self.progress.stage("verify") as stage:
            stage.update("every hour of the year")

            def means() -> dict[str, object]:
                return {"engine": self.engine(), "report_progress": lambda what: stage.update(f"every hour of the year: {what}")}

            return self.stages.run("verify_year", verify_year, given, label=self.label(case), means=means).value

    def settled(
        self,
        spec: ScenarioSpec,
        case: Artefact[StudyCase],
        operation: Artefact[Operation],
        bought: Bought,
        excluded: Mapping[int, frozenset[str]],
        paid: float,
        relief: float,
    ) -> Ledger:
        """The ledger of a scenario; arguments as of ``settled``."""
        given = {"case": case, "operation": operation, "bought": bought, "excluded": excluded, "paid": paid, "relief": relief}
        return self.stages.run("assess", settled, given, label=self.label(case, spec)).value

    def build(self, year: int, last: Artefact[StudyCase] | None) -> Artefact[StudyCase]:
        """The case of a year; an earlier one takes over days and options of the last."""
        return self.stages.run("build", build_case, case_inputs(self.config) | {"year": year, "last": last}, label=str(year), more=self.inputs)

    def tightened(self, case: Artefact[StudyCase], limits: LoadingLimits) -> Artefact[StudyCase]:
        """The case under other limits."""
        if limits == case.value.limits:
            return case
        return self.stages.run("tighten", with_limits, {"case": case, "limits": limits}, label=self.label(case))

    def plan(
        self,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        linked: Mapping[str, Plan],
        kept: Mapping[str, Restriction],
        near: Mapping[str, Plan],
    ) -> Mapping[str, Plan]:
        """A plan for every DSO, one of ``linked`` where it keeps what has to be kept; none without planning.

        Searches start where those of ``near`` ended.

        Raises:
            NoAnswerError: there is no plan, or none was found in time.
        """
        dsos = case.value.system.at_level("dso") if self.planned else ()
        known = {dso: linked[dso] for dso in dsos if dso in linked and kept.get(dso, Restriction()).admits(linked[dso])}
        starts = {dso: plan.start for dso, plan in near.items()}
        with self.progress.stage("plan") as stage:
            try:
                if isinstance(self.config.regime, ComparingRegime) and len(known) < len(dsos):
                    return self._compared(case, expected, kept, stage.update)
                return {
                    dso: known[dso] if dso in known else self.plan_of(dso, case, expected, kept.get(dso, Restriction()), starts.get(dso))
                    for dso in dsos
                }
            except NoPlanError as error:
                raise NoAnswerError(error.status, str(error), asdict(error.relaxation) if error.relaxation else None) from error

    def _compared(
        self, case: Artefact[StudyCase], expected: Artefact[MarketForecast], kept: Mapping[str, Restriction], report_progress: Callable[[str], None]
    ) -> Mapping[str, Plan]:
        """A plan for every DSO that does not move while those of the others stand."""
        assert isinstance(self.config.planning, DistributionPlanSettings)

        def plan_of(dso: str, restriction: Restriction, yardstick: float, held: Prices) -> Plan:
            return self.plan_of(dso, case, expected, restriction, yardstick=yardstick, held=held)

        return compared_in_year(case.value, plan_of, kept, self.config.regime, self.config.planning, report_progress)

    def plan_inputs(
        self,
        dso: str,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        restriction: Restriction,
        start: SearchStart | None = None,
        yardstick: float = float("nan"),
        held: Prices | None = None,
    ) -> dict[str, object]:
        """What the plan of a DSO is made of, see ``make_plan``."""
        return {
            "case": case,
            "start": start,
            "dso": dso,
            "restriction": restriction,
            "expected": expected,
            "planning": self.config.planning,
            "regime": self.config.regime,
            "targets": self.config.targets,
            "market": self.config.market,
            "solver": self.config.solver,
            "yardstick": yardstick,
            "held": dict(held or {}),
        }

    def plan_of(
        self,
        dso: str,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        restriction: Restriction,
        start: SearchStart | None = None,
        yardstick: float = float("nan"),
        held: Prices | None = None,
    ) -> Plan:
        """The plan of a DSO."""
        given = self.plan_inputs(dso, case, expected, restriction, start, yardstick, held)
        return self.stages.run("plan", make_plan, given, label=f"{dso} {self.label(case)}".strip(), keep=repeatable).value

    def with_social(self, plan: Plan, case: Artefact[StudyCase], expected: Artefact[MarketForecast]) -> Plan:
        """A plan that stands, with that of least social cost where the regime is another one and it is asked for.

        Args:
            plan: that stands.
            case: under the limits for which it was made.
            expected: of the wholesale market.
        """
        config = self.config
        if isinstance(config.regime, Social) or not (isinstance(config.planning, DsoPlanSettings) and config.planning.social_reference):
            return plan
        with self.progress.stage("plan") as stage:
            stage.update(f"{plan.dso}: least social cost")
            seen = self.tightened(case, planned_limits(case.value.system, case.value.limits))
            given: dict[str, object] = {"case": seen, "dso": plan.dso, "restriction": plan.restriction, "expected": expected}
            given |= {"planning": config.planning, "market": config.market, "solver": config.solver, "targets": config.targets}
            found = self.stages.run("social", social_plan, given, label=f"{plan.dso} {self.label(case)}".strip(), keep=repeatable)
        return replace(plan, social=found.value)

    def with_response(self, plan: Plan, case: Artefact[StudyCase], expected: Artefact[MarketForecast]) -> Plan:
        """A plan that stands, with the difference of its view of members and their own answer."""
        with self.progress.stage("plan") as stage:
            stage.update(f"{plan.dso}: answer of the members")
            given: dict[str, object] = {
                "case": case,
                "dso": plan.dso,
                "expected": expected,
                "planning": self.config.planning,
                "market": self.config.market,
                "bought": plan.bought,
                "prices": plan.prices,
            }
            found = self.stages.run("response", response_of_members, given, label=f"{plan.dso} {self.label(case)}".strip(), more=self.config.solver)
        return replace(plan, response_difference=found.value)

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

    def operate_alone(
        self, specs: Sequence[ScenarioSpec], case: Artefact[StudyCase], expected: Artefact[MarketForecast]
    ) -> dict[str, Artefact[Operation]]:
        """The scenarios without coordination on all days: one stage, since each starts from what the one before it has found."""
        built = {spec.name: conventional_options(case.value) if spec.network == "conventional" else {} for spec in specs}
        alike = {name: next(other for other in built if built[other] == built[name]) for name in built}
        networks = {name: built[name] for name in dict.fromkeys(alike.values())}
        given = {"case": case, "expected": expected, "networks": networks, "keep_trades": self.config.results.ledger == ALL_SCENARIOS}
        with self.progress.stage("operate") as stage:
            stage.update("; ".join(spec.title for spec in specs))
            label = f"{', '.join(networks)} {self.label(case)}".strip()
            found = self.stages.run("operate", operate_alone, given, label=label, means=lambda: {"engine": self.engine()}, more=self.config.solver)
        return {name: found.entry(other) for name, other in alike.items()}

    def operate(
        self,
        spec: ScenarioSpec,
        case: Artefact[StudyCase],
        expected: Artefact[MarketForecast],
        design: Design,
        bought: Bought,
        *,
        in_full: bool = False,
        keep_bases: bool = False,
        near: Artefact[Operation] | None = None,
    ) -> Artefact[Operation]:
        """One coordinated scenario on all days; further arguments as of ``operate_coordinated``."""
        coordination = self.config.coordination
        given = {
            "case": case,
            "expected": expected,
            "design": design,
            "bought": bought,
            "market": self.config.market if spec.trade else TimeOfUse(),
            "in_full": in_full,
            "find_gains": in_full and self.config.results.market_gains,
            # What is only operated to be verified is operated again in full.
            "keep_trades": in_full or (spec.name != HEADLINE and self.config.results.ledger == ALL_SCENARIOS),
            "keep_bases": keep_bases,
            "near": near,
        }
        with self.progress.stage("operate") as stage:
            stage.update(spec.title)

            def means() -> dict[str, object]:
                common = {"mechanism": self.mechanism, "error": coordination.error}
                return common | {"engine": self.engine(), "report_progress": lambda what: stage.update(f"{spec.title}: {what}")}

            decisive = self.config.decisive["coordination"]
            label = f"{self.label(case, spec)}{'' if in_full or spec.name != HEADLINE else ', to be verified'}"
            return self.stages.run("operate", operate_coordinated, given, label=label, means=means, more=(decisive, self.config.solver))

    def label(self, case: Artefact[StudyCase], spec: ScenarioSpec | None = None) -> str:
        """What a stage is about: its year where there are several, and its scenario."""
        year = str(case.value.year) if len(self.config.horizon.years) > 1 else ""
        return f"{spec.name if spec else ''} {year}".strip()


def conventional_options(case: StudyCase) -> dict[str, bool]:
    """What planning without any response builds, in all DSOs."""
    options = case.system.options
    return {str(o): True for need in case.need.values() for o in options.option.values[need.needed(options)].tolist()}
