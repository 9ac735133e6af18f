"""A system in a folder of files: tables as Parquet, profiles as plain arrays that stay on disk until they are sampled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.system.approximation import Approximation
from multiscale.system.schema import table

TABLES = ("nodes", "buses", "branches", "prosumers", "devices", "generators", "options")
"""Tables of a system, in the order of its fields."""


def write_tables(
    folder: Path,
    name: str,
    tables: Mapping[str, xr.Dataset],
    profiles: xr.Dataset,
    notes: Sequence[str],
    approximations: Sequence[Approximation],
) -> None:
    """Write a system into a folder; profiles are rounded to float32."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, data in tables.items():
        data.to_dataframe().to_parquet(folder / f"{kind}.parquet")
    for variable in ("p", "q"):
        values = profiles[variable].transpose("time", "profile").to_numpy()
        np.save(folder / f"profiles_{variable}.npy", np.ascontiguousarray(values, dtype=np.float32))
    about = {
        "name": name,
        "notes": list(notes),
        "approximations": [a.as_record() for a in approximations],
        "time": profiles.time.values.astype("datetime64[s]").astype(int).tolist(),
        "profile": profiles.profile.values.astype(str).tolist(),
    }
    (folder / "system.json").write_text(json.dumps(about), encoding="utf-8")


def read_tables(folder: Path) -> dict[str, Any]:
    """Fields of the system that ``write_tables`` wrote."""
    fields: dict[str, Any] = {}
    for kind in TABLES:
        frame = pd.read_parquet(folder / f"{kind}.parquet")
        fields[kind] = table(str(frame.index.name), frame.index, {c: frame[c].to_numpy() for c in frame.columns})
    about = json.loads((folder / "system.json").read_text(encoding="utf-8"))
    data = {
        variable: (("time", "profile"), np.load(folder / f"profiles_{variable}.npy", mmap_mode="r"), {"units": "1", "long_name": meaning})
        for variable, meaning in (("p", "active power relative to the rating"), ("q", "reactive power relative to the rating"))
    }
    time = np.array(about["time"], dtype="datetime64[s]").astype("datetime64[ns]")
    fields["profiles"] = xr.Dataset(data, coords={"time": time, "profile": np.array(about["profile"], dtype=str)})
    fields["approximations"] = Approximation.from_records(about.get("approximations", ()))
    return fields | {"name": about["name"], "notes": tuple(about["notes"])}
