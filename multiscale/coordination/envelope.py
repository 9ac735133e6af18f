"""Published prices with an envelope: limits of every platform's exchange that keep the network whole whatever the forecast misses.

A price published once cannot follow: where the forecast is too low and a line becomes full, nothing holds the platforms back, and what
the network cannot carry is cut off at the value of lost load, a hundred times what moving it would have cost. What does not depend on the
forecast are the ratings. So the parent shares them out. With all net loads ``coverage`` standard deviations above the forecast, it
dispatches once (exchanges ``y``, whoever it cuts off included) and then widens every platform's share towards the most it can ever draw, as
far as its network allows:

    most_c,t = y_c,t + s_t (largest_c,t - y_c,t)      max sum_t s_t   s.t.  the DSO's network at exchanges ``most``,  0 <= s_t <= 1

and the same below the forecast for what is fed in. On a radial network flows and voltage drops grow with every exchange (linearised flow, as
everywhere in the model), so **whatever platforms do within their limits, nothing is over its rating and nobody is cut off by the DSO, as long as
net loads stay within the coverage** and could be served at all. And as long as a platform's own net load stays within it, its limits leave it all it
needs. Where no line is near its rating, s = 1: no limit. Where the net loads guarded against could not be served, limits guide nobody: prices must
(``hedged``).

With the limits go the price and the plan of the forecast, half a small gap above the price for import and below it for export, and a small price on
leaving the plan: both break ties between equally cheap schedules, which make platforms herd. Under certainty there is no gap, and the limits are the
plan itself where a line is full: what ``profile`` publishes.

Forecast = actual (1 + size e), so net loads within z standard deviations lie between forecast / (1 + z size) and forecast / (1 - z size).

Source of limits shared out beforehand (dynamic operating envelopes): Petrou et al., IEEE Trans. Smart Grid 12 (2021) 4999-5011.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from multiscale.coordination.conflicts import RELIEF
from multiscale.coordination.forecast import CUT_OFF, ErrorModel, scaled_tree
from multiscale.coordination.integrated import integrated_optimum
from multiscale.coordination.messages import Signal
from multiscale.coordination.outcome import Outcome
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND, connection_limits, exchange_bounds
from multiscale.programs import CompiledProgram, Link, ProgramBuilder, compose

FARTHEST = 0.8
"""Largest error guarded against, as a share of the forecast: net loads up to five times it."""
ROUNDING = 1e-6
"""Slack of relief and shares, against rounding [1, relative to the largest exchange]."""


@dataclass(frozen=True)
class Envelope:
    """What a parent knows when it publishes prices with an envelope.

    Attributes:
        forecast: optimum of the forecast.
        most, least: platform -> largest import and largest export [kW], (period,); ``BEYOND`` where none is needed.
    """

    forecast: Outcome
    most: Mapping[str, np.ndarray]
    least: Mapping[str, np.ndarray]


def envelope(forecast: OperatingTree, optimum: Outcome, error: ErrorModel, coverage: float) -> Envelope:
    """Share the networks out for net loads so many standard deviations above and below a forecast with its optimum."""
    nodes = [forecast.system.top, *forecast.distribution, *forecast.platforms]
    ones = np.ones(forecast.horizon.periods)
    reach = min(min(coverage, CUT_OFF) * error.size, FARTHEST)
    more, less = ones / (1.0 - reach), ones / (1.0 + reach)
    found = []
    for sign, demand, generation in ((1.0, more, less), (-1.0, less, more)):
        tree = scaled_tree(forecast, dict.fromkeys(nodes, demand), dict.fromkeys(nodes, generation))
        tree.transmission.learn(forecast.transmission)
        found.append(shared_out(tree, integrated_optimum(tree), sign))
    return Envelope(optimum, *found)


def shared_out(tree: OperatingTree, optimum: Outcome, sign: float) -> dict[str, np.ndarray]:
    """Limit of every platform in one direction [kW], (period,), by the program above.

    Args:
        tree: with the net loads that are guarded against.
        optimum: of it.
        sign: 1 limits what is drawn, -1 what is fed in.
    """
    limits: dict[str, np.ndarray] = {}
    for dso, own in tree.distribution.items():
        if not own.children:
            continue
        bounds = [exchange_bounds(tree.fleets[c]) for c in own.children]
        farthest = np.array([b[1] if sign > 0 else b[0] for b in bounds])
        drawn = np.array([optimum.exchange[c] for c in own.children])
        if sign > 0:
            # Whom the dispatch cuts off inside a platform may still ask: perhaps the net load is not that high, and there is room.
            drawn += np.array([tree.platforms[c].columns.array("unserved", optimum.platform_x[c]).values.sum(axis=0) for c in own.children])
        share = _widened(tree, dso, drawn, farthest - drawn)
        for k, c in enumerate(own.children):
            limit = np.maximum(sign * (drawn[k] + share * (farthest[k] - drawn[k])), 0.0)
            limits[c] = np.where(share >= 1.0 - ROUNDING, BEYOND, limit)
    return limits


def _widened(tree: OperatingTree, dso: str, drawn: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Largest shares s_t [1], (period,), such that the network carries ``drawn + s room`` [kW] with no more relief than ``drawn`` needs."""
    own, labels = tree.distribution[dso], tree.horizon.labels
    program = own.program.settle({"energy_price": 0.0, "built": tree.design.choice(own.options)})
    needed = CompiledProgram(program).solve_optimal({"exchange": drawn})
    builder = ProgramBuilder(f"envelope of {dso}")
    share = builder.add_columns("share", {"period": labels}, unit="1", upper=1.0, cost=-1.0, description="share of the room that is given out")
    one = builder.add_columns("one", {}, unit="1", lower=1.0, upper=1.0, description="one")
    axes = {"platform": np.array(own.children, dtype=str), "period": labels}
    terms = [(room, np.broadcast_to(share, room.shape)), (drawn, np.broadcast_to(one, drawn.shape))]
    builder.add_output("exchange", axes, terms, unit="kW", description="limit of the exchange")
    link = Link("envelope", "exchange", program.parameters["exchange"].positions)
    both = compose(f"envelope of {dso}", program, {"envelope": builder.build()}, [link])
    own_columns = np.arange(both.columns.size) < program.columns.size
    compiled = CompiledProgram(replace(both, c0=np.where(own_columns, 0.0, both.c0)))
    slack = ROUNDING * max(float(np.abs(drawn).max(initial=0.0)), 1.0)
    for name in RELIEF:
        if name in program.columns:
            there = program.columns[name].positions.ravel()
            compiled.bound(there, program.lower[there], np.minimum(needed.x[there] + slack, program.upper[there]))
    solution = compiled.solve_optimal()
    return solution.program.columns.array("envelope/share", solution.x).values


def envelope_signals(tree: OperatingTree, known: Envelope, gap: float, deviation_price: float) -> dict[str, Signal]:
    """Prices, gap, plan and limits for every platform.

    Args:
        tree: programs of all nodes.
        known: see ``Envelope``.
        gap: import price less export price [EUR/kWh].
        deviation_price: of leaving the planned exchange [EUR/kWh].
    """
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        for child in own.children:
            price = known.forecast.platform_price[child]
            most, least = (np.minimum(a, b[child]) for a, b in zip(limits[child], (known.most, known.least), strict=True))
            plan = known.forecast.exchange[child]
            charge = tree.design.network_charge.get(dso, 0.0)
            signals[child] = Signal(price + gap / 2, price - gap / 2, charge, most, least, plan, deviation_price)
    return signals
