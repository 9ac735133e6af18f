"""The tables of a folder, read as far as they can be: what is wrong is listed, and set aside so that the rest can be checked as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.attribute import Attribute
from multiscale.sources.text_tables import TableError, header_parts, numbers, read_text_table
from multiscale.system.problem import Problem
from multiscale.system.schema import COMPONENTS, TABLES, table
from multiscale.system.system import System
from multiscale.system.validation import validate
from multiscale.units import UnitError, conversion_factor

_OPTIONAL = ("option",)
_SUFFIX = re.compile(r"_(kva|kwh|kw|kvar|kv|pu|ohm|nf|km|percent|degree|minutes|years|eur_per_kwh|eur)$")
_FLAGS = {"true": True, "1": True, "yes": True, "1.0": True, "false": False, "0": False, "no": False, "0.0": False}
_STRUCTURE = ("in_service", "from_bus", "to_bus", "boundary_bus", "parent", "node", "level", "bus", "kind")


@dataclass
class Faults:
    """What is wrong with the files, and what therefore cannot be judged.

    Attributes:
        problems: in the order of the files.
        cells: component, identifier and column of values that could not be read.
        columns: component and column, for columns that could not be read.
        components: those whose table could not be read (or ``profile``).
    """

    problems: list[Problem] = field(default_factory=list)
    cells: set[tuple[str, str, str]] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)
    components: set[str] = field(default_factory=set)

    def of_file(self, file: str, column: str, message: str) -> None:
        """Note what is wrong with a file as a whole, or with a column."""
        self.problems.append(Problem("file", file, column, "", "", message))

    def of_cell(self, component: str, identifier: str, column: str, value: str, message: str) -> None:
        """Note a value that could not be read."""
        self.problems.append(Problem(component, identifier, column, value, "", message))
        self.cells.add((component, identifier, column))

    def further(self, system: System) -> Iterator[Problem]:
        """What is wrong with the rest: the problems of the system that do not follow from what could not be read."""
        unread = {c for c, _, _ in self.cells} | {c for c, _ in self.columns} | self.components
        shaken = bool(self.components - {"profile"}) or any(f in _STRUCTURE for _, f in self.columns) or any(f in _STRUCTURE for *_, f in self.cells)
        for problem in validate(system):
            declared = COMPONENTS.get(problem.component, {}).get(problem.field)
            target = declared.refers_to if declared else ""
            follows = (
                problem.component in self.components
                or target in self.components
                or (problem.component, problem.field) in self.columns
                or (problem.component, problem.identifier, problem.field) in self.cells
                or (shaken and problem.field in ("island", "loop", "rated power"))
                or (problem.component == "node" and "node" in unread and problem.field == "parent")
            )
            if not follows:
                yield problem


def column_header(attribute: str, declared: Attribute) -> str:
    """Header of an attribute's column: its name without the unit's suffix, and its unit in brackets."""
    return f"{_SUFFIX.sub('', attribute)} [{declared.unit}]" if declared.kind == "number" else attribute


def open_table(folder: Path, name: str, faults: Faults, optional: bool = False) -> tuple[pd.DataFrame | None, str]:
    """The table of that name as text, and the name of its file."""
    for ending in ("csv", "parquet"):
        file = folder / f"{name}.{ending}"
        if not file.is_file():
            continue
        try:
            return read_text_table(file, lambda header: header_parts(header)[1] is not None), file.name
        except TableError as error:
            faults.of_file(file.name, "", str(error))
            return None, file.name
    if not optional:
        faults.of_file(f"{name}.csv", "", "is missing; add it (or the same as .parquet)")
    return None, f"{name}.csv"


def read_table(folder: Path, component: str, faults: Faults, notes: list[str]) -> xr.Dataset:
    """The table of a component; what cannot be read has its default, or none."""
    attributes = COMPONENTS[component]
    optional = component in _OPTIONAL
    before = len(faults.problems)
    frame, file = open_table(folder, TABLES[component], faults, optional)
    if frame is None:
        if not optional or len(faults.problems) > before:
            faults.components.add(component)
        return table(component, [], {a: [] for a, d in attributes.items() if d.default is None})
    names = {a: a for a in attributes} | {_SUFFIX.sub("", a): a for a in attributes}
    columns: dict[str, np.ndarray] = {}
    if component not in frame:
        faults.of_file(file, component, "column is missing; it holds the identifiers")
        faults.components.add(component)
        ids = np.array([f"row {k + 1}" for k in range(len(frame))])
    else:
        given = frame[component]
        ids = given.astype(object).where(given.notna(), "").astype(str).to_numpy(str)
    for header in frame.columns:
        if header == component:
            continue
        name, unit = header_parts(str(header))
        if name not in names:
            expected = ", ".join(column_header(a, d) for a, d in attributes.items())
            faults.of_file(file, name, f"is no column of this table; its columns are {component}, {expected}")
            continue
        attribute = names[name]
        if attribute in columns:
            faults.of_file(file, str(header), "occurs twice; leave one of the columns out")
            continue
        columns[attribute] = _column(component, ids, attribute, unit, frame[header], file, faults, notes)
    for attribute, declared in attributes.items():
        if declared.default is None and attribute not in columns:
            faults.of_file(file, column_header(attribute, declared), f"column is missing; add it: {declared.meaning}")
            faults.columns.add((component, attribute))
            columns[attribute] = np.full(len(ids), np.nan if declared.kind == "number" else "", dtype=float if declared.kind == "number" else object)
    return table(component, ids, columns)


def _column(
    component: str, ids: np.ndarray, attribute: str, unit: str | None, given: pd.Series, file: str, faults: Faults, notes: list[str]
) -> np.ndarray:
    declared = COMPONENTS[component][attribute]
    if declared.kind == "text":
        return given.astype(object).where(given.notna(), "").astype(str).to_numpy(object)
    if declared.kind == "flag":
        values = given.astype(str).str.strip().str.lower().map(_FLAGS)
        for k in np.flatnonzero(values.isna()):
            faults.of_cell(component, str(ids[k]), attribute, repr(str(given.iloc[k])), "is neither true nor false; write true or false")
        return values.eq(True).to_numpy(bool)
    factor = _factor(component, file, attribute, unit, declared, faults, notes)
    values, blank, wrong = numbers(given)
    expected = f"give a number in {unit or declared.unit}"
    for k in np.flatnonzero(wrong):
        faults.of_cell(component, str(ids[k]), attribute, repr(str(given.iloc[k]).strip()), f"is not a number; {expected}")
    if declared.default is None:
        for k in np.flatnonzero(blank):
            faults.of_cell(component, str(ids[k]), attribute, "", f"is missing; {expected}")
    default = np.nan if declared.default is None else float(declared.default)
    return np.where(blank, default, np.where(wrong, np.nan, values * factor))


def _factor(component: str, file: str, attribute: str, unit: str | None, declared: Attribute, faults: Faults, notes: list[str]) -> float:
    wanted = column_header(attribute, declared)
    message = ""
    if unit is None or not unit.strip():
        message = f"column states no unit; write its header as {wanted!r}"
    else:
        try:
            factor = conversion_factor(unit.strip(), declared.unit)
        except UnitError:
            message = f"column is in [{unit}], which does not convert to {declared.unit}; write its header as {wanted!r}"
    if message:
        faults.of_file(file, attribute, message)
        faults.columns.add((component, attribute))
        return 1.0
    if unit != declared.unit:
        notes.append(f"{file}: column {attribute} is in {unit}, converted to {declared.unit} (x {factor:g})")
    return factor
