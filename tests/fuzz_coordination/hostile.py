"""Random systems in which one or two children, a DSO or the TSO say what is not true, under every mechanism.

Whoever is untrue is named and excluded, and what is proven and what it costs hold for the others around it; or the bound is below the optimum and
the cost above it all the same. Nothing ends in an error that is none of the engine's own, no true child is accused, and nothing hangs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np

from multiscale.coordination.common import prepared
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, prepare_days
from multiscale.coordination.common.simulation import _RollingPlatform
from multiscale.coordination.days import _check_bounds
from multiscale.coordination.engine import SerialEngine, TaskError
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.negotiation.branch import Branches
from multiscale.coordination.negotiation.children.channel import ChannelSettings
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.consistency import PRECISION
from multiscale.coordination.negotiation.state import METHODS
from multiscale.coordination.prediction.hybrid import Hybrid, HybridSettings
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings
from multiscale.coordination.publication.flat import Flat
from multiscale.coordination.publication.pricing import SIGNALS, Pricing, PricingSettings
from multiscale.operation import Transmission
from multiscale.programs import ProgramError
from tests.fuzz_coordination.checks import ROUNDING, violations
from tests.fuzz_coordination.draw import Case
from tests.fuzz_coordination.lies import Lie, drawn, drawn_answer
from tests.fuzz_coordination.reference import Whole
from tests.fuzz_coordination.run import HISTORY

LONGEST = 300.0
"""Time of the processor from which on a mechanism counts as hanging [s]."""
TRIES = 4
"""Mechanisms, each with other lies, under which a case is operated."""


@dataclasses.dataclass(frozen=True)
class Tried:
    """One mechanism with untrue nodes.

    Attributes:
        words: in words.
        ended: ``excluded``, ``named`` (by an error of the engine's own) or ``held`` (the bound below the optimum, the cost above it).
        problems: what is wrong.
    """

    words: str
    ended: str
    problems: Sequence[str] = ()


class HangError(BaseException):
    """A mechanism took longer than ``LONGEST``; no handler of errors takes it for one."""


def tried(case: Case, number: int) -> Iterator[Tried]:
    """Operate a case under some mechanisms, each with other lies."""
    rng = np.random.default_rng([number, 2016, 12])
    horizon = dataclasses.replace(case.horizon, days=case.horizon.days[:1], weights=case.horizon.weights[:1], consecutive=False)
    fleets = case.fleets_on(case.system, horizon)
    (day,) = prepare_days(
        case.system, horizon, case.economics, fleets, case.design, case.market, SerialEngine(),
        limits=case.limits, history=HISTORY, fleets_on=case.fleets_on,
    )  # fmt: skip
    for _ in range(TRIES):
        yield _try(day, rng)


def _mechanism(rng: np.random.Generator, level: str) -> tuple[str, Mechanism]:
    kinds = ["bidirectional"] if level == "dso" else ["bidirectional", "bidirectional", "bidirectional", "pricing", "predictive", "hybrid", "flat"]
    kind = str(rng.choice(kinds))
    if kind == "flat":
        return kind, Flat()
    if kind == "pricing":
        name = str(rng.choice(sorted(SIGNALS)))
        return f"pricing {name}", Pricing(PricingSettings(signal=name, forecast_error=float(rng.choice([0.0, 0.1])), scenarios=3))
    if kind == "predictive":
        return kind, Predictive(PredictiveSettings(history_days=HISTORY, model=str(rng.choice(["explicit", "learned", "persistence"]))))
    if kind == "hybrid":
        return kind, Hybrid(HybridSettings(history_days=HISTORY, period=12.0, forecast_error=0.0))
    method, unreliable = str(rng.choice(METHODS)), bool(rng.random() < 0.2)
    channel = ChannelSettings(lost=0.1, late=0.3, repeated=0.3, seed=int(rng.integers(99))) if unreliable else ChannelSettings()
    settings = BidirectionalSettings(method=method, gap=1e-5, rounds=12, quorum=0.7 if unreliable else 1.0, channel=channel)
    return f"bidirectional {method}{', unreliable' if unreliable else ''}", Bidirectional(settings)


def _try(day: PreparedDay, rng: np.random.Generator) -> Tried:
    level = str(rng.choice(["platform", "platform", "platform", "dso", "tso"]))
    name, mechanism = _mechanism(rng, level)
    below = {"platform": list(day.tree.platforms), "dso": list(day.tree.transmission.children), "tso": [day.tree.system.top]}[level]
    untrue = sorted(str(c) for c in rng.choice(below, size=min(len(below), int(rng.choice([1, 1, 2]))), replace=False))
    if level == "tso":
        words, hooks = _untrue_dispatch(rng)
    elif mechanism.name == "bidirectional" or (mechanism.name == "hybrid" and rng.random() < 0.6):
        lies = {c: drawn(rng) for c in untrue}
        words = "; ".join(f"{c}: {lie.words}" for c, lie in lies.items())
        hooks = [mock.patch.object(RemoteChildren, "settle", _settles(lies, RemoteChildren.settle))]
        carrier = RemoteChildren if level == "platform" else Branches
        hooks.append(mock.patch.object(carrier, "ask", _asks(lies, carrier.ask)))
    else:
        ways = {c: drawn_answer(rng) for c in untrue}
        words = "; ".join(f"{c}: {said}" for c, (said, _) in ways.items())
        hooks = _published({c: how for c, (_, how) in ways.items()})
    words = f"{name}, {words}"
    outcome: Outcome | None = None
    try:
        with contextlib.ExitStack() as stack, _no_longer_than(LONGEST):
            for hook in hooks:
                stack.enter_context(hook)
            (done,) = mechanism.operate([day], SerialEngine())
            _check_bounds(day, done)
        outcome = done[mechanism.name]
    except HangError:
        return Tried(words, "hang", [f"hang: longer than {LONGEST:g} s of the processor"])
    except Exception as error:  # what may not end a study is a finding
        return _judged(words, error, untrue, level, mechanism)
    return Tried(words, "excluded" if outcome.excluded else "held", list(_wrong(day, outcome, untrue)))


def _judged(words: str, error: Exception, untrue: Sequence[str], level: str, mechanism: Mechanism) -> Tried:
    """Whether an error is one of the engine's own and names who is untrue; of the TSO, whose programs are the run's own, that something is wrong.

    A platform in a negotiation of the day ends no run: it is excluded.
    """
    cause = error.__cause__ if isinstance(error, TaskError) else error
    said = f"{type(error).__name__}: {error}"
    if not isinstance(cause, ProgramError):
        return Tried(words, "error", [f"traceback: {type(cause).__name__} in {said[:300]}"])
    if level != "tso" and not any(repr(c) in said or c in said for c in untrue):
        return Tried(words, "error", [f"not named: {said[:300]}"])
    if level == "platform" and isinstance(mechanism, Bidirectional):
        return Tried(words, "error", [f"ended the run: {said[:300]}"])
    return Tried(words, "named")


def _wrong(day: PreparedDay, outcome: Outcome, untrue: Sequence[str]) -> Iterator[str]:
    accused = set(outcome.excluded) - set(untrue)
    if accused:
        yield f"accused: {[f'{c}: {outcome.excluded[c]}' for c in sorted(accused)]}"
    given = {c: outcome.exchange[c] for c in outcome.excluded}
    truth = Whole(day.tree, float(day.tree.transmission.idle_cost.sum()), given).optimum()
    for problem in violations(day.tree, outcome, truth):
        if "bound" in problem and 0 < outcome.bound - truth.high <= 2.0 * PRECISION * truth.size + ROUNDING * truth.size:
            continue  # what tolerances of solvers explain of what a child proves, see ``consistency``
        yield problem


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise HangError

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def _asks(lies: Mapping[str, Lie], true: Callable[..., Any]) -> Callable[..., Any]:
    """``ask`` of who carries requests to children, some of whom are untrue."""
    count = dict.fromkeys(lies, 0)
    under_way: dict[str, list[Any]] = {c: [] for c in lies}

    def ask(self: Any, requests: Mapping[str, Any]) -> list[tuple[str, Any]]:
        sent = {c: lies[c].asked(r) if c in lies and count[c] + 1 >= lies[c].first else r for c, r in requests.items()}
        out: list[tuple[str, Any]] = []
        for child, reply in true(self, sent):
            if child not in lies:
                out.append((child, reply))
                continue
            count[child] += 1
            lie = lies[child]
            under_way[child].append(lie.reply(reply, requests[child]) if count[child] >= lie.first else reply)
            if len(under_way[child]) > lie.late:
                said = under_way[child].pop(0)
                if said is not None or "None" in lie.words:
                    out.append((child, said))
        return out

    return ask


def _settles(lies: Mapping[str, Lie], true: Callable[..., Any]) -> Callable[..., Any]:
    def settle(self: Any, agreed: Mapping[str, Any]) -> dict[str, Any]:
        return {c: lies[c].settled(s) if c in lies else s for c, s in true(self, agreed).items()}

    return settle


def _published(ways: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
    """Untrue answers to published signals, and at the end of days that are played forward."""
    answer_days, answer = prepared.answer_days, _RollingPlatform.answer

    def answered_days(programs: Any, signals: Any, starts: Any) -> Any:
        how = ways.get(programs[0].name, lambda a: a)
        return [[how(a) for a in day] for day in answer_days(programs, signals, starts)]

    def played(self: Any, sent: Any) -> Any:
        return ways.get(self.original.name, lambda a: a)(answer(self, sent))

    return [mock.patch.object(prepared, "answer_days", answered_days), mock.patch.object(_RollingPlatform, "answer", played)]


def _untrue_dispatch(rng: np.random.Generator) -> tuple[str, list[Any]]:
    """The TSO's dispatches while a mechanism works; what is known of the day before that is true."""
    size = float(rng.choice([1e-3, 0.05, 0.2, 10.0]))
    what = str(rng.choice(["cost low", "cost high", "bound high", "price off", "price nan", "cost nan"]))
    dispatch = Transmission.dispatch

    def wrong(self: Transmission, *arguments: Any, **more: Any) -> Any:
        true = dispatch(self, *arguments, **more)
        part, to = what.split(" ")
        value = getattr(true, part)
        changed = {
            "low": value - size * np.abs(value), "high": value + size * np.abs(value) + 1.0, "off": value * (1.0 + size), "nan": np.nan * value
        }[to]  # fmt: skip
        return dataclasses.replace(true, **{part: changed})

    return f"dispatches with {what} ({size:g})", [mock.patch.object(Transmission, "dispatch", wrong)]
