"""All representative days under every mechanism asked for, on identical data, spread over the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.answer import Answer, answer_signals
from multiscale.coordination.bidirectional import Options
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.hierarchy import negotiated_outcome
from multiscale.coordination.integrated import integrated_optimum
from multiscale.coordination.messages import Signal
from multiscale.coordination.outcome import Outcome
from multiscale.coordination.pricing import flat_signals, published_signals, realised, retail_signals
from multiscale.operation import Design, OperatingTree, Transmission, operating_tree
from multiscale.system import Economics, Fleet, LoadingLimits, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class CoordinatedDay:
    """Operation of one day.

    Attributes:
        tree: programs at prosumer resolution.
        forecast: what the parents expected (one participant per platform).
        outcomes: mechanism -> outcome; ``integrated`` and ``flat`` (one price for all hours) are always there.
    """

    tree: OperatingTree
    forecast: Outcome
    outcomes: Mapping[str, Outcome]


def coordinate_days(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    engine: SerialEngine | DaskEngine,
    *,
    market: str = "community",
    mechanism: str = "pricing",
    signal: str = "profile",
    gap: float = 0.0,
    slope: float = 0.002,
    negotiation: Options | None = None,
    limits: LoadingLimits = LoadingLimits(),
    known: Transmission | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[CoordinatedDay]:
    """Operate every day under the design, with a mechanism beside the integrated optimum and the flat tariff.

    Args:
        system, horizon, economics, fleets, design: as for ``operating_tree``, over all days.
        engine: where the days' optima are found and the platforms answer.
        market: how every platform clears, see ``platform_program``.
        mechanism: ``pricing``, ``bidirectional``, or ``integrated`` for the optimum alone.
        signal, gap, slope: what pricing publishes; see ``published_signals``.
        negotiation: how to negotiate, with ``bidirectional``.
        limits: shares of the ratings that may be used.
        known: transmission network whose binding limits are known already; saves time, changes nothing else.
        tell: called with what is being done, e.g. how far a negotiation has come.
    """
    trees, models = [], []
    for k in range(len(horizon.days)):
        day = horizon.day(k)
        here = system.restricted(day)
        today = {p: f.day(k) for p, f in fleets.items()}
        one = {p: f.aggregate(np.full(f.size, p)) for p, f in today.items()}
        trees.append(operating_tree(here, day, economics, today, design, market=market, limits=limits))
        models.append(operating_tree(here, day, economics, one, design, networks=False, limits=limits))
        if known is not None:
            models[-1].transmission.learn(known)
    days = [str(d.date()) for d in horizon.days]
    optima = engine.map(_optima, {d: (tree, model) for d, tree, model in zip(days, trees, models, strict=True)})
    signals: list[dict[str, dict[str, Signal]]] = []
    for day_name, tree in zip(days, trees, strict=True):
        forecast = optima[day_name][1]
        told = {"flat": flat_signals(tree, forecast)}
        if mechanism == "pricing":
            told["pricing"] = published_signals(tree, forecast, signal, gap, slope)
        signals.append(told)
    answers = respond(trees, signals, engine)
    bounds = [optima[d][0].bound for d in days]
    if known is not None:
        for tree in trees:
            tree.transmission.learn(known)
    outcomes = engine.map(_realise, {d: (tree, s, a, b) for d, tree, s, a, b in zip(days, trees, signals, answers, bounds, strict=True)})
    if mechanism == "bidirectional":
        for day_name, tree in zip(days, trees, strict=True):
            outcomes[day_name]["bidirectional"] = _negotiated(tree, engine, negotiation or Options(), day_name, tell)
    return [CoordinatedDay(tree, optima[d][1], {"integrated": optima[d][0]} | outcomes[d]) for d, tree in zip(days, trees, strict=True)]


def _optima(tree: OperatingTree, model: OperatingTree) -> tuple[Outcome, Outcome]:
    """Integrated optimum of the tree and of the parents' model of it; both share what is known of the transmission network."""
    forecast = integrated_optimum(model)
    tree.transmission.learn(model.transmission)
    return integrated_optimum(tree), forecast


def _negotiated(tree: OperatingTree, engine: SerialEngine | DaskEngine, options: Options, day: str, tell: Callable[[str], None]) -> Outcome:
    return negotiated_outcome(tree, engine, options, lambda step: tell(f"{day}: {step}"))


def _realise(
    tree: OperatingTree, signals: Mapping[str, Mapping[str, Signal]], answers: Mapping[str, Mapping[str, Answer]], bound: float
) -> dict[str, Outcome]:
    return {name: realised(tree, name, signals[name], answers[name], bound) for name in signals}


def respond(
    trees: Sequence[OperatingTree], signals: Sequence[Mapping[str, Mapping[str, Signal]]], engine: SerialEngine | DaskEngine
) -> list[dict[str, dict[str, Answer]]]:
    """Answers of all platforms on all days: for each day, name of the set of signals -> platform -> answer."""
    tasks = {}
    for k, (tree, told) in enumerate(zip(trees, signals, strict=True)):
        for platform, program in tree.platforms.items():
            tasks[f"{platform}, day {k + 1}"] = (program, [told[name][platform] for name in told])
    answers = engine.map(answer_signals, tasks)
    gathered: list[dict[str, dict[str, Answer]]] = []
    for k, (tree, told) in enumerate(zip(trees, signals, strict=True)):
        gathered.append({name: {p: answers[f"{p}, day {k + 1}"][n] for p in tree.platforms} for n, name in enumerate(told)})
    return gathered


def uncoordinated_days(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    existing_cost: Mapping[str, float],
    engine: SerialEngine | DaskEngine,
    energy_price: Mapping[str, np.ndarray],
    *,
    limits: LoadingLimits = LoadingLimits(),
    rounds: int = 2,
    known: Transmission | None = None,
) -> tuple[Design, list[OperatingTree], list[Outcome]]:
    """Operate every day without trading and without a plan, at the charge that recovers the cost of the existing network.

    Every prosumer is on its own at one flat price, and nobody knows of the network. The energy that pays the charge depends on the
    charge a little, so both are updated in turn.

    Args:
        system, horizon, economics, fleets: as for ``operating_tree``, over all days.
        existing_cost: DSO -> cost to recover [EUR/a].
        engine: where prosumers answer.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,); prosumers pay its mean over the day.
        limits: shares of the ratings that may be used.
        rounds: updates of the charge.
        known: transmission network whose binding limits are known already.
    """
    charges = dict.fromkeys(existing_cost, economics.existing_network_cost)
    trees = []
    for k in range(len(horizon.days)):
        day = horizon.day(k)
        today = {p: f.day(k) for p, f in fleets.items()}
        trees.append(operating_tree(system.restricted(day), day, economics, today, Design(), market="time_of_use", networks=False, limits=limits))
        if known is not None:
            trees[-1].transmission.learn(known)
    for number in range(rounds):
        design = Design({}, charges)
        trees = [tree.under(design) for tree in trees]
        signals = [{"today": retail_signals(tree, {d: p[horizon.day_of == k] for d, p in energy_price.items()})} for k, tree in enumerate(trees)]
        answers = respond(trees, signals, engine)
        if number + 1 < rounds:
            charges = {d: cost / _charged_energy(trees, answers, d) for d, cost in existing_cost.items()}
    tasks = {str(k): (tree, s, a, -np.inf) for k, (tree, s, a) in enumerate(zip(trees, signals, answers, strict=True))}
    outcomes = engine.map(_realise, tasks)
    return design, trees, [outcomes[str(k)]["today"] for k in range(len(trees))]


def _charged_energy(trees: Sequence[OperatingTree], answers: Sequence[Mapping[str, Mapping[str, Answer]]], dso: str) -> float:
    """Energy that pays the network charge [kWh/a]: imports of prosumers and passive demand."""
    total = 0.0
    for tree, by_set in zip(trees, answers, strict=True):
        total += float((tree.horizon.hours_per_year * tree.system.passive(dso, tree.horizon).demand.values.sum(axis=0)).sum())
        for child in tree.distribution[dso].children:
            total += float((tree.platforms[child].outputs["import_energy"].matrix @ by_set["today"][child].x)[0])
    return total
