"""Predictive coordination: no message; every platform carries a model of the price its exchange will be settled at.

Offline, the platforms live through past days in simulation, each operating on its own prediction; the networks carry what comes, and every
platform measures the marginal price it is settled at (``settlement``) and learns from it (``response``). In operation they play the day
forward with a receding horizon (``simulation``), predicting anew as their own forecast becomes better, and keep to the course they have
learned to be usual for them at a small price on leaving it, so that equally cheap schedules do not make all of them move at once.

A past day is the day's system with demand and generation of every node off by ``variation`` (standard deviation, correlated over nodes and time).
Averaging what was measured over days makes the predictions settle instead of chasing each other (fictitious play).

Source: fictitious play: Brown, in Activity Analysis of Production and Allocation (1951) 374-376.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.forecast import LARGEST_ERROR, DayErrors, ErrorModel, day_errors, scaled_tree
from multiscale.coordination.common.mechanism import PlayedDay
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.settings import DrawnErrorSettings
from multiscale.coordination.common.settlement import Upstream, measured_prices
from multiscale.coordination.common.simulation import PlayedMechanism
from multiscale.coordination.prediction.response import PRICE_MODELS, OwnView, PriceModel
from multiscale.devices.fleet import Fleet
from multiscale.operation import OperatingTree
from multiscale.operation.tree import connection_limits, reference_exchange
from multiscale.programs import CompiledProgram
from multiscale.settings import OneOf, count, quantity
from multiscale.tariffs import Prices


@dataclass
class Experience:
    """What a platform has learned.

    Attributes:
        model: of the price at its connection.
        usual: mean exchange of the days so far [kW], (period,).
        load: mean net load without flexibility of the same days [kW], (period,).
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

    def signal(self, view: OwnView, tariff: Prices, limits: tuple[np.ndarray, np.ndarray], deviation_price: float) -> Signal:
        """The platform's own signal: the price it predicts, and its usual course shifted by how its net load differs from the usual one."""
        price = self.model.predict(view)
        planned = self.usual + view.load - self.load
        return Signal(price, price, tariff, *limits, planned, deviation_price if self.days else 0.0)


def learn_from_past(
    model: OperatingTree, start: Mapping[str, float], *, kind: str, days: int, variation: float, slope: float, seed: int
) -> dict[str, Experience]:
    """Let the platforms live through past days, each on its own prediction.

    Args:
        model: tree with one participant per platform.
        start: platform -> price it expects before it has measured any [EUR/kWh], such as the retail price.
        kind: one of ``PRICE_MODELS``.
        days: how many.
        variation: standard deviation of demand and generation from day to day [1].
        slope: price on leaving the usual course [EUR/kWh].
        seed: of the days.
    """
    periods = model.horizon.periods
    experience = {p: Experience(PRICE_MODELS[kind](start[p], periods), np.zeros(periods), np.zeros(periods)) for p in model.platforms}
    owner = {c: d for d, own in model.distribution.items() for c in own.children}
    limits = {c: limit for d in model.distribution for c, limit in connection_limits(model, d).items()}
    weather = ErrorModel(variation, seed=seed)
    for k in range(days):
        errors = day_errors(weather, model, f"past day {k}")
        tree = scaled_tree(model, *({n: 1.0 + variation * e for n, e in course.items()} for course in (errors.demand, errors.generation)))
        drawn, views = {}, {}
        for p, program in tree.platforms.items():
            views[p] = own_view(tree.fleets[p])
            signal = experience[p].signal(views[p], tree.prices(owner[p]), limits[p], slope)
            solution = CompiledProgram(program).solve_optimal(signal.parameters())
            drawn[p] = program.outputs["exchange"].matrix @ solution.x
        price = measured_prices(Upstream(tree), drawn)
        for p in tree.platforms:
            experience[p].add(views[p], drawn[p], price[p])
        model.transmission.learn(tree.transmission)
    return experience


def own_view(fleet: Fleet, demand_error: np.ndarray | float = 0.0, generation_error: np.ndarray | float = 0.0) -> OwnView:
    """What a platform sees of itself, with relative errors of its forecast of demand and PV [1], (period,)."""
    demand, pv = own_measures(fleet)
    return OwnView(reference_exchange(fleet) + demand * demand_error - pv * generation_error, pv * (1.0 + generation_error))


@dataclass
class PredictedSignals:
    """Signals a platform gives itself, anew at every period; see ``SignalSource``."""

    experience: Mapping[str, Experience]
    slope: float
    _limits: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def signals(self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic) -> Mapping[str, Signal] | None:  # noqa: ARG002
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

    def learn(self, day: PreparedDay, played: PlayedDay) -> None:
        """See ``SignalSource``: every platform learns from what it was settled at."""
        learn_from_day(self.experience, day, played)


def learn_from_day(experience: Mapping[str, Experience], day: PreparedDay, played: PlayedDay) -> None:
    """Every platform measures what it drew and the marginal price it was settled at."""
    drawn = {p: played.outcome.exchange[p] for p in day.tree.platforms}
    price = measured_prices(Upstream(day.tree), drawn)
    for p, known in experience.items():
        known.add(own_view(day.tree.fleets[p]), drawn[p], price[p])


class LearningSettings(DrawnErrorSettings):
    """How platforms learn, of prediction and of the hybrid."""

    forecast_error: float = quantity(0.1, "1", "standard deviation of the relative error of forecasts a day ahead", lower=0.0, upper=LARGEST_ERROR)
    model: Annotated[str, OneOf(PRICE_MODELS)] = Field(
        "explicit", description="what a platform learns of the price: Kalman filter or ridge regression"
    )
    history_days: int = count(10, "past days that platforms have learned from", 0, 366)
    variation: float = quantity(
        0.15, "1", "standard deviation of demand and generation from one past day to the next", lower=0.0, upper=LARGEST_ERROR
    )
    slope: float = quantity(0.0005, "EUR/kWh", "price of each kWh that leaves the usual profile, or the one agreed", lower=0.0, upper=10.0)

    def experience(self, day: PreparedDay) -> dict[str, Experience]:
        """What the platforms have learned when a day begins."""
        return learn_from_past(
            day.model, retail(day), kind=self.model, days=self.history_days, variation=self.variation, slope=self.slope, seed=self.forecast_seed
        )


class PredictiveSettings(LearningSettings):
    """No message: platforms predict the price they will be settled at."""

    kind: Literal["predictive"] = "predictive"


@dataclass(frozen=True)
class Predictive(PlayedMechanism):
    """Every platform operates on its own prediction, without a message.

    Attributes:
        settings: how platforms learn.
        learned: platform -> what it has learned before the first day; None: from ``history_days`` past days like it.
    """

    settings: PredictiveSettings
    learned: Mapping[str, Experience] | None = None

    name = "predictive"

    def play(self, first: PreparedDay) -> PredictedSignals:
        """See ``Mechanism``."""
        return PredictedSignals(self.settings.experience(first) if self.learned is None else deepcopy(self.learned), self.settings.slope)


def retail(day: PreparedDay) -> dict[str, float]:
    """What a platform expects to pay before it has measured anything: the mean price at its DSO's boundary [EUR/kWh]."""
    return {c: float(day.forecast.energy_price[d].mean()) for d, own in day.tree.distribution.items() for c in own.children}
