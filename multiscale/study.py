"""The pipeline of one study: build, plan, coordinate, verify, assess, report."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from multiscale.aggregation import Aggregation, aggregation_warnings
from multiscale.assessment import Ledger, settle_day
from multiscale.coordination.common.conflicts import Conflict, conflicts
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.days import CoordinatedDay, coordinate_days, uncoordinated_days
from multiscale.coordination.engine import DaskEngine, SerialEngine, make_engine
from multiscale.coordination.uncertainty.day_reserves import CoveredDay, cover_negotiated, covered_day
from multiscale.operation import Adoption, Design, OperatingTree, Transmission
from multiscale.operation.tree import dso_reference
from multiscale.planning import ConventionalNeed, NoPlanError, Plan, conventional_need, planning_problem, solve_plan
from multiscale.planning.candidates import candidate_branches
from multiscale.planning.yearly_overload import yearly_overload
from multiscale.representative_days import representative_days
from multiscale.results.run_folder import NoAnswerError, RunFolder
from multiscale.results.run_result import RunResult
from multiscale.results.study_dataset import study_dataset, study_summary
from multiscale.sources import reinforcement_costs
from multiscale.sources.selection import study_system
from multiscale.system import Economics, Fleet, InvalidSystemError, LoadingLimits, Problem, System, reinforcement_options, validate
from multiscale.system.yearly import yearly_courses
from multiscale.timeline import Horizon
from multiscale.verification.ac import Verification, ac_verify
from multiscale.verification.injections import bus_injections
from multiscale.verification.year import YearVerification, year_check, year_injections

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

logger = logging.getLogger(__name__)

DAYS_OF_A_YEAR = 365

STAGES = ("build", "plan", "operate", "verify", "assess")


@dataclass(frozen=True)
class StudyCase:
    """What a study is about, before anybody decides.

    Attributes:
        system: with its reinforcement options.
        aggregation: representative days and their error.
        economics, limits: assumptions.
        fleets: platform -> prosumers over all representative days.
        need: DSO -> loading without any response of prosumers.
        adoption: platform -> capacity its prosumers may buy.
        warnings: what the representative days miss beyond the limits set.
    """

    system: System
    aggregation: Aggregation
    economics: Economics
    limits: LoadingLimits
    fleets: Mapping[str, Fleet]
    need: Mapping[str, ConventionalNeed]
    adoption: Mapping[str, Adoption]
    warnings: tuple[str, ...] = ()

    @property
    def horizon(self) -> Horizon:
        """The representative days."""
        return self.aggregation.horizon


@dataclass(frozen=True)
class Scenario:
    """One way things may be, operated over all days.

    Attributes:
        name: ``today`` or ``plan``.
        design: reinforcements and charges in force.
        trees: programs of each day.
        outcomes: operation of each day.
        ledger: payments and costs over the year.
        verification: DSO -> AC power flow of all periods.
    """

    name: str
    design: Design
    trees: tuple[OperatingTree, ...]
    outcomes: tuple[Outcome, ...]
    ledger: Ledger
    verification: Mapping[str, Verification]


@dataclass(frozen=True)
class StudyAnswer:
    """Everything a study found.

    Attributes:
        case: what it is about.
        energy_price: DSO -> forecast nodal price the planner saw [EUR/kWh], (period,).
        plans: DSO -> plan (empty without planning).
        days: operation under the plan, day by day, with the reference mechanisms.
        today: nobody trades, nothing is built.
        plan: the plan in force, under the mechanism of the study.
        conflicts: day by day, what levels refuse each other under that mechanism.
        covered: day by day, how forecast errors are covered by agreement; empty where forecasts do not err.
        year: DSO -> AC power flow of the plan in every hour of the year; empty where it was not asked for.
    """

    case: StudyCase
    energy_price: Mapping[str, np.ndarray]
    plans: Mapping[str, Plan]
    days: tuple[CoordinatedDay, ...]
    today: Scenario
    plan: Scenario
    conflicts: tuple[tuple[Conflict, ...], ...] = ()
    covered: tuple[CoveredDay, ...] = ()
    year: Mapping[str, YearVerification] = field(default_factory=dict)


def run_study(config: StudyConfig) -> RunResult:
    """Run a study and write its folder.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
        NoAnswerError: no plan satisfies the conditions, or none was found in time.
        RunFolderError: the output folder cannot be written.
    """
    with RunFolder.create(config) as run:
        run.progress.announce([*STAGES, "write", "report"])
        with run.progress.stage("build"):
            case = build_case(config)
        with make_engine(config.engine.kind, config.engine.workers, config.engine.address) as engine:
            with run.progress.stage("plan") as stage:
                stage.update(f"{case.system.options.sizes['option']} options")
                energy_price, transmission = forecast_prices(case)
                plans = make_plans(config, case, energy_price)
            with run.progress.stage("operate") as stage:
                grown = with_bought_capacity(case, plans)
                stage.update("without trade and plan")
                today = operate_today(case, energy_price, engine, transmission)
                stage.update("with the plan")
                days, plan = operate_plan(config, grown, plans, today.design.network_charge, engine, transmission, stage.update)
                stage.update("conflicts and cover of forecast errors")
                refused = tuple(tuple(conflicts(t, o)) for t, o in zip(plan.trees, plan.outcomes, strict=True))
                covered = cover_errors(config, days)
        with run.progress.stage("verify"):
            # Whom a day left out is not compared on that day.
            without = [frozenset(o.left_out) for o in plan.outcomes]
            today = verified(case, today, without=without)
            plan = verified(grown, plan, plans, without)
            year = year_verified(grown, plan) if config.verification.year else {}
        with run.progress.stage("assess"):
            answer = StudyAnswer(grown, energy_price, plans, tuple(days), today, plan, refused, covered, year)
            dataset, summary = study_dataset(answer), study_summary(answer)
        left_out = {d: o.left_out for d, o in zip(case.horizon.days, plan.outcomes, strict=True) if o.left_out}
        status = "optimal" if all(p.status == "optimal" for p in plans.values()) and not left_out else "feasible"
        note = "; ".join(f"{d.date()}: left out {name} ({why})" for d, nodes in left_out.items() for name, why in nodes.items())
        more = {"solvers": solver_versions(), "notes": list(case.system.notes), "certificates": certificates(plans)}
        return run.finish(dataset, summary, status, more, note)


def build_case(config: StudyConfig) -> StudyCase:
    """System, representative days, fleets and reinforcement options of a study."""
    simbench = {"code": config.system.code, "co2_price": config.costs.co2_price, "prosumers": config.system.prosumers}
    source = {"simbench": simbench, "tiny": {}}.get(config.system.kind, {"path": config.system.path})
    system = study_system(
        config.system.kind,
        dsos=config.system.dsos,
        platforms=config.system.platforms,
        growth=config.system.growth.scenario(),
        voltage_setpoint_pu=config.system.voltage_setpoint_pu,
        name=config.system.name,
        **source,
    )
    bare = [d for d in system.at_level("dso") if not system.children(d)]
    if bare and config.planning.kind == "dso":
        message = "has no platform below whose answer could be planned for; use planning=none, or a case with low-voltage networks"
        raise InvalidSystemError([Problem("dso", d, "planning.kind", "'dso'", "", message) for d in bare])
    economics, limits = config.economics(), LoadingLimits()
    dsos = system.at_level("dso")
    overload = yearly_overload(system, dsos, limits)
    days, step = config.horizon.days, config.horizon.step_hours
    aggregation = representative_days(yearly_courses(system, dsos), days, step, overload, extremes=config.horizon.peaks)
    warnings = tuple(aggregation_warnings(aggregation, config.horizon.error_limits()))
    for warning in warnings:
        logger.warning("%d representative day(s): %s; more days (horizon.days) come closer", days, warning)
    horizon = aggregation.horizon
    fleets = {p: system.fleet(p, horizon) for p in system.at_level("platform")}
    need = {d: conventional_need(system, d, horizon, fleets, limits) for d in dsos}
    if not len(system.options.option):
        table = config.costs.reinforcement_table
        costs = reinforcement_costs(None if table == "default" else table)
        branches = [b for d in dsos for b in candidate_branches(need[d], config.planning.candidates)]
        system = system.replace(options=reinforcement_options(system, branches, costs))
    problems = validate(system)
    if problems:
        raise InvalidSystemError(problems)
    adoption = {p: adoption_limits(f, horizon, system) for p, f in fleets.items()} if config.planning.adoption else {}
    return StudyCase(system, aggregation, economics, limits, fleets, need, adoption, warnings)


def adoption_limits(fleet: Fleet, horizon: Horizon, system: System) -> Adoption:
    """What a platform's prosumers may buy together: up to 5 kW of PV and 5 kWh of storage each.

    The yield of new PV is that of all PV in the studied networks, per kW installed.
    """
    devices = system.devices
    pv = np.flatnonzero(devices.kind.values == "pv")
    rating = devices.p_kw.values[pv]
    course, _ = horizon.sample(system.profiles, devices.profile.values[pv])
    yielded = (rating[:, None] * course).sum(axis=0) / rating.sum() if rating.sum() > 0 else np.zeros(horizon.periods)
    return Adoption(np.array([5.0 * fleet.size]), np.array([5.0 * fleet.size]), yielded)


def forecast_prices(case: StudyCase) -> tuple[dict[str, np.ndarray], Transmission]:
    """Nodal price at every DSO [EUR/kWh] when its platforms do nothing clever: what the planner expects of the wholesale market.

    Returns:
        DSO -> price, (period,); and the transmission network with the limits that were found to bind.
    """
    transmission = Transmission(case.system, case.horizon, case.economics)
    drawn = np.array([dso_reference(case.system, d, case.horizon, case.fleets) for d in transmission.children])
    return dict(zip(transmission.children, transmission.dispatch(drawn).price, strict=True)), transmission


def make_plans(config: StudyConfig, case: StudyCase, energy_price: Mapping[str, np.ndarray]) -> dict[str, Plan]:
    """A plan for every DSO, each to a proven gap."""
    if config.planning.kind == "none":
        return {}
    plans = {}
    dsos = case.system.at_level("dso")
    for dso in dsos:
        problem = planning_problem(
            case.system,
            dso,
            case.horizon,
            case.economics,
            case.fleets,
            case.system.options,
            energy_price[dso],
            limits=case.limits,
            adoption=case.adoption,
        )
        try:
            plans[dso] = solve_plan(
                problem,
                charge_range=(config.tariff.charge_min, config.tariff.charge_max),
                tolerance=config.planning.recovery_tolerance,
                gap=config.planning.gap,
                time_limit=config.planning.time_limit_s / len(dsos),
                method=config.planning.method,
                seed=config.solver.seed,
            )
        except NoPlanError as error:
            raise NoAnswerError(error.status, str(error)) from error
    return plans


def with_bought_capacity(case: StudyCase, plans: Mapping[str, Plan]) -> StudyCase:
    """The case with the PV and storage that prosumers buy in answer to the plan, shared among them by their yearly demand."""
    fleets = dict(case.fleets)
    for plan in plans.values():
        for platform, (pv_kw, battery_kwh) in plan.bought.items():
            if pv_kw > 1e-6 or battery_kwh > 1e-6:
                fleets[platform] = fleets[platform].with_more(pv_kw, battery_kwh, case.adoption[platform].pv_yield)
    return replace(case, fleets=fleets)


def operate_plan(
    config: StudyConfig,
    case: StudyCase,
    plans: Mapping[str, Plan],
    charge_today: Mapping[str, float],
    engine: SerialEngine | DaskEngine,
    transmission: Transmission,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[list[CoordinatedDay], Scenario]:
    """Operate every day under the plans (where there is none, at today's charge), with the mechanism of the study beside the references."""
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    charges = dict(charge_today) | {dso: plan.charge for dso, plan in plans.items()}
    design = Design(built, charges)
    days = coordinate_days(
        case.system,
        case.horizon,
        case.economics,
        case.fleets,
        design,
        engine,
        market=config.market.kind,
        mechanism=config.coordination.kind,
        limits=case.limits,
        known=transmission,
        reach=config.coordination.reach,
        tell=tell,
        **config.coordination.settings(),
    )
    outcomes = tuple(day.outcomes[config.coordination.kind] for day in days)
    return days, Scenario("plan", design, tuple(day.tree for day in days), outcomes, Ledger(), {})


def cover_errors(config: StudyConfig, days: Sequence[CoordinatedDay]) -> tuple[CoveredDay, ...]:
    """How the levels cover the forecast errors of every day by agreement; nothing where forecasts do not err.

    Where energy is negotiated, its cover is negotiated with it; under the other mechanisms it is agreed on when energy is settled.
    """
    error = ErrorModel(config.coordination.forecast_error, seed=config.coordination.forecast_seed)
    if error.size == 0:
        return ()
    outcomes = [day.outcomes[config.coordination.kind] for day in days]
    return tuple(
        covered_day(day.tree, day.forecast, error) if found.cover is None else cover_negotiated(day.tree, found, error, config.coordination.coverage)
        for day, found in zip(days, outcomes, strict=True)
    )


def operate_today(
    case: StudyCase, energy_price: Mapping[str, np.ndarray], engine: SerialEngine | DaskEngine, transmission: Transmission
) -> Scenario:
    """Operate every day without trade and plan, at the charge that recovers the cost of the existing network.

    No reserve is kept: customers are cut off only where a rating is exceeded in full.
    """
    existing = {d: existing_network_cost(case, d) for d in case.system.at_level("dso")}
    design, trees, outcomes = uncoordinated_days(
        case.system, case.horizon, case.economics, case.fleets, existing, engine, energy_price, limits=LoadingLimits.full(), known=transmission
    )
    return Scenario("today", design, tuple(trees), tuple(outcomes), Ledger(), {})


def existing_network_cost(case: StudyCase, dso: str) -> float:
    """Yearly cost of a DSO's existing network [EUR/a]: a cost per kWh of yearly reference demand."""
    hours = case.horizon.hours_per_year
    passive = case.system.passive(dso, case.horizon)
    demand = (passive.demand.values * hours).sum()
    for child in case.system.children(dso):
        data = case.fleets[child].data
        demand += ((data.demand + data.ev + data.heat_pump).values * hours).sum()
    return case.economics.existing_network_cost * float(demand)


def verified(
    case: StudyCase, scenario: Scenario, plans: Mapping[str, Plan] | None = None, without: Sequence[frozenset[str]] | None = None
) -> Scenario:
    """The scenario with its AC power flow and its settled ledger; ``without``: day by day, platforms that are settled at their boundary only."""
    without = [frozenset()] * len(scenario.trees) if without is None else without
    added = added_ratings(case.system, scenario.design)
    verification = {}
    for dso in case.system.at_level("dso"):
        # Today's network is shown as customers would load it; whoever is cut off for it is counted in the ledger.
        relief = scenario.name != "today"
        parts = [bus_injections(t, o, [dso], relief=relief) for t, o in zip(scenario.trees, scenario.outcomes, strict=True)]
        injections = xr.concat(parts, dim="period")
        nodes = [dso, *case.system.children(dso)]
        own = set(case.system.branches.branch.values[np.isin(case.system.branches.node.values, nodes)].tolist())
        verification[dso] = ac_verify(case.system, nodes, case.horizon, injections, {b: r for b, r in added.items() if b in own})
    ledger = Ledger()
    for tree, outcome, missing in zip(scenario.trees, scenario.outcomes, without, strict=True):
        ledger.add(settle_day(tree, outcome, missing))
    options, annuity = case.system.options, case.economics.annuity
    for dso in case.system.at_level("dso"):
        ledger.pay("distribution operators", "network builders", "existing network", existing_network_cost(case, dso))
        ledger.bear("network builders", "construction", existing_network_cost(case, dso))
    for k, option in enumerate(options.option.values.tolist()):
        if scenario.design.built.get(option, False):
            yearly = float(options.cost_eur[k]) * annuity(float(options.lifetime_years[k]))
            ledger.pay("distribution operators", "network builders", "investment", yearly)
            ledger.bear("network builders", "construction", yearly)
    e = case.economics
    for plan in (plans or {}).values():
        for pv_kw, battery_kwh in plan.bought.values():
            yearly = pv_kw * e.pv_cost * annuity(e.pv_lifetime) + battery_kwh * e.battery_cost * annuity(e.battery_lifetime)
            ledger.pay("prosumers", "equipment suppliers", "equipment", yearly)
            ledger.bear("equipment suppliers", "construction", yearly)
    return Scenario(scenario.name, scenario.design, scenario.trees, scenario.outcomes, ledger, verification)


def year_verified(case: StudyCase, scenario: Scenario) -> dict[str, YearVerification]:
    """AC power flow of every hour of the year for every DSO; nothing where the profiles do not span a year."""
    nearest = case.aggregation.nearest
    if len(nearest) < DAYS_OF_A_YEAR:
        logger.info("the profiles span %d days: no AC power flow of a whole year", len(nearest))
        return {}
    added, found = added_ratings(case.system, scenario.design), {}
    for dso in case.system.at_level("dso"):
        nodes = [dso, *case.system.children(dso)]
        operated = xr.concat([bus_injections(t, o, [dso]) for t, o in zip(scenario.trees, scenario.outcomes, strict=True)], dim="period")
        new_pv: dict[str, float] = {}
        for platform in case.system.children(dso):
            grown, before = case.fleets[platform].data, case.system.fleet(platform, case.horizon).data
            for bus, kw in zip(grown.bus.values.tolist(), (grown.pv_rating - before.pv_rating).values.tolist(), strict=True):
                new_pv[bus] = new_pv.get(bus, 0.0) + kw
        own = set(case.system.branches.branch.values[np.isin(case.system.branches.node.values, nodes)].tolist())
        injections = year_injections(case.system, nodes, case.horizon, nearest, operated, new_pv)
        found[dso] = year_check(case.system, nodes, injections, {b: r for b, r in added.items() if b in own})
    return found


def added_ratings(system: System, design: Design) -> dict[str, float]:
    """Rating added to each branch by what is built [kVA]."""
    added: dict[str, float] = {}
    for k, option in enumerate(system.options.option.values.tolist()):
        if design.built.get(option, False):
            branch = str(system.options.branch.values[k])
            added[branch] = added.get(branch, 0.0) + float(system.options.added_rating_kva[k])
    return added


def solver_versions() -> dict[str, str]:
    """Versions of the solvers, for provenance."""
    return {name: importlib.metadata.version(name) for name in ("highspy", "pyscipopt", "pandapower", "pyomo")}


def certificates(plans: Mapping[str, Plan]) -> dict[str, object]:
    """Certificates of the plans in plain form, for provenance."""
    return {
        dso: {
            "status": plan.status,
            "objective": plan.objective,
            "bound": plan.bound,
            "gap": plan.gap,
            "follower gap": plan.follower_gap,
            "method": dict(plan.solution.methods),
            "timings": dict(plan.solution.timings),
        }
        for dso, plan in plans.items()
    }
