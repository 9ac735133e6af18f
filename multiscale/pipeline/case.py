"""The stage ``build``: system, representative days, fleets and reinforcement options of a study in one year."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.aggregation import aggregation_warnings, error_limits
from multiscale.devices import Adoption, Device, Offer
from multiscale.devices.fleet import Fleet, purchasable
from multiscale.devices.purchasable import PurchasableDevice
from multiscale.measures import Measure
from multiscale.operation import Transmission
from multiscale.operation.tree import dso_reference
from multiscale.planning import conventional_need
from multiscale.planning.candidates import candidate_options, transmission_candidates
from multiscale.planning.conventional import low_voltage_needs
from multiscale.planning.settings import DistributionPlanSettings, PlanningSettings, TransmissionPlanning
from multiscale.planning.yearly_overload import yearly_overload
from multiscale.representative_days import representative_days
from multiscale.results.data.answer_data import StudyCase
from multiscale.sources import SystemSettings, reinforcement_costs
from multiscale.sources.selection import study_system
from multiscale.system import Economics, InvalidSystemError, LoadingLimits, Problem, System, validate
from multiscale.system.cost_settings import CostsSettings
from multiscale.system.schema import IDLE_KINDS
from multiscale.system.yearly import yearly_profiles
from multiscale.timeline import Horizon, HorizonSettings

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

logger = logging.getLogger(__name__)


def case_inputs(config: StudyConfig) -> dict[str, Any]:
    """What of a configuration decides on the case: the arguments of ``build_case``."""
    return {
        "system": config.system,
        "horizon": config.horizon,
        "costs": config.costs,
        "devices": config.device_settings(),
        "measures": config.measure_settings(),
        "economics": config.economics(),
        "limits": config.system.limits,
        "candidates": config.planning.candidates,
        "plans": isinstance(config.planning, DistributionPlanSettings),
        "above": config.planning.kind if isinstance(config.planning, TransmissionPlanning) else "",
        "may_buy": _may_buy(config.planning),
    }


def case_of(config: StudyConfig) -> StudyCase:
    """The case of a configuration in its last year.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
    """
    return build_case(**case_inputs(config))


def _may_buy(planning: PlanningSettings) -> bool:
    return isinstance(planning, DistributionPlanSettings) and planning.adoption


def build_case(
    system: SystemSettings,
    horizon: HorizonSettings,
    costs: CostsSettings,
    devices: Mapping[str, Device],
    measures: Mapping[str, Measure],
    economics: Economics,
    limits: LoadingLimits,
    candidates: int,
    plans: bool,
    above: str,
    may_buy: bool,
    year: int | None = None,
    last: StudyCase | None = None,
) -> StudyCase:
    """The case of a year: the last of the horizon, or an earlier one on the same days with the same options.

    Args:
        system, horizon, costs, devices, measures, economics, limits: settings and assumptions.
        candidates: most options of each measure in each DSO.
        plans: whether a DSO plans.
        above: kind of planning where the transmission operator plans; else empty.
        may_buy: whether prosumers may buy capacity.
        year: which one; default: the last of the horizon.
        last: the case of the last year, whose days and options an earlier one takes over.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
    """
    year = horizon.years[-1] if year is None else year
    built = study_system(system, costs.co2_price, system.growth.reached(year, horizon.years[-1])).replace(device_settings=devices)
    dsos = built.at_level("dso")
    bare = [d for d in dsos if not built.children(d)]
    if bare and plans:
        message = "has no platform below whose answer could be planned for; use planning=none, or a case with low-voltage networks"
        raise InvalidSystemError([Problem("dso", d, "planning.kind", "'dso'", "", message) for d in bare])
    if above and not built.network(built.top).active.sizes["branch"]:
        message = "has no line or transformer that could be reinforced: the data hold no transmission network; use planning=dso, or another system"
        raise InvalidSystemError([Problem("tso", built.top, "planning.kind", repr(above), "", message)])
    profiles = yearly_profiles(built, dsos)
    short = list(_short_supply(built, profiles, purchasable(devices) if may_buy else {}))
    if short:
        raise InvalidSystemError(short)
    overload = yearly_overload(built, dsos, limits)
    days = None if last is None else last.horizon
    aggregation = representative_days(profiles, horizon.days, horizon.step_hours, overload, extremes=horizon.peaks, given=days)
    warnings = tuple(aggregation_warnings(aggregation, error_limits(horizon)))
    for warning in warnings:
        logger.warning("%d representative day(s): %s; more days (horizon.days) come closer", horizon.days, warning)
    chosen = aggregation.horizon
    fleets = {p: built.fleet(p, chosen) for p in built.at_level("platform")}
    need = {d: conventional_need(built, d, chosen, fleets, limits) for d in dsos}
    need |= {p: lacking for d in dsos for p, lacking in low_voltage_needs(built, d, chosen, fleets, limits).items()}
    if last is not None:
        built = built.replace(options=last.system.options)
    elif not len(built.options.option):
        table = costs.reinforcement_table
        prices = reinforcement_costs(None if table == "default" else table)
        proposed = candidate_options(built, need, candidates, prices, measures)
        if above:
            network = Transmission(built, chosen, economics)
            drawn = np.array([dso_reference(built, d, chosen, fleets) for d in network.children])
            more = transmission_candidates(built, network, drawn, candidates, prices, measures)
            proposed = xr.concat([proposed, more], dim="option") if more.sizes["option"] else proposed
        built = built.replace(options=proposed)
    problems = validate(built)
    if problems:
        raise InvalidSystemError(problems)
    adoption = {p: adoption_limits(f, chosen, built) for p, f in fleets.items()} if may_buy else {}
    return StudyCase(year, built, aggregation, economics, limits, fleets, need, adoption, warnings)


def _short_supply(system: System, profiles: pd.DataFrame, offered: Mapping[str, PurchasableDevice]) -> Iterator[Problem]:
    """Supply from above that cannot meet what distribution networks draw at least, where nothing else lies above them.

    At least they draw inflexible demand less all generation, what every battery can supply, and what ``offered`` devices could once they are bought:
    other consumption can move to other hours.
    """
    units = system.generators
    if (system.branches.node.values == system.top).any() or (units.profile.values != "").any() or "load" not in profiles or profiles.empty:
        return
    own = float(system.devices.p_kw.values[np.isin(system.devices.kind.values, IDLE_KINDS)].sum())
    for device in offered.values():
        own += float(np.sum(device.new_supply(Offer(np.array([device.largest_new * system.prosumers.prosumer.size]), np.ones(1)))))
    least = profiles["load"] - (profiles["demand"] - profiles["net load"]) - own
    supply, peak = float(units.p_max_kw.sum()), float(least.max())
    if supply < peak:
        names = ", ".join(units.generator.values.astype(str).tolist()[:3])
        less = "inflexible demand less generation and storage"
        message = f"of supply is below the {peak:,.6g} kW of {less} at {least.idxmax()}; raise the limit, or lower the demand"
        yield Problem("generator", names, "p_max_kw", f"{supply:,.6g}", "kW", message)


def with_limits(case: StudyCase, limits: LoadingLimits) -> StudyCase:
    """The case under other limits: what a repair of the plan tightens."""
    return replace(case, limits=limits)


def adoption_limits(fleet: Fleet, horizon: Horizon, system: System) -> Adoption:
    """What a platform's prosumers may buy together: of every device that can be bought, its ``largest_new`` each.

    New capacity that follows a profile follows that of all devices of its kind in the studied networks, per kW installed.
    """
    offers = {}
    for key, device in purchasable(fleet.devices).items():
        alike = np.flatnonzero(system.devices.kind.values == device.capacity.kind)
        rating = system.devices.p_kw.values[alike].sum()
        profile = system.uncontrolled(alike, horizon)[0].sum(axis=0) / rating if rating > 0 else np.zeros(horizon.periods)
        offers[key] = Offer(np.array([device.largest_new * fleet.size]), profile)
    return offers
