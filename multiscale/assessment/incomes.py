"""Incomes of households, read from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("prosumer", "income_eur")
"""Columns of the table: name of the prosumer, and the yearly income of its household [EUR/a]."""


def read_incomes(path: Path) -> dict[str, float]:
    """Prosumer -> yearly income of its household [EUR/a].

    Args:
        path: CSV file with the columns ``COLUMNS``; lines that begin with ``#`` are comments.

    Raises:
        ValueError: the file cannot be read, lacks a column, names a prosumer twice, or has an income that is not a number above zero; all in one
            message.
    """
    try:
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError(f"table of incomes '{path}' cannot be read ({error}); give a CSV file with the columns {', '.join(COLUMNS)}") from None
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"table of incomes '{path}' lacks the columns {', '.join(missing)}; add them")
    names, numbers = table["prosumer"].str.strip(), pd.to_numeric(table["income_eur"], errors="coerce").to_numpy(dtype=float)
    wrong = [
        f"prosumer {name!r}: income_eur {text!r} EUR/a is not a number above zero; correct it, or omit the line where it is not known"
        for name, text, value in zip(names, table["income_eur"], numbers, strict=True)
        if not (np.isfinite(value) and value > 0)
    ]
    wrong += [f"prosumer {name!r} stands twice; keep one line" for name in dict.fromkeys(names[names.duplicated()])]
    if wrong:
        raise ValueError(f"table of incomes '{path}': " + "; ".join(wrong))
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))
