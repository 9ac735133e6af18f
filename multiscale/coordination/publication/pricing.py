"""Unidirectional pricing: TSO -> DSO -> platforms, one message down and none back.

Every parent runs its own dispatch day ahead with a model of its children (their fleets as one participant each), and publishes the
nodal prices it finds. Children answer with what is best for them; what they then draw is served, and paid for, whatever was forecast:
the DSO re-dispatches its own flexibility, sheds or curtails where the network cannot carry it, and the TSO dispatches the rest.

Signals: ``price`` publishes the nodal price alone; ``gap`` adds half a gap to the import price and takes it off the export price;
``profile`` publishes the planned exchange with the price and charges a small price for deviating from it, which settles ties between
equally cheap schedules (the reason why a price alone makes children herd). The others come from several dispatches around a forecast that may be
wrong: ``probabilistic`` and ``hedged`` see ``expected``, ``envelope`` see there; under certainty the last two are ``profile``.

Source: the unidirectional mechanism of Morstyn, Savelli and Hepburn, One Earth 4 (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from multiscale.coordination.common.forecast import DayErrors, ErrorModel, day_errors
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.mechanism import Mechanism, RunningPlatform
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, operate_signals, silent
from multiscale.coordination.common.settings import DrawnErrorSettings
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.publication.envelope import envelope, envelope_signals
from multiscale.coordination.publication.expected import expected_signals, hedge_optima, hedged_signals, scenario_optima
from multiscale.operation import OperatingTree
from multiscale.operation.tree import connection_limits
from multiscale.settings import OneOf, count, quantity


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


def _from_optimum(kind: str, settings: PricingSettings, day: PreparedDay, known: Expectation, _: ErrorModel) -> dict[str, Signal]:
    return published_signals(day.tree, known.optimum, kind, settings.import_export_gap, settings.slope)


def _probabilistic(settings: PricingSettings, day: PreparedDay, known: Expectation, error: ErrorModel) -> dict[str, Signal]:
    scenarios = [known.optimum] if error.size == 0 else scenario_optima(known.tree, error, settings.scenarios)
    return expected_signals(day.tree, scenarios, settings.slope)


def _hedged(settings: PricingSettings, day: PreparedDay, known: Expectation, error: ErrorModel) -> dict[str, Signal]:
    if error.size == 0:
        return _from_optimum("profile", settings, day, known, error)
    optima = hedge_optima(known.tree, known.optimum, error, settings.coverage)
    return hedged_signals(day.tree, optima, settings.coverage, settings.slope)


def _limited(settings: PricingSettings, day: PreparedDay, known: Expectation, error: ErrorModel) -> dict[str, Signal]:
    if error.size == 0:
        return _from_optimum("profile", settings, day, known, error)
    limits = envelope(known.tree, known.optimum, error, settings.coverage)
    return envelope_signals(day.tree, limits, settings.import_export_gap, settings.slope)


SIGNALS: Mapping[str, Callable[[PricingSettings, PreparedDay, Expectation, ErrorModel], dict[str, Signal]]] = {
    "price": partial(_from_optimum, "price"),
    "gap": partial(_from_optimum, "gap"),
    "profile": partial(_from_optimum, "profile"),
    "probabilistic": _probabilistic,
    "hedged": _hedged,
    "envelope": _limited,
}
"""What can be published, and the rule for it; the last three come from several dispatches, the others from one."""


class PricingSettings(DrawnErrorSettings):
    """Prices published once, downwards."""

    kind: Literal["pricing"] = "pricing"
    signal: Annotated[str, OneOf(SIGNALS)] = Field(
        "envelope",
        description="what is published: a price; import and export prices with a gap; prices with a planned profile and a slope; "
        "the same from scenarios around the forecast; guarding against errors of the forecast by prices; or by limits, with gap, profile and slope",
    )
    import_export_gap: float = quantity(
        0.002, "EUR/kWh", "import price minus export price beyond the tariff (signal=gap, envelope)", lower=0.0, upper=1.0
    )
    slope: float = quantity(0.0005, "EUR/kWh", "price of each kWh that leaves the planned profile", lower=0.0, upper=10.0)
    scenarios: int = count(10, "number of scenarios around the forecast (signal=probabilistic)", 2, 1000)
    coverage: float = quantity(
        2.4,
        "1",
        "standard deviations of the forecast error guarded against (signal=hedged, envelope): 0.8 % of cases lie beyond 2.4",
        lower=0.0,
        upper=5.0,
    )

    @model_validator(mode="after")
    def _gap_given(self) -> PricingSettings:
        if self.signal == "gap" and self.import_export_gap == 0:
            raise ValueError("import_export_gap 0 EUR/kWh is no gap; give one above zero, or use signal=price")
        return self


@dataclass(frozen=True)
class Pricing(Mechanism):
    """Signals published once, a day ahead."""

    settings: PricingSettings

    name = "pricing"

    def operate(
        self,
        days: Sequence[PreparedDay],
        engine: SerialEngine | DaskEngine,
        report_progress: Progress = silent,  # noqa: ARG002
    ) -> list[dict[str, Outcome]]:
        """See ``Mechanism``."""
        error = self.settings.error
        published = engine.map(self.published, {day.name: (day, day_errors(error, day.tree, day.name)) for day in days})
        return operate_signals(days, [{self.name: published[day.name]} for day in days], engine)

    def published(self, day: PreparedDay, errors: DayErrors, expected: Expectation | None = None) -> dict[str, Signal]:
        """Signals of a day under the parents' forecast of it, platform -> signal; ``expected`` is found where it is not given."""
        return SIGNALS[self.settings.signal](self.settings, day, expected or expectation(day.afresh(), errors), errors.model)

    def play(self, first: PreparedDay) -> Pricing:  # noqa: ARG002
        """See ``Mechanism``; nothing is kept."""
        return self

    def signals(
        self,
        day: PreparedDay,
        errors: DayErrors,
        now: int,
        traffic: Traffic,
        platforms: Mapping[str, RunningPlatform],  # noqa: ARG002
    ) -> Mapping[str, Signal] | None:
        """See ``SignalSource``."""
        if now:
            return None
        published = self.published(day, errors)
        for signal in published.values():
            traffic.count("down", **signal.content())
        for _ in day.tree.distribution:
            traffic.count("down", energy_price=next(iter(published.values())).import_price)
        return published

    def learn(self, day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> None:
        """Nothing is learned."""


def published_signals(tree: OperatingTree, forecast: Outcome, kind: str, gap: float = 0.0, deviation_price: float = 0.0) -> dict[str, Signal]:
    """What every platform receives, from the parents' forecast.

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
            signals[child] = Signal(price + half, price - half, tree.prices(dso), most, least, planned, off)
    return signals


def _envelope(limits: tuple[np.ndarray, np.ndarray], congestion: np.ndarray, planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Import and export limits [kW]: those of the connection, and the plan itself where a line above is full in the forecast.

    A price alone does not keep a full line from being overloaded: a customer who deviates there is cut off at the value of lost load, which is
    far more expensive than what the platform's own flexibility could have done about it.

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
