"""What a network file may name, and what is taken of it: its tables and plain values. Nothing that it names is imported, run or opened.

pandapower's readers import the module of every object that a file names, and open the path that stands where a table should; so they are given the
tables alone, written anew from what was read as plain JSON. Objects (controllers, characteristics, graphs) are replaced by the names of their classes,
as the conversion uses none of them. A file that names an object which no network has is refused.

And whether its tables are tables of a network: identifiers that repeat, or are no whole numbers, and texts where numbers stand.
"""

from __future__ import annotations

import json
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
_NETWORK = ("pandapower.auxiliary", "pandapowerNet")
_FRAMES = (("pandas", "DataFrame"), ("pandas.core.frame", "DataFrame"))
_FRAME_KEYS = ("orient", "dtype", "index_name", "column_name")
_VALUES = ("numpy", "builtins", "pandas.core.indexes.base")
"""Modules of objects that are their plain content: numbers, arrays, tuples, sets, indices."""
_SPACE = "\ufeff \t\r\n"

Named = set[tuple[str, str]]
"""Module and class of objects."""


def plain_network_text(text: str) -> tuple[str, Named]:
    """A JSON network without any object but the network and its tables, as JSON; and the objects that the text names, in texts within texts too.

    Raises:
        ValueError: the text is no JSON object, or a table in it is none.
        RecursionError: it is nested too deeply.
    """
    content, named = json.loads(text), set()  # type: tuple[Any, Named]
    wrapped = isinstance(content, dict) and _object(content) == _NETWORK
    tables = content.get("_object") if wrapped else content
    tables = json.loads(tables) if isinstance(tables, str) else tables
    if not isinstance(tables, dict) or (not wrapped and _object(tables) != ("", "")):
        named |= objects_in(content)
        tables = {}
    kept = {
        key: _frame(value, named) if isinstance(value, dict) and _object(value) in _FRAMES else plain(value, named) for key, value in tables.items()
    }
    return json.dumps({"_module": _NETWORK[0], "_class": _NETWORK[1], "_object": kept} if wrapped else kept), named


def plain(item: Any, named: Named) -> Any:
    """A value without objects: arrays, numbers and the like by their content, all others by the name of their class; ``named`` gets all of them."""
    if isinstance(item, list):
        return [plain(part, named) for part in item]
    if isinstance(item, dict):
        inside = {key: plain(value, named) for key, value in item.items()}
        if not {"_module", "_class"} & set(item):
            return inside
        module, name = _object(item)
        named.add((module, name))
        return inside.get("_object") if module in _VALUES and not isinstance(inside.get("_object"), dict) else name
    if isinstance(item, str) and item.lstrip(_SPACE)[:1] in ("{", "["):
        try:
            value = plain(json.loads(item.lstrip(_SPACE)), within := set())
        except ValueError:
            return item
        named |= within
        return value if within else item
    return item


def objects_in(item: Any) -> Named:
    """Objects that a value names."""
    named: Named = set()
    plain(item, named)
    return named


def _object(item: dict[str, Any]) -> tuple[str, str]:
    return str(item.get("_module", "")), str(item.get("_class", ""))


def _frame(item: dict[str, Any], named: Named) -> dict[str, Any]:
    """A table whose content is JSON, never a path, and whose cells are plain."""
    named |= objects_in([value for key, value in item.items() if key != "_object"])
    content = item.get("_object")
    content = json.loads(content) if isinstance(content, str) else content
    if not isinstance(content, dict):
        raise ValueError(f"a table has the content {str(content)[:60]!r}, which is no JSON object")
    keys = {key: item[key] for key in _FRAME_KEYS if key in item}
    return {"_module": "pandas", "_class": "DataFrame", "_object": json.dumps(plain(content, named)), **plain(keys, named)}


def foreign_objects(named: Named, file: str) -> list[Problem]:
    """Objects that no network has, of those that a file names."""
    message = "is no part of a network, and other programs would import and run it; remove the object, and do not open the file elsewhere unchecked"
    return [Problem("file", file, "object", repr(".".join(filter(None, pair))), "", message) for pair in sorted(named) if not _allowed(*pair)]


def _allowed(module: str, name: str) -> bool:
    if module == "builtins":
        return name in _BUILTINS
    tests = any(part.startswith("test") for part in module.split("."))
    return not tests and (module in _MODULES or module.startswith(_FAMILIES))


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
    return problems


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
