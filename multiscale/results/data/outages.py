"""The AC power flow under single outages in the dataset and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.verification.outages import worst_first

if TYPE_CHECKING:
    from multiscale.verification.outages import OutageCheck

COLUMNS = {
    "restored_through": ("", "open lines that are closed"),
    "periods_overloaded": ("1", "representative periods in which a branch that keeps a reserve is overloaded"),
    "periods_cut": ("1", "representative periods in which ratings hold because feed-in is cut"),
    "periods_diverged": ("1", "representative periods whose power flow did not converge"),
    "branch": ("", "highest loaded branch of those that keep a reserve"),
    "loading": ("%", "its loading under the outage"),
    "lowest_voltage": ("pu", "lowest voltage under the outage"),
    "demand_lost": ("kW", "largest demand that stays without supply"),
}


def outages_dataset(outages: Mapping[str, OutageCheck]) -> xr.Dataset:
    """One entry per line that was taken out, dimension ``outage``."""
    rows = [check.outages for check in outages.values() if len(check.outages)]
    if not rows:
        return xr.Dataset()
    frame = pd.concat(rows, ignore_index=True)
    out = {}
    for column, (unit, meaning) in COLUMNS.items():
        attributes = {"long_name": meaning} | ({"units": unit} if unit else {})
        out[f"outage_{column}"] = ("outage", frame[column].to_numpy(dtype=float if unit else str), attributes)
    return xr.Dataset(out, coords={"outage": frame["line"].to_numpy(dtype=str)})


def outages_summary(outages: Mapping[str, OutageCheck]) -> dict[str, tuple[Any, str]]:
    """Lines taken out, outages that are not survived, and the worst of them."""
    checks = [check for check in outages.values() if len(check.outages)]
    if not checks:
        return {}
    frame = pd.concat([check.outages for check in checks], ignore_index=True)
    failed = pd.concat([check.failed for check in checks], ignore_index=True)
    worst = worst_first(failed).head(1)
    found: dict[str, tuple[Any, str]] = {
        "ac.outages.lines": (len(frame), "1"),
        "ac.outages.periods": (checks[0].periods, "1"),
        "ac.outages.failed": (len(failed), "1"),
        "ac.outages.diverged": (int((frame["periods_diverged"] > 0).sum()), "1"),
        "ac.outages.feed_in_cut": (int((frame["periods_cut"] > 0).sum()), "1"),
        "ac.outages.unrestored": (sum(len(check.unrestored) for check in checks), "1"),
        "ac.outages.demand_lost": (float(frame["demand_lost"].max()), "kW"),
        "ac.outages.lowest_voltage": (float(np.fmin.reduce(frame["lowest_voltage"])), "pu"),
    }
    for row in worst.itertuples():
        found["ac.outages.worst_line"] = str(row.line), ""
        if row.periods_overloaded:
            found |= {"ac.outages.worst_branch": (str(row.branch), ""), "ac.outages.worst_loading": (float(row.loading), "%")}
    return found
