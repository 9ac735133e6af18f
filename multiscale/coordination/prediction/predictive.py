"""Predictive coordination: no message; every platform carries a model of the price its exchange will be settled at.

Offline, the platforms live through the calendar days before the first one that is operated, each operating on its own prediction; the networks
carry what comes, and every platform measures the marginal price it is settled at (``settlement``) and learns from it (``response``). In operation
they play the day forward with a receding horizon (``simulation``), predicting anew as their own forecast becomes better, and keep to the series they
have learned to be usual for them at a small price on leaving it, so that equally cheap schedules do not make all of them move at once.

Nothing of a day is known before it: past days are real days that end before it begins, the price before anything was measured is a setting, and
a day is learned from when it is over. Averaging what was measured over days makes the predictions settle instead of chasing each other (fictitious
play).

Source: fictitious play: Brown, in Activity Analysis of Production and Allocation (1951) 374-376.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.forecast import LARGEST_ERROR, DayErrors
from multiscale.coordination.common.mechanism import RunningPlatform
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, silent
from multiscale.coordination.common.settings import DrawnErrorSettings
from multiscale.coordination.common.settlement import Upstream, measured_prices
from multiscale.coordination.common.simulation import PlayedMechanism
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.prediction.response import PRICE_MODELS, OwnView, PriceModel
from multiscale.devices.fleet import Fleet
from multiscale.operation import OperatingTree, Transmission
from multiscale.operation.tree import connection_limits, reference_exchange
from multiscale.programs import CompiledProgram
from multiscale.settings import OneOf, count, quantity
from multiscale.tariffs import Prices


@dataclass
class Experience:
    """What a platform has learned.

    Attributes:
        model: of the price at its connection.
        usual: mean exchange of the days so far [kW], (period of a day,).
        load: mean net load without flexibility of the same days [kW], (period of a day,).
        days: number of them.
    """

    model: PriceModel
    usual: np.ndarray
    load: np.ndarray
    days: int = 0

    def add(self, view: OwnView, exchange: np.ndarray, price: np.ndarray) -> None:
        """One day more."""
        self.model.learn(view, price)
        self.days += 1
        self.usual = self.usual + (exchange - self.usual) / self.days
        self.load = self.load + (view.load - self.load) / self.days

    def expected_price(self, view: OwnView) -> np.ndarray:
        """Price it predicts for one or more days [EUR/kWh], (period,)."""
        return np.concatenate([self.model.predict(day) for day in view.days(len(self.usual))])

    def signal(self, view: OwnView, tariff: Prices, limits: tuple[np.ndarray, np.ndarray], deviation_price: float) -> Signal:
        """The platform's own signal: the price it predicts, and its usual series shifted by how its net load differs from the usual one."""
        price = self.expected_price(view)
        planned = view.load + np.tile(self.usual - self.load, len(price) // len(self.usual))
        return Signal(price, price, tariff, *limits, planned, deviation_price if self.days else 0.0)


def learn_from_past(experience: Mapping[str, Experience], past: Sequence[OperatingTree], slope: float) -> None:
    """Let the platforms live through past days, each on its own prediction, one day after the other; every such day ends as it began.

    Args:
        experience: platform -> what it has learned before; is added to.
        past: parents' model of each day (one participant per platform), the earliest first.
        slope: price on leaving the usual series [EUR/kWh].
    """
    known: Transmission | None = None
    for day in past:
        # Without the solvers of whatever was done with the day before: what is learned does not depend on it.
        tree = replace(day, transmission=day.transmission.afresh())
        if known is not None:
            tree.transmission.learn(known)
        known = tree.transmission
        drawn, views = {}, {}
        for dso, own in tree.distribution.items():
            limits = connection_limits(tree, dso)
            for p in own.children:
                views[p], program = own_view(tree.fleets[p]), tree.platforms[p]
                signal = experience[p].signal(views[p], tree.prices(dso), limits[p], slope)
                solution = CompiledProgram(program).solve_optimal(signal.parameters())
                drawn[p] = program.outputs["exchange"].matrix @ solution.x
        price = measured_prices(Upstream(tree), drawn)
        for p in tree.platforms:
            experience[p].add(views[p], drawn[p], price[p])


def untaught(tree: OperatingTree, kind: str, first_price: float) -> dict[str, Experience]:
    """Platforms that have learned nothing yet: the kind of their model (``PRICE_MODELS``), and the price they expect at first [EUR/kWh]."""
    steps = tree.horizon.steps
    return {p: Experience(PRICE_MODELS[kind](first_price, steps), np.zeros(steps), np.zeros(steps)) for p in tree.platforms}


def own_view(fleet: Fleet, demand_error: np.ndarray | float = 0.0, generation_error: np.ndarray | float = 0.0) -> OwnView:
    """What a platform sees of itself, with relative errors of its forecast of demand and PV [1], (period,)."""
    demand, pv = own_measures(fleet)
    return OwnView(reference_exchange(fleet) + demand * demand_error - pv * generation_error, pv * (1.0 + generation_error))


@dataclass
class PredictedSignals:
    """Signals a platform gives itself, anew at every period; see ``SignalSource``.

    Attributes:
        experience: platform -> what it has learned so far.
        slope: price on leaving the usual series [EUR/kWh].
        missed: of every day that is over, by how much the prices differed from what would have been predicted for it, had each platform known its
            own day: mean over platforms and periods [EUR/kWh].
    """

    experience: Mapping[str, Experience]
    slope: float
    missed: list[float] = field(default_factory=list)
    _limits: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def signals(
        self,
        day: PreparedDay,
        errors: DayErrors,
        now: int,
        traffic: Traffic,  # noqa: ARG002
        platforms: Mapping[str, RunningPlatform],  # noqa: ARG002
    ) -> Mapping[str, Signal] | None:
        """See ``SignalSource``; nothing is sent."""
        tree = day.tree
        if not self._limits:
            self._limits = {c: limit for d in tree.distribution for c, limit in connection_limits(tree, d).items()}
        size = errors.model.grown(tree.horizon.periods, tree.horizon.step_hours, now)
        signals = {}
        for dso, own in tree.distribution.items():
            for c in own.children:
                view = own_view(tree.fleets[c], size * errors.demand[c], size * errors.generation[c])
                signals[c] = self.experience[c].signal(view, tree.prices(dso), self._limits[c], self.slope)
        return signals

    def learn(self, day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> None:
        """See ``SignalSource``: every platform learns from what it was settled at."""
        self.missed.append(learn_from_day(self.experience, day, number, drawn))


def learn_from_day(experience: Mapping[str, Experience], day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> float:
    """Every platform measures what it drew and the marginal price it was settled at.

    Nothing above the platforms couples periods, so prices of the day do not depend on what is planned for later ones.

    Returns:
        What predictions missed [EUR/kWh], see ``PredictedSignals``.
    """
    steps = day.tree.horizon.steps
    price = measured_prices(Upstream(day.tree), drawn)
    missed = []
    for p, known in experience.items():
        view = own_view(day.tree.fleets[p]).days(steps)[number]
        exchange, measured = (values.reshape(-1, steps)[number] for values in (drawn[p], price[p]))
        missed.append(np.abs(known.expected_price(view) - measured).mean())
        known.add(view, exchange, measured)
    return float(np.mean(missed))


class LearningSettings(DrawnErrorSettings):
    """How platforms learn, of prediction and of the hybrid."""

    forecast_error: float = quantity(0.1, "1", "standard deviation of the relative error of forecasts a day ahead", lower=0.0, upper=LARGEST_ERROR)
    model: Annotated[str, OneOf(PRICE_MODELS)] = Field(
        "explicit",
        description="what a platform takes the price for: Kalman filter (explicit), ridge regression (learned), that of yesterday (persistence)",
    )
    history_days: int = count(10, "calendar days before an operated one that platforms have learned from", 0, 366)
    first_price: float = quantity(0.05, "EUR/kWh", "price that platforms expect before they have measured any", lower=-10.0, upper=10.0)
    slope: float = quantity(0.0005, "EUR/kWh", "price of each kWh that leaves the usual profile, or the one agreed", lower=0.0, upper=10.0)

    def experience(self, day: PreparedDay) -> dict[str, Experience]:
        """What the platforms have learned when a day, or a span of days, begins.

        Raises:
            ValueError: the day was prepared with fewer days before it.
        """
        known = untaught(day.tree, self.model, self.first_price)
        learn_from_past(known, day.before(self.history_days), self.slope)
        return known


class PredictiveSettings(LearningSettings):
    """No message: platforms predict the price they will be settled at."""

    kind: Literal["predictive"] = "predictive"


@dataclass(frozen=True)
class LearningMechanism(PlayedMechanism):
    """A mechanism whose platforms have learned from the days before.

    Attributes:
        settings: how platforms learn.
        learned: platform -> what it has learned before the first day; None: from ``history_days`` calendar days before it.
    """

    settings: LearningSettings
    learned: Mapping[str, Experience] | None = None

    @property
    def history_days(self) -> int:
        """See ``Mechanism``."""
        return 0 if self.learned is not None else self.settings.history_days

    def operate(self, days: Sequence[PreparedDay], engine: SerialEngine | DaskEngine, report_progress: Progress = silent) -> list[dict[str, Outcome]]:
        """See ``PlayedMechanism``; an outcome says where the profiles do not hold all the days that were to be learned from."""
        asked, done = self.history_days, []
        for day, found in zip(days, super().operate(days, engine, report_progress), strict=True):
            there = len(day.before(asked))
            short = f"the profiles hold {there} of the {asked} calendar days before it that platforms learn from (coordination.history_days)"
            said = [short] * (there < asked)
            done.append({name: replace(o, shortfall="; ".join([*filter(None, [o.shortfall]), *said])) for name, o in found.items()})
        return done

    def experience(self, first: PreparedDay) -> dict[str, Experience]:
        """What platforms know when a span begins; theirs to change."""
        return self.settings.experience(first) if self.learned is None else dict(deepcopy(self.learned))


@dataclass(frozen=True)
class Predictive(LearningMechanism):
    """Every platform operates on its own prediction, without a message."""

    settings: PredictiveSettings

    name = "predictive"

    def play(self, first: PreparedDay) -> PredictedSignals:
        """See ``Mechanism``."""
        return PredictedSignals(self.experience(first), self.settings.slope)
