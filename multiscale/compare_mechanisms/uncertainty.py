"""Cost of reserves for forecast errors by agreement, negotiated together with energy, against every level hedging alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.day_reserves import forecast_errors


def uncertainty_table(day: PreparedDay, error: ErrorModel, correlations: Sequence[float], gap: float = 1e-4) -> pd.DataFrame:
    """What the day costs more because forecasts err [EUR], by correlation of the errors: by agreement, and with every level alone.

    Cost of a day: energy and flexibility held back, each negotiated to the ``gap``. What the TSO's own errors cost without the DSOs is not in it.

    Args:
        day: prepared with an ``error_margin`` of ``COVERAGE`` times the error.
        error: size of the errors; its correlation is replaced.
        correlations: of any two errors.
        gap: relative gap at which the negotiations end.
    """
    options, tree = NegotiationOptions(gap=gap, rounds=60), day.tree
    share = float(tree.horizon.step_hours / tree.horizon.hours_per_year[0])

    def negotiated(alone: bool | None, common: float = 0.0) -> tuple[float, float, float, int]:
        errors = None if alone is None else forecast_errors(tree, replace(error, common=common), alone=alone)
        negotiation = negotiation_of(tree, SerialEngine(), options, errors=errors)
        outcome = outcome_of(negotiation, negotiation.run())
        held = 0.0 if outcome.reserves is None else outcome.reserves.total
        print(f"{'energy alone' if alone is None else f'correlation {common:g}, alone {alone}'}: gap {outcome.gap:.1e}", file=sys.stderr, flush=True)
        return share * outcome.cost, share * outcome.bound, share * held, outcome.rounds

    energy = negotiated(None)[0]
    rows = []
    for rho in correlations:
        cost, bound, held, rounds = negotiated(False, rho)
        alone = negotiated(True, rho)
        rows.append((rho, energy, cost - energy, bound - energy, held, alone[0] - energy, alone[1] - energy, rounds))
    columns = ["correlation", "energy alone", "more by agreement", "at least", "of it held back", "more alone", "at least, alone", "rounds"]
    return pd.DataFrame(rows, columns=columns)
