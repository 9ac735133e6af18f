"""A utility's spreadsheet (xlsx with several sheets, or a folder of CSV files) as a pandapower network; all that is wrong is listed at once."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multiscale.attribute import Attribute
from multiscale.sources.spreadsheet_columns import BUSES, CUSTOMERS, GRID, LINES, OPTIONAL, SHEETS, TRANSFORMERS, header
from multiscale.sources.text_tables import TableError, header_parts, numbers, read_text_table
from multiscale.system.problem import InvalidSystemError, Problem, close_names
from multiscale.units import UnitError, conversion_factor

_FLAGS = {"true": True, "1": True, "yes": True, "1.0": True, "false": False, "0": False, "no": False, "0.0": False, "": True}


def is_spreadsheet(path: Path) -> bool:
    """Whether a file or folder holds the tables of a utility: sheets, or CSV files, named as ``SHEETS`` names them."""
    if path.is_dir():
        return (path / f"{LINES}.csv").is_file() and (path / f"{BUSES}.csv").is_file()
    if path.suffix.lower() != ".xlsx":
        return False
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            return {BUSES, LINES} <= {str(name).strip().lower() for name in book.sheet_names}
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        return False


def spreadsheet_network(path: Path) -> Any:
    """The network of a utility's tables, for ``pandapower_system``.

    Args:
        path: xlsx file, or folder of CSV files.

    Raises:
        InvalidSystemError: missing sheets or columns, columns without unit or of another kind, values out of range, names of buses that do not exist:
            all of it.
    """
    problems: list[Problem] = []
    sheets = _sheets(path, problems)
    tables = {sheet: _table(sheet, sheets.get(sheet), path, problems) for sheet in SHEETS}
    _references(tables, problems)
    if problems:
        raise InvalidSystemError(problems)
    return _network(tables, path.stem)


def _sheets(path: Path, problems: list[Problem]) -> dict[str, pd.DataFrame]:
    """Every sheet as texts."""
    found: dict[str, pd.DataFrame] = {}
    if path.is_dir():
        for sheet in SHEETS:
            file = path / f"{sheet}.csv"
            if file.is_file():
                try:
                    found[sheet] = read_text_table(file, lambda text: header_parts(text)[1] is not None)
                except TableError as error:
                    problems.append(Problem("file", file.name, "", "", "", str(error)))
        return found
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            for name in book.sheet_names:
                sheet = str(name).strip().lower()
                if sheet in SHEETS:
                    frame = book.parse(name, dtype=object).dropna(how="all").dropna(axis=1, how="all")
                    found[sheet] = frame.set_axis([str(c).strip() for c in frame.columns], axis=1).reset_index(drop=True)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        problems.append(Problem("file", path.name, "", "", "", f"cannot be read ({type(error).__name__}: {error}); save it as xlsx"))
    return found


def _table(sheet: str, frame: pd.DataFrame | None, path: Path, problems: list[Problem]) -> pd.DataFrame:
    """The sheet in declared units, defaults filled in; what cannot be read is among the problems."""
    columns = SHEETS[sheet]
    if frame is None:
        if sheet not in OPTIONAL and not any(p.component == "file" for p in problems):
            expected = ", ".join(header(name, d) for name, d in columns.items())
            problems.append(Problem("sheet", sheet, "", "", "", f"is missing in '{path.name}'; add it, with the columns {expected}"))
        return pd.DataFrame({name: [] for name in columns})
    given = {}
    for text in frame.columns:
        name, unit = header_parts(str(text))
        if name not in columns:
            problems.append(Problem("sheet", sheet, str(text), "", "", f"is no column{close_names(name, columns)}; leave it out, or rename it"))
        elif name in given:
            problems.append(Problem("sheet", sheet, str(text), "", "", "occurs twice; leave one of the columns out"))
        else:
            given[name] = (frame[text], unit)
    first = next(iter(columns))
    names = [str(v).strip() if v == v and v is not None else "" for v in given[first][0]] if first in given else [""] * len(frame)
    out: dict[str, Any] = {}
    for name, declared in columns.items():
        if name not in given:
            if declared.default is None:
                problems.append(Problem("sheet", sheet, header(name, declared), "", "", f"column is missing; add it: {declared.meaning}"))
            out[name] = [declared.default] * len(frame)
        else:
            out[name] = _column(sheet, names, name, declared, *given[name], problems)
    table = pd.DataFrame(out)
    if sheet != GRID:
        twice = table[first][table[first].astype(str).duplicated() & (table[first] != "")].unique()
        problems += [Problem(sheet, str(name), first, "", "", "occurs twice; give every one a name of its own") for name in twice]
    return table


def _column(
    sheet: str, names: list[str], name: str, declared: Attribute, given: pd.Series, unit: str | None, problems: list[Problem]
) -> list[Any] | np.ndarray:
    def wrong_at(places: Any, message: str, value: str = "") -> None:
        for k in np.flatnonzero(places).tolist():
            shown = repr(texts[k]) if value == "text" else f"{scaled[k]:g}" if value == "number" else ""
            problems.append(Problem(sheet, names[k] or f"row {k + 2}", name, shown, declared.unit if value == "number" else "", message))

    texts = given.astype(object).where(given.notna(), "").astype(str).str.strip()

    if declared.kind == "flag":
        flags = texts.str.lower().map(_FLAGS)
        wrong_at(flags.isna(), "is neither true nor false; write true or false", "text")
        return flags.eq(True).to_list()
    if declared.kind == "text":
        if declared.default is None:
            wrong_at(texts == "", f"is missing; give it: {declared.meaning}")
        return [text or (declared.default or "") for text in texts]
    try:
        if unit is None or not unit.strip():
            raise UnitError
        factor = conversion_factor(unit.strip(), declared.unit)
    except UnitError:
        said = f"is in [{unit}], which does not convert to {declared.unit}" if unit else "states no unit"
        problems.append(Problem("sheet", sheet, name, "", "", f"column {said}; write its header as {header(name, declared)!r}"))
        return np.full(len(given), np.nan)
    values, blank, wrong = numbers(given)
    wrong_at(wrong, f"is not a number; give a number in {unit}", "text")
    if declared.default is None:
        wrong_at(blank, f"is missing; give a number in {unit}")
    scaled = np.where(blank, np.nan if declared.default is None else declared.default, values * factor)
    outside = (scaled < declared.lower) | (scaled > declared.upper) | ((scaled <= 0) & declared.positive)
    low = "above 0" if declared.positive else f"from {declared.lower:g}"
    high = f" to {declared.upper:g}" if np.isfinite(declared.upper) else ""
    wrong_at(outside & ~wrong, f"is outside {low}{high}; correct the value or the unit", "number")
    return scaled


def _references(tables: Mapping[str, pd.DataFrame], problems: list[Problem]) -> None:
    """Names of buses that do not exist; nothing is said where the sheet of buses could not be read."""
    known = set(tables[BUSES]["bus"])
    if not known:
        return
    for sheet, columns in SHEETS.items():
        for name, declared in columns.items():
            if declared.refers_to != "bus" or sheet == BUSES:
                continue
            first = next(iter(columns))
            for owner, bus in zip(tables[sheet][first], tables[sheet][name], strict=True):
                if bus and bus not in known:
                    problems.append(
                        Problem(sheet, str(owner), name, repr(bus), "", f"is no bus of sheet '{BUSES}'{close_names(bus, known)}; correct it")
                    )


def _network(tables: Mapping[str, pd.DataFrame], name: str) -> Any:
    """The tables as a pandapower network."""
    import pandapower as pp

    net = pp.create_empty_network(name=name)
    at = {
        row["bus"]: pp.create_bus(net, row["voltage"], name=row["bus"], min_vm_pu=row["v_min"], max_vm_pu=row["v_max"], geodata=(row["x"], row["y"]))
        for row in tables[BUSES].to_dict("records")
    }
    for row in tables[GRID].to_dict("records"):
        pp.create_ext_grid(net, at[row["bus"]], vm_pu=row["voltage"], name=f"grid at {row['bus']}")
    for row in tables[LINES].to_dict("records"):
        pp.create_line_from_parameters(
            net, at[row["from_bus"]], at[row["to_bus"]], row["length"], row["r"], row["x"], row["c"], row["i_max"] / 1e3,
            name=row["line"], parallel=int(row["parallel"]), in_service=bool(row["closed"]),
        )  # fmt: skip
    for row in tables[TRANSFORMERS].to_dict("records"):
        pp.create_transformer_from_parameters(
            net, at[row["hv_bus"]], at[row["lv_bus"]], row["rating"] / 1e3, row["vn_hv"], row["vn_lv"], row["vkr"], row["vk"],
            row["iron_losses"], row["no_load_current"], name=row["transformer"],
        )  # fmt: skip
    for row in tables[CUSTOMERS].to_dict("records"):
        reactive = row["peak"] * math.tan(math.acos(row["power_factor"]))
        pp.create_load(net, at[row["bus"]], row["peak"] / 1e3, reactive / 1e3, name=row["customer"])
        net.load.loc[net.load.index[-1], ["customer_class", "profile"]] = [row["class"], row["profile"]]
        if row["pv"] > 0:
            pp.create_sgen(net, at[row["bus"]], row["pv"] / 1e3, name=f"{row['customer']} pv", type="PV")
    return net
