"""What a network file may name: reading a pandapower JSON file imports every module that it names, so the names are checked before.

And whether its tables are tables of a network: identifiers that repeat, or are no whole numbers, and texts where numbers stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multiscale.system.validation import Problem

_MODULES = frozenset(
    {"pandas", "pandas.core.frame", "pandas.core.series", "pandas.core.indexes.base", "numpy", "pandapower.auxiliary", "pandapower.std_types"}
)
_BUILTINS = frozenset({"complex", "tuple", "set", "frozenset", "int", "float", "str", "bool"})
_FAMILIES = (
    "pandapower.control.",
    "pandapower.timeseries.",
    "pandapower.protection.",
    "networkx.classes.",
    "shapely.geometry.",
    "geopandas.geodataframe",
)
_LINES = 5
"""Elements named of one kind of problem."""

NUMBERS = {
    "bus": ("vn_kv",),
    "line": ("from_bus", "to_bus", "length_km", "r_ohm_per_km", "x_ohm_per_km", "max_i_ka"),
    "trafo": ("hv_bus", "lv_bus", "sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent"),
    "load": ("bus", "p_mw", "q_mvar"),
    "sgen": ("bus", "p_mw", "q_mvar"),
    "storage": ("bus", "p_mw", "max_e_mwh"),
    "gen": ("bus", "p_mw"),
    "ext_grid": ("bus",),
    "switch": ("bus", "element"),
}
"""Table -> columns that hold numbers."""
_BUSES = ("bus", "from_bus", "to_bus", "hv_bus", "lv_bus")


def named_modules(text: str) -> Iterator[tuple[str, str]]:
    """Module and class of every object that a JSON text names, in texts within texts too.

    Raises:
        ValueError: the text is no JSON.
    """
    stack: list[Any] = [json.loads(text)]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "_module" in item or "_class" in item:
                yield str(item.get("_module", "")), str(item.get("_class", ""))
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, str) and item.lstrip()[:1] in ("{", "["):
            try:
                stack.append(json.loads(item))
            except ValueError:
                continue


def _allowed(module: str, name: str) -> bool:
    if module == "builtins":
        return name in _BUILTINS
    tests = any(part.startswith("test") for part in module.split("."))
    return not tests and (module in _MODULES or module.startswith(_FAMILIES))


def foreign_objects(file: Path) -> list[Problem]:
    """Objects of a network file that no network has; nothing is imported to find them.

    Raises:
        ValueError: the file is no JSON.
    """
    found = sorted({pair for pair in named_modules(file.read_text(encoding="utf-8")) if not _allowed(*pair)})
    message = "is no part of a network, and reading the file would import and run it; remove the object, and do not open the file elsewhere unchecked"
    return [Problem("file", file.name, "object", repr(".".join(filter(None, pair))), "", message) for pair in found]


def table_problems(net: Any) -> list[Problem]:
    """Tables that are none of a network: missing ones, repeated or odd identifiers, texts instead of numbers, buses that do not exist."""
    problems: list[Problem] = []
    buses = net["bus"].index if isinstance(net.get("bus"), pd.DataFrame) else None
    for kind, columns in NUMBERS.items():
        frame = net.get(kind)
        if not isinstance(frame, pd.DataFrame):
            problems.append(Problem("network", "all", kind, "", "", "is no table; write the network with pandapower's to_json"))
            continue
        if len(frame) and not pd.api.types.is_integer_dtype(frame.index.dtype):
            message = "is no whole number; number the rows of the table"
            problems.append(Problem(kind, str(frame.index[0]), "index", repr(frame.index[0]), "", message))
            continue
        repeated = frame.index[frame.index.duplicated()].unique()
        problems += [
            Problem(kind, str(k), "index", str(k), "", "stands in several rows of the table; number every row once") for k in repeated[:_LINES]
        ]
        for column in columns:
            if column not in frame:
                if len(frame) and column in _BUSES:
                    problems.append(Problem(kind, "all", column, "", "", "is missing; add the column"))
                continue
            problems += _column_problems(kind, frame[column], buses if column in _BUSES else None)
        if "in_service" in frame:
            problems += _flag_problems(kind, frame["in_service"])
    return problems


def as_declared(net: Any) -> None:
    """Give columns of a network without ``table_problems`` the type of what they hold, where a file states none; the tables are changed."""
    for kind, columns in NUMBERS.items():
        frame = net[kind]
        for column in columns:
            if column in frame and frame[column].dtype == object:
                frame[column] = pd.to_numeric(frame[column])
        for column in _BUSES:
            if column in frame and not pd.api.types.is_integer_dtype(frame[column].dtype):
                frame[column] = frame[column].astype("int64")
        if "in_service" in frame and frame["in_service"].dtype != bool:
            frame["in_service"] = frame["in_service"].astype(bool)


def _flag_problems(kind: str, given: pd.Series) -> list[Problem]:
    wrong = ~given.isin([True, False]).to_numpy()
    message = "is neither true nor false; give one of both"
    return [Problem(kind, str(given.index[k]), str(given.name), str(given.iloc[k]), "", message) for k in np.flatnonzero(wrong)[:_LINES]]


def _column_problems(kind: str, given: pd.Series, buses: pd.Index | None) -> list[Problem]:
    column = str(given.name)
    values = pd.to_numeric(given, errors="coerce") if given.dtype == object else given
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return [Problem(kind, "all", column, str(values.dtype), "", "is the type of the column; give numbers")]
    wrong = (values.isna() & given.notna()).to_numpy() | np.isinf(values.to_numpy(float, na_value=np.nan))
    message = "is not a number; give a number"
    if buses is not None:
        unknown = ~values.isin(buses).to_numpy()
        wrong, message = wrong | unknown, "is no bus of the network; give the number of one"
    return [Problem(kind, str(given.index[k]), column, str(given.iloc[k]), "", message) for k in np.flatnonzero(wrong)[:_LINES]]
