"""What a network file may name, and what is taken of it: its tables and plain values. Nothing that it names is imported, run or opened.

pandapower's readers import the module of every object that a file names, and open the path that stands where a table should; so they are given the
tables alone, written anew from what was read as plain JSON. Objects (controllers, characteristics, graphs) are replaced by the names of their
classes, as the conversion uses none of them. A file that names an object which no network has is refused.
"""

from __future__ import annotations

import json
from typing import Any

from multiscale.system.problem import Problem

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
        within: Named = set()
        try:
            value = plain(json.loads(item.lstrip(_SPACE)), within)
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
