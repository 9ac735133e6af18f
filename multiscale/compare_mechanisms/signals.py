"""What to publish: share of the value of coordination reached by every signal, day by day and draw by draw."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import pandas as pd

from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.prepared import PreparedDay, operate_signals
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.flat import flat_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings, expectation

PUBLISHED: Mapping[str, Pricing] = {
    "price": Pricing(PricingSettings(signal="price")),
    "price, gap": Pricing(PricingSettings(signal="gap")),
    "price, plan, slope": Pricing(PricingSettings(signal="profile")),
    "expected price, gap, plan, slope": Pricing(PricingSettings(signal="probabilistic", scenarios=6)),
    "hedged price, plan, slope": Pricing(PricingSettings(signal="hedged", coverage=2.0)),
    "price, gap, plan, slope, limits": Pricing(PricingSettings(signal="envelope")),
}
"""Name in the table -> what is published."""


def signals_table(days: Sequence[PreparedDay], errors: Sequence[float], seeds: Sequence[Sequence[int]], chosen: Sequence[str] = ()) -> pd.DataFrame:
    """Share of the value reached by every published signal; platforms know themselves, their parents' forecast is wrong.

    Args:
        days: prepared days.
        errors: sizes of the forecast error.
        seeds: of the draws of each error (the first where there is none).
        chosen: kinds of signals, as of ``PricingSettings.signal``; all where empty.
    """
    kinds = {name: p for name, p in PUBLISHED.items() if not chosen or p.settings.signal in chosen}
    rows = []
    for day in days:
        flat = operate_signals([day], [{"flat": flat_signals(day.tree, day.forecast)}], SerialEngine())[0]["flat"].cost
        value = flat - day.optimum.bound
        for error, drawn in zip(errors, seeds, strict=True):
            for seed in drawn if error > 0 else drawn[:1]:
                errs = day_errors(ErrorModel(error, seed=seed), day.tree, day.name)
                known = expectation(day, errs)
                published = {name: pricing.published(day, errs, known) for name, pricing in kinds.items()}
                day.model.transmission.learn(known.tree.transmission)
                found = operate_signals([day], [published], SerialEngine())[0]
                for name, outcome in found.items():
                    rows.append((day.name, name, error, seed, outcome.cost, value, (flat - outcome.cost) / value))
                line = ", ".join(f"{name}: {row[-1]:.4f}" for name, row in zip(found, rows[-len(found) :], strict=True))
                print(f"{day.name}, error {error:g}, seed {seed}: {line} ({time.process_time():.0f} CPU s)", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=["day", "signal", "forecast error", "seed", "cost", "value of coordination", "value reached"])


def summarised(table: pd.DataFrame) -> pd.DataFrame:
    """Median, worst and mean of the draws, for every day and signal; and their share of all days' value together."""
    keys = ["day", "signal", "forecast error"]
    each = table.groupby(keys, sort=False)["value reached"].agg(["median", "min", "mean"])
    gained = table.assign(gained=table["value reached"] * table["value of coordination"])
    # A draw counts for all days together only where every day has it.
    days = table["day"].nunique()
    by_draw = gained.groupby(["signal", "forecast error", "seed"], sort=False)
    shared = by_draw[["gained", "value of coordination"]].sum()[by_draw["day"].count() == days]
    together = (shared["gained"] / shared["value of coordination"]).groupby(level=[0, 1], sort=False).agg(["median", "min", "mean"])
    together = pd.concat({"all days together": together}, names=["day"]) if days > 1 else together.iloc[:0]
    parts = [each, together] if days > 1 else [each]
    return pd.concat(parts).rename(columns={"min": "worst"}).reset_index()
