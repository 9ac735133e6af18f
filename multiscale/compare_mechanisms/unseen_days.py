"""Prediction on unseen days: value reached over fresh days drawn like the past ones that platforms learned from.

The day of a study is the middle of those past days, and says little of what was learned for the days around it. Every fresh day is the
parents' model with demand and generation off by ``variation``; platforms know themselves, answer their own prediction at once, and the
networks carry what comes:

    value reached = sum over days (cost at a flat price - cost) / sum over days (cost at a flat price - bound of the integrated optimum)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import pandas as pd

from multiscale.coordination.common.answer import own_cost
from multiscale.coordination.common.forecast import ErrorModel, day_errors, scaled_tree
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.messages import Signal
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.settlement import Upstream
from multiscale.coordination.prediction.predictive import PredictiveSettings, own_view
from multiscale.coordination.prediction.response import PRICE_MODELS
from multiscale.coordination.publication.flat import flat_signals
from multiscale.operation import OperatingTree
from multiscale.operation.tree import connection_limits
from multiscale.programs import CompiledProgram

FRESH = 7919
"""Added to the seed of the past days: fresh ones are others."""


def unseen_days_table(day: PreparedDay, histories: Sequence[int], count: int, seed: int = 0) -> pd.DataFrame:
    """Cost of so many fresh days under every model of the price and number of past days, alongside a flat price and the bound [EUR/a]."""
    model = day.model
    owner = {c: d for d, own in model.distribution.items() for c in own.children}
    limits = {c: limit for d in model.distribution for c, limit in connection_limits(model, d).items()}
    weather = ErrorModel(PredictiveSettings().variation, seed=seed + FRESH)
    days = []
    for k in range(count):
        errors = day_errors(weather, model, f"fresh day {k}")
        tree = scaled_tree(model, *({n: 1.0 + weather.size * e for n, e in course.items()} for course in (errors.demand, errors.generation)))
        tree.transmission.learn(model.transmission)
        best = integrated_optimum(tree)
        model.transmission.learn(tree.transmission)
        days.append((tree, best.bound, _cost(tree, flat_signals(tree, best))))
    rows = []
    for kind in PRICE_MODELS:
        for history in histories:
            learning = PredictiveSettings(model=kind, history_days=history, forecast_seed=seed)
            learned = learning.experience(day)
            for k, (tree, bound, flat) in enumerate(days):
                signals = {}
                for p in tree.platforms:
                    charge = tree.prices(owner[p])
                    signals[p] = learned[p].signal(own_view(tree.fleets[p]), charge, limits[p], learning.slope)
                rows.append((kind, history, k, _cost(tree, signals), flat, bound))
            print(f"{kind}, {history} past days ({time.process_time():.0f} CPU s)", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=["model", "past days", "day", "cost", "cost at a flat price", "bound"])


def reached(table: pd.DataFrame) -> pd.DataFrame:
    """Value reached over all days, by model and number of past days."""
    total = table.groupby(["model", "past days"], sort=False)[["cost", "cost at a flat price", "bound"]].sum()
    value = total["cost at a flat price"] - total["bound"]
    return ((total["cost at a flat price"] - total["cost"]) / value).rename("value reached").reset_index()


def _cost(tree: OperatingTree, signals: Mapping[str, Signal]) -> float:
    """Cost of all stakeholders [EUR/a] when platforms answer these signals."""
    drawn, own = {}, 0.0
    for p, program in tree.platforms.items():
        solution = CompiledProgram(program).solve_optimal(signals[p].parameters())
        drawn[p] = program.outputs["exchange"].matrix @ solution.x
        own += own_cost(program, signals[p].tariff, solution.x)
    return own + Upstream(tree).cost(drawn)[0]
