"""All representative days under every mechanism asked for, on identical data, spread over the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiscale.coordination.common.answer import Answer
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import Tell, operate_signals, prepare_days, realise_day, respond, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.mechanisms import MECHANISMS
from multiscale.coordination.publication.pricing import flat_signals, retail_signals
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
    limits: LoadingLimits = LoadingLimits(),
    known: Transmission | None = None,
    reach: float = 0.0,
    tell: Tell = silent,
    **settings: Any,
) -> list[CoordinatedDay]:
    """Operate every day under the design, with a mechanism beside the integrated optimum and the flat tariff.

    Args:
        system, horizon, economics, fleets, design: as for ``operating_tree``, over all days.
        engine: where the days' optima are found and the platforms answer.
        market: how every platform clears, see ``platform_program``.
        mechanism: one of ``MECHANISMS``.
        limits: shares of the ratings that may be used.
        known: transmission network whose binding limits are known already; saves time, changes nothing else.
        reach: forecast errors that the networks must have room for, see ``operating_tree``.
        tell: called with what is being done, e.g. how far a negotiation has come.
        settings: those of the mechanism, see the function in ``MECHANISMS``.

    Raises:
        ValueError: an unknown mechanism.
    """
    if mechanism not in MECHANISMS:
        raise ValueError(f"mechanism {mechanism!r} is unknown; there are {sorted(MECHANISMS)}")
    prepared = prepare_days(system, horizon, economics, fleets, design, engine, market=market, limits=limits, known=known, reach=reach)
    outcomes = MECHANISMS[mechanism](prepared, engine, tell=tell, **settings)
    if any("flat" not in found for found in outcomes):
        flat = operate_signals(prepared, [{"flat": flat_signals(p.tree, p.forecast)} for p in prepared], engine)
        outcomes = [one | other for one, other in zip(flat, outcomes, strict=True)]
    return [CoordinatedDay(p.tree, p.forecast, {"integrated": p.optimum} | found) for p, found in zip(prepared, outcomes, strict=True)]


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
    outcomes = engine.map(realise_day, tasks)
    return design, trees, [outcomes[str(k)]["today"] for k in range(len(trees))]


def _charged_energy(trees: Sequence[OperatingTree], answers: Sequence[Mapping[str, Mapping[str, Answer]]], dso: str) -> float:
    """Energy that pays the network charge [kWh/a]: imports of prosumers and passive demand."""
    total = 0.0
    for tree, by_set in zip(trees, answers, strict=True):
        total += float((tree.horizon.hours_per_year * tree.system.passive(dso, tree.horizon).demand.values.sum(axis=0)).sum())
        for child in tree.distribution[dso].children:
            total += float((tree.platforms[child].outputs["import_energy"].matrix @ by_set["today"][child].x)[0])
    return total
