"""Every mechanism as a policy of the simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.simulation import Policy
from multiscale.coordination.prediction.hybrid import HybridPolicy
from multiscale.coordination.prediction.predictive import Learning, PredictivePolicy
from multiscale.coordination.publication.pricing import Publication
from multiscale.coordination.publication.published import FlatPolicy, PublishedPolicy


def policies(days: Sequence[PreparedDay], error: ErrorModel, history: int) -> Iterator[tuple[str, Policy]]:
    """Every mechanism as a policy of the simulation, with its own defaults; platforms have learned from so many past days like the first."""
    yield "flat", FlatPolicy()
    yield "pricing", PublishedPolicy(Publication())
    learning = {kind: Learning(kind, history_days=history, forecast_seed=error.seed) for kind in ("explicit", "learned")}
    learned = {kind: by.experience(days[0]) for kind, by in learning.items()}
    for kind, by in learning.items():
        yield f"predictive, {kind}", PredictivePolicy(deepcopy(learned[kind]), by.slope)
    step = days[0].tree.horizon.step_hours
    for hours in (24.0, 6.0):
        yield f"hybrid, {hours:g} h", HybridPolicy(deepcopy(learned["explicit"]), max(round(hours / step), 1), learning["explicit"].slope)
