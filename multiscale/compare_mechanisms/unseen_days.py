"""Prediction and hybrid on hidden days: learned from the calendar days before, tested on the days that follow, played in a row.

Every span of consecutive days is played forward: no platform and no parent knows a day before it comes, batteries, vehicles and buildings pass
midnight as they are, and platforms go on learning after each day. What is learned before the span is calendar days that end where it begins.

    value reached = (cost at a flat price - cost) / (cost at a flat price - bound of the integrated optimum of the span, which knows all of it)

Persistence, the price of the day before, is the naive forecast that models of the price are held against.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product

import pandas as pd

from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.mechanism import SignalSource
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.simulation import play_source
from multiscale.coordination.prediction.hybrid import Hybrid, HybridSettings
from multiscale.coordination.prediction.predictive import PredictedSignals, Predictive, PredictiveSettings
from multiscale.coordination.prediction.response import PRICE_MODELS
from multiscale.coordination.publication.flat import Flat
from multiscale.coordination.publication.pricing import Pricing, PricingSettings

SPAN = ["first day", "last day", "learned from", "past days", "mechanism", "forecast error"]
FOUND = ["cost [EUR]", "flat [EUR]", "bound [EUR]", "value reached", "messages", "price missed [ct/kWh]"]


def unseen_days_table(spans: Sequence[PreparedDay], histories: Sequence[int], error: ErrorModel, periods: Sequence[float] = (24.0,)) -> pd.DataFrame:
    """Cost of every span under a flat price, published prices, every model of the price and the hybrid of them.

    Args:
        spans: prepared with the longest of the histories.
        histories: calendar days before a span that platforms have learned from.
        error: of the forecasts.
        periods: of the hybrid, from one negotiation to the next [h].

    Returns:
        Columns ``SPAN`` and ``FOUND``; ``price missed`` is the mean absolute error of the prices predicted for each of its days.
    """
    rows = []
    for span in spans:
        days = [str(d.date()) for d in span.tree.horizon.days]
        errors, flat = day_errors(error, span.tree, span.name), 0.0
        for name, count, source in _sources(span, histories, error, periods):
            outcome = play_source(span, name, source, errors).outcome
            flat = outcome.cost if name == "flat" else flat
            past = [str(tree.horizon.days[0].date()) for tree in span.before(count)]
            learned = f"{past[0]} to {past[-1]}" if past else ""
            reached = (flat - outcome.cost) / (flat - outcome.bound)
            missed = 100.0 * sum(source.missed) / len(source.missed) if isinstance(source, PredictedSignals) else float("nan")
            row = days[0], days[-1], learned, len(past), name, error.size, outcome.cost, flat, outcome.bound, reached
            rows.append((*row, outcome.traffic.messages, missed))
            print(f"{span.name}, {name}, {len(past)} past days: {reached:.4f} ({time.process_time():.0f} CPU s)", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=[*SPAN, *FOUND])


def _sources(span: PreparedDay, histories: Sequence[int], error: ErrorModel, periods: Sequence[float]) -> Iterator[tuple[str, int, SignalSource]]:
    """Name, number of past days and source of signals of everything that is played."""
    yield "flat", 0, Flat().play(span)
    yield "pricing", 0, Pricing(PricingSettings()).play(span)
    for kind, count in product(PRICE_MODELS, histories):
        yield f"predictive, {kind}", count, Predictive(PredictiveSettings(model=kind, history_days=count, forecast_seed=error.seed)).play(span)
    for hours in periods:
        hybrid = Hybrid(HybridSettings(period=hours, history_days=max(histories), forecast_seed=error.seed))
        yield f"hybrid, {hours:g} h", max(histories), hybrid.play(span)


def reached(table: pd.DataFrame) -> pd.DataFrame:
    """Value reached over all spans together, and the worst of them, by mechanism and number of past days."""
    by = table.groupby(["mechanism", "past days"], sort=False)
    cost, flat, bound = (by[name].sum() for name in FOUND[:3])
    together = ((flat - cost) / (flat - bound)).rename("value reached")
    worst, missed = by["value reached"].min().rename("worst span"), by["price missed [ct/kWh]"].mean()
    return pd.concat([together, worst, missed, by["messages"].sum()], axis=1).reset_index()
