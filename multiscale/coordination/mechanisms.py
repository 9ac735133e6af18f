"""The mechanisms there are; a new one is one file, one line here, and one file in ``conf/coordination/``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Tell, silent
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.bidirectional import bidirectional
from multiscale.coordination.prediction.hybrid import hybrid
from multiscale.coordination.prediction.predictive import predictive
from multiscale.coordination.publication.pricing import pricing

Mechanism = Callable[..., list[dict[str, Outcome]]]
"""``(days, engine, tell=..., **settings)``: operates all prepared days; for each day, name -> outcome.

``tell`` is called with what is being done. ``flat`` is added where it is missing.
"""


def integrated(days: Sequence[PreparedDay], engine: SerialEngine | DaskEngine, *, tell: Tell = silent) -> list[dict[str, Outcome]]:  # noqa: ARG001
    """The integrated optimum alone, which every prepared day has already."""
    return [{} for _ in days]


MECHANISMS: dict[str, Mechanism] = {
    "integrated": integrated,
    "pricing": pricing,
    "bidirectional": bidirectional,
    "predictive": predictive,
    "hybrid": hybrid,
}
