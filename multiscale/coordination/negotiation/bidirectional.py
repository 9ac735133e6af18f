"""Bidirectional negotiation as a mechanism: every day is negotiated over the whole tree and operated as agreed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Progress, silent
from multiscale.coordination.common.settings import CoordinationSettings
from multiscale.coordination.engine import Engine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.checkpoint import keeping
from multiscale.coordination.negotiation.children.carriers import Children
from multiscale.coordination.negotiation.children.channel import ChannelSettings
from multiscale.coordination.negotiation.state import METHODS, NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.agreement import COVERAGE
from multiscale.coordination.uncertainty.day_reserves import forecast_errors
from multiscale.operation import OperatingTree
from multiscale.operation.reserves import ForecastErrors
from multiscale.programs import Basis
from multiscale.settings import OneOf, count, quantity


def negotiated_outcome(
    tree: OperatingTree,
    engine: Engine,
    options: NegotiationOptions,
    watch: Callable[[Step], None] | None = None,
    errors: Mapping[str, ForecastErrors] | None = None,
    kept: tuple[Path, str] | None = None,
    through: Callable[[Children], Children] = lambda children: children,
    starts: Mapping[str, Basis] | None = None,
) -> Outcome:
    """Negotiate a tree and operate it as agreed.

    Args:
        tree: programs of all nodes.
        engine: where platforms compute their answers.
        options: how to negotiate.
        watch: called after every step.
        errors: node -> its forecast errors, see ``negotiation_of``.
        kept: folder and name under which the negotiation is kept after every round, and taken up where it is there already.
        through: wraps the way from the TSO to the DSOs, e.g. in an unreliable channel.
        starts: platform -> basis of its program at similar prices, where one is known.

    Raises:
        CheckpointError: what is kept cannot be used, see ``keeping``.
    """
    negotiated = negotiation_of(tree, engine, options, errors=errors, starts=starts)
    keep = keeping(negotiated, *kept) if kept else None
    return outcome_of(negotiated, negotiated.run(watch, keep, through))


class BidirectionalSettings(CoordinationSettings):
    """Prices and profiles to and fro until a proven gap."""

    kind: Literal["bidirectional"] = "bidirectional"
    method: Annotated[str, OneOf(METHODS)] = Field(
        "hybrid", description="how the next prices are found: level bundle and targets together (hybrid), either alone, or neither (columns)"
    )
    gap: float = quantity(1e-4, "1", "relative gap to a proven bound at which a negotiation ends", lower=0.0, upper=1.0)
    rounds: int = count(40, "largest number of rounds of a negotiation", 1, 1000)
    coverage: float = quantity(COVERAGE, "1", "standard deviations of the forecast error for which reserves are negotiated", lower=0.0, upper=5.0)
    quorum: float = quantity(1.0, "1", "share of the distribution systems whose answers end a round", above=0.0, upper=1.0)
    patience: int = count(25, "steps without any answer after which a distribution system is excluded", 1, 1000)
    channel: ChannelSettings = ChannelSettings()
    checkpoints: Path | None = Field(
        None, description="folder in which the negotiation of every day is kept after every round, and from which an interrupted run goes on"
    )

    @model_validator(mode="after")
    def _something_covered(self) -> BidirectionalSettings:
        if self.forecast_error > 0 and self.coverage == 0:
            raise ValueError("coverage 0 standard deviations asks for no reserves; give one above zero, or forecast_error=0")
        return self


@dataclass(frozen=True)
class Bidirectional(Mechanism):
    """Every day is negotiated; where forecasts err, the reserves for their errors too."""

    settings: BidirectionalSettings

    name = "bidirectional"
    day_by_worker = False

    @property
    def error_margin(self) -> float:
        """See ``Mechanism``: the errors for which reserves are negotiated."""
        return self.settings.coverage * self.settings.forecast_error

    def operate(self, days: Sequence[PreparedDay], engine: Engine, report_progress: Progress = silent) -> list[dict[str, Outcome]]:
        """See ``Mechanism``; where forecasts err, the trees of the days need the ``error_margin``."""
        settings, error = self.settings, self.settings.error
        options = NegotiationOptions(settings.method, settings.gap, rounds=settings.rounds, quorum=settings.quorum, patience=settings.patience)
        found = []
        for day in (given.afresh() for given in days):

            def watch(step: Step, name: str = day.name) -> None:
                report_progress(f"{name}: {step}")

            errors = forecast_errors(day.tree, error, coverage=settings.coverage) if error.size > 0 else None
            kept = (settings.checkpoints, day.name) if settings.checkpoints is not None else None
            found.append({self.name: negotiated_outcome(day.tree, engine, options, watch, errors, kept, settings.channel.through, day.bases)})
        return found
