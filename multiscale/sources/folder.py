"""A folder of tables whose headers state their units, as a system, and back.

``branches.csv`` begins, for example, with ``branch,node,kind,from_bus,to_bus,rating [kVA],r [ohm],x [ohm],...``. A number column may be in
any unit of the declared kind; ``docs/data.md`` lists all columns.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from multiscale.attribute import Attribute
from multiscale.sources.folder_tables import Faults, column_header, open_table, read_table
from multiscale.sources.pandapower_devices import drawn_power
from multiscale.sources.pandapower_tables import columns_of
from multiscale.sources.profile_files import profile_columns
from multiscale.sources.rings import opened_rings
from multiscale.sources.settings import LocalTimeSettings
from multiscale.spreadsheets import without_formulas
from multiscale.system.approximation import Approximation
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import COMPONENTS, TABLES, table
from multiscale.system.system import System
from multiscale.system.validation import validate

_log = logging.getLogger(__name__)


class FolderSettings(LocalTimeSettings):
    """A folder of tables, one CSV or Parquet file per component."""

    kind: Literal["folder"] = "folder"

    @model_validator(mode="after")
    def _folder_there(self) -> FolderSettings:
        if not self.path.exists():
            raise ValueError(f"path '{self.path}' does not exist")
        if not self.path.is_dir():
            raise ValueError(f"path '{self.path}' is no folder; give the folder that holds the tables")
        return self


def folder_source(settings: FolderSettings, co2_price: float) -> System:  # noqa: ARG001  its tables state the costs of generators
    """The system that the settings name."""
    return folder_system(settings.path, settings.time_zone)


def folder_system(path: str | Path, time_zone: str = "") -> System:
    """The system that a folder of tables describes.

    Args:
        path: the folder.
        time_zone: of time stamps without an offset; empty: standard time all year.

    Closed rings below the top level are opened where they carry least, and named in ``approximations``.

    Raises:
        InvalidSystemError: missing files or columns, unknown columns, columns without unit or of another kind, texts where numbers are
            declared, and whatever is wrong with the rest: all of them listed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InvalidSystemError(
            [Problem("folder", str(folder), "", "", "", "does not exist; give the path of a folder with " + ", ".join(TABLES.values()))]
        )
    faults, notes = Faults(), []  # type: tuple[Faults, list[str]]
    tables = {component: read_table(folder, component, faults, notes) for component in TABLES}
    profiles, units = _read_profiles(folder, tables, time_zone, faults, notes)
    faults.problems += _unit_problems(tables, units)
    stated = _about(folder, faults)
    system = System(
        name=str(stated.get("name", folder.name)),
        nodes=tables["node"],
        buses=tables["bus"],
        branches=tables["branch"],
        prosumers=tables["prosumer"],
        devices=tables["device"],
        generators=tables["generator"],
        options=tables["option"],
        profiles=profiles,
        notes=(*stated.get("notes", ()), *notes),
        approximations=Approximation.from_records(stated.get("approximations", ())),
    )
    if faults.problems:
        raise InvalidSystemError([*faults.problems, *faults.further(system)])
    for note in notes:
        _log.info("%s", note)
    return _radial(system)


def _radial(system: System) -> System:
    """The system with closed rings below the top opened as those of any network, see ``opened_rings``; unchanged where other things are wrong."""
    buses, branches, devices = (data.to_dataframe() for data in (system.buses, system.branches, system.devices))
    ends = pd.concat([branches["from_bus"], branches["to_bus"], devices["bus"]])
    one_top = np.count_nonzero(system.nodes.parent.values == "") == 1
    twice = buses.index.has_duplicates or branches.index.has_duplicates
    if not one_top or not len(branches) or not ends.isin(buses.index).all() or twice:
        return system
    changed: list[Approximation] = []
    opened = opened_rings(buses, branches, (buses["node"] == system.top).to_numpy(), drawn_power(devices), changed)
    if not changed or any(problem.field != "loop" for problem in validate(system)):
        return system
    for line in changed:
        _log.info("%s", line)
    return system.replace(branches=table("branch", opened.index, columns_of(opened)), approximations=(*system.approximations, *changed))


def _about(folder: Path, faults: Faults) -> dict[str, Any]:
    """What ``about.json`` states, where there is one: name, notes, approximations."""
    file = folder / "about.json"
    remedy = 'write {"name": "...", "notes": ["..."]}, or remove the file'
    if not file.is_file():
        return {}
    try:
        stated: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        faults.of_file(file.name, "", f"is not JSON ({error}); {remedy}")
        return {}
    right = isinstance(stated, dict) and all(isinstance(stated.get(key, []), list) for key in ("notes", "approximations"))
    right = right and all(isinstance(row, dict) and {"component", "field", "done"} <= set(row) for row in stated.get("approximations", ()))
    if not right or not all(isinstance(note, str) for note in stated.get("notes", ())):
        faults.of_file(file.name, "", f"does not hold a name and notes; {remedy}")
        return {}
    return dict(stated)


def write_folder(system: System, path: str | Path, kind: str = "csv") -> None:
    """Write a system as a folder of tables (``csv`` or ``parquet``) that ``folder_system`` reads.

    Raises:
        ValueError: another kind of file.
    """
    if kind not in ("csv", "parquet"):
        raise ValueError(f"tables cannot be written as {kind!r}; choose csv or parquet")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    for component, name in TABLES.items():
        data: xr.Dataset = getattr(system, name)
        frame = data.to_dataframe().rename(columns={a: column_header(a, d) for a, d in COMPONENTS[component].items()})
        _write(frame, folder / f"{name}.{kind}", kind)
    columns: dict[str, np.ndarray] = {}
    units = {name: a.unit for c, column, a in _profile_columns() if a.unit for name in set(getattr(system, TABLES[c])[column].values.tolist())}
    for variable in ("p", "q"):
        values = system.profiles[variable].transpose("time", "profile").to_numpy()
        for j, profile in enumerate(system.profiles.profile.values.tolist()):
            if profile not in units:
                columns[f"{profile} {variable} [1]"] = values[:, j]
            elif variable == "p":
                columns[f"{profile} [{units[profile]}]"] = values[:, j]
    index = pd.DatetimeIndex(system.profiles.time.values, name="time")
    _write(pd.DataFrame(columns, index=index), folder / f"profiles.{kind}", kind)
    about = {"name": system.name, "notes": list(system.notes), "approximations": [a.as_record() for a in system.approximations]}
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _write(frame: pd.DataFrame, file: Path, kind: str) -> None:
    if kind == "parquet":
        frame.reset_index().to_parquet(file)
    else:
        without_formulas(frame).to_csv(file)


def _profile_columns() -> list[tuple[str, str, Attribute]]:
    """Component, column and declaration of every column that names a profile."""
    return [(c, column, a) for c, attributes in COMPONENTS.items() for column, a in attributes.items() if a.refers_to == "profile"]


def _unit_problems(tables: Mapping[str, xr.Dataset], units: Mapping[str, str]) -> list[Problem]:
    """Profiles in another unit than the column that names them declares."""
    problems = []
    for component, column, declared in _profile_columns():
        wanted, data = declared.unit or "1", tables[component]
        for name, profile in zip(data[component].values.tolist(), data[column].values.tolist(), strict=True):
            if profile and units.get(profile, wanted) != wanted:
                message = f"is a profile in [{units[profile]}], and {declared.meaning} is in [{wanted}]; name another one"
                problems.append(Problem(component, name, column, repr(profile), "", message))
    return problems


def _read_profiles(
    folder: Path, tables: Mapping[str, xr.Dataset], time_zone: str, faults: Faults, notes: list[str]
) -> tuple[xr.Dataset, dict[str, str]]:
    """The profiles, and the unit of each: a share, or one in which a column declares the profiles it names."""
    frame, file = open_table(folder, "profiles", faults)
    physical = frozenset(declared.unit for _, _, declared in _profile_columns() if declared.unit)
    other = frozenset(str(n) for c, column, declared in _profile_columns() if declared.unit for n in tables[c][column].values.tolist() if n)
    before = len(faults.problems)
    found = None if frame is None else profile_columns(file, frame, time_zone, faults.problems, physical, no_shares=other, stated_only=True)
    if found is None or len(faults.problems) > before:
        faults.components.add("profile")
        day = pd.date_range("2016-01-01", periods=24, freq="h").to_numpy()
        empty = {v: (("time", "profile"), np.zeros((24, 0), dtype=np.float32)) for v in ("p", "q")}
        return xr.Dataset(empty, coords={"time": day, "profile": np.zeros(0, dtype=str)}), {}
    notes += found.notes
    names = [profile for profile, variable in found.series if variable == "p"]
    data = {}
    for variable, kind in (("p", "active"), ("q", "reactive")):
        columns = [found.series.get((n, variable), found.series[n, "p"]).values for n in names]
        values = np.stack(columns, axis=1).astype(np.float32)
        data[variable] = (("time", "profile"), values, {"units": "1", "long_name": f"{kind} power relative to the rating"})
    units = {name: found.series[name, "p"].unit for name in names}
    return xr.Dataset(data, coords={"time": found.time.to_numpy().astype("datetime64[ns]"), "profile": np.array(names, dtype=str)}), units
