"""The stage ``operate``: a scenario on all representative days, kept as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import OperatedDay, Operation, operated_day
from multiscale.coordination.common.conflicts import conflicts
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.days import CoordinatedDay, UncoordinatedDays, operated_days, uncoordinated_days
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.uncertainty.day_reserves import DayReserves, agreed_reserves, negotiated_reserves
from multiscale.devices.fleet import Fleet
from multiscale.markets import TimeOfUse
from multiscale.operation import Design, Market
from multiscale.pipeline.case import adoption_limits
from multiscale.planning.market_forecast import MarketForecast
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import System
from multiscale.system.existing_network import existing_network_cost
from multiscale.timeline import Horizon

RETAIL = "retail"
"""Name of the outcome without coordination, where every prosumer buys at one price."""

ROUNDING = 1e-6
"""Capacity bought [unit of the device] that is rounding of the solver."""


def operate_alone(
    case: StudyCase,
    expected: MarketForecast,
    networks: Mapping[str, Mapping[str, bool]],
    engine: SerialEngine | DaskEngine,
    keep_trades: bool = False,
) -> dict[str, Operation]:
    """Operate some networks without coordination or trade, each at the charge that recovers the cost of what is built.

    They differ in nothing else, so the programs of the first are those of all, and every network starts where the one before it ended.

    Args:
        case: what is operated.
        expected: the wholesale market as the supplier expects it.
        networks: name -> option -> whether it is built.
        engine: where prosumers answer.
        keep_trades: whether the trades of all members are kept.
    """
    found: dict[str, Operation] = {}
    known: UncoordinatedDays | None = None
    for name, built in networks.items():
        known = uncoordinated_days(
            case.system,
            case.horizon,
            case.economics,
            case.fleets,
            {d: network_cost(case, d, built) for d in case.system.at_level("dso")},
            engine,
            expected.energy_price,
            TimeOfUse(),
            built=built,
            limits=case.limits,
            known=expected.transmission(case.system, case.horizon, case.economics),
            alike=known,
        )
        each = zip(known.trees, known.outcomes, known.bases, strict=True)
        days = (operated_day(tree, {RETAIL: outcome}, RETAIL, bases=bases, keep_trades=keep_trades) for tree, outcome, bases in each)
        found[name] = Operation(known.design, tuple(days))
    return found


def operate_coordinated(
    case: StudyCase,
    expected: MarketForecast,
    design: Design,
    bought: Bought,
    market: Market,
    in_full: bool,
    find_gains: bool,
    keep_trades: bool,
    keep_bases: bool,
    near: Operation | None,
    mechanism: Mechanism,
    error: ErrorModel,
    engine: SerialEngine | DaskEngine,
    report_progress: Callable[[str], None],
) -> Operation:
    """Operate under a design with the mechanism of the study.

    Args:
        case: what is operated, before anybody buys anything.
        expected: the wholesale market, for the limits that bind.
        design: reinforcements and prices in force.
        bought: new capacity of prosumers.
        market: how platforms clear.
        in_full: whether the flat tariff, conflicts between levels and reserves for forecast errors are found too, and how a market without a program
            differs from the one whose program was operated.
        find_gains: whether it is found what members gain in their market.
        keep_trades: whether the trades of all members are kept.
        keep_bases: whether it is kept where solves of platforms ended, for similar operations.
        near: a similar operation of the same days: solves of platforms start where its ended.
        mechanism: how the levels coordinate.
        error: how forecasts err.
        engine: where the days' optima are found and the platforms answer.
        report_progress: called with what is being done.
    """
    grown = with_bought_capacity(case, bought)
    days = operated_days(
        grown.system,
        grown.horizon,
        grown.economics,
        grown.fleets,
        design,
        market,
        engine,
        keep=partial(
            _kept, mechanism=mechanism.name, error=error, in_full=in_full, find_gains=find_gains, keep_trades=keep_trades, keep_bases=keep_bases
        ),
        mechanism=mechanism,
        limits=grown.limits,
        known=expected.transmission(grown.system, grown.horizon, grown.economics),
        references=in_full,
        report_progress=report_progress,
        fleets_on=partial(fleets_on, bought),
        near=None if near is None else {day.horizon.title: day.bases for day in near.days},
    )
    return Operation(design, tuple(days))


def _kept(
    day: CoordinatedDay, mechanism: str, error: ErrorModel, in_full: bool, find_gains: bool, keep_trades: bool, keep_bases: bool
) -> OperatedDay:
    found = day.outcomes[mechanism]
    refused = tuple(conflicts(day.tree, found)) if in_full else ()
    held = reserves(day, mechanism, error) if in_full else None
    return operated_day(
        day.tree,
        day.outcomes,
        mechanism,
        forecast=day.forecast,
        conflicts=refused,
        reserves=held,
        keep_trades=keep_trades,
        compared=in_full,
        find_gains=find_gains,
        bases=day.bases if keep_bases else None,
    )


def reserves(day: CoordinatedDay, mechanism: str, error: ErrorModel) -> DayReserves | None:
    """Reserves of a day for forecast errors; None where forecasts do not err.

    Where energy is negotiated, they are negotiated with it; under the other mechanisms they are agreed on when energy is settled.
    """
    if error.size == 0:
        return None
    found = day.outcomes[mechanism]
    return agreed_reserves(day.tree, day.forecast, error) if found.reserves is None else negotiated_reserves(day.tree, found, error)


def with_bought_capacity(case: StudyCase, bought: Bought) -> StudyCase:
    """The case with the capacity that prosumers buy in answer to a plan."""
    fleets = dict(case.fleets)
    for platform, sizes in bought.items():
        fleets[platform] = fleets[platform].with_more(sizes, case.adoption[platform])
    return replace(case, fleets=fleets)


def fleets_on(bought: Bought, system: System, horizon: Horizon) -> dict[str, Fleet]:
    """The fleets of all platforms on other days, with the capacity that prosumers have bought."""
    fleets = {p: system.fleet(p, horizon) for p in system.at_level("platform")}
    for platform, sizes in bought.items():
        fleets[platform] = fleets[platform].with_more(sizes, adoption_limits(fleets[platform], horizon, system))
    return fleets


def real_purchases(bought: Bought) -> dict[str, dict[str, np.ndarray]]:
    """What is bought, without platforms that buy nothing beyond the rounding of the solver."""
    return {p: dict(sizes) for p, sizes in bought.items() if any(float(size.sum()) > ROUNDING for size in sizes.values())}


def network_cost(case: StudyCase, dso: str, built: Mapping[str, bool]) -> float:
    """Yearly cost of a DSO's network [EUR/a]: that of the existing one, and the annuities of what is built in it."""
    system, options = case.system, case.system.options
    own = system.branches.branch.values[np.isin(system.branches.node.values, [dso, *system.children(dso)])].tolist()
    total = existing_network_cost(system, dso, case.horizon, case.economics)
    for k, option in enumerate(options.option.values.tolist()):
        if built.get(option, False) and str(options.branch.values[k]) in own:
            total += float(options.cost_eur.values[k]) * case.economics.annuity(float(options.lifetime_years.values[k]))
    return total
