"""The one interface of coordination mechanisms: days operated at once, and days played forward with signals at every period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from multiscale.coordination.common.forecast import DayErrors
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.programs import ParametricProgram


class MechanismError(ValueError):
    """A mechanism is asked for what it cannot do; the message names it and says why."""


@dataclass(frozen=True)
class PlayedDay:
    """A day, or consecutive days, as played.

    Attributes:
        outcome: what happened, with every cost.
        nominated: platform -> exchange it planned at the start of each day [kW], (period,).
        planned_before: platform -> exchange planned one period ahead [kW], (period,); the first as nominated.
    """

    outcome: Outcome
    nominated: Mapping[str, np.ndarray]
    planned_before: Mapping[str, np.ndarray]

    def imbalance(self, hours: np.ndarray, *, before: bool = False) -> float:
        """Energy [kWh/a] by which platforms left what they nominated at the start of the day (or planned one period before)."""
        plans = self.planned_before if before else self.nominated
        return float(sum((hours * np.abs(self.outcome.exchange[p] - plan)).sum() for p, plan in plans.items()))


class RunningPlatform(Protocol):
    """A platform in the middle of a day that is played forward."""

    def as_it_stands(self, demand_error: np.ndarray, generation_error: np.ndarray) -> ParametricProgram:
        """Its own program: what it has done is fixed, the rest as it forecasts it with these relative errors [1], (period,)."""

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Interval of the exchange of that program [kW], (period,), whatever it forecasts."""


class SignalSource(Protocol):
    """Signals of a mechanism over a span of days that are played forward, with all that it keeps from one period and day to the next."""

    def signals(
        self, day: PreparedDay, errors: DayErrors, now: int, traffic: Traffic, platforms: Mapping[str, RunningPlatform]
    ) -> Mapping[str, Signal] | None:
        """Signals in force from the start of period ``now`` on, platform -> signal over the whole span; None leaves those before in force.

        Messages that are needed for them are counted in ``traffic``. ``platforms`` as they now stand are for mechanisms that ask them.
        """

    def learn(self, day: PreparedDay, number: int, drawn: Mapping[str, np.ndarray]) -> None:
        """Learn from the day of this number in the span, which is over; ``drawn``: platform -> exchange [kW], (period,), of later days as planned."""


class Mechanism:
    """How the levels coordinate; the study operates days with it, the simulation plays them forward with it.

    A mechanism is its settings: it keeps nothing between calls, and may be sent to workers.

    Attributes:
        name: under which its outcomes are reported.
    """

    name: ClassVar[str]
    one_day_at_a_time: ClassVar[bool] = False
    """Whether days are played forward one by one, so that nothing may couple them."""
    day_by_worker: ClassVar[bool] = True
    """Whether a worker operates whole days where there are days for every worker; else all workers share in each day, platform by platform."""
    needs_optimum: ClassVar[bool] = False
    """Whether it operates prepared days by their integrated optimum."""

    @property
    def history_days(self) -> int:
        """Calendar days before an operated one that it learns from, see ``prepare_days``."""
        return 0

    @property
    def error_margin(self) -> float:
        """Forecast error margin that the networks have to keep, as a share of net loads [1], see ``operating_tree``."""
        return 0.0

    def operate(
        self,
        days: Sequence[PreparedDay],  # noqa: ARG002
        engine: SerialEngine | DaskEngine,  # noqa: ARG002
        report_progress: Progress = silent,  # noqa: ARG002
    ) -> list[dict[str, Outcome]]:
        """Operate prepared days, each by itself.

        Args:
            days: prepared days.
            engine: where platforms answer and days are computed.
            report_progress: called with what is being done, e.g. how far a negotiation has come.

        Returns:
            For each day, name -> outcome: its own, and perhaps those of references that are found with it.

        Raises:
            MechanismError: the mechanism cannot operate a day at once.
        """
        raise MechanismError(f"mechanism {self.name!r} does not operate days at once; play them forward")

    def play(self, first: PreparedDay) -> SignalSource:  # noqa: ARG002
        """Begin a span of days that are played forward, see ``simulation``.

        Args:
            first: the first day, before it begins.

        Raises:
            MechanismError: the mechanism has no signals that could change while the day goes on.
        """
        raise MechanismError(f"mechanism {self.name!r} cannot be played forward: it decides on the whole day at once; operate it")
