"""One representative day under every mechanism asked for, on identical data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.integrated import integrated_optimum
from multiscale.coordination.messages import Signal
from multiscale.coordination.outcome import Outcome
from multiscale.coordination.pricing import flat_signals, published_signals, realised, respond
from multiscale.operation import Design, OperatingTree, operating_tree
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


def coordinate_day(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    engine: SerialEngine | DaskEngine,
    *,
    mechanism: str = "pricing",
    signal: str = "profile",
    gap: float = 0.0,
    slope: float = 0.02,
    limits: LoadingLimits = LoadingLimits(),
) -> CoordinatedDay:
    """Operate one day under the design, with a mechanism beside the integrated optimum and the flat tariff.

    Args:
        system, horizon, economics, fleets, design: as for ``operating_tree``; ``horizon`` is one day.
        engine: where platforms answer.
        mechanism: ``pricing``, or ``integrated`` for the optimum alone.
        signal, gap, slope: what pricing publishes; see ``published_signals``.
        limits: shares of the ratings that may be used.
    """
    tree = operating_tree(system, horizon, economics, fleets, design, limits=limits)
    optimum = integrated_optimum(tree)
    one = {p: f.aggregate(np.full(f.size, p)) for p, f in fleets.items()}
    forecast = integrated_optimum(operating_tree(system, horizon, economics, one, design, networks=False, limits=limits))
    signals = {"flat": flat_signals(tree, forecast)}
    if mechanism == "pricing":
        signals["pricing"] = published_signals(tree, forecast, signal, gap, slope)
    answers = respond(tree, signals, engine)
    outcomes = {"integrated": optimum} | {name: realised(tree, name, signals[name], answers[name], optimum.bound) for name in signals}
    return CoordinatedDay(tree, forecast, outcomes)


def uncoordinated_day(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    engine: SerialEngine | DaskEngine,
    energy_price: Mapping[str, np.ndarray],
    *,
    limits: LoadingLimits = LoadingLimits(),
) -> tuple[OperatingTree, Outcome]:
    """Operate one day without trading: every prosumer on its own at one flat price, nobody knows of the network.

    Args:
        system, horizon, economics, fleets, design: as for ``operating_tree``.
        engine: where prosumers answer.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,); prosumers pay its mean.
        limits: shares of the ratings that may be used.
    """
    tree = operating_tree(system, horizon, economics, fleets, design, market="time_of_use", networks=False, limits=limits)
    signals = {}
    for dso, own in tree.distribution.items():
        price = np.full(horizon.periods, float(energy_price[dso].mean()))
        for child in own.children:
            signals[child] = Signal(price, price, design.network_charge.get(dso, 0.0), np.zeros(horizon.periods))
    answers = respond(tree, {"today": signals}, engine)
    return tree, realised(tree, "today", signals, answers["today"], -np.inf)
