"""Hybrid coordination: negotiation every so many hours, prediction between.

At the hours of negotiation the platforms themselves negotiate with their parents, as they stand: what they have done is fixed, their batteries,
vehicles and buildings are as they left them, and the rest is as each forecasts it at that time, behind its own network. The parents' programs hold
their forecasts of passive customers. Prices and plans hold from then on. Between, nothing is sent: each platform corrects the price it was given by
what it has learned of how the price follows its own net load,

    price_t(now) = negotiated_t + slope (z_t(now) - z_t(negotiation)),       planned_t likewise by its own net load

as its own forecast changes. A period of a day leaves one negotiation and prediction after it; a period of one step is negotiation alone.

``negotiate`` is any function from the parents' programs and those of the platforms to an outcome whose prices and exchanges are what was agreed; by
default the protocol of bidirectional negotiation, run to ``GAP``, with the messages it really takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from multiscale.coordination.common.forecast import DayErrors
from multiscale.coordination.common.mechanism import RunningPlatform
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children.platform_child import nothing_agreed
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.prediction.predictive import Experience, LearningMechanism, LearningSettings, learn_from_day, own_view
from multiscale.coordination.prediction.response import OwnView
from multiscale.coordination.publication.pricing import published_signals
from multiscale.operation import OperatingTree
from multiscale.programs import ParametricProgram, ProgramError
from multiscale.settings import quantity

Negotiate = Callable[[OperatingTree, Mapping[str, ParametricProgram]], Outcome]
"""Parents' programs with the forecasts of the time, and each platform's own -> what is agreed: prices, exchanges, the rounds and messages it took."""


GAP = 1e-3
"""Relative gap to a proven bound at which a negotiation during the day ends: what is negotiated about, a forecast, is far less certain."""


def negotiated(parents: OperatingTree, platforms: Mapping[str, ParametricProgram], gap: float = GAP) -> Outcome:
    """What parents and platforms agree upon by the protocol of bidirectional negotiation.

    Raises:
        ProgramError: a platform was excluded.
    """
    negotiation = negotiation_of(parents, SerialEngine(), NegotiationOptions(gap=gap), programs_of=platforms)
    outcome = outcome_of(negotiation, negotiation.run())
    negotiation.platforms.release()
    if outcome.excluded:
        raise ProgramError(f"a negotiation during the day excluded {dict(outcome.excluded)}")
    return outcome


@dataclass
class HybridSignals:
    """Negotiation at some periods, prediction at the others; see ``SignalSource``.

    Attributes:
        experience: platform -> what it has learned (nothing yet: nothing is corrected between negotiations).
        every: periods from one negotiation to the next.
        slope: price on leaving the plan [EUR/kWh].
        negotiate: see ``Negotiate``.
    """

    experience: Mapping[str, Experience]
    every: int
    slope: float
    negotiate: Negotiate = negotiated
    _agreed: dict[str, Signal] = field(default_factory=dict)
    _seen: dict[str, OwnView] = field(default_factory=dict)

    def signals(
        self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic, platforms: Mapping[str, RunningPlatform]
    ) -> Mapping[str, Signal] | None:
        """See ``SignalSource``."""
        tree = day.tree
        size = errors.model.grown(tree.horizon.periods, tree.horizon.step_hours, now)
        seen = {c: (size * errors.demand[c], size * errors.generation[c]) for c in tree.platforms}
        views = {c: own_view(tree.fleets[c], *seen[c]) for c in tree.platforms}
        if now % self.every == 0:
            parents = errors.forecast(day.model, now, {c: platforms[c].bounds() for c in tree.platforms})
            owner = {c: d for d, own in tree.distribution.items() for c in own.children}
            agreed = self.negotiate(parents, {c: nothing_agreed(platforms[c].as_it_stands(*seen[c]), tree.prices(d)) for c, d in owner.items()})
            self._agreed, self._seen = published_signals(tree, agreed, "profile", deviation_price=self.slope), views
            _count(traffic, agreed)
            return self._agreed
        return {c: self._corrected(c, views[c]) for c in tree.platforms}

    def learn(self, day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> None:
        """See ``SignalSource``: every platform learns from what it was settled at."""
        learn_from_day(self.experience, day, number, drawn)

    def _corrected(self, platform: str, view: OwnView) -> Signal:
        agreed = self._agreed[platform]
        change = view.load - self._seen[platform].load
        moved = agreed.import_price + max(self.experience[platform].model.slope(), 0.0) * change
        return replace(agreed, import_price=moved, export_price=moved - (agreed.import_price - agreed.export_price), planned=agreed.planned + change)


def _count(traffic: Traffic, agreed: Outcome) -> None:
    """Messages of a negotiation."""
    traffic.messages += agreed.traffic.messages
    traffic.bytes += agreed.traffic.bytes
    traffic.fields |= agreed.traffic.fields


class HybridSettings(LearningSettings):
    """Negotiation at times, prediction between."""

    kind: Literal["hybrid"] = "hybrid"
    period: float = quantity(6.0, "h", "time from one negotiation to the next", above=0.0, upper=24.0)


@dataclass(frozen=True)
class Hybrid(LearningMechanism):
    """Negotiations every ``period`` hours and predictions between; without past days prices hold until the next negotiation.

    Attributes:
        settings: how often to negotiate, and how platforms learn.
        negotiate: see ``Negotiate``.
    """

    settings: HybridSettings
    negotiate: Negotiate = negotiated

    name = "hybrid"

    def play(self, first: PreparedDay) -> HybridSignals:
        """See ``Mechanism``.

        Raises:
            ValueError: the period is shorter than a step.
        """
        period, step = self.settings.period, first.tree.horizon.step_hours
        every = round(period / step)
        if every < 1:
            raise ValueError(f"coordination.period {period:g} h is shorter than a step of {step:g} h; give at least one step")
        return HybridSignals(self.experience(first), every, self.settings.slope, self.negotiate)
