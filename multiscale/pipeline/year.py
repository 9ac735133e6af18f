"""The stage ``verify_year``: every hour of the year under the plan held against ratings and voltage bands, violated days dispatched individually."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.coordination.common.prepared import Progress, silent
from multiscale.coordination.engine import Engine
from multiscale.coordination.engine.processes import give_back_memory
from multiscale.operation import Design, Transmission
from multiscale.operation.dispatched_days import DispatchedDay, dispatched_days
from multiscale.operation.tree import dso_reference
from multiscale.pipeline.case import adoption_limits
from multiscale.pipeline.operation import with_bought_capacity
from multiscale.pipeline.verification import built_in
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.repair import Violations, next_limits
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.further_days import OperatedYear, dispatch_further_days
from multiscale.verification.pandapower_model import power_flow_model
from multiscale.verification.violations import violations_of
from multiscale.verification.year import YearCheck, YearFlows, own_power, violated_hours, with_response

logger = logging.getLogger(__name__)

DAYS_OF_A_YEAR = 365

DAYS_OF_A_TASK = 16
"""Most days that are dispatched in one task: what it takes in memory is bounded."""


def verify_year(
    case: StudyCase,
    operation: Operation,
    bought: Bought,
    expected: MarketForecast,
    further_days: int,
    rounds: int,
    engine: Engine,
    report_progress: Progress = silent,
) -> YearCheck:
    """AC power flow of every hour of the year; nothing where the profiles do not span one.

    Args:
        case: under the limits of the plan.
        operation: of the representative days.
        bought: new capacity of prosumers.
        expected: of the wholesale market.
        further_days: largest number of dispatches of days that are violated.
        rounds: largest number of times that limits are tightened on account of one day.
        engine: where days are dispatched.
        report_progress: called with what is being done.
    """
    days = case.horizon.days
    nearest = {day: days[k] for day, k in case.aggregation.nearest.items()}
    if len(nearest) < DAYS_OF_A_YEAR:
        logger.info("the profiles span %d days: no AC power flow of a whole year", len(nearest))
        return YearCheck()
    year = _representative_year(case, operation, bought, nearest)
    before = violated_hours(flows.check() for flows in year.flows.values())
    left: tuple[str, ...] = ()
    if further_days:
        others = FurtherOperation(case, operation, bought, expected, engine)
        system = case.system
        node_of = {
            str(name): str(node)
            for table, key in ((system.branches, "branch"), (system.buses, "bus"))
            for name, node in zip(table[key].values.tolist(), table.node.values.tolist(), strict=True)
            if node in case.fleets
        }
        effort = {"most": further_days, "rounds": rounds}
        left = dispatch_further_days(year, node_of, others.dispatch, others.tighten, **effort, report_progress=report_progress)
    checks = {dso: flows.check() for dso, flows in year.flows.items()}
    days = tuple(str(day.date()) for day in sorted(year.within))
    hours = violated_hours(checks.values())
    report_progress(f"{len(days)} days dispatched individually, {f'limits are violated in {hours} h' if hours else 'no limit is violated'}")
    return YearCheck(checks, before, days, float(sum(year.unserved.values())), year.tightened, left)


def _representative_year(case: StudyCase, operation: Operation, bought: Bought, nearest: Mapping[pd.Timestamp, pd.Timestamp]) -> OperatedYear:
    """The year with the response of the representative days."""
    system, horizon, grown = case.system, case.horizon, with_bought_capacity(case, bought)
    position = {day: k for k, day in enumerate(horizon.days)}
    operated: dict[pd.Timestamp, dict[str, xr.Dataset]] = {day: {} for day in horizon.days}
    own, flows = {}, {}
    for dso in system.at_level("dso"):
        nodes = [dso, *system.children(dso)]
        new_pv: dict[str, float] = {}
        for platform in system.children(dso):
            after, before = grown.fleets[platform].data, case.fleets[platform].data
            for bus, kw in zip(after.bus.values.tolist(), (after.pv_rating - before.pv_rating).values.tolist(), strict=True):
                new_pv[bus] = new_pv.get(bus, 0.0) + kw
        drawn = operation.injections(dso)
        for day, k in position.items():
            operated[day][dso] = drawn.isel(period=np.flatnonzero(horizon.day_of == k))
        own[dso] = own_power(system, nodes, drawn.bus.values.tolist(), new_pv)
        injections = with_response(own[dso], horizon, {day: position[of] for day, of in nearest.items()}, drawn)
        flows[dso] = YearFlows.of(power_flow_model(system, nodes, built_in(case, operation.design, dso)), nodes, injections)
    return OperatedYear(horizon.step_hours, dict(operated), dict(nearest), own, flows)


class FurtherOperation:
    """How days beyond the representative ones are operated: each dispatched on its own, under limits that may be tightened.

    Args:
        case, operation, bought, expected: see ``verify_year``.
        engine: where days are dispatched.
    """

    def __init__(self, case: StudyCase, operation: Operation, bought: Bought, expected: MarketForecast, engine: Engine) -> None:
        self.case, self.design, self.bought, self.limits, self.engine = case, operation.design, bought, case.limits, engine
        self._known = expected.transmission(case.system, case.horizon, case.economics)
        self._all_days = float(len(case.aggregation.nearest))
        self._prices: dict[pd.Timestamp, dict[str, np.ndarray]] = {}

    def dispatch(self, days: Mapping[pd.Timestamp, frozenset[str]]) -> dict[pd.Timestamp, DispatchedDay]:
        """Some days, each at the nodal price at which planners expect energy on it; it stands for the whole year in charges on the peak.

        Days with the same platforms member by member are computed together: their programs have one structure.
        """
        case = self.case
        tasks: dict[str, tuple[Any, ...]] = {}
        most = 1 if case.economics.tariff.couples_days else DAYS_OF_A_TASK
        for within in sorted(set(days.values()), key=sorted):
            alike = sorted(day for day, platforms in days.items() if platforms == within)
            for some in np.array_split(np.array(alike, dtype=object), -(-len(alike) // most)):
                today = Horizon(tuple(some.tolist()), (self._all_days,) * len(some), case.horizon.step_hours)
                here = case.system.restricted(today)
                prices = self._prices_of(today)
                known = self._known.on(here, today) if prices is None else None
                fixed = (case.economics, tuple(case.fleets), self.bought, self.design, self.limits)
                tasks[f"{today.title} {len(tasks)}"] = (here, today, *fixed, prices, known, within)
        found = self.engine.map(_dispatched, tasks)
        give_back_memory()
        dispatched: dict[pd.Timestamp, DispatchedDay] = {}
        for name, (_, today, *_) in tasks.items():
            prices, answers = found[name]
            dispatched |= dict(zip(today.days, answers, strict=True))
            for k, day in enumerate(today.days):
                self._prices[day] = {dso: price[today.day_of == k] for dso, price in prices.items()}
        return {day: dispatched[day] for day in days}

    def _prices_of(self, days: Horizon) -> dict[str, np.ndarray] | None:
        """DSO -> price at its boundary on some days [EUR/kWh], (period,); None where it was not computed for all of them."""
        if not all(day in self._prices for day in days.days):
            return None
        return {dso: np.concatenate([self._prices[day][dso] for day in days.days]) for dso in self.case.system.at_level("dso")}

    def tighten(self, days: Mapping[pd.Timestamp, Mapping[str, xr.Dataset]]) -> bool:
        """Tighten limits by what the AC power flow of some days violates; whether there was anything to tighten."""
        system, found = self.case.system, Violations()
        horizon = Horizon(tuple(days), (1.0,) * len(days), self.case.horizon.step_hours)
        for dso in system.at_level("dso"):
            drawn = xr.concat([each[dso] for each in days.values()], "period", join="outer", fill_value=0.0)
            checked = ac_verify(system, [dso, *system.children(dso)], horizon, drawn, built_in(self.case, self.design, dso))
            found = found.joined(violations_of(system, dso, checked, drawn, self.design.options(system.options)))
        limits = next_limits(self.limits, found, system).limits
        if limits is None:
            return False
        self.limits = limits
        return True


def _dispatched(
    system: System,
    days: Horizon,
    economics: Economics,
    platforms: Sequence[str],
    bought: Bought,
    design: Design,
    limits: LoadingLimits,
    price: Mapping[str, np.ndarray] | None,
    transmission: Transmission | None,
    within: frozenset[str],
) -> tuple[Mapping[str, np.ndarray], list[DispatchedDay]]:
    """Prices of some days and the days, computed where the engine wants it; the memory it took is free again for other processes.

    Prices that are not given are found by the transmission network.
    """
    fleets = {platform: system.fleet(platform, days) for platform in platforms}
    if price is None:
        assert transmission is not None
        drawn = np.array([dso_reference(system, dso, days, fleets) for dso in transmission.children])
        price = dict(zip(transmission.children, transmission.prices(drawn), strict=True))
    for platform, sizes in bought.items():
        fleets[platform] = fleets[platform].with_more(sizes, adoption_limits(fleets[platform], days, system))
    found = dispatched_days(system, days, economics, fleets, design, limits, price, within)
    give_back_memory()
    return price, found
