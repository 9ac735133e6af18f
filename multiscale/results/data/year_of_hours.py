"""The AC power flow of the whole year in the dataset and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.verification.year import BASIS, violated_hours

if TYPE_CHECKING:
    from multiscale.verification.year import YearCheck, YearVerification


def year_dataset(year: Mapping[str, YearVerification]) -> xr.Dataset:
    """Largest loadings, lowest and highest voltages and hours of violation by branch and bus; violations as columns."""
    if not year:
        return xr.Dataset()
    out: dict[str, xr.DataArray] = {}
    for name, dim in (
        ("peak_loading", "branch"),
        ("overloaded_hours", "branch"),
        ("lowest_voltage", "bus"),
        ("highest_voltage", "bus"),
        ("violated_hours", "bus"),
    ):
        whole = xr.concat([v.result[name] for v in year.values()], dim=dim)
        out[f"year_{name}"] = whole.isel({dim: np.unique(whole[dim].values, return_index=True)[1]})
    rows = pd.concat([v.violations for v in year.values()], ignore_index=True)
    columns = {
        "component": ("", "what violates a limit in some hour of the year"),
        "identifier": ("", "its name"),
        "hours": ("h/a", "hours of the year"),
        "worst_hour": ("", "hour of the worst value"),
        "value": ("1", "worst value, in the unit of the row"),
        "limit": ("1", "limit, in the unit of the row"),
        "unit": ("", "unit of the row"),
    }
    for column, (unit, meaning) in columns.items():
        values = rows[column].to_numpy(dtype=float if unit else str)
        attributes = {"long_name": meaning} | ({"units": unit} if unit else {})
        out[f"year_violation_{column}"] = xr.DataArray(values, dims=("year_violation",), attrs=attributes)
    return xr.Dataset(out)


def year_summary(year: YearCheck) -> dict[str, tuple[Any, str]]:
    """Hours checked, violated and diverged, and the worst of each limit."""
    if not year.by_dso:
        return {}
    checks = list(year.by_dso.values())
    apart = [distance for check in checks for distance in check.voltage_violations.values()]
    return {
        "ac.year.hours": (checks[0].result.sizes["hour"], "h/a"),
        "ac.year.violated_hours": (violated_hours(checks), "h/a"),
        "ac.year.violated_hours_before": (year.violated_before, "h/a"),
        "ac.year.diverged_hours": (len(set().union(*(v.diverged for v in checks))), "h/a"),
        "ac.year.overloaded_branches": (sum(len(v.overloaded) for v in checks), "1"),
        "ac.year.buses_outside_band": (int(np.isfinite(apart).sum()), "1"),
        "ac.year.buses_without_supply": (int(np.isnan(apart).sum()), "1"),
        "ac.year.max_line_overload": (max((x for v in checks for x in v.overloaded.values()), default=0.0), "%"),
        "ac.year.max_voltage_violation": (max((x for x in apart if np.isfinite(x)), default=0.0), "pu"),
        "ac.year.basis": (BASIS, ""),
        "ac.year.dispatched_days": (len(year.dispatched), "d/a"),
        "ac.year.dispatched_unserved": (year.unserved, "kWh"),
        "ac.year.tightened": (year.tightened, "1"),
        "ac.year.left": ("; ".join(year.left), ""),
    }
