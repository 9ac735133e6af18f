"""Tables of people: CSV with commas, semicolons or tabs, decimal points or commas, and Parquet.

A file with semicolons or tabs between its columns may have decimal commas in its columns of numbers; names and identifiers stay as they are. One file
has either commas or points, or is refused: ``1.234`` is a thousand in one and a little more than one in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from multiscale.spreadsheets import unescaped

BLANK = ("", "nan", "none", "null")
"""Texts, in small letters, that say that there is no value."""
_COMMA = re.compile(r"^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$")
_POINT = re.compile(r"^\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*$")
_NUMBER = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")


_HEADER = re.compile(r"^\s*(?P<name>.*?)\s*(?:\[(?P<unit>[^\]]*)\])?\s*$", re.DOTALL)


def header_parts(header: str) -> tuple[str, str | None]:
    """Name and unit of a header ``name [unit]``; None where it states no unit."""
    match = _HEADER.match(header)
    return (match["name"], match["unit"]) if match else (header, None)


class TableError(ValueError):
    """A file that is no table; its text says why, and what to do."""


def read_text_table(file: Path, of_numbers: Callable[[str], bool], comment: str | None = None) -> pd.DataFrame:
    """All cells of a CSV file as text, or a Parquet file as it is.

    Args:
        file: CSV or Parquet.
        of_numbers: whether a header is that of a column of numbers, in which decimal commas are written as points.
        comment: sign from which on a line of a CSV file is not read.

    Raises:
        TableError: the file cannot be read, has no header, two columns of one name, rows of another length, or decimal commas and points.
    """
    if file.suffix == ".parquet":
        try:
            frame = pd.read_parquet(file)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise TableError(f"cannot be read ({type(error).__name__}: {_first_line(error)}); write it as parquet with named columns") from None
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        frame.columns = pd.Index([str(c) for c in frame.columns])
    else:
        frame = _read_csv(file, of_numbers, comment)
    names = pd.Index([str(c).strip() for c in frame.columns])
    if names.duplicated().any():
        raise TableError(f"has two columns {str(names[names.duplicated()][0])!r}; leave one of them out, or rename it")
    return frame.set_axis(names, axis=1)


def _read_csv(file: Path, of_numbers: Callable[[str], bool], comment: str | None) -> pd.DataFrame:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            head = next((line for line in stream if line.strip() and not (comment and line.startswith(comment))), "")
        separator = max(",;\t", key=head.count)
        form = {"sep": separator, "comment": comment, "encoding": "utf-8-sig", "header": None, "index_col": False}
        raw = pd.read_csv(file, dtype=str, keep_default_na=False, **form)
        if (place := file.read_bytes().find(b"\0")) >= 0:
            raise TableError(f"is damaged (byte {place} is zero); save it as CSV in UTF-8")
    except TableError:
        raise
    except UnicodeDecodeError as error:
        raise TableError(f"is not in UTF-8 (byte {error.start}); save it as CSV in UTF-8") from None
    except pd.errors.EmptyDataError:
        raise TableError("is empty; write a header, and a row for every element") from None
    except (ValueError, OSError) as error:
        raise TableError(f"cannot be read ({_first_line(error)}); write it as CSV with a header and rows of equal length") from None
    frame = raw.iloc[1:].reset_index(drop=True).set_axis(pd.Index(raw.iloc[0].map(unescaped)), axis=1)
    for column in range(frame.shape[1]):
        if frame.iloc[:, column].str.startswith("'").any():
            frame.isetitem(column, frame.iloc[:, column].map(unescaped))
    return frame if separator == "," else _with_points(frame, of_numbers)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _with_points(frame: pd.DataFrame, of_numbers: Callable[[str], bool]) -> pd.DataFrame:
    """The table with points instead of decimal commas in its columns of numbers."""
    columns = [column for column, header in enumerate(frame.columns) if of_numbers(str(header))]
    commas = [column for column in columns if frame.iloc[:, column].str.match(_COMMA).any()]
    points = [column for column in columns if frame.iloc[:, column].str.match(_POINT).any()]
    if not commas:
        return frame
    if points:
        comma, point = (str(frame.columns[columns[0]]) for columns in (commas, points))
        raise TableError(f"has decimal commas (column {comma!r}) and decimal points (column {point!r}); write one of them everywhere")
    out = frame.copy(deep=False)
    for column in commas:
        given = frame.iloc[:, column]
        out.isetitem(column, given.where(~given.str.match(_COMMA), given.str.replace(",", ".", regex=False)))
    return out


def numbers(given: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of a column; which cells are blank; which are no finite number (``inf``, ``0x10`` and ``1_000`` are none)."""
    if pd.api.types.is_numeric_dtype(given.dtype) and not pd.api.types.is_bool_dtype(given.dtype):
        values = given.to_numpy(float, na_value=np.nan)
        blank = np.isnan(values)
        return values, blank, ~blank & ~np.isfinite(values)
    text = given.astype(object).where(given.notna(), "").astype(str).str.strip()
    blank = text.str.lower().isin(BLANK).to_numpy()
    values = pd.to_numeric(text.where(text.str.match(_NUMBER)), errors="coerce").to_numpy(float)
    return values, blank, ~blank & ~np.isfinite(values)
