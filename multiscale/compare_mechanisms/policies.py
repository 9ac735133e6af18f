"""Every mechanism as a policy of the simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from multiscale.coordination.forecast import ErrorModel
from multiscale.coordination.hybrid import HybridPolicy
from multiscale.coordination.predictive import PredictivePolicy, learn_from_past, retail
from multiscale.coordination.prepared import PreparedDay
from multiscale.coordination.pricing import Publication
from multiscale.coordination.published import FlatPolicy, PublishedPolicy
from multiscale.coordination.simulation import Policy

SLOPE = 0.0005
"""Price on leaving a plan [EUR/kWh], as in the main study."""


def policies(days: Sequence[PreparedDay], error: ErrorModel, history: int) -> Iterator[tuple[str, Policy]]:
    """Every mechanism, as a policy of the simulation; platforms have learned from so many past days like the first."""
    yield "flat", FlatPolicy()
    yield "pricing", PublishedPolicy(Publication("envelope", slope=SLOPE))
    first = days[0]
    for kind in ("explicit", "learned"):
        known = learn_from_past(first.model, retail(first), kind=kind, days=history, variation=0.15, slope=SLOPE, seed=error.seed)
        yield f"predictive, {kind}", PredictivePolicy(known, SLOPE)
    step = first.tree.horizon.step_hours
    for hours in (24.0, 6.0):
        known = learn_from_past(first.model, retail(first), kind="explicit", days=history, variation=0.15, slope=SLOPE, seed=error.seed)
        yield f"hybrid, {hours:g} h", HybridPolicy(known, max(round(hours / step), 1), SLOPE)
