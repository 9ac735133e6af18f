"""The mechanisms that are played forward in a comparison."""

from __future__ import annotations

from collections.abc import Iterator

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.prediction.hybrid import Hybrid, HybridSettings
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings
from multiscale.coordination.prediction.response import PRICE_MODELS
from multiscale.coordination.publication.flat import Flat
from multiscale.coordination.publication.pricing import Pricing, PricingSettings


def playable(day: PreparedDay, error: ErrorModel, history: int) -> Iterator[tuple[str, Mechanism]]:
    """Every mechanism that can be played forward, with its own defaults; platforms have learned from so many calendar days before."""
    yield "flat", Flat()
    yield "pricing", Pricing(PricingSettings())
    learning = {model: PredictiveSettings(model=model, history_days=history, forecast_seed=error.seed) for model in PRICE_MODELS}
    learned = {model: settings.experience(day) for model, settings in learning.items()}
    for model, settings in learning.items():
        yield f"predictive, {model}", Predictive(settings, learned[model])
    step = day.tree.horizon.step_hours
    for hours in (24.0, 6.0):
        negotiating = HybridSettings(period=max(hours, step), history_days=history, forecast_seed=error.seed)
        yield f"hybrid, {hours:g} h", Hybrid(negotiating, learned["explicit"])
