"""All representative days under every mechanism asked for, on identical data, spread over the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

from multiscale.coordination.common.answer import Answer, bases_of
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import FleetsOn, PreparedDay, Progress, Starts, days_before, prepare_days, realise_day, respond, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.engine.processes import give_back_memory
from multiscale.coordination.publication.flat import Flat, retail_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.devices.fleet import Fleet
from multiscale.operation import Design, Market, OperatingTree, Transmission, operating_tree
from multiscale.programs import Basis, ProgramError
from multiscale.system import Economics, LoadingLimits, System
from multiscale.tariffs import BILLED
from multiscale.timeline import Horizon

logger = logging.getLogger(__name__)

BATCHES = 4
"""Days that every worker is given before what is kept of them is collected: progress is shown in between."""

Kept = TypeVar("Kept")

ROUNDING = 1e-6
"""Relative difference of costs that tolerances of solvers explain [1]."""


@dataclass(frozen=True)
class CoordinatedDay:
    """Operation of one day.

    Attributes:
        tree: programs at prosumer resolution.
        forecast: what the parents expected (one participant per platform).
        outcomes: mechanism -> outcome; ``integrated`` and ``flat`` (one price for all hours) are references.
        bases: platform -> where its solve at the expected prices ended.
    """

    tree: OperatingTree
    forecast: Outcome
    outcomes: Mapping[str, Outcome]
    bases: Mapping[str, Basis]


@dataclass(frozen=True)
class _Rules(Generic[Kept]):
    """How each day is operated, and what is kept of it; see ``operated_days``."""

    economics: Economics
    design: Design
    market: Market
    mechanism: Mechanism
    keep: Callable[[CoordinatedDay], Kept]
    limits: LoadingLimits
    known: Transmission | None
    references: bool
    fleets_on: FleetsOn | None
    near: Starts | None


def operated_days(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    market: Market,
    engine: SerialEngine | DaskEngine,
    *,
    keep: Callable[[CoordinatedDay], Kept],
    mechanism: Mechanism = Pricing(PricingSettings()),
    limits: LoadingLimits = LoadingLimits(),
    known: Transmission | None = None,
    references: bool = True,
    report_progress: Progress = silent,
    fleets_on: FleetsOn | None = None,
    near: Starts | None = None,
) -> Iterator[Kept]:
    """Operate every day under the design with a mechanism, and as a reference by the integrated optimum and under the flat tariff.

    Where there are days for every worker, each worker operates whole days; else all of them share in each day, platform by platform. That changes no
    answer. Of a day only what is kept travels back and stays in memory.

    Args:
        system, horizon, economics, fleets, design, market: as for ``operating_tree``, over all days.
        engine: where the days are operated.
        keep: what is kept of a day; called where the day was operated.
        mechanism: how the levels coordinate, see ``mechanism_of``.
        limits: shares of the ratings that may be used.
        known: transmission network whose binding limits are known already; saves time, changes nothing else.
        references: whether the references are found too.
        report_progress: called with what is being done, e.g. how far a negotiation has come.
        fleets_on: the fleets on other days; needed where the mechanism learns from the days before.
        near: where the solves of platforms start.
    """
    rules = _Rules(economics, design, market, mechanism, keep, limits, known, references, fleets_on, near)
    episodes = horizon.episodes(coupled=economics.tariff.couples_days)
    days = [(day, {p: f.within(day, periods) for p, f in fleets.items()}) for day, periods in episodes]
    if not mechanism.day_by_worker or not 1 < engine.workers <= len(days):
        for day, today in days:
            yield _operated(system, day, today, rules, engine, report_progress)
        return
    at_once = BATCHES * engine.workers
    for first in range(0, len(days), at_once):
        report_progress(f"{first} of {len(days)} days operated")
        batch = days[first : first + at_once]
        shares = np.array_split(np.arange(len(batch)), min(engine.workers, len(batch)))
        tasks = {batch[share[0]][0].title: _for_worker(system, [batch[k] for k in share.tolist()], rules) for share in shares}
        for kept in engine.map(_operated_by_worker, tasks).values():
            yield from kept
    report_progress(f"{len(days)} days operated")


def _operated(
    system: System,
    day: Horizon,
    fleets: Mapping[str, Fleet],
    rules: _Rules[Kept],
    engine: SerialEngine | DaskEngine | None = None,
    report_progress: Progress = silent,
) -> Kept:
    """What is kept of one day; without an engine it is operated here, one platform after the other."""
    engine = engine or SerialEngine()
    (prepared,) = prepare_days(
        system, day, rules.economics, fleets, rules.design, rules.market, engine,
        limits=rules.limits, known=rules.known, error_margin=rules.mechanism.error_margin,
        reference=rules.references or rules.mechanism.needs_optimum, history=rules.mechanism.history_days, fleets_on=rules.fleets_on,
        near=rules.near,
    )  # fmt: skip
    (found,) = rules.mechanism.operate([prepared], engine, report_progress)
    if rules.references and "flat" not in found:
        found = Flat().operate([prepared], engine)[0] | found
    _check_bounds(prepared, found)
    optimum = {} if prepared.reference is None else {"integrated": prepared.reference}
    return rules.keep(CoordinatedDay(prepared.tree, prepared.forecast, optimum | found, prepared.bases))


_Day = tuple[Horizon, Mapping[str, Fleet]]
"""A day and the fleets on it."""


def _for_worker(
    system: System, days: Sequence[_Day], rules: _Rules[Kept]
) -> tuple[System, Sequence[_Day], Sequence[Transmission | None], _Rules[Kept]]:
    """What travels to a worker: nothing of other days but the profiles of those before them from which the mechanism learns.

    The days share the tables, and what is looked up in them.
    """
    dates: dict[pd.Timestamp, None] = {}
    for day, _ in days:
        dates |= dict.fromkeys([*(before.days[0] for before in days_before(system, day, rules.mechanism.history_days)), *day.days])
    here = system.restricted(Horizon(tuple(sorted(dates)), (1.0,) * len(dates), days[0][0].step_hours))
    known = [None if rules.known is None else rules.known.on(here, day) for day, _ in days]
    near = None if rules.near is None else {day.title: rules.near.get(day.title, {}) for day, _ in days}
    return here, days, known, replace(rules, known=None, near=near)


def _operated_by_worker(system: System, days: Sequence[_Day], known: Sequence[Transmission | None], rules: _Rules[Kept]) -> list[Kept]:
    """``_operated`` day by day, and the memory of each is free again for the other processes."""
    kept = []
    for (day, fleets), network in zip(days, known, strict=True):
        kept.append(_operated(system, day, fleets, replace(rules, known=network)))
        give_back_memory()
    return kept


def _check_bounds(day: PreparedDay, found: Mapping[str, Outcome]) -> None:
    """No proven bound is above the cost of the same operation, nor above the integrated optimum, by more than rounding.

    Raises:
        ProgramError: one is; what was proven does not hold.
    """
    best = day.reference
    for outcome in (*found.values(), *(() if best is None else (best,))):
        costs = {f"its own cost of {outcome.cost:.9g}": outcome.cost}
        if best is not None and outcome.reserves is None and not outcome.excluded:
            costs[f"the integrated optimum of {best.cost:.9g}"] = best.cost
        for what, cost in costs.items():
            if not outcome.bound <= cost + ROUNDING * (abs(cost) + abs(day.forecast.transmission_cost)):
                raise ProgramError(
                    f"{day.name}: mechanism {outcome.mechanism!r} proved a bound of {outcome.bound:.9g} EUR/a, above {what} EUR/a; "
                    "an answer it counts on is wrong, or a program is badly scaled"
                )


@dataclass(frozen=True)
class UncoordinatedDays:
    """Operation of all days without coordination.

    Attributes:
        design: what is built, and the charge that recovers its cost.
        trees: programs of every day.
        outcomes: of every day.
        bases: for every day, platform -> where its last solve ended.
    """

    design: Design
    trees: list[OperatingTree]
    outcomes: list[Outcome]
    bases: list[dict[str, Basis]]


def uncoordinated_days(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    network_cost: Mapping[str, float],
    engine: SerialEngine | DaskEngine,
    energy_price: Mapping[str, np.ndarray],
    market: Market,
    *,
    built: Mapping[str, bool] | None = None,
    limits: LoadingLimits = LoadingLimits(),
    tolerance: float = 1e-5,
    rounds: int = 50,
    known: Transmission | None = None,
    alike: UncoordinatedDays | None = None,
) -> UncoordinatedDays:
    """Operate every day without trading, at the charge that recovers the cost of the network.

    Every prosumer is on its own at one flat price, and none knows the network. The energy that pays the charge depends on the
    charge a little, so both are updated alternately until the charge recovers the cost to the tolerance: that of the network, less what operators
    earn by other components whose prices are given, and with what they pay by them (flexibility, mechanisms that they pay for).

    Args:
        system, horizon, economics, fleets: as for ``operating_tree``, over all days.
        network_cost: DSO -> cost to recover [EUR/a].
        engine: where prosumers answer.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,); prosumers pay its mean over the day.
        market: how every platform clears.
        built: option -> whether it is built; default: nothing.
        limits: shares of the ratings that may be used.
        tolerance: largest difference of revenue and cost, relative to the cost.
        rounds: largest number of updates of the charge; a warning says so where they do not suffice.
        known: transmission network whose binding limits are known already.
        alike: an earlier call that differs in what is built and recovered alone: its programs are used again, and solves start where its ended.
    """
    recovering = economics.tariff.recovering
    prices = {
        d: {recovering: np.asarray(_per_unit(cost, _reference_determinant(system, horizon, economics, fleets, d), d, 0.0))}
        for d, cost in network_cost.items()
    }
    episodes = horizon.episodes(coupled=economics.tariff.couples_days)
    trees = list(alike.trees) if alike is not None else []
    bases = alike.bases if alike is not None else None
    for day, periods in episodes if alike is None else ():
        today = {p: f.within(day, periods) for p, f in fleets.items()}
        trees.append(operating_tree(system.restricted(day), day, economics, today, Design(), market, networks=False, limits=limits))
        if known is not None:
            trees[-1].transmission.learn(known)
    for number in range(rounds + 1):
        design = Design(built or {}, prices)
        trees = [tree.under(design) for tree in trees]
        signals = [
            {"retail": retail_signals(tree, {d: p[periods] for d, p in energy_price.items()})}
            for tree, (_, periods) in zip(trees, episodes, strict=True)
        ]
        answers = respond(trees, signals, engine, bases)
        bases = [bases_of(found["retail"]) for found in answers]
        determinant = {d: _determinant(trees, answers, d, recovering) for d in network_cost}
        needed = {d: max(cost - _other_revenue(trees, answers, d), 0.0) for d, cost in network_cost.items()}
        missed = {d: abs(float(prices[d][recovering]) * determinant[d] - cost) / max(abs(cost), 1e-9) for d, cost in needed.items()}
        for d, miss in missed.items():
            if not np.isfinite(miss):
                message = f"charge of {d}: {float(prices[d][recovering]):g} times a determinant of {determinant[d]:g} is no revenue"
                raise ValueError(f"{message}; look at the demand of its customers and at the cost to recover ({needed[d]:g} EUR/a)")
        # Where nothing is drawn, no charge has a revenue.
        if all(miss <= tolerance or determinant[d] == 0 for d, miss in missed.items()):
            break
        if number == rounds:
            worst = max(missed, key=lambda d: missed[d])
            logger.warning("charge of %s: after %d updates its revenue misses the cost by %.2g of it", worst, rounds, missed[worst])
            break
        prices = {d: {recovering: np.asarray(_per_unit(cost, determinant[d], d, float(prices[d][recovering])))} for d, cost in needed.items()}
    assert bases is not None
    tasks = {str(k): (tree, s, a, -np.inf) for k, (tree, s, a) in enumerate(zip(trees, signals, answers, strict=True))}
    outcomes = engine.map(realise_day, tasks)
    return UncoordinatedDays(design, trees, [outcomes[str(k)]["retail"] for k in range(len(trees))], bases)


def _per_unit(cost: float, determinant: float, dso: str, before: float) -> float:
    """Charge that recovers a cost; the one before where nothing is drawn, which no charge can change."""
    if determinant == 0:
        if cost:
            logger.warning("charge of %s: its customers draw nothing that is charged, so %g EUR/a are not recovered", dso, cost)
        return before
    return cost / determinant


def _determinant(trees: Sequence[OperatingTree], answers: Sequence[Mapping[str, Mapping[str, Answer]]], dso: str, name: str) -> float:
    """Determinant of a tariff component over all customers of a DSO, summed over its prices [unit of the component]."""
    total = 0.0
    for tree, by_set in zip(trees, answers, strict=True):
        passive = tree.system.passive(dso, tree.horizon)
        component = tree.economics.tariff.components[name]
        total += float(np.sum(component.passive(passive.demand.values, passive.generation.values, tree.horizon)))
        for child in tree.distribution[dso].children:
            total += float((tree.platforms[child].outputs[BILLED + name].matrix @ by_set["retail"][child].x).sum())
    return total


def _other_revenue(trees: Sequence[OperatingTree], answers: Sequence[Mapping[str, Mapping[str, Answer]]], dso: str) -> float:
    """What an operator earns less what it pays by components of the tariff with a given price, over all its customers [EUR/a]."""
    total = 0.0
    for tree, by_set in zip(trees, answers, strict=True):
        tariff, passive = tree.economics.tariff, tree.system.passive(dso, tree.horizon)
        for name in (name for name, component in tariff.earning.items() if not component.decided):
            price = tariff.price(name, {})
            owed = tariff.components[name].passive(passive.demand.values, passive.generation.values, tree.horizon)
            total += float(np.sum(price * owed))
            for child in tree.distribution[dso].children:
                amount = tree.platforms[child].outputs[BILLED + name].matrix @ by_set["retail"][child].x
                total += float(np.sum(np.broadcast_to(price, owed.shape).ravel() * amount))
    return total


def _reference_determinant(system: System, horizon: Horizon, economics: Economics, fleets: Mapping[str, Fleet], dso: str) -> float:
    """The same without any response or own generation of customers."""
    component = economics.tariff.components[economics.tariff.recovering]
    passive = system.passive(dso, horizon)
    total = np.sum(component.passive(passive.demand.values, passive.generation.values, horizon))
    for child in system.children(dso):
        data = fleets[child].data
        demand = (data.demand + data.ev + data.heat_pump).values
        total += np.sum(component.passive(demand, np.zeros_like(demand), horizon))
    return float(total)
