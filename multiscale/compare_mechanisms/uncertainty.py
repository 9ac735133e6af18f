"""Cost of covering forecast errors by agreement, against every level hedging alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from multiscale.coordination.forecast import ErrorModel
from multiscale.coordination.prepared import PreparedDay
from multiscale.coordination.uncertainty import covered_day


def uncertainty_table(day: PreparedDay, error: ErrorModel, correlations: Sequence[float]) -> pd.DataFrame:
    """Cost of covering two standard deviations over the day [EUR], by correlation of the errors: by agreement, and every level alone."""
    rows = []
    share = float(day.tree.horizon.step_hours / day.tree.horizon.hours_per_year[0])
    for rho in correlations:
        found = covered_day(day.tree, day.forecast, replace(error, common=rho), tolerance=1e-5)
        cost, bound, alone = (share * float(a.sum()) for a in (found.cost, found.bound, found.alone))
        rows.append((rho, cost, bound, alone, cost / alone))
    return pd.DataFrame(rows, columns=["correlation", "by agreement [EUR]", "bound [EUR]", "alone [EUR]", "share"])
