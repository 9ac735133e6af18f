"""The dataset of a run: labelled, every variable with unit and long name, in one netCDF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from multiscale.files import write_atomically
from multiscale.results.run.plain_values import plain

FLOW_DIRECTIONS = ("to customers", "back")
"""Directions in which a branch has a usable rating of its own (``branch_usable``)."""


def missing_declarations(dataset: xr.Dataset) -> list[str]:
    """Variables without ``units`` (numbers) or ``long_name`` (all), one line each."""
    found = []
    for name, variable in dataset.data_vars.items():
        lacking = [
            key for key in ("units", "long_name") if not str(variable.attrs.get(key, "")) and (key == "long_name" or variable.dtype.kind in "fiu")
        ]
        if lacking:
            found.append(f"{name}: no {' and no '.join(lacking)}")
    return found


def write_dataset(dataset: xr.Dataset, path: Path, record: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Check, stamp and write.

    Args:
        dataset: the answer.
        path: netCDF file.
        record: provenance; kept in the attribute ``provenance`` as JSON, its main items also as attributes of their own.

    Returns:
        The dataset as stored.

    Raises:
        ValueError: variables without unit or long name, all of them named.
        OSError: the file cannot be written, e.g. because the disk is full; nothing of it is left.
    """
    lacking = missing_declarations(dataset)
    if lacking:
        raise ValueError("result variables are not fully declared: " + "; ".join(lacking))
    stamped = dataset.copy()
    for name, variable in stamped.data_vars.items():
        if variable.dtype.kind in "OUS":
            stamped[name].attrs.setdefault("units", "")
    record = dict(record or {})
    stamped.attrs |= {
        "title": str(record.get("config", {}).get("study", {}).get("question", "")),
        "source": f"multiscale {record.get('multiscale', '')}",
        "config_sha256": str(record.get("config_sha256", "")),
        "code_sha256": str(record.get("code_sha256", "")),
        "provenance": json.dumps(plain(record)),
    }
    encoding = {str(name): {"zlib": True, "complevel": 4} for name, v in stamped.data_vars.items() if v.dtype.kind in "fiu" and v.size > 64}
    # Made in memory: a disk that is full while HDF5 writes to it may end the process.
    write_atomically(path, bytes(stamped.to_netcdf(None, engine="h5netcdf", encoding=encoding)))
    return stamped


def read_dataset(path: Path) -> xr.Dataset:
    """Read a run's dataset into memory."""
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        dataset = stored.load()
    for name, variable in dataset.variables.items():
        if variable.dtype.kind == "O":
            dataset[name] = dataset[name].astype(str).assign_attrs(variable.attrs) if name in dataset.data_vars else dataset[name].astype(str)
    return dataset


def has(dataset: xr.Dataset | None, *names: str) -> bool:
    """Whether all the variables are there and hold anything."""
    return dataset is not None and all(name in dataset and dataset[name].size > 0 for name in names)


def reinforced_branches(data: xr.Dataset, scenario: str) -> list[str]:
    """Branches that are reinforced in a scenario; none where that is not known."""
    if not has(data, "built", "option_branch"):
        return []
    return list(dict.fromkeys(data.option_branch.values[data.built.sel(scenario=scenario).values > 0].tolist()))


def year_total(values: xr.DataArray, hours: xr.DataArray) -> xr.DataArray:
    """Sum over periods of power x hours of the year [kWh/a]; NaN where a period has no value."""
    return (values * hours).sum("period", skipna=False)


def finite(values: xr.DataArray) -> np.ndarray:
    """The finite values, flat."""
    flat = values.values.ravel()
    return np.asarray(flat[np.isfinite(flat)], dtype=float)


def compared_scenarios(dataset: xr.Dataset | None) -> tuple[str, str] | None:
    """Baseline and headline scenario of a dataset; None where it does not hold both."""
    if dataset is None or "scenario" not in dataset.coords:
        return None
    names = dataset.attrs.get("baseline"), dataset.attrs.get("headline")
    known = set(dataset.scenario.values.tolist())
    return (str(names[0]), str(names[1])) if known.issuperset(names) else None


def scenario_names(dataset: xr.Dataset) -> list[str]:
    """The scenarios in their order."""
    return [str(name) for name in dataset.scenario.values]


def scenario_title(dataset: xr.Dataset, name: str) -> str:
    """A scenario in plain words; its name where the dataset holds no title."""
    return str(dataset.scenario_title.sel(scenario=name).item()) if has(dataset, "scenario_title") else name
