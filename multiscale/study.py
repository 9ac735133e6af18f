"""The pipeline of one study: build, plan, coordinate, verify, assess, report."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from multiscale.aggregation import aggregation_warnings, error_limits
from multiscale.assessment import REAL_COSTS, Ledger, settle_day
from multiscale.coordination.common.conflicts import conflicts
from multiscale.coordination.days import CoordinatedDay, coordinate_days, uncoordinated_days
from multiscale.coordination.engine import DaskEngine, SerialEngine, TaskError, make_engine
from multiscale.coordination.mechanisms import mechanism_of
from multiscale.coordination.uncertainty.day_reserves import DayReserves, agreed_reserves, negotiated_reserves
from multiscale.devices import Adoption, Offer
from multiscale.devices.fleet import Fleet, purchasable
from multiscale.markets import TimeOfUse
from multiscale.operation import Design, Transmission
from multiscale.operation.tree import dso_reference
from multiscale.planning import NoPlanError, Plan, conventional_need, planning_problem, solve_plan
from multiscale.planning.candidates import candidate_options
from multiscale.planning.participants import chosen_view, response_difference
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.yearly_overload import yearly_overload
from multiscale.programs import SolverSettings, SolverTimeLimitError, limits_in_force
from multiscale.representative_days import representative_days
from multiscale.results.answer_data import Scenario, StudyAnswer, StudyCase
from multiscale.results.run_folder import NoAnswerError, RunFolder
from multiscale.results.run_result import RunResult
from multiscale.results.study_dataset import study_dataset, study_summary
from multiscale.sources import reinforcement_costs
from multiscale.sources.selection import study_system
from multiscale.system import InvalidSystemError, LoadingLimits, Problem, System, validate
from multiscale.system.yearly import yearly_courses
from multiscale.tariffs import Prices
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections
from multiscale.verification.year import YearVerification, year_check, year_injections

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

logger = logging.getLogger(__name__)

DAYS_OF_A_YEAR = 365

NO_TRADE = TimeOfUse()
"""How platforms clear where prosumers do not trade."""

SERVED_WITHIN = 1.0
"""Unserved energy [kWh/a] that is rounding of the solver."""

STAGES = ("build", "plan", "operate", "verify", "assess")


def run_study(config: StudyConfig) -> RunResult:
    """Run a study and write its folder.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
        NoAnswerError: no plan satisfies the conditions, or none was found in time; or a program reached ``solver.time_limit_s``.
        RunFolderError: the output folder cannot be written.
    """
    with RunFolder.create(config.record()) as run, _within_limits(config.solver):
        run.progress.announce([*STAGES, "write", "report"])
        with run.progress.stage("build"):
            case = build_case(config)
        with make_engine(config.engine, config.solver) as engine:
            with run.progress.stage("plan") as stage:
                stage.update(f"{case.system.options.sizes['option']} options")
                energy_price, transmission = forecast_prices(case)
                plans = make_plans(config, case, energy_price)
            with run.progress.stage("operate") as stage:
                grown = with_bought_capacity(case, plans)
                reference = without_trade(case, energy_price, engine, transmission, stage.update)
                stage.update("with the plan")
                existing = reference["existing"].design.prices
                days, plan = operate_plan(config, grown, plans, existing, engine, transmission, stage.update)
                stage.update("conflicts and reserves for forecast errors")
                refused = tuple(tuple(conflicts(t, o)) for t, o in zip(plan.trees, plan.outcomes, strict=True))
                reserves = reserves_of_days(config, days)
        with run.progress.stage("verify"):
            # Platforms that are excluded on a day are not compared on that day.
            excluded = [frozenset(o.excluded) for o in plan.outcomes]
            scenarios = {name: verified(case, one, excluded=excluded) for name, one in reference.items()}
            scenarios[plan.name] = plan = verified(grown, plan, plans, excluded)
            year = year_verified(grown, plan) if config.verification.year else {}
        with run.progress.stage("assess"):
            baseline = config.results.baseline
            answer = StudyAnswer(grown, energy_price, plans, tuple(days), scenarios, baseline, plan.name, refused, reserves, year)
            reasons = reservations(answer)
            dataset, summary = study_dataset(answer), study_summary(answer)
        status = "feasible" if reasons else "optimal"
        note = "; ".join([*reasons, *(f"plan of {dso}: {p.message}" for dso, p in plans.items() if p.status == "optimal" and p.surplus > 0)])
        more = {"solvers": solver_versions(), "notes": list(case.system.notes), "certificates": certificates(plans)}
        return run.finish(dataset, summary, status, more, note)


@contextlib.contextmanager
def _within_limits(settings: SolverSettings) -> Iterator[None]:
    """The limits of single solves are in force; a program that reaches its time limit ends the study with that status."""
    try:
        with limits_in_force(settings):
            yield
    except (SolverTimeLimitError, TaskError) as error:
        reason = error.__cause__ if isinstance(error, TaskError) else error
        if isinstance(reason, SolverTimeLimitError):
            raise NoAnswerError("time_limit", str(error)) from error
        raise


def build_case(config: StudyConfig) -> StudyCase:
    """System, representative days, fleets and reinforcement options of a study."""
    system = study_system(config.system, config.costs.co2_price)
    system = system.replace(device_settings=config.device_settings())
    bare = [d for d in system.at_level("dso") if not system.children(d)]
    if bare and isinstance(config.planning, DsoPlanSettings):
        message = "has no platform below whose answer could be planned for; use planning=none, or a case with low-voltage networks"
        raise InvalidSystemError([Problem("dso", d, "planning.kind", "'dso'", "", message) for d in bare])
    economics, limits = config.economics(), LoadingLimits()
    dsos = system.at_level("dso")
    overload = yearly_overload(system, dsos, limits)
    days, step = config.horizon.days, config.horizon.step_hours
    aggregation = representative_days(yearly_courses(system, dsos), days, step, overload, extremes=config.horizon.peaks)
    warnings = tuple(aggregation_warnings(aggregation, error_limits(config.horizon)))
    for warning in warnings:
        logger.warning("%d representative day(s): %s; more days (horizon.days) come closer", days, warning)
    horizon = aggregation.horizon
    fleets = {p: system.fleet(p, horizon) for p in system.at_level("platform")}
    need = {d: conventional_need(system, d, horizon, fleets, limits) for d in dsos}
    if not len(system.options.option):
        table = config.costs.reinforcement_table
        costs = reinforcement_costs(None if table == "default" else table)
        system = system.replace(options=candidate_options(system, need, config.planning.candidates, costs, config.measure_settings()))
    problems = validate(system)
    if problems:
        raise InvalidSystemError(problems)
    may_buy = isinstance(config.planning, DsoPlanSettings) and config.planning.adoption
    adoption = {p: adoption_limits(f, horizon, system) for p, f in fleets.items()} if may_buy else {}
    return StudyCase(system, aggregation, economics, limits, fleets, need, adoption, warnings)


def adoption_limits(fleet: Fleet, horizon: Horizon, system: System) -> Adoption:
    """What a platform's prosumers may buy together: of every device that can be bought, its ``largest_new`` each.

    New capacity that follows a profile follows that of all devices of its kind in the studied networks, per kW installed.
    """
    offers = {}
    for key, device in purchasable(fleet.devices).items():
        alike = np.flatnonzero(system.devices.kind.values == device.capacity.kind)
        rating = system.devices.p_kw.values[alike].sum()
        course = system.uncontrolled(alike, horizon)[0].sum(axis=0) / rating if rating > 0 else np.zeros(horizon.periods)
        offers[key] = Offer(np.array([device.largest_new * fleet.size]), course)
    return offers


def forecast_prices(case: StudyCase) -> tuple[dict[str, np.ndarray], Transmission]:
    """Nodal price at every DSO [EUR/kWh] when its platforms have no demand response: what the planner expects of the wholesale market.

    Returns:
        DSO -> price, (period,); and the transmission network with the limits that were found to bind.
    """
    transmission = Transmission(case.system, case.horizon, case.economics)
    drawn = np.array([dso_reference(case.system, d, case.horizon, case.fleets) for d in transmission.children])
    return dict(zip(transmission.children, transmission.dispatch(drawn).price, strict=True)), transmission


def make_plans(config: StudyConfig, case: StudyCase, energy_price: Mapping[str, np.ndarray]) -> dict[str, Plan]:
    """A plan for every DSO, each to a proven gap."""
    settings = config.planning
    if not isinstance(settings, DsoPlanSettings):
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
            config.market,
            limits=case.limits,
            adoption=case.adoption,
            view=chosen_view(settings.participants, {c: case.fleets[c] for c in case.system.children(dso)}, settings.members_limit),
        )
        try:
            plan = solve_plan(
                problem,
                config.regime,
                tolerance=settings.recovery_tolerance,
                gap=settings.gap,
                gap_eur=settings.gap_eur / len(dsos),
                solve_limit=settings.solve_limit,
                time_limit=None if settings.time_limit_s is None else settings.time_limit_s / len(dsos),
                method=settings.method,
                seed=config.solver.seed,
                memory_limit=config.solver.memory_limit_mb,
            )
        except NoPlanError as error:
            raise NoAnswerError(error.status, str(error)) from error
        offered = {c: case.adoption[c] for c in plan.bought if c in case.adoption}
        response = problem.participants, problem.members, plan.bought, offered, case.economics, config.market, energy_price[dso], plan.prices
        plans[dso] = replace(plan, response_difference=response_difference(*response))
    return plans


def with_bought_capacity(case: StudyCase, plans: Mapping[str, Plan]) -> StudyCase:
    """The case with the capacity that prosumers buy in answer to the plan, shared among them by their yearly demand."""
    fleets = dict(case.fleets)
    for plan in plans.values():
        for platform, bought in plan.bought.items():
            if any(sizes.sum() > 1e-6 for sizes in bought.values()):
                fleets[platform] = fleets[platform].with_more(bought, case.adoption[platform])
    return replace(case, fleets=fleets)


def operate_plan(
    config: StudyConfig,
    case: StudyCase,
    plans: Mapping[str, Plan],
    existing_prices: Mapping[str, Prices],
    engine: SerialEngine | DaskEngine,
    transmission: Transmission,
    report_progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[CoordinatedDay], Scenario]:
    """Operate every day under the plans, with the mechanism of the study alongside the references; without a plan at the existing charge."""
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    design = Design(built, dict(existing_prices) | {dso: plan.prices for dso, plan in plans.items()})
    mechanism = mechanism_of(config.coordination)
    days = coordinate_days(
        case.system,
        case.horizon,
        case.economics,
        case.fleets,
        design,
        config.market,
        engine,
        mechanism=mechanism,
        limits=case.limits,
        known=transmission,
        report_progress=report_progress,
    )
    outcomes = tuple(day.outcomes[mechanism.name] for day in days)
    return days, Scenario("plan", "With plan and trading", design, tuple(day.tree for day in days), outcomes, Ledger(), {})


def reserves_of_days(config: StudyConfig, days: Sequence[CoordinatedDay]) -> tuple[DayReserves, ...]:
    """Reserves of every day for forecast errors; nothing where forecasts do not err.

    Where energy is negotiated, they are negotiated with it; under the other mechanisms they are agreed on when energy is settled.
    """
    error = config.coordination.error
    if error.size == 0:
        return ()
    name = mechanism_of(config.coordination).name
    outcomes = [day.outcomes[name] for day in days]
    return tuple(
        agreed_reserves(day.tree, day.forecast, error) if found.reserves is None else negotiated_reserves(day.tree, found, error)
        for day, found in zip(days, outcomes, strict=True)
    )


def without_trade(
    case: StudyCase,
    energy_price: Mapping[str, np.ndarray],
    engine: SerialEngine | DaskEngine,
    transmission: Transmission,
    report_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Scenario]:
    """The scenarios without trade and without response to a plan: the existing network, and the conventional plan.

    Each is operated under the same loading limits as the plan, at the charge that recovers the cost of its own network.
    """
    options = case.system.options
    conventional = {str(o): True for need in case.need.values() for o in options.option.values[need.needed(options)].tolist()}
    found = {}
    for name, title, built in (
        ("existing", "Existing network, no trading", {}),
        ("conventional", "Conventional plan, no trading", conventional),
    ):
        report_progress(title.lower())
        design, trees, outcomes = uncoordinated_days(
            case.system,
            case.horizon,
            case.economics,
            case.fleets,
            {d: network_cost(case, d, built) for d in case.system.at_level("dso")},
            engine,
            energy_price,
            NO_TRADE,
            built=built,
            limits=case.limits,
            known=transmission,
        )
        found[name] = Scenario(name, title, design, tuple(trees), tuple(outcomes), Ledger(), {})
    return found


def network_cost(case: StudyCase, dso: str, built: Mapping[str, bool]) -> float:
    """Yearly cost of a DSO's network [EUR/a]: that of the existing one, and the annuities of what is built in it."""
    system, options = case.system, case.system.options
    own = system.branches.branch.values[np.isin(system.branches.node.values, [dso, *system.children(dso)])].tolist()
    total = existing_network_cost(case, dso)
    for k, option in enumerate(options.option.values.tolist()):
        if built.get(option, False) and str(options.branch.values[k]) in own:
            total += float(options.cost_eur.values[k]) * case.economics.annuity(float(options.lifetime_years.values[k]))
    return total


def reservations(answer: StudyAnswer) -> list[str]:
    """Why the answer is not ``optimal``: checks of the headline scenario that did not pass, and what is not proven; empty where all hold."""
    reasons, scenario = [], answer.plan
    unserved = float(scenario.ledger.real[:, REAL_COSTS.index("unserved demand")].sum()) / answer.case.economics.value_of_lost_load
    if unserved > SERVED_WITHIN:
        reasons.append(f"{unserved:,.0f} kWh/a of demand are not served")
    for dso, check in scenario.verification.items():
        if len(check.violations):
            reasons.append(f"AC power flow of {dso}: {len(check.violations)} violations of limits")
    for dso, year in answer.year.items():
        if year.diverged:
            reasons.append(f"AC power flow of the year in {dso}: diverged in {len(year.diverged)} hours")
        if len(year.overloaded) or len(year.voltage_violations):
            reasons.append(
                f"AC power flow of the year in {dso}: {len(year.overloaded)} branches above the rating, "
                f"{len(year.voltage_violations)} buses outside the voltage band"
            )
    for tree, outcome in zip(scenario.trees, scenario.outcomes, strict=True):
        reasons += [f"{tree.horizon.title}: excluded {name} ({why})" for name, why in outcome.excluded.items()]
        reasons += [f"{tree.horizon.title}: {outcome.shortfall}"] if outcome.shortfall else []
    return reasons + [f"plan of {dso}: {plan.message or plan.status}" for dso, plan in answer.plans.items() if plan.status != "optimal"]


def existing_network_cost(case: StudyCase, dso: str) -> float:
    """Yearly cost of a DSO's existing network [EUR/a]: a cost per kWh of yearly reference demand."""
    hours = case.horizon.hours_per_year
    passive = case.system.passive(dso, case.horizon)
    demand = (passive.demand.values * hours).sum()
    for child in case.system.children(dso):
        demand += case.fleets[child].yearly_reference_demand()
    return case.economics.existing_network_cost * float(demand)


def verified(
    case: StudyCase, scenario: Scenario, plans: Mapping[str, Plan] | None = None, excluded: Sequence[frozenset[str]] | None = None
) -> Scenario:
    """The scenario with its AC power flow and its settled ledger; ``excluded``: day by day, platforms that are settled at their boundary only."""
    per_day = [frozenset()] * len(scenario.trees) if excluded is None else excluded
    built = scenario.design.options(case.system.options)
    verification = {}
    for dso in case.system.at_level("dso"):
        parts = [bus_injections(t, o, [dso]) for t, o in zip(scenario.trees, scenario.outcomes, strict=True)]
        injections = xr.concat(parts, dim="period")
        nodes = [dso, *case.system.children(dso)]
        own = case.system.branches.branch.values[np.isin(case.system.branches.node.values, nodes)]
        theirs = built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
        verification[dso] = ac_verify(case.system, nodes, case.horizon, injections, theirs)
    ledger = Ledger()
    for tree, outcome, missing in zip(scenario.trees, scenario.outcomes, per_day, strict=True):
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
    for plan in (plans or {}).values():
        for platform, bought in plan.bought.items():
            devices = purchasable(case.fleets[platform].devices)
            yearly = sum(sizes.sum() * devices[key].yearly_cost(annuity) for key, sizes in bought.items())
            ledger.pay("prosumers", "equipment suppliers", "equipment", yearly)
            ledger.bear("equipment suppliers", "construction", yearly)
    return replace(scenario, ledger=ledger, verification=verification)


def year_verified(case: StudyCase, scenario: Scenario) -> dict[str, YearVerification]:
    """AC power flow of every hour of the year for every DSO; nothing where the profiles do not span a year."""
    nearest = case.aggregation.nearest
    if len(nearest) < DAYS_OF_A_YEAR:
        logger.info("the profiles span %d days: no AC power flow of a whole year", len(nearest))
        return {}
    built, found = scenario.design.options(case.system.options), {}
    for dso in case.system.at_level("dso"):
        nodes = [dso, *case.system.children(dso)]
        operated = xr.concat([bus_injections(t, o, [dso]) for t, o in zip(scenario.trees, scenario.outcomes, strict=True)], dim="period")
        new_pv: dict[str, float] = {}
        for platform in case.system.children(dso):
            grown, before = case.fleets[platform].data, case.system.fleet(platform, case.horizon).data
            for bus, kw in zip(grown.bus.values.tolist(), (grown.pv_rating - before.pv_rating).values.tolist(), strict=True):
                new_pv[bus] = new_pv.get(bus, 0.0) + kw
        own = case.system.branches.branch.values[np.isin(case.system.branches.node.values, nodes)]
        theirs = built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
        injections = year_injections(case.system, nodes, case.horizon, nearest, operated, new_pv)
        found[dso] = year_check(case.system, nodes, injections, theirs)
    return found


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
            "gap in EUR/a": plan.gap_eur,
            "what decisions move in EUR/a": plan.decision_range,
            "message": plan.message,
            "follower gap": plan.follower_gap,
            "method": dict(plan.solution.methods),
            "timings": dict(plan.solution.timings),
        }
        for dso, plan in plans.items()
    }
