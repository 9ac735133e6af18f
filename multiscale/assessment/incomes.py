"""Incomes of households, read from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multiscale.sources.text_tables import TableError, numbers, read_text_table

COLUMNS = ("prosumer", "income_eur")
"""Columns of the table: name of the prosumer, and the yearly income of its household [EUR/a]."""


def read_incomes(path: Path) -> dict[str, float]:
    """Prosumer -> yearly income of its household [EUR/a].

    Args:
        path: table with the columns ``COLUMNS``, see ``sources.text_tables``; what follows a ``#`` is a comment.

    Raises:
        ValueError: the file cannot be read, lacks a column, names a prosumer twice, or has an income that is not a number above zero; all in one
            message.
    """
    try:
        table = read_text_table(path, lambda header: header == "income_eur", comment="#")
    except TableError as error:
        raise ValueError(f"table of incomes '{path}' {error}; give a CSV file with the columns {', '.join(COLUMNS)}") from None
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"table of incomes '{path}' lacks the columns {', '.join(missing)}; add them")
    names, incomes = table["prosumer"].astype(str).str.strip(), numbers(table["income_eur"])[0]
    wrong = [
        f"prosumer {name!r}: income_eur {text!r} EUR/a is not a number above zero; correct it, or omit the line where it is not known"
        for name, text, value in zip(names, table["income_eur"], incomes, strict=True)
        if not (np.isfinite(value) and value > 0)
    ]
    wrong += [f"prosumer {name!r} stands twice; keep one line" for name in dict.fromkeys(names[names.duplicated()])]
    if wrong:
        raise ValueError(f"table of incomes '{path}': " + "; ".join(wrong))
    return dict(zip(names.tolist(), incomes.tolist(), strict=True))
