"""The columns of every table in words, for the documentation: generated from the schema."""

from __future__ import annotations

import numpy as np

from multiscale.attribute import Attribute
from multiscale.sources.folder import column_header
from multiscale.system.schema import COMPONENTS, TABLES


def describe_columns() -> str:
    """Markdown tables of all columns, one per file, as they stand in ``docs/data.md``."""
    parts = []
    for component, attributes in COMPONENTS.items():
        parts += [f"### `{TABLES[component]}` (identifier `{component}`)", "", "| column | meaning | values | default |", "|---|---|---|---|"]
        parts += [f"| `{column_header(name, a)}` | {a.meaning} | {_values(a)} | {_default(a)} |" for name, a in attributes.items()]
        parts.append("")
    return "\n".join(parts).rstrip()


def _values(declared: Attribute) -> str:
    if declared.choices:
        return ", ".join(f"`{choice}`" for choice in declared.choices if choice)
    if declared.refers_to:
        return f"name of a {declared.refers_to}" + (f" in {declared.unit}" if declared.unit else "")
    if declared.kind != "number":
        return "true, false" if declared.kind == "flag" else "text"
    low, high = np.isfinite(declared.lower), np.isfinite(declared.upper)
    if declared.positive:
        return f"above 0, at most {declared.upper:g}" if high else "above 0"
    if low and high:
        return f"{declared.lower:g} to {declared.upper:g}"
    if low:
        return f"at least {declared.lower:g}"
    return f"at most {declared.upper:g}" if high else "number"


def _default(declared: Attribute) -> str:
    if declared.default is None:
        return "required"
    if declared.kind == "flag":
        return str(declared.default).lower()
    if declared.kind == "text":
        return declared.default or "none"
    return "none" if np.isnan(declared.default) else f"{declared.default:g}"
