"""What is said at the pointer where a value may be missing: the value with its unit, or that there is none, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, CustomJSHover

NOT_SUPPLIED = "not supplied, or not part of the power flow"
NOT_SOLVED = "the AC power flow of this step has no solution"

_SAID = """
if (value === value && value !== null)
  return value.toLocaleString("en-US", {maximumFractionDigits: digits}) + unit;
const known = sources.some((source) => Array.from(source.data[field]).some((v) => v === v && v !== null));
return "no value: " + (known ? one : all);
"""


def said(field: str, unit: str, digits: int, one: str, every: str, sources: Sequence[ColumnDataSource]) -> CustomJSHover:
    """A formatter of one field.

    Args:
        field: of the sources.
        unit: behind the value, with a space where one belongs.
        digits: behind the point.
        one: why a single value is missing while others of the field are known.
        every: why all are.
        sources: that hold the field.
    """
    from bokeh.models import CustomJSHover

    args = {"field": field, "unit": unit, "digits": digits, "one": one, "all": every, "sources": list(sources)}
    return CustomJSHover(args=args, code=_SAID, name=f"said_{field}")
