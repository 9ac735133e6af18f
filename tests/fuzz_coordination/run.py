"""One case under every mechanism."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, prepare_days
from multiscale.coordination.days import _check_bounds
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.prediction.hybrid import Hybrid, HybridSettings
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings
from multiscale.coordination.publication.flat import Flat
from multiscale.coordination.publication.pricing import SIGNALS, Pricing, PricingSettings
from multiscale.operation.transmission import DUAL_TOLERANCE
from tests.fuzz_coordination.checks import violations, wrong_prices
from tests.fuzz_coordination.draw import Case
from tests.fuzz_coordination.reference import Whole

HISTORY = 2
"""Days before the operated one that learning mechanisms learn from."""


@dataclass
class Found:
    """What became of a case.

    Attributes:
        problems: what is wrong, in words.
        outcomes: mechanism -> number of its outcomes.
        costs: (day, mechanism) -> cost and bound [EUR/a], and what platforms draw.
    """

    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    costs: dict[tuple[str, str], tuple[float, float, Mapping[str, np.ndarray]]] = field(default_factory=dict)


def mechanisms(number: int) -> Iterator[tuple[str, Mechanism]]:
    """Those that a case is operated under: cheap ones always, the others in turn."""
    rng = np.random.default_rng([number, 7])
    yield "flat", Flat()
    signal = str(rng.choice(sorted(SIGNALS)))
    yield f"pricing {signal}", Pricing(PricingSettings(signal=signal, forecast_error=float(rng.choice([0.0, 0.1])), scenarios=3))
    method = str(rng.choice(["columns", "level", "admm", "hybrid"]))
    yield f"bidirectional {method}", Bidirectional(BidirectionalSettings(method=method, gap=1e-5, rounds=15))
    if number % 3 == 0:
        model, error = str(rng.choice(["explicit", "learned", "persistence"])), float(rng.choice([0.0, 0.1]))
        yield "predictive", Predictive(PredictiveSettings(history_days=HISTORY, model=model, forecast_error=error))
    if number % 5 == 0:
        yield "hybrid", Hybrid(HybridSettings(history_days=HISTORY, period=float(rng.choice([12.0, 24.0])), forecast_error=0.0))


def operated(case: Case, number: int, engine: SerialEngine | DaskEngine | None = None) -> Found:
    """Prepare the days of a case, operate them under its mechanisms, and look at everything that must hold."""
    found, chosen = Found(), dict(mechanisms(number))
    if case.economics.tariff.couples_days and len(case.horizon.days) > 1:
        chosen = {name: m for name, m in chosen.items() if not m.one_day_at_a_time}
    history = max(m.history_days for m in chosen.values())
    alone = engine is None
    engine = engine or SerialEngine()
    try:
        days = prepare_days(
            case.system, case.horizon, case.economics, case.fleets, case.design, case.market, engine,
            limits=case.limits, history=history, fleets_on=case.fleets_on,
        )  # fmt: skip
        for day in days:
            _operate(found, day, chosen, engine, check=alone)
    except Exception as error:  # every failure of a legal case is a finding
        found.problems.append(f"stopped: {type(error).__name__}: {error}")
    return found


def _operate(found: Found, day: PreparedDay, chosen: Mapping[str, Mechanism], engine: SerialEngine | DaskEngine, *, check: bool) -> None:
    whole = Whole(day.tree, float(day.tree.transmission.idle_cost.sum())) if check else None
    truth = whole.optimum() if whole is not None else None
    outcomes: dict[str, Outcome] = {"integrated": day.optimum}
    for name, mechanism in chosen.items():
        try:
            (done,) = mechanism.operate([day], engine)
            _check_bounds(day, done)
        except Exception as error:  # the other mechanisms are looked at all the same
            found.problems.append(f"{name} stopped: {type(error).__name__}: {error}")
            continue
        outcomes[name] = done[mechanism.name]
    for name, outcome in outcomes.items():
        kind = name.split(" ")[0]
        found.outcomes[kind] = found.outcomes.get(kind, 0) + 1
        found.costs[day.name, name] = outcome.cost, outcome.bound, outcome.exchange
        if outcome.excluded:
            found.problems.append(f"{name}: excluded {dict(outcome.excluded)}")
        elif truth is not None:
            found.problems += violations(day.tree, outcome, truth)
    if whole is not None and truth is not None:
        optimum = day.optimum
        found.problems += wrong_prices(day.tree, optimum, whole, truth, np.random.default_rng(day.tree.horizon.periods))
        left = DUAL_TOLERANCE * float(day.tree.transmission.largest_output.sum())
        if not optimum.cost - optimum.bound <= 1e-6 * max(abs(optimum.cost), 1.0) + 1e-12 * truth.size + left:
            gap = optimum.cost - optimum.bound
            found.problems.append(f"integrated: gap {gap:.3g} EUR/a of {optimum.cost:.6g} left after {optimum.rounds} rounds")


def differences(one: Found, two: Found) -> Iterator[str]:
    """Where the same case ended otherwise on two workers."""
    if one.costs.keys() != two.costs.keys():
        yield f"two workers: other outcomes, {sorted(one.costs.keys() ^ two.costs.keys())}; {two.problems}"
        return
    for key, (cost, bound, drawn) in one.costs.items():
        again = two.costs[key]
        if (cost, bound) != again[:2] or any((drawn[n] != again[2][n]).any() for n in drawn):
            yield f"two workers: {key} cost {cost:.12g} and {again[0]:.12g}, bound {bound:.12g} and {again[1]:.12g}"
