"""Bidirectional negotiation as a mechanism: every day is negotiated over the whole tree and operated as agreed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.common.prepared import PreparedDay, Tell, silent
from multiscale.coordination.engine import Engine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.checkpoint import keeping
from multiscale.coordination.negotiation.state import Options
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.day_reserves import forecast_errors
from multiscale.operation import OperatingTree
from multiscale.operation.reserves import ForecastErrors


def negotiated_outcome(
    tree: OperatingTree,
    engine: Engine,
    options: Options,
    watch: Callable[[Step], None] | None = None,
    errors: Mapping[str, ForecastErrors] | None = None,
    kept: tuple[Path, str] | None = None,
) -> Outcome:
    """Negotiate a tree and operate it as agreed.

    Args:
        tree: programs of all nodes.
        engine: where platforms compute their answers.
        options: how to negotiate.
        watch: called after every step.
        errors: node -> its forecast errors, see ``negotiation_of``.
        kept: folder and name under which the negotiation is kept after every round, and taken up where it is there already.

    Raises:
        CheckpointError: what is kept cannot be used, see ``keeping``.
    """
    negotiated = negotiation_of(tree, engine, options, errors=errors)
    keep = keeping(negotiated, *kept) if kept else None
    return outcome_of(negotiated, negotiated.run(watch, keep))


def bidirectional(
    days: Sequence[PreparedDay],
    engine: Engine,
    *,
    method: str = "hybrid",
    gap: float = 1e-4,
    rounds: int = 40,
    forecast_error: float = 0.0,
    coverage: float = 2.0,
    checkpoints: Path | None = None,
    tell: Tell = silent,
) -> list[dict[str, Outcome]]:
    """Negotiate every day, where forecasts err also about who covers their errors.

    Args:
        days: prepared days; where forecasts err, their trees with a ``reach`` of coverage times error.
        engine: where platforms compute their answers.
        method, gap, rounds: see ``Options``.
        forecast_error: standard deviation of relative errors of demand and generation [1].
        coverage: standard deviations of them that are covered [1].
        checkpoints: folder in which every day's negotiation is kept after every round, and from which it is taken up.
        tell: told after every step.
    """
    options, error = Options(method=method, gap=gap, rounds=rounds), ErrorModel(forecast_error)
    found = []
    for day in days:

        def watch(step: Step, name: str = day.name) -> None:
            tell(f"{name}: {step}")

        errors = forecast_errors(day.tree, error, coverage=coverage) if forecast_error > 0 else None
        kept = (checkpoints, day.name) if checkpoints is not None else None
        found.append({"bidirectional": negotiated_outcome(day.tree, engine, options, watch, errors, kept)})
    return found
