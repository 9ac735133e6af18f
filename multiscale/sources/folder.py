"""A folder of tables whose headers state their units, as a system, and back.

``branches.csv`` begins, for example, with ``branch,node,kind,from_bus,to_bus,rating [kVA],r [ohm],x [ohm],...``. A number column may be in
any unit of the declared kind; ``docs/data.md`` lists all columns.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from multiscale.attribute import Attribute
from multiscale.sources.settings import PathSettings
from multiscale.sources.timestamps import read_timestamps
from multiscale.system.approximation import Approximation
from multiscale.system.schema import COMPONENTS, table
from multiscale.system.system import System
from multiscale.system.validation import InvalidSystemError, Problem
from multiscale.units import UnitError, conversion_factor

FILES = {
    "node": "nodes",
    "bus": "buses",
    "branch": "branches",
    "prosumer": "prosumers",
    "device": "devices",
    "generator": "generators",
    "option": "options",
}
"""Component -> name of its file (``.csv`` or ``.parquet``); ``options`` may be absent."""

_OPTIONAL = ("option",)
_SUFFIX = re.compile(r"_(kva|kwh|kw|kvar|kv|pu|ohm|nf|km|percent|degree|minutes|years|eur_per_kwh|eur)$")
_HEADER = re.compile(r"^\s*(?P<name>.*?)\s*(?:\[(?P<unit>[^\]]*)\])?\s*$")
_FLAGS = {"true": True, "1": True, "yes": True, "1.0": True, "false": False, "0": False, "no": False, "0.0": False}
_log = logging.getLogger(__name__)


def column_header(attribute: str, declared: Attribute) -> str:
    """Header of an attribute's column: its name without the unit's suffix, and its unit in brackets."""
    return f"{_SUFFIX.sub('', attribute)} [{declared.unit}]" if declared.kind == "number" else attribute


class FolderSettings(PathSettings):
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
    return folder_system(settings.path)


def folder_system(path: str | Path) -> System:
    """The system that a folder of tables describes.

    Raises:
        InvalidSystemError: missing files or columns, unknown columns, columns without unit or of another kind, texts where numbers are
            declared, all of them listed.
    """
    folder = Path(path)
    problems: list[Problem] = []
    notes: list[str] = []
    if not folder.is_dir():
        raise InvalidSystemError(
            [Problem("folder", str(folder), "", "", "", "does not exist; give the path of a folder with " + ", ".join(FILES.values()))]
        )
    tables = {component: _read_table(folder, component, problems, notes) for component in FILES}
    profiles, units = _read_profiles(folder, problems)
    problems += _unit_problems(tables, units)
    if problems:
        raise InvalidSystemError(problems)
    assert profiles is not None
    about = folder / "about.json"
    stated = _about(about) if about.is_file() else {}
    for note in notes:
        _log.info("%s", note)
    return System(
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


def _about(file: Path) -> dict[str, Any]:
    """What ``about.json`` states: name, notes, approximations.

    Raises:
        InvalidSystemError: another file than ``write_folder`` writes.
    """
    remedy = 'write {"name": "...", "notes": []}, or remove the file'
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InvalidSystemError([Problem("file", file.name, "", "", "", f"is not JSON ({error}); {remedy}")]) from None
    right = isinstance(stated, dict) and all(isinstance(stated.get(key, []), list) for key in ("notes", "approximations"))
    right = right and all(isinstance(row, dict) and {"component", "field", "done"} <= set(row) for row in stated.get("approximations", ()))
    if not right or not all(isinstance(note, str) for note in stated.get("notes", ())):
        raise InvalidSystemError([Problem("file", file.name, "", "", "", f"does not hold a name and notes; {remedy}")])
    return stated


def write_folder(system: System, path: str | Path, kind: str = "csv") -> None:
    """Write a system as a folder of tables (``csv`` or ``parquet``) that ``folder_system`` reads.

    Raises:
        ValueError: another kind of file.
    """
    if kind not in ("csv", "parquet"):
        raise ValueError(f"tables cannot be written as {kind!r}; choose csv or parquet")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    for component, name in FILES.items():
        data: xr.Dataset = getattr(system, name)
        frame = data.to_dataframe().rename(columns={a: column_header(a, d) for a, d in COMPONENTS[component].items()})
        _write(frame, folder / f"{name}.{kind}", kind)
    columns: dict[str, np.ndarray] = {}
    units = {name: a.unit for c, column, a in _profile_columns() if a.unit for name in set(getattr(system, FILES[c])[column].values.tolist())}
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
        frame.to_csv(file)


def _open(folder: Path, name: str, problems: list[Problem], optional: bool = False) -> tuple[pd.DataFrame | None, str]:
    """The table of that name as text, and the name of its file."""
    for ending in ("csv", "parquet"):
        file = folder / f"{name}.{ending}"
        if not file.is_file():
            continue
        try:
            frame = pd.read_csv(file, dtype=str, keep_default_na=False) if ending == "csv" else pd.read_parquet(file)
        except Exception as error:
            problems.append(
                Problem("file", file.name, "", "", "", f"cannot be read ({type(error).__name__}: {error}); write it as {ending} with a header")
            )
            return None, file.name
        return frame, file.name
    if not optional:
        problems.append(Problem("file", f"{name}.csv", "", "", "", "is missing; add it (or the same as .parquet)"))
    return None, f"{name}.csv"


def _read_table(folder: Path, component: str, problems: list[Problem], notes: list[str]) -> xr.Dataset:
    attributes = COMPONENTS[component]
    empty = table(component, [], {a: [] for a, d in attributes.items() if d.default is None})
    frame, file = _open(folder, FILES[component], problems, component in _OPTIONAL)
    if frame is None:
        return empty
    before = len(problems)
    names = {a: a for a in attributes} | {_SUFFIX.sub("", a): a for a in attributes}
    columns: dict[str, np.ndarray] = {}
    if component not in frame:
        problems.append(Problem("file", file, component, "", "", "column is missing; it holds the identifiers"))
        ids = np.array([f"row {k + 1}" for k in range(len(frame))])
    else:
        ids = frame[component].astype(str).to_numpy(str)
    for header in frame.columns:
        if header == component:
            continue
        match = _HEADER.match(str(header))
        name, unit = (match["name"], match["unit"]) if match else (str(header), None)
        if name not in names:
            expected = ", ".join(column_header(a, d) for a, d in attributes.items())
            problems.append(Problem("file", file, name, "", "", f"is no column of this table; its columns are {component}, {expected}"))
            continue
        attribute = names[name]
        if attribute in columns:
            problems.append(Problem("file", file, str(header), "", "", "occurs twice; leave one of the columns out"))
            continue
        columns[attribute] = _column(component, ids, attribute, unit, frame[header], file, problems, notes)
    problems += [
        Problem("file", file, column_header(attribute, declared), "", "", f"column is missing; add it: {declared.meaning}")
        for attribute, declared in attributes.items()
        if declared.default is None and attribute not in columns
    ]
    return table(component, ids, columns) if len(problems) == before else empty


def _column(
    component: str, ids: np.ndarray, attribute: str, unit: str | None, given: pd.Series, file: str, problems: list[Problem], notes: list[str]
) -> np.ndarray:
    declared = COMPONENTS[component][attribute]
    if declared.kind == "text":
        return given.astype(object).where(given.notna(), "").astype(str).to_numpy(object)
    if declared.kind == "flag":
        values = given.astype(str).str.strip().str.lower().map(_FLAGS)
        problems += [
            Problem(component, str(ids[k]), attribute, repr(str(given.iloc[k])), "", "is neither true nor false; write true or false")
            for k in np.flatnonzero(values.isna())
        ]
        return values.eq(True).to_numpy(bool)
    factor = _factor(file, attribute, unit, declared, problems, notes)
    text = given.astype(str).str.strip()
    blank = text.str.lower().isin(("", "nan", "none"))
    numbers = pd.to_numeric(text.where(~blank), errors="coerce")
    expected = f"give a number in {unit or declared.unit}"
    problems += [
        Problem(component, str(ids[k]), attribute, repr(text.iloc[k]), "", f"is not a number; {expected}")
        for k in np.flatnonzero(numbers.isna() & ~blank)
    ]
    default = np.nan if declared.default is None else float(declared.default)
    if declared.default is None:
        problems += [Problem(component, str(ids[k]), attribute, "", "", f"is missing; {expected}") for k in np.flatnonzero(blank)]
    return np.where(blank, default, numbers.to_numpy(float) * factor)


def _factor(file: str, attribute: str, unit: str | None, declared: Attribute, problems: list[Problem], notes: list[str]) -> float:
    wanted = column_header(attribute, declared)
    if unit is None:
        problems.append(Problem("file", file, attribute, "", "", f"column states no unit; write its header as {wanted!r}"))
        return 1.0
    try:
        factor = conversion_factor(unit, declared.unit)
    except UnitError:
        problems.append(
            Problem(
                "file", file, attribute, "", "", f"column is in [{unit}], which does not convert to {declared.unit}; write its header as {wanted!r}"
            )
        )
        return 1.0
    if unit != declared.unit:
        notes.append(f"{file}: column {attribute} is in {unit}, converted to {declared.unit} (x {factor:g})")
    return factor


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


def _read_profiles(folder: Path, problems: list[Problem]) -> tuple[xr.Dataset | None, dict[str, str]]:
    """The profiles, and the unit of each: a share, or one in which a column declares the profiles it names."""
    frame, file = _open(folder, "profiles", problems)
    units: dict[str, str] = {}
    if frame is None:
        return None, units
    before = len(problems)
    if "time" not in frame:
        problems.append(Problem("file", file, "time", "", "", "column is missing; give the time stamps, e.g. 2016-01-01 00:15:00"))
        return None, units
    time = read_timestamps(frame["time"])
    if time.isna().any():
        k = int(np.flatnonzero(time.isna())[0])
        message = f"in row {k + 1} is no time stamp; write e.g. 2016-01-01 00:15:00"
        problems.append(Problem("profile", "time", "time", repr(str(frame["time"].iloc[k])), "", message))
    values: dict[str, dict[str, np.ndarray]] = {"p": {}, "q": {}}
    physical = {declared.unit for _, _, declared in _profile_columns() if declared.unit}
    for header in frame.columns:
        if header == "time":
            continue
        match = _HEADER.match(str(header))
        name, unit = (match["name"], match["unit"]) if match else (str(header), None)
        variable = name[-1] if name.endswith((" p", " q")) else "p"
        profile = name[:-2] if name.endswith((" p", " q")) else name
        units[profile] = unit if unit is not None and unit in physical else "1"
        try:
            factor = conversion_factor(unit, units[profile]) if unit is not None else np.nan
        except UnitError:
            factor = np.nan
        if not np.isfinite(factor):
            problems.append(
                Problem("file", file, str(header), "", "", f"column states no share as its unit; write its header as '{name} [1]' or '{name} [%]'")
            )
            continue
        if profile in values[variable]:
            message = f"is a second column of profile {profile!r}; leave one of them out"
            problems.append(Problem("file", file, str(header), "", "", message))
        values[variable][profile] = _course(file, profile, frame[header], time, problems) * factor
    problems += [
        Problem("profile", profile, "p", "", "", f"column is missing; add '{profile} p [1]' in addition to its reactive one")
        for profile in values["q"]
        if profile not in values["p"]
    ]
    if len(problems) > before:
        return None, units
    names: Sequence[str] = list(values["p"])
    stacked = {v: np.stack([values[v].get(n, values["p"][n]) for n in names], axis=1) if names else np.zeros((len(time), 0)) for v in ("p", "q")}
    data = {
        v: (("time", "profile"), stacked[v].astype(np.float32), {"units": "1", "long_name": f"{kind} power relative to the rating"})
        for v, kind in (("p", "active"), ("q", "reactive"))
    }
    return xr.Dataset(data, coords={"time": time.to_numpy().astype("datetime64[ns]"), "profile": np.array(names, dtype=str)}), units


def _course(file: str, profile: str, given: pd.Series, time: pd.Series, problems: list[Problem]) -> np.ndarray:
    numbers = pd.to_numeric(given, errors="coerce")
    text = given.astype(str).str.strip().str.lower()
    # Gaps stay NaN, for the validation to report; a text is a mistake of its own.
    wrong = np.flatnonzero(numbers.isna() & ~text.isin(("", "nan", "none")))
    if len(wrong):
        k = wrong[0]
        message = f"at {time.iloc[k]} in {file} is the first of {len(wrong)} entries that are no number; give shares of the rating"
        problems.append(Problem("profile", profile, "p", repr(str(given.iloc[k])), "", message))
    return numbers.to_numpy(float)
