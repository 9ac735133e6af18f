"""What two results differ in: dataset variable by variable, summary key by key, within a tolerance.

equal    |a - b| <= absolute + relative max(|a|, |b|),  both NaN, or equal texts, at every label
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from multiscale.results.run.run_result import RunResult

MEASURED = ("time.", "memory.")
"""Beginning of the keys of the summary that no two runs have in common."""


@dataclass(frozen=True)
class Tolerance:
    """How far values may be apart: relative to the larger of the two, and in the unit of the value."""

    relative: float = 1e-6
    absolute: float = 1e-6


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        name: variable of the dataset, key of the summary, or ``status``.
        kind: ``dataset`` or ``summary``.
        what: in words.
        where: labels of the largest difference; empty where there is one value only.
        before, after: the values there, as text.
        absolute: largest difference, in the unit of the value; NaN where it is none of numbers.
        relative: the same, relative to the larger of the two.
        unit: of the value.
    """

    name: str
    kind: str
    what: str
    where: str = ""
    before: str = ""
    after: str = ""
    absolute: float = math.nan
    relative: float = math.nan
    unit: str = ""


def differences(one: RunResult, other: RunResult, tolerance: Tolerance) -> tuple[list[Difference], int]:
    """What two results differ in, and how many variables and keys were compared."""
    found = [] if one.status == other.status else [Difference("status", "summary", "differs", before=one.status, after=other.status)]
    before, after = one.dataset or xr.Dataset(), other.dataset or xr.Dataset()
    names = list(dict.fromkeys([*before.variables, *after.variables]))
    for name in names:
        found += _of_variable(str(name), before.variables.get(name), after.variables.get(name), before, tolerance)
    keys = [key for key in dict.fromkeys([*one.summary, *other.summary]) if not key.startswith(MEASURED)]
    for key in keys:
        found += _of_key(key, one.summary.get(key), other.summary.get(key), tolerance)
    return found, len(names) + len(keys) + 1


def _of_variable(name: str, one: xr.Variable | None, other: xr.Variable | None, data: xr.Dataset, tolerance: Tolerance) -> Iterator[Difference]:
    if one is None or other is None:
        yield Difference(name, "dataset", "is new" if one is None else "is missing")
        return
    unit = str(one.attrs.get("units", ""))
    if unit != str(other.attrs.get("units", "")):
        yield Difference(name, "dataset", "has another unit", before=unit, after=str(other.attrs.get("units", "")))
    elif one.dims != other.dims or one.shape != other.shape:
        yield Difference(name, "dataset", "has other dimensions", before=str(dict(one.sizes)), after=str(dict(other.sizes)))
    elif one.size:
        yield from _of_values(name, one, other, data, tolerance, unit)


def _of_values(name: str, one: xr.Variable, other: xr.Variable, data: xr.Dataset, tolerance: Tolerance, unit: str) -> Iterator[Difference]:
    numbers = one.dtype.kind in "fiub" and other.dtype.kind in "fiub"
    if numbers:
        a, b = one.values.astype(float), other.values.astype(float)
        apart = _apart(a, b)
        allowed = tolerance.absolute + tolerance.relative * np.fmax(np.abs(a), np.abs(b))
        beyond = apart > np.where(np.isfinite(allowed), allowed, 0.0)
    else:
        a, b = one.values.astype(str), other.values.astype(str)
        beyond = a != b
        apart = np.where(beyond, np.inf, 0.0)
    if not beyond.any():
        return
    at = np.unravel_index(int(np.argmax(np.where(beyond, apart, -1.0))), apart.shape)
    largest = float(apart[at]) if numbers else math.nan
    where = ", ".join(f"{dim} {data[dim].values[k] if dim in data.coords else k}" for dim, k in zip(one.dims, at, strict=True))
    what = f"differs at {int(beyond.sum())} of {one.size} values" if one.size > 1 else "differs"
    scale = max(abs(float(a[at])), abs(float(b[at]))) if numbers else math.nan
    yield Difference(name, "dataset", what, where, str(a[at]), str(b[at]), largest, largest / scale if scale > 0 else largest, unit)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances: 0 where both are NaN or the same infinity, infinite where one of them is."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def _of_key(key: str, one: tuple[Any, str] | None, other: tuple[Any, str] | None, tolerance: Tolerance) -> Iterator[Difference]:
    if one is None or other is None:
        yield Difference(key, "summary", "is new" if one is None else "is missing")
        return
    a, b = one[0], other[0]
    if one[1] != other[1]:
        yield Difference(key, "summary", "has another unit", before=one[1], after=other[1])
    elif _number(a) and _number(b):
        apart, scale = float(_apart(np.array(a, dtype=float), np.array(b, dtype=float))), max(abs(a), abs(b))
        if apart > tolerance.absolute + tolerance.relative * scale:
            yield Difference(key, "summary", "differs", "", str(a), str(b), apart, apart / scale if scale > 0 else apart, one[1])
    elif a != b:
        yield Difference(key, "summary", "differs", before=str(a), after=str(b), unit=one[1])


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
