"""Unidirectional pricing: TSO -> DSO -> platforms, one message down and none back.

Every parent runs its own dispatch day ahead with a model of its children (their fleets as one participant each), and publishes the
nodal prices it finds. Children answer with what is best for them; what they then draw is served, and paid for, whatever was forecast:
the DSO re-dispatches its own flexibility, sheds or curtails where the network cannot carry it, and the TSO dispatches the rest.

Signals: ``price`` publishes the nodal price alone; ``gap`` adds half a gap to the import price and takes it off the export price;
``profile`` publishes the planned exchange beside the price and charges a small price for deviating from it, which settles ties between
equally cheap schedules (the reason why a price alone makes children herd).

Source: the unidirectional mechanism of Morstyn, Savelli and Hepburn, One Earth 4 (2021) 690-705.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.answer import Answer
from multiscale.coordination.messages import Signal, Traffic
from multiscale.coordination.outcome import Outcome, transmission_cost
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND, connection_limits
from multiscale.programs import CompiledProgram, ProgramSolution

SIGNALS = ("price", "gap", "profile")


def published_signals(tree: OperatingTree, forecast: Outcome, kind: str, gap: float = 0.0, deviation_price: float = 0.0) -> dict[str, Signal]:
    """What every platform is told, from the parents' forecast.

    Args:
        tree: programs of all nodes.
        forecast: operation the parents expect (integrated optimum with one participant per platform).
        kind: one of SIGNALS.
        gap: import price less export price [EUR/kWh] under ``gap``.
        deviation_price: of leaving the planned exchange [EUR/kWh] under ``profile``.
    """
    if kind not in SIGNALS:
        raise ValueError(f"signal {kind!r} is unknown; there are {SIGNALS}")
    half = gap / 2 if kind == "gap" else 0.0
    off = deviation_price if kind == "profile" else 0.0
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        for child in own.children:
            price = forecast.platform_price[child]
            planned = forecast.exchange[child] if kind == "profile" else np.zeros_like(price)
            most, least = _envelope(limits[child], price - forecast.energy_price[dso], planned) if kind == "profile" else limits[child]
            signals[child] = Signal(price + half, price - half, tree.design.network_charge.get(dso, 0.0), most, least, planned, off)
    return signals


def _envelope(limits: tuple[np.ndarray, np.ndarray], congestion: np.ndarray, planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Import and export limits [kW]: those of the connection, and the plan itself where a line above is full in the forecast.

    A price alone does not keep a full line from being overrun: whoever deviates there is cut off at the value of lost load, which is
    far dearer than what the platform's own flexibility could have done about it.

    Args:
        limits: of the connection.
        congestion: nodal price less the price at the DSO's boundary [EUR/kWh]; positive where load, negative where feed-in is held back.
        planned: exchange in the forecast [kW].
    """
    most, least = limits
    return (
        np.where(congestion > 1e-6, np.minimum(most, np.maximum(planned, 0.0)), most),
        np.where(congestion < -1e-6, np.minimum(least, np.maximum(-planned, 0.0)), least),
    )


def flat_signals(tree: OperatingTree, forecast: Outcome) -> dict[str, Signal]:
    """The same forecast without coordination: every platform is told one price for all hours, the energy-weighted mean."""
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        for child in own.children:
            drawn = np.maximum(forecast.exchange[child], 0.0) + 1e-9
            price = np.full(tree.horizon.periods, float((forecast.platform_price[child] * drawn).sum() / drawn.sum()))
            signals[child] = Signal(price, price, tree.design.network_charge.get(dso, 0.0), *limits[child], np.zeros_like(price))
    return signals


def retail_signals(tree: OperatingTree, energy_price: Mapping[str, np.ndarray]) -> dict[str, Signal]:
    """A retail tariff: the mean price at the DSO's boundary [EUR/kWh], (period,), the same in all hours and for all platforms."""
    signals = {}
    for dso, own in tree.distribution.items():
        price = np.full(tree.horizon.periods, float(energy_price[dso].mean()))
        for child in own.children:
            none = np.full(tree.horizon.periods, BEYOND)
            signals[child] = Signal(price, price, tree.design.network_charge.get(dso, 0.0), none, none, np.zeros(tree.horizon.periods))
    return signals


def realised(tree: OperatingTree, mechanism: str, signals: Mapping[str, Signal], answers: Mapping[str, Answer], bound: float) -> Outcome:
    """Operate the networks with the platforms' answers given, and count every cost."""
    periods = tree.horizon.periods
    traffic = Traffic()
    cost = 0.0
    flows, distribution_x, platform_price, energy_price = {}, {}, {}, {}
    solutions: dict[str, ProgramSolution] = {}
    compiled = {d: CompiledProgram(own.program) for d, own in tree.distribution.items()}
    drawn = {}
    for dso, own in tree.distribution.items():
        drawn[dso] = np.array([answers[c].exchange for c in own.children]).reshape(len(own.children), periods)
        # Energy costs the DSO nothing here: what it draws is paid through the TSO's cost below; it only sheds and curtails if it must.
        solutions[dso] = compiled[dso].solve_optimal(_distribution_parameters(tree, dso, np.zeros(periods), drawn[dso]))
        flows[dso] = solutions[dso].output("exchange").values
        distribution_x[dso] = solutions[dso].x
        cost += solutions[dso].objective
        traffic.count("down", energy_price=np.zeros(periods))
    dispatch = tree.transmission.dispatch(np.array([flows[d] for d in tree.transmission.children]).reshape(-1, periods))
    supply = transmission_cost(tree, dispatch)
    cost += supply
    for k, dso in enumerate(tree.transmission.children):
        own = tree.distribution[dso]
        energy_price[dso] = dispatch.price[k]
        for child in own.children:
            flows[child] = answers[child].exchange
            platform_price[child] = signals[child].import_price
            cost += answers[child].own_cost
            told = signals[child]
            content = {"import_price": told.import_price, "export_price": told.export_price, "network_charge": 0.0}
            content |= {"import_limit": told.import_limit, "export_limit": told.export_limit}
            if signals[child].deviation_price > 0:
                content |= {"planned": signals[child].planned, "deviation_price": 0.0}
            traffic.count("down", **content)
    return Outcome(
        mechanism,
        cost,
        bound,
        {p: a.x for p, a in answers.items()},
        {p: a.y for p, a in answers.items()},
        distribution_x,
        flows,
        signals,
        energy_price,
        platform_price,
        dispatch,
        supply,
        1,
        traffic,
    )


def _distribution_parameters(tree: OperatingTree, dso: str, energy_price: np.ndarray, exchange: np.ndarray) -> dict[str, object]:
    own = tree.distribution[dso]
    return {"energy_price": energy_price, "exchange": exchange, "built": tree.design.choice(own.options)}
