"""One price for all hours: the reference without coordination.

A flat price leaves many schedules at the same cost. Every platform then takes the one in which its members draw and feed in most evenly: the smallest
sum over members and periods of the squared net power, among the schedules that cost least (``programs.selection``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.common.forecast import DayErrors
from multiscale.coordination.common.mechanism import Mechanism, RunningPlatform
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, operate_signals, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND, connection_limits, reference_exchange


@dataclass(frozen=True)
class Flat(Mechanism):
    """A flat tariff, which knows the mean price of the day."""

    name = "flat"

    def operate(
        self,
        days: Sequence[PreparedDay],
        engine: SerialEngine | DaskEngine,
        report_progress: Progress = silent,  # noqa: ARG002
    ) -> list[dict[str, Outcome]]:
        """See ``Mechanism``."""
        return operate_signals(days, [{self.name: flat_signals(day.tree, day.forecast)} for day in days], engine)

    def play(self, first: PreparedDay) -> Flat:  # noqa: ARG002
        """See ``Mechanism``; nothing is kept."""
        return self

    def signals(
        self,
        day: PreparedDay,
        errors: DayErrors,  # noqa: ARG002
        now: int,
        traffic: Traffic,
        platforms: Mapping[str, RunningPlatform],  # noqa: ARG002
    ) -> Mapping[str, Signal] | None:
        """See ``SignalSource``."""
        if now:
            return None
        published = flat_signals(day.tree, day.forecast)
        for signal in published.values():
            traffic.count("down", price=signal.import_price[0], **signal.tariff)
        return published

    def learn(self, day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> None:
        """Nothing is learned."""


def flat_signals(tree: OperatingTree, forecast: Outcome) -> dict[str, Signal]:
    """The same forecast without coordination: every platform receives one price for all hours, the mean weighted by its demand without response."""
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        for child in own.children:
            drawn = np.maximum(reference_exchange(tree.fleets[child]), 0.0) + 1e-9
            price = np.full(tree.horizon.periods, float((forecast.platform_price[child] * drawn).sum() / drawn.sum()))
            signals[child] = Signal(price, price, tree.prices(dso), *limits[child], np.zeros_like(price), even=True)
    return signals


def retail_signals(tree: OperatingTree, energy_price: Mapping[str, np.ndarray]) -> dict[str, Signal]:
    """A retail tariff: the mean price at the DSO's boundary [EUR/kWh], (period,), the same in all hours and for all platforms."""
    signals = {}
    for dso, own in tree.distribution.items():
        price = np.full(tree.horizon.periods, float(energy_price[dso].mean()))
        for child in own.children:
            none = np.full(tree.horizon.periods, BEYOND)
            signals[child] = Signal(price, price, tree.prices(dso), none, none, np.zeros(tree.horizon.periods), retail=True, even=True)
    return signals
