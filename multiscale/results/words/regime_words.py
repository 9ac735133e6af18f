"""How the report speaks of the regulatory regime of a run."""

from __future__ import annotations

from multiscale.planning.regimes import REGIMES, Regime
from multiscale.results.run.run_result import RunResult


def regime_of(result: RunResult) -> type[Regime]:
    """The regime of a run; the first of the registry where a run folder says nothing."""
    return REGIMES[str(result.config().get("regime", {}).get("kind", next(iter(REGIMES))))]
