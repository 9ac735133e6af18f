"""Hybrid coordination: negotiation every so many hours, prediction between.

At the hours of negotiation the parents' model is brought up to date with the forecasts of that time and ``negotiate`` finds prices and
plans, which hold from then on. Between, nothing is sent: each platform corrects the price it was told by what it has learned of how the
price follows its own net load,

    price_t(now) = negotiated_t + slope (z_t(now) - z_t(negotiation)),       planned_t likewise by its own net load

as its own forecast changes. A period of a day leaves one negotiation and prediction after it; a period of one step is negotiation alone.

``negotiate`` is any function from the parents' model to an outcome whose prices and exchanges are what was agreed; by default the protocol of
bidirectional negotiation, run to ``GAP`` between the model's nodes, with the messages it really takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from multiscale.coordination.common.forecast import DayErrors, day_errors
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Tell, silent
from multiscale.coordination.common.simulation import PlayedDay, play_day
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.bidirectional import negotiated_outcome
from multiscale.coordination.negotiation.state import Options
from multiscale.coordination.prediction.predictive import Experience, Learning, learn_from_day, own_view
from multiscale.coordination.prediction.response import OwnView
from multiscale.coordination.publication.pricing import published_signals
from multiscale.operation import OperatingTree
from multiscale.programs import ProgramError

Negotiate = Callable[[OperatingTree], Outcome]
"""Parents' model with the forecasts of the time -> what is agreed: prices, exchanges, and the rounds and messages it took."""


GAP = 1e-3
"""Relative gap to a proven bound at which a negotiation during the day ends: what is negotiated about, a forecast, is far less certain."""


def negotiated(model: OperatingTree, gap: float = GAP) -> Outcome:
    """What the nodes of a tree agree upon by the protocol of ``hierarchy``.

    Raises:
        ProgramError: a platform was left out.
    """
    outcome = negotiated_outcome(model, SerialEngine(), Options(gap=gap))
    if outcome.left_out:
        raise ProgramError(f"a negotiation during the day left out {dict(outcome.left_out)}")
    return outcome


@dataclass
class HybridPolicy:
    """Negotiation at some periods, prediction at the others; see ``simulation.Policy``.

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
    name: str = "hybrid"
    _agreed: dict[str, Signal] = field(default_factory=dict)
    _seen: dict[str, OwnView] = field(default_factory=dict)

    def signals(self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic) -> Mapping[str, Signal] | None:
        """See ``simulation.Policy``."""
        tree = day.tree
        size = errors.model.grown(tree.horizon.periods, tree.horizon.step_hours, now)
        views = {c: own_view(tree.fleets[c], size * errors.demand[c], size * errors.generation[c]) for c in tree.platforms}
        if now % self.every == 0:
            agreed = self.negotiate(errors.forecast(day.model, now))
            self._agreed, self._seen = published_signals(tree, agreed, "profile", deviation_price=self.slope), views
            _count(traffic, agreed)
            return self._agreed
        return {c: self._corrected(c, views[c]) for c in tree.platforms}

    def after(self, day: PreparedDay, played: PlayedDay) -> None:
        """See ``simulation.Policy``: every platform learns from what it was settled at."""
        learn_from_day(self.experience, day, played)

    def _corrected(self, platform: str, view: OwnView) -> Signal:
        told = self._agreed[platform]
        change = view.load - self._seen[platform].load
        slope = self.experience[platform].model.slope() if platform in self.experience else 0.0
        moved = told.import_price + max(slope, 0.0) * change
        return replace(told, import_price=moved, export_price=moved - (told.import_price - told.export_price), planned=told.planned + change)


def _count(traffic: Traffic, agreed: Outcome) -> None:
    """Messages of a negotiation."""
    traffic.messages += agreed.traffic.messages
    traffic.bytes += agreed.traffic.bytes
    traffic.fields |= agreed.traffic.fields


def hybrid(
    days: Sequence[PreparedDay],
    engine: SerialEngine | DaskEngine,
    *,
    period: float = 6.0,
    tell: Tell = silent,  # noqa: ARG001
    **learning: Any,
) -> list[dict[str, Outcome]]:
    """Operate every day by negotiations every ``period`` hours and predictions between.

    Args:
        days: prepared days.
        engine: where the days are played.
        period: hours from one negotiation to the next [h].
        learning: see ``Learning``; without past days prices hold until the next negotiation.
    """
    found = engine.map(_play, {day.name: (day, period, Learning(**learning)) for day in days})
    return [{"hybrid": found[day.name]} for day in days]


def _play(day: PreparedDay, period: float, learning: Learning) -> Outcome:
    every = round(period / day.tree.horizon.step_hours)
    if every < 1:
        raise ValueError(f"coordination.period {period:g} h is shorter than a step of {day.tree.horizon.step_hours:g} h; give at least one step")
    experience = learning.experience(day) if learning.history_days else {}
    return play_day(day, HybridPolicy(experience, every, learning.slope), day_errors(learning.error, day.tree, day.name)).outcome
