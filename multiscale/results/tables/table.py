"""A table of the report: values with units, also as CSV."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from multiscale.results.words.numbers import number
from multiscale.spreadsheets import without_formulas

CENT = 0.005
"""Half a cent a year: less than this is rounding [EUR/a]."""

_DIGITS = {"pu": 5, "%": 4}
"""Unit of a row -> significant digits; 3 for all others."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        key: name of its CSV file.
        title: caption.
        frame: values; one row per line.
        units: column -> unit, shown in the head.
        note: one sentence below.
        marked: rows set in bold, e.g. totals.
        shown: whether the rows are in the page; otherwise they are in the CSV file only.
    """

    key: str
    title: str
    frame: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    marked: tuple[int, ...] = ()
    shown: bool = True

    def cells(self) -> list[list[tuple[str, bool]]]:
        """Text of every cell and whether it is a number.

        Rows whose column ``unit`` is pu or % have more digits than others: voltages and loadings differ from their limits by little. What is less
        than a ten-thousandth of a pu, or a tenth of a percent, beyond a limit is still shown as the limit; a column has the distance.
        """
        units = self.frame["unit"] if "unit" in self.frame else [""] * len(self.frame)
        rows = zip(self.frame.itertuples(index=False), units, strict=True)
        return [[(number(v, _DIGITS.get(str(unit), 3)) if _is_number(v) else str(v), _is_number(v)) for v in row] for row, unit in rows]

    def heads(self) -> list[tuple[str, str, bool]]:
        """Column names, units, and whether the column holds numbers."""
        return [(str(c), self.units.get(str(c), ""), len(self.frame) > 0 and all(map(_is_number, self.frame[c]))) for c in self.frame.columns]

    @property
    def wide(self) -> bool:
        """Whether the table needs small print."""
        return len(self.frame.columns) > 8

    @property
    def dense(self) -> bool:
        """Whether the table is one to look things up in: long, and set small."""
        return len(self.frame) > 40

    @property
    def narrow(self) -> bool:
        """Whether the table needs less than the width of the page."""
        return len(self.frame.columns) <= 5 and not any(len(str(v)) > 40 for v in self.frame.to_numpy().ravel())

    def csv(self) -> str:
        """The table as a data URI, with units in the head and all digits."""
        named = self.frame.rename(columns={c: f"{c} [{u}]" for c, u in self.units.items()})
        return "data:text/csv;base64," + base64.b64encode(without_formulas(named).to_csv(index=False).encode("utf-8")).decode("ascii")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def settled(frame: pd.DataFrame, tolerance: float = 1e-6) -> pd.DataFrame:
    """Rounding left from sums shown as the zero that it is; what has no value keeps none."""
    numbers = frame.select_dtypes("number").columns
    return frame.assign(**{c: frame[c].mask(frame[c].abs() <= tolerance, 0.0) for c in numbers})
