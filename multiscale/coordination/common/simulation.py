"""Days played forward: day ahead -> intra-day -> real time, with forecasts that differ from what happens.

At the start of every period each platform knows what that period needs, forecasts the rest of the span (the better the nearer, see
``forecast``), optimises that rest under the signals in force, and does what it decided for that period. What it has done is
fixed from then on. Where the span has several days (``Horizon.consecutive``), batteries, vehicles and buildings pass midnight as they are.
Signals come from a mechanism (``Mechanism.play``), which may look at anything it lets a node see at that time.

    schedule at period k = argmin cost(x; signals in force, forecast as of k)   s.t.  x_t as done for all t < k

Platforms forecast the inflexible demand and the PV of their members; vehicles and heat pumps announce themselves. The networks then
carry what comes, see ``realised``.

Source: receding horizon control: Rawlings, Mayne and Diehl, Model Predictive Control, 2nd ed. (2017), ch. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.coordination.common.answer import Answer, own_cost, own_measures
from multiscale.coordination.common.forecast import DayErrors, ErrorModel, day_errors
from multiscale.coordination.common.mechanism import Mechanism, MechanismError, PlayedDay, SignalSource
from multiscale.coordination.common.messages import Headroom, Signal, Traffic
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, silent
from multiscale.coordination.common.realisation import realised
from multiscale.coordination.common.settings import DrawnErrorSettings
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.devices.fleet import Fleet
from multiscale.operation.losses import COLUMNS as LOSS_COLUMNS
from multiscale.operation.tree import BEYOND_DEVICES, exchange_bounds
from multiscale.programs import CompiledProgram, ParametricProgram
from multiscale.programs.index import Block, Index

ROUNDING_KWH = 1e-6
"""States of the past are recomputed from what was done, to within so much [kWh]."""
ROUNDING_KW = 1e-6
"""The same of the exchange [kW]."""


def play_day(day: PreparedDay, mechanism: Mechanism, errors: DayErrors) -> PlayedDay:
    """Play one day, or consecutive days in a row, forward under a mechanism, which learns after each.

    The bound of the outcome is that of the integrated optimum, which knows the whole span. Only the span ends as it began.

    Raises:
        MechanismError: the mechanism cannot be played forward.
    """
    return play_source(day, mechanism.name, mechanism.play(day), errors)


class PlayedMechanism(Mechanism):
    """A mechanism that operates a day by playing it forward.

    Attributes:
        settings: with the size of the forecast errors.
    """

    settings: DrawnErrorSettings
    one_day_at_a_time = True

    def operate(
        self,
        days: Sequence[PreparedDay],
        engine: SerialEngine | DaskEngine,
        report_progress: Progress = silent,  # noqa: ARG002
    ) -> list[dict[str, Outcome]]:
        """See ``Mechanism``; every day is played forward by itself.

        Raises:
            MechanismError: the tariff couples days, which cannot be played one by one.
        """
        if any(len(day.tree.horizon.days) > 1 and not day.tree.horizon.consecutive for day in days):
            raise MechanismError(
                f"mechanism {self.name!r} plays days one by one, and the tariff couples them (a charge on the peak of the year); "
                "choose coordination=pricing, bidirectional or integrated, or a tariff without such a charge"
            )
        found = engine.map(_outcome, {day.name: (day, self, self.settings.error) for day in days})
        return [{self.name: found[day.name]} for day in days]


def _outcome(day: PreparedDay, mechanism: Mechanism, error: ErrorModel) -> Outcome:
    return play_day(day, mechanism, day_errors(error, day.tree, day.name)).outcome


def play_source(day: PreparedDay, mechanism: str, source: SignalSource, errors: DayErrors) -> PlayedDay:
    """Play a day, or consecutive days, forward under the signals of a source, see ``play_day``; what the source learns stays in it."""
    tree, periods, steps = day.tree, day.tree.horizon.periods, day.tree.horizon.steps
    platforms = {name: _RollingPlatform(tree.platforms[name], tree.fleets[name]) for name in tree.platforms}
    traffic = Traffic()
    in_force: dict[str, Signal] = {}
    nominated, before, drawn = ({p: np.zeros(periods) for p in platforms} for _ in range(3))
    size = errors.model
    for now in range(periods):
        if now and now % steps == 0:
            source.learn(day, now // steps - 1, drawn)
        fresh = source.signals(day, errors, now, traffic, platforms)
        if fresh is not None:
            in_force = {p: _from(in_force.get(p), fresh[p], now) for p in platforms}
        grown = size.grown(periods, tree.horizon.step_hours, now)
        for name, platform in platforms.items():
            exchange = platform.step(now, in_force[name], grown * errors.demand[name], grown * errors.generation[name])
            drawn[name] = exchange
            if now % steps == 0:
                nominated[name][now:] = exchange[now:]
            if now == 0:
                before[name][0] = exchange[0]
            if now + 1 < periods:
                before[name][now + 1] = exchange[now + 1]
    answers = {name: platform.answer(in_force[name]) for name, platform in platforms.items()}
    outcome = realised(tree, mechanism, in_force, answers, day.bound)
    source.learn(day, periods // steps - 1, {p: outcome.exchange[p] for p in platforms})
    return PlayedDay(replace(outcome, traffic=traffic, rounds=1), nominated, before)


def _from(old: Signal | None, new: Signal, now: int) -> Signal:
    """A new signal from period ``now`` on, the old one before."""
    if old is None or now == 0:
        return new

    def joined(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.concatenate([before[:now], after[now:]])

    def headrooms(before: Headroom | None, after: Headroom | None) -> Headroom | None:
        if before is None and after is None:
            return None
        none = Headroom(*(np.zeros_like(new.import_limit),) * 3)
        one, other = before or none, after or none
        return Headroom(joined(one.power, other.power), joined(one.begins, other.begins), joined(one.ends, other.ends))

    return replace(
        new,
        import_price=joined(old.import_price, new.import_price),
        export_price=joined(old.export_price, new.export_price),
        import_limit=joined(old.import_limit, new.import_limit),
        export_limit=joined(old.export_limit, new.export_limit),
        planned=joined(old.planned, new.planned),
        import_headroom=headrooms(old.import_headroom, new.import_headroom),
        export_headroom=headrooms(old.export_headroom, new.export_headroom),
    )


class _RollingPlatform:
    """A platform's program whose past is fixed and whose future is forecast."""

    def __init__(self, program: ParametricProgram, fleet: Fleet) -> None:
        self.original, self.fleet = program, fleet
        self.demand, self.generation = own_measures(fleet)
        self.compiled = CompiledProgram(with_forecast_errors(program, fleet))
        self._x = np.zeros(program.columns.size)
        self._exchanged: list[tuple[np.ndarray, np.ndarray]] = []

    def step(self, now: int, signal: Signal, demand_error: np.ndarray, generation_error: np.ndarray) -> np.ndarray:
        """Decide period ``now``; returns the exchange planned for the whole day [kW], (period,)."""
        received = signal.seen(self.demand * (1.0 + demand_error), self.generation * (1.0 + generation_error)).parameters()
        solution = self.compiled.solve_optimal(received | {"demand_error": demand_error, "generation_error": generation_error})
        self._x = solution.x
        self._fix(now)
        traded = self.original.outputs["exchange"].matrix[now].indices
        self._exchanged.append((traded, solution.x[traded]))
        return self.original.outputs["exchange"].matrix @ solution.x

    def _fix(self, now: int) -> None:
        columns, program = self.original.columns, self.compiled.program
        for name in self.fleet.decided:
            if name in columns:
                there = columns[name].positions[:, now]
                done = np.clip(self._x[there], program.lower[there], program.upper[there])
                self.compiled.bound(there, done, done)
        for name in self.fleet.states:
            if name in columns:
                there = columns[name].positions[:, now]
                self.compiled.bound(there, program.lower[there] - ROUNDING_KWH, program.upper[there] + ROUNDING_KWH)

    def as_it_stands(self, demand_error: np.ndarray, generation_error: np.ndarray) -> ParametricProgram:
        """See ``RunningPlatform``."""
        forecast = self.compiled.program.fix({"demand_error": demand_error, "generation_error": generation_error})
        lower, upper = forecast.lower.copy(), forecast.upper.copy()
        for there, done in self._exchanged:
            # Generation that was curtailed, and demand that was not served, is over as well.
            lower[there], upper[there] = np.maximum(lower[there], done - ROUNDING_KW), np.minimum(upper[there], done + ROUNDING_KW)
        return replace(forecast, lower=lower, upper=upper)

    def bounds(self, demand_error: np.ndarray, generation_error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``RunningPlatform``."""
        low, high = exchange_bounds(self.fleet)
        room = self.demand * np.abs(demand_error) + self.generation * np.abs(generation_error) + BEYOND_DEVICES * self.fleet.size
        columns, upper = self.original.columns, self.original.upper
        lost = columns.values(LOSS_COLUMNS, upper).sum(axis=0) if LOSS_COLUMNS in columns else 0.0
        return low - room, high + lost + room

    def answer(self, signal: Signal) -> Answer:
        """What the platform has done in the end, and what it cost it."""
        none = np.zeros(len(signal.import_price))
        received = signal.seen(self.demand, self.generation).parameters()
        solution = self.compiled.solve_optimal(received | {"demand_error": none, "generation_error": none})
        exchange = self.original.outputs["exchange"].matrix @ solution.x
        return Answer(exchange, own_cost(self.original, signal.tariff, solution.x), solution.x, solution.y)


def with_forecast_errors(program: ParametricProgram, fleet: Fleet) -> ParametricProgram:
    """The program with relative errors of demand and PV as parameters (period) [1].

    The balance of prosumer i becomes ``supply = d_it (1 + demand_error_t) - pv_it generation_error_t``: PV that was forecast too high or too low
    counts as load.
    """
    rows = program.rows["prosumer_balance"].positions
    periods = rows.shape[1]
    blocks, parts, offset = [], [program.B], program.parameters.size
    for name, effect in (("demand_error", fleet.data.demand.values), ("generation_error", -fleet.reference_generation)):
        period = np.broadcast_to(np.arange(periods), rows.shape)
        parts.append(sparse.csr_matrix((effect.ravel(), (rows.ravel(), period.ravel())), shape=(program.rows.size, periods)))
        blocks.append(Block(name, {"period": fleet.horizon.labels}, "1", offset, f"relative error of the forecast of {name.split('_')[0]}"))
        offset += periods
    empty = sparse.csr_matrix((program.columns.size, 2 * periods))
    return replace(
        program,
        parameters=Index((*program.parameters.blocks, *blocks)),
        B=sparse.hstack(parts, format="csr"),
        C=sparse.hstack([program.C, empty], format="csr"),
        d=np.concatenate([program.d, np.zeros(2 * periods)]),
    )
