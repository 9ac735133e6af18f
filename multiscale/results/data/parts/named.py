"""How a variable of the dataset is declared."""

from __future__ import annotations

from typing import Any

import numpy as np


def named(dims: str | tuple[str, ...], values: Any, unit: str, meaning: str) -> tuple[Any, ...]:
    """A variable of the dataset with its unit (numbers) and long name."""
    array = np.asarray(values)
    attributes = {"long_name": meaning} | ({"units": unit} if array.dtype.kind in "fiu" else {})
    return dims, array, attributes
