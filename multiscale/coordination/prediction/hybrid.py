"""Hybrid coordination: negotiation every so many hours, prediction between.

At the hours of negotiation the parents' model is brought up to date with the forecasts of that time and ``negotiate`` finds prices and
plans, which hold from then on. Between, nothing is sent: each platform corrects the price it was given by what it has learned of how the
price follows its own net load,

    price_t(now) = negotiated_t + slope (z_t(now) - z_t(negotiation)),       planned_t likewise by its own net load

as its own forecast changes. A period of a day leaves one negotiation and prediction after it; a period of one step is negotiation alone.

``negotiate`` is any function from the parents' model to an outcome whose prices and exchanges are what was agreed; by default the protocol of
bidirectional negotiation, run to ``GAP`` between the model's nodes, with the messages it really takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Literal

from multiscale.coordination.common.forecast import DayErrors
from multiscale.coordination.common.mechanism import PlayedDay
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.simulation import PlayedMechanism
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.bidirectional import negotiated_outcome
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.prediction.predictive import Experience, LearningSettings, learn_from_day, own_view
from multiscale.coordination.prediction.response import OwnView
from multiscale.coordination.publication.pricing import published_signals
from multiscale.operation import OperatingTree
from multiscale.programs import ProgramError
from multiscale.settings import quantity

Negotiate = Callable[[OperatingTree], Outcome]
"""Parents' model with the forecasts of the time -> what is agreed: prices, exchanges, and the rounds and messages it took."""


GAP = 1e-3
"""Relative gap to a proven bound at which a negotiation during the day ends: what is negotiated about, a forecast, is far less certain."""


def negotiated(model: OperatingTree, gap: float = GAP) -> Outcome:
    """What the nodes of a tree agree upon by the protocol of ``hierarchy``.

    Raises:
        ProgramError: a platform was excluded.
    """
    outcome = negotiated_outcome(model, SerialEngine(), NegotiationOptions(gap=gap))
    if outcome.excluded:
        raise ProgramError(f"a negotiation during the day excluded {dict(outcome.excluded)}")
    return outcome


@dataclass
class HybridSignals:
    """Negotiation at some periods, prediction at the others; see ``SignalSource``.

    Attributes:
        experience: platform -> what it has learned (empty: nothing is corrected between negotiations).
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

    def signals(self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic) -> Mapping[str, Signal] | None:
        """See ``SignalSource``."""
        tree = day.tree
        size = errors.model.grown(tree.horizon.periods, tree.horizon.step_hours, now)
        views = {c: own_view(tree.fleets[c], size * errors.demand[c], size * errors.generation[c]) for c in tree.platforms}
        if now % self.every == 0:
            agreed = self.negotiate(errors.forecast(day.model, now))
            self._agreed, self._seen = published_signals(tree, agreed, "profile", deviation_price=self.slope), views
            _count(traffic, agreed)
            return self._agreed
        return {c: self._corrected(c, views[c]) for c in tree.platforms}

    def learn(self, day: PreparedDay, played: PlayedDay) -> None:
        """See ``SignalSource``: every platform learns from what it was settled at."""
        learn_from_day(self.experience, day, played)

    def _corrected(self, platform: str, view: OwnView) -> Signal:
        agreed = self._agreed[platform]
        change = view.load - self._seen[platform].load
        slope = self.experience[platform].model.slope() if platform in self.experience else 0.0
        moved = agreed.import_price + max(slope, 0.0) * change
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
class Hybrid(PlayedMechanism):
    """Negotiations every ``period`` hours and predictions between; without past days prices hold until the next negotiation.

    Attributes:
        settings: how often to negotiate, and how platforms learn.
        learned: platform -> what it has learned before the first day; None: from ``history_days`` past days like it.
        negotiate: see ``Negotiate``.
    """

    settings: HybridSettings
    learned: Mapping[str, Experience] | None = None
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
        if self.learned is not None:
            return HybridSignals(deepcopy(self.learned), every, self.settings.slope, self.negotiate)
        experience = self.settings.experience(first) if self.settings.history_days else {}
        return HybridSignals(experience, every, self.settings.slope, self.negotiate)
