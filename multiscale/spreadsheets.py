"""Texts that a spreadsheet would calculate: a name such as ``=HYPERLINK(...)`` in a CSV file is a formula to the program that opens it."""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"^'*[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def escaped(text: object) -> object:
    """A text with ``'`` before it where a spreadsheet would take it for a formula; anything else as it is."""
    if isinstance(text, str) and _FORMULA.match(text) and not _NUMBER.match(text):
        return f"'{text}"
    return text


def unescaped(text: object) -> object:
    """The text that ``escaped`` was given."""
    return text[1:] if isinstance(text, str) and text.startswith("'") and _FORMULA.match(text[1:]) else text


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it may be written to CSV: cells and headers escaped."""
    cells = frame.copy(deep=False)
    for k, kind in enumerate(frame.dtypes):
        if isinstance(kind, pd.CategoricalDtype):
            cells.isetitem(k, frame.iloc[:, k].cat.rename_categories(escaped))
        elif kind.kind == "O" or isinstance(kind, pd.StringDtype):
            cells.isetitem(k, frame.iloc[:, k].astype(object).map(escaped))
    index = cells.index.map(escaped) if cells.index.dtype == object else cells.index
    return cells.set_axis(index.rename(cells.index.name), axis=0).rename(columns=escaped)
