"""The mechanisms there are; a new one is one file, one line here, and one file in ``conf/coordination/``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, silent
from multiscale.coordination.common.settings import CoordinationSettings
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.prediction.hybrid import Hybrid, HybridSettings
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.settings import Entry, registry


class IntegratedSettings(CoordinationSettings):
    """The whole tree as one program: the reference."""

    kind: Literal["integrated"] = "integrated"


@dataclass(frozen=True)
class Integrated(Mechanism):
    """The integrated optimum, which every prepared day has already."""

    settings: IntegratedSettings

    name = "integrated"
    needs_optimum = True

    def operate(
        self,
        days: Sequence[PreparedDay],
        engine: SerialEngine | DaskEngine,  # noqa: ARG002
        report_progress: Progress = silent,  # noqa: ARG002
    ) -> list[dict[str, Outcome]]:
        """See ``Mechanism``."""
        return [{self.name: day.optimum} for day in days]


MECHANISMS: dict[str, Entry[Callable[[Any], Mechanism]]] = registry(
    Entry(PricingSettings, Pricing),
    Entry(BidirectionalSettings, Bidirectional),
    Entry(PredictiveSettings, Predictive),
    Entry(HybridSettings, Hybrid),
    Entry(IntegratedSettings, Integrated),
)


def mechanism_of(settings: CoordinationSettings) -> Mechanism:
    """The mechanism that settings are for."""
    return next(entry.function(settings) for entry in MECHANISMS.values() if type(settings) is entry.settings)
