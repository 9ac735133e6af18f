"""A day ready to be coordinated: its programs, what its parents expect, and the reference; and operation by published signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from multiscale.coordination.common.answer import Answer, answer_days, answer_signals, bases_of, own_measures
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.loss_points import with_loss_points
from multiscale.coordination.common.messages import Signal
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.realisation import realised
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.devices.fleet import Fleet
from multiscale.operation import Design, Dispatch, Market, OperatingTree, Transmission, operating_tree
from multiscale.operation.busbars import expected_busbar_voltages
from multiscale.operation.platforms import Platforms
from multiscale.operation.tree import BEYOND
from multiscale.programs import Basis, LabelledBasis
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon

Progress = Callable[[str], None]
"""Called with what is being done, e.g. how far a negotiation has come."""

FleetsOn = Callable[[System, Horizon], Mapping[str, Fleet]]
"""A system and a day that its profiles hold -> the fleets of all platforms on it."""

Starts = Mapping[str, Mapping[str, LabelledBasis]]
"""Name of a day -> platform -> where the solve of a similar program ended at the expected prices; used where it has the same rows and columns."""


def silent(what: str) -> None:
    """Progress that is not shown."""
    del what


@dataclass(frozen=True)
class PreparedDay:
    """What a mechanism starts from: a day, or consecutive days that are operated in a row (``Horizon.consecutive``).

    Attributes:
        name: date.
        tree: programs at prosumer resolution, as the day will turn out.
        model: the same with one participant per platform and without its low-voltage network: the parents' model of it.
        reference: integrated optimum of the tree; None where it was not asked for.
        forecast: integrated optimum of the model.
        bases: platform -> where its solve at the forecast prices ended; answers to published signals start there.
        past: parents' model of the calendar days before it that mechanisms may learn from, as many as the profiles hold, the earliest first.
        history: how many calendar days before it were asked for.
    """

    name: str
    tree: OperatingTree
    model: OperatingTree
    reference: Outcome | None
    forecast: Outcome
    bases: Mapping[str, Basis]
    past: tuple[OperatingTree, ...] = ()
    history: int = 0

    @property
    def optimum(self) -> Outcome:
        """Integrated optimum of the tree.

        Raises:
            ValueError: the day was prepared without it.
        """
        if self.reference is None:
            raise ValueError(f"{self.name} was prepared without its integrated optimum; prepare it with reference=True")
        return self.reference

    @property
    def bound(self) -> float:
        """Proven lower bound on the cost of every mechanism [EUR/a], that of the integrated optimum; without it nothing is proven."""
        return -np.inf if self.reference is None else self.reference.bound

    def afresh(self) -> PreparedDay:
        """The same day without solvers: what a mechanism finds depends neither on what was computed with the day before nor on where it runs."""
        return replace(self, tree=_afresh(self.tree), model=_afresh(self.model))

    def before(self, count: int) -> tuple[OperatingTree, ...]:
        """Those of the last ``count`` calendar days before it that the profiles hold.

        Raises:
            ValueError: it was prepared with fewer.
        """
        if count > self.history:
            raise ValueError(f"{self.name}: {count} calendar days before it are to be learned from; it was prepared with {self.history} (history)")
        first = self.tree.horizon.days[0] - pd.Timedelta(days=count)
        return tuple(tree for tree in self.past if tree.horizon.days[0] >= first)


def prepare_days(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    market: Market,
    engine: SerialEngine | DaskEngine,
    *,
    limits: LoadingLimits = LoadingLimits(),
    known: Transmission | None = None,
    error_margin: float = 0.0,
    reference: bool = True,
    history: int = 0,
    fleets_on: FleetsOn | None = None,
    near: Starts | None = None,
) -> list[PreparedDay]:
    """Build every day's programs and find both optima; arguments as of ``operated_days``.

    Where the tariff couples days (``Tariff.couples_days``) all of them are one prepared day: one program over the whole horizon.
    ``reference``: whether the integrated optimum of the tree is found too. ``history``: how many calendar days before each are prepared as its
    ``past`` (as many as the profiles hold); ``fleets_on``: the fleets on such a day. ``near``: where solves start.

    Raises:
        ValueError: a history is asked for, and how fleets were then is not given.
    """
    if history and fleets_on is None:
        raise ValueError(f"days are prepared with a history of {history} days; give fleets_on, the fleets on such a day")
    trees, models, past = [], [], []
    for day, periods in horizon.episodes(coupled=economics.tariff.couples_days):
        here = system.restricted(day)
        today = {p: f.within(day, periods) for p, f in fleets.items()}
        one = {p: f.aggregate(np.full(f.size, p)) for p, f in today.items()}
        trees.append(operating_tree(here, day, economics, today, design, market, limits=limits, error_margin=error_margin))
        models.append(operating_tree(here, day, economics, one, design, market, networks=False, limits=limits))
        if known is not None:
            models[-1].transmission.learn(known)
        earlier: list[OperatingTree] = []
        if history and fleets_on is not None:
            for date in days_before(system, day, history):
                then = system.restricted(date)
                theirs = {p: f.aggregate(np.full(f.size, p)) for p, f in fleets_on(then, date).items()}
                earlier.append(operating_tree(then, date, economics, theirs, design, market, networks=False, limits=limits))
        past.append(tuple(earlier))
    names = [tree.horizon.title for tree in trees]
    optima = engine.map(_optima, {d: (tree, model, reference, (near or {}).get(d, {})) for d, tree, model in zip(names, trees, models, strict=True)})
    prepared = []
    for d, tree, model, before in zip(names, trees, models, past, strict=True):
        optimum, forecast, bases, platforms, idle = optima[d]
        # Costs and bounds of a day are counted from one dispatch, wherever they are found.
        tree.transmission.count_from(idle)
        prepared.append(PreparedDay(d, replace(tree, platforms=platforms), model, optimum, forecast, bases, before, history))
    if known is not None:
        for ready in prepared:
            ready.tree.transmission.learn(known)
    return prepared


def days_before(system: System, day: Horizon, count: int) -> list[Horizon]:
    """The last ``count`` calendar days before a horizon that the profiles of the system hold, the earliest first, with the weight of its first."""
    held = set(pd.DatetimeIndex(system.profiles.time.values).normalize())
    dates = [day.days[0] - pd.Timedelta(days=k) for k in range(count, 0, -1)]
    return [Horizon((d,), (day.weights[0],), day.step_hours) for d in dates if d in held]


def _optima(
    tree: OperatingTree, model: OperatingTree, reference: bool, near: Mapping[str, LabelledBasis]
) -> tuple[Outcome | None, Outcome, dict[str, Basis], Platforms, Dispatch]:
    """What is found of a day: the integrated optimum of the tree, if asked for, and of the parents' model of it, and what both rest on.

    Platforms are fed at the voltages of their busbars that the model expects. Both trees share what is known of the transmission network.

    Returns:
        Both optima, bases of the platforms' answers to the prices of the model's, the platforms, and the dispatch without nodes below.
    """
    tree, model = _afresh(tree), _afresh(model)
    forecast = integrated_optimum(model)
    voltages = expected_busbar_voltages(model, forecast.distribution_x, forecast.exchange)
    tree.transmission.learn(model.transmission)
    tree = _with_loss_points(tree.fed_at(voltages), forecast)
    answers = answers_at(tree, forecast, near)
    return (
        integrated_optimum(tree, near=forecast, answers=answers) if reference else None,
        forecast,
        bases_of(answers),
        tree.platforms,
        tree.transmission.idle,
    )


def answers_at(tree: OperatingTree, near: Outcome, starts: Mapping[str, LabelledBasis] | None = None) -> dict[str, Answer]:
    """What every platform answers to the prices of an outcome alone, without limits or plan; ``starts``: platform -> see ``Starts``."""
    answers = {}
    for dso, own in tree.distribution.items():
        for child in own.children:
            signal = _expected(tree, dso, near.platform_price[child])
            program, known = tree.platforms[child], (starts or {}).get(child)
            answers[child] = answer_signals(program, [signal], None if known is None else known.for_program(program))[0]
    return answers


def _expected(tree: OperatingTree, dso: str, price: np.ndarray) -> Signal:
    """The price that is expected at a platform of a DSO as a signal without limits or plan."""
    none = np.full(tree.horizon.periods, BEYOND)
    return Signal(price, price, tree.prices(dso), none, none, np.zeros_like(price))


def _with_loss_points(tree: OperatingTree, near: Outcome) -> OperatingTree:
    """The tree whose platforms count their losses at what they do at the prices of an outcome; the same where none counts losses."""
    changed = {}
    for dso, own in tree.distribution.items():
        for child in own.children:
            data = tree.platforms.data[child]
            if data.losses is not None:
                changed[child] = with_loss_points(data, _expected(tree, dso, near.platform_price[child]).parameters())
    return replace(tree, platforms=tree.platforms.exchanged(changed)) if changed else tree


def _afresh(tree: OperatingTree) -> OperatingTree:
    """The same tree without the solvers of what was computed before: a task ends alike in this process and on any worker."""
    return replace(tree, transmission=tree.transmission.afresh())


def operate_signals(
    days: Sequence[PreparedDay], signals: Sequence[Mapping[str, Mapping[str, Signal]]], engine: SerialEngine | DaskEngine
) -> list[dict[str, Outcome]]:
    """Operation when platforms answer what is published: for each day, name of the set of signals -> outcome."""
    answers = respond([day.tree for day in days], signals, engine, [day.bases for day in days])
    found = engine.map(realise_day, {day.name: (day.tree, s, a, day.bound) for day, s, a in zip(days, signals, answers, strict=True)})
    return [found[day.name] for day in days]


def realise_day(
    tree: OperatingTree, signals: Mapping[str, Mapping[str, Signal]], answers: Mapping[str, Mapping[str, Answer]], bound: float
) -> dict[str, Outcome]:
    """Outcome of every set of signals on one day."""
    tree = _afresh(tree)
    return {name: realised(tree, name, signals[name], answers[name], bound) for name in signals}


def respond(
    trees: Sequence[OperatingTree],
    signals: Sequence[Mapping[str, Mapping[str, Signal]]],
    engine: SerialEngine | DaskEngine,
    bases: Sequence[Mapping[str, Basis]] | None = None,
) -> list[dict[str, dict[str, Answer]]]:
    """Answers of all platforms on all days: for each day, name of the set of signals -> platform -> answer.

    ``bases``: for each day, platform -> where its solve for similar signals ended, from which the first solve starts; without them a platform answers
    day by day, each from where the one before it ended.
    """
    tasks: dict[str, tuple[object, ...]] = {}
    count = len(trees)
    together = "day 1" if count == 1 else f"days 1 to {count}"
    for platform in trees[0].platforms:
        programs = [tree.platforms[platform] for tree in trees]
        heard = [[signals[k][name][platform].seen(*own_measures(tree.fleets[platform])) for name in signals[k]] for k, tree in enumerate(trees)]
        if bases is None:
            tasks[f"{platform}, {together}"] = programs, heard, [None] * count
        else:
            for k, (program, of_day) in enumerate(zip(programs, heard, strict=True)):
                tasks[f"{platform}, day {k + 1}"] = [program], [of_day], [bases[k].get(platform)]
    found = engine.map(answer_days, tasks)

    def answered(platform: str, day: int) -> list[Answer]:
        return found[f"{platform}, {together}"][day] if bases is None else found[f"{platform}, day {day + 1}"][0]

    gathered: list[dict[str, dict[str, Answer]]] = []
    for k, (tree, published) in enumerate(zip(trees, signals, strict=True)):
        gathered.append({name: {p: answered(p, k)[n] for p in tree.platforms} for n, name in enumerate(published)})
    return gathered
