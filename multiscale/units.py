"""Units at the boundary: a number with a unit written by people becomes a plain number in the declared unit."""

from __future__ import annotations

import functools
import math
import re
from typing import Any


class UnitError(ValueError):
    """A text that is no quantity, or one of another kind than declared."""


@functools.cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("euro = [currency] = EUR = Euro")
    registry.define("euro_cent = euro / 100 = ct = cent_EUR")
    registry.define("kiloeuro = 1000 euro = kEUR")
    registry.define("megaeuro = 1e6 euro = MEUR")
    registry.define("voltampere_reactive = volt * ampere = var")
    registry.define("per_unit = [] = pu")
    return registry


def convert(value: str | float, unit: str) -> float:
    """The number in the declared unit.

    Args:
        value: a number (already in the unit), or a text such as ``8 ct/kWh``.
        unit: declared unit, e.g. ``EUR/kWh``; ``1`` for a share.

    Raises:
        UnitError: no number, an unknown unit, or a quantity of another kind.
    """
    if not isinstance(value, str):
        return float(value)
    match = _QUANTITY.fullmatch(value)
    if match is None:
        raise UnitError(f"{value!r} cannot be read as a number in {unit}")
    number, given = float(match["number"]), match["unit"].replace("€", "EUR")
    if not math.isfinite(number):
        raise UnitError(f"{value!r} is larger than any number that can be computed with")
    if not given:
        return number
    if len(given) > _LONGEST or not _UNIT.fullmatch(given):
        raise UnitError(f"{value!r} cannot be read as a number in {unit}")
    import numpy as np
    import pint

    registry = _registry()
    try:
        with np.errstate(over="ignore"):
            converted = float(registry.Quantity(number, given).to("dimensionless" if unit == "1" else unit).magnitude)
    except pint.DimensionalityError:
        raise UnitError(f"{value!r} is not a quantity in {unit}") from None
    except (pint.PintError, ValueError, AssertionError):
        # ValueError: a number among the units (nan); AssertionError: logarithmic units that do not stand alone (dB/m).
        raise UnitError(f"{value!r} cannot be read as a number in {unit}") from None
    if not math.isfinite(converted):
        raise UnitError(f"{value!r} is larger than any number that can be computed with")
    return converted


_QUANTITY = re.compile(r"\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(?P<unit>|[^\d\s.+-].*?|1?/.*?)\s*", re.ASCII)
"""A number and the name of a unit behind it: nothing is calculated."""
_FACTOR = r"(?:1|[^\W\d]\w*|%|°\w*|Ω|µ\w+)(?:(?:\^|\*\*)-?[1-3])?"
_TERM = rf"(?:{_FACTOR}|\({_FACTOR}(?:\s*[*/·]\s*{_FACTOR})*\))"
_UNIT = re.compile(rf"/?\s*{_TERM}(?:\s*[*/·]\s*{_TERM}|\s+{_FACTOR})*")
"""Units multiplied and divided, with exponents of one digit."""
_LONGEST = 60
"""Largest length of a unit."""

_REACTIVE = ("var", "kvar", "Mvar", "MVAr", "mvar")


def conversion_factor(given: str, unit: str) -> float:
    """What a number in the given unit is multiplied with to be one in the declared unit.

    Args:
        given: unit as people write it, e.g. ``MW``, ``ct/kWh``, ``%``.
        unit: declared unit, e.g. ``kW``; ``1`` for a share.

    Raises:
        UnitError: an unknown unit, or one of another kind (active and reactive power count as different kinds), or of another zero (degC).
    """
    if given == unit:
        return 1.0
    if not given.strip():
        raise UnitError(f"no unit is no unit of the kind of [{unit}]")
    if "degC" in (given, unit):
        raise UnitError(f"[{given}] is not [{unit}] times a factor")
    if (given in _REACTIVE) != (unit in _REACTIVE):
        raise UnitError(f"[{given}] is not a unit of the kind of [{unit}]")
    return convert(f"1 {_spelled(given)}", unit)


def _spelled(unit: str) -> str:
    """Spellings of the field that the registry does not know."""
    known = {"MVAr": "Mvar", "mvar": "Mvar", "1": "dimensionless", "-": "dimensionless", "°": "degree", "Ω": "ohm"}
    return known.get(unit, unit)
