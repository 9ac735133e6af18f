"""Numbers that have a name in the mathematics: coefficients, right-hand sides and costs of programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Named:
    r"""A coefficient, right-hand side or cost that has a name in the mathematics; otherwise an array like any other.

    Attributes:
        value: numbers.
        symbol: in LaTeX, with ``@`` where its indices go, e.g. ``-\eta@ \Delta``; a sign belongs to the symbol.
        meaning: what it is.
        unit: of the value.
    """

    value: Any
    symbol: str
    meaning: str
    unit: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The numbers."""
        return np.array(self.value, dtype=dtype) if copy else np.asarray(self.value, dtype=dtype)


def weights(hours: np.ndarray) -> tuple[Named, Named]:
    """Hours of the year that periods stand for, as a factor of what is paid and of what is received."""
    meaning = "hours of the year that the period stands for"
    return Named(hours, "h@", meaning, "h/a"), Named(-hours, "-h@", meaning, "h/a")
