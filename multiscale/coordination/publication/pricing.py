"""Unidirectional pricing: TSO -> DSO -> platforms, one message down and none back.

Every parent runs its own dispatch day ahead with a model of its children (their fleets as one participant each), and publishes the
nodal prices it finds. Children answer with what is best for them; what they then draw is served, and paid for, whatever was forecast:
the DSO re-dispatches its own flexibility, sheds or curtails where the network cannot carry it, and the TSO dispatches the rest.

Signals: ``price`` publishes the nodal price alone; ``gap`` adds half a gap to the import price and takes it off the export price;
``profile`` publishes the planned exchange beside the price and charges a small price for deviating from it, which settles ties between
equally cheap schedules (the reason why a price alone makes children herd). The others come from several dispatches around a forecast that may be
wrong: ``probabilistic`` and ``hedged`` see ``expected``, ``envelope`` see there; under certainty the last two are ``profile``.

Source: the unidirectional mechanism of Morstyn, Savelli and Hepburn, One Earth 4 (2021) 690-705.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiscale.coordination.common.forecast import DayErrors, ErrorModel, day_errors
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.messages import Signal
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Tell, operate_signals, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.publication.envelope import envelope, envelope_signals
from multiscale.coordination.publication.expected import expected_signals, hedge_optima, hedged_signals, scenario_optima
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND, connection_limits

SIGNALS = ("price", "gap", "profile", "probabilistic", "hedged", "envelope")
"""What can be published; the last three come from several dispatches, the others from one."""


def pricing(
    days: Sequence[PreparedDay],
    engine: SerialEngine | DaskEngine,
    *,
    forecast_error: float = 0.0,
    forecast_seed: int = 0,
    tell: Tell = silent,  # noqa: ARG001
    **publication: Any,
) -> list[dict[str, Outcome]]:
    """Operate every day by prices published once, beside the flat tariff (which knows the mean price of the day exactly).

    Args:
        days: prepared days.
        engine: where the forecasts are made and the platforms answer.
        forecast_error: standard deviation of the relative error of the parents' forecast [1]; see ``forecast``. At 0 they know the day.
        forecast_seed: of the errors.
        publication: what is published, see ``Publication``.
    """
    error = ErrorModel(forecast_error, seed=forecast_seed)
    published = engine.map(Publication(**publication).signals, {day.name: (day, day_errors(error, day.tree, day.name)) for day in days})
    return operate_signals(days, [{"flat": flat_signals(day.tree, day.forecast), "pricing": published[day.name]} for day in days], engine)


@dataclass(frozen=True)
class Publication:
    """What is published a day ahead, by which rule.

    Attributes:
        signal: one of ``SIGNALS``.
        gap: import price less export price [EUR/kWh], of ``gap`` and ``envelope``.
        slope: price on leaving the plan [EUR/kWh], of all with a plan.
        scenarios: number of them around the forecast, for ``probabilistic``.
        coverage: standard deviations of the forecast error that are guarded against, for ``hedged`` and ``envelope``.
    """

    signal: str = "envelope"
    gap: float = 0.002
    slope: float = 0.0005
    scenarios: int = 10
    coverage: float = 2.4

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise ValueError(f"signal {self.signal!r} is unknown; there are {SIGNALS}")

    def signals(self, day: PreparedDay, errors: DayErrors, expected: Expectation | None = None) -> dict[str, Signal]:
        """Signals of a day under the parents' forecast of it, platform -> signal; ``expected`` is found where it is not given."""
        if self.signal in ("hedged", "envelope") and errors.model.size == 0:
            return published_signals(day.tree, day.forecast, "profile", 0.0, self.slope)
        known = expected or expectation(day, errors)
        if self.signal == "envelope":
            return envelope_signals(day.tree, envelope(known.tree, known.optimum, errors.model, self.coverage), self.gap, self.slope)
        if self.signal == "hedged":
            optima = hedge_optima(known.tree, known.optimum, errors.model, self.coverage)
            return hedged_signals(day.tree, optima, self.coverage, self.slope)
        if self.signal == "probabilistic":
            certain = errors.model.size == 0
            scenarios = [known.optimum] if certain else scenario_optima(known.tree, errors.model, self.scenarios)
            return expected_signals(day.tree, scenarios, self.slope)
        return published_signals(day.tree, known.optimum, self.signal, self.gap, self.slope)


@dataclass(frozen=True)
class Expectation:
    """What parents expect of a day: ``tree``, their model of it under their forecast, and its ``optimum``."""

    tree: OperatingTree
    optimum: Outcome


def expectation(day: PreparedDay, errors: DayErrors) -> Expectation:
    """What parents expect of a day under these errors of their forecast."""
    if errors.model.size == 0:
        return Expectation(day.model, day.forecast)
    tree = errors.forecast(day.model)
    return Expectation(tree, integrated_optimum(tree))


def published_signals(tree: OperatingTree, forecast: Outcome, kind: str, gap: float = 0.0, deviation_price: float = 0.0) -> dict[str, Signal]:
    """What every platform is told, from the parents' forecast.

    Args:
        tree: programs of all nodes.
        forecast: operation the parents expect (integrated optimum with one participant per platform).
        kind: ``price``, ``gap`` or ``profile``.
        gap: import price less export price [EUR/kWh] under ``gap``.
        deviation_price: of leaving the planned exchange [EUR/kWh] under ``profile``.
    """
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
