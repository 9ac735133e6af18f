"""Numbers as a reader wants them: few digits, thin groups of three, the unit behind."""

from __future__ import annotations

import math
from typing import Any

THIN = "\u202f"
"""Narrow space that does not break."""


def number(value: Any, digits: int = 3) -> str:
    """A number with the given significant digits, whole numbers in full; a dash where there is none."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 10 ** (digits - 1) or float(value).is_integer():
        text = f"{value:,.0f}"
        return "0" if text == "-0" else text.replace(",", THIN).replace("-", "−")
    if size < 10**-digits:
        return f"{value:.1e}".replace("e-0", "e-").replace("-", "−")
    decimals = digits - 1 - math.floor(math.log10(size))
    text = f"{value:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def amount(value: Any, unit: str, digits: int = 3) -> str:
    """A number and its unit; shares in percent, prices per kWh in cents."""
    if value is None or isinstance(value, str):
        return number(value)
    if unit == "EUR/kWh":
        return f"{number(100 * value, digits)}{THIN}ct/kWh"
    if unit in ("1", ""):
        return number(value, digits)
    return f"{number(value, digits)}{THIN}{unit}"


def percent(share: Any, digits: int = 2) -> str:
    """A share in percent."""
    return "–" if share is None else f"{number(100 * share, digits)}{THIN}%"


def reached_percent(share: float) -> str:
    """A share that was reached at least, in percent, rounded down to a tenth: 99.89 % is not 100 %."""
    return f"{number(math.floor(1000 * share + 1e-6) / 10, 4)}{THIN}%"


def euros(value: Any, per_year: bool = False) -> str:
    """Money, rounded to three or more digits."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    rounded = value if size < 1000 else round(value, 2 - math.floor(math.log10(size))) if size < 1e6 else round(value, -3)
    return f"{number(rounded, 3)}{THIN}EUR{'/a' if per_year else ''}"


def signed(value: float, per_year: bool = True) -> str:
    """Money with its sign."""
    return ("+" if value > 0 else "") + euros(value, per_year)


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
