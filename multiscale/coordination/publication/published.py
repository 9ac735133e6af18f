"""Mechanisms without intra-day messages as policies of the simulation: a flat tariff, and prices published once a day ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiscale.coordination.common.forecast import DayErrors
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.simulation import PlayedDay
from multiscale.coordination.publication.pricing import Publication, flat_signals


@dataclass(frozen=True)
class FlatPolicy:
    """One price for all hours, which knows the mean of the day; see ``simulation.Policy``."""

    name: str = "flat"

    def signals(self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic) -> Mapping[str, Signal] | None:  # noqa: ARG002
        """See ``simulation.Policy``."""
        if now:
            return None
        told = flat_signals(day.tree, day.forecast)
        for signal in told.values():
            traffic.count("down", price=signal.import_price[0], network_charge=signal.network_charge)
        return told

    def after(self, day: PreparedDay, played: PlayedDay) -> None:
        """Nothing is learned."""


@dataclass(frozen=True)
class PublishedPolicy:
    """Signals published once, a day ahead; see ``simulation.Policy``."""

    publication: Publication
    name: str = "pricing"

    def signals(self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic) -> Mapping[str, Signal] | None:
        """See ``simulation.Policy``."""
        if now:
            return None
        told = self.publication.signals(day, errors)
        for signal in told.values():
            traffic.count("down", **signal.content())
        for _ in day.tree.distribution:
            traffic.count("down", energy_price=next(iter(told.values())).import_price)
        return told

    def after(self, day: PreparedDay, played: PlayedDay) -> None:
        """Nothing is learned."""
