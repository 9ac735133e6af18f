"""Values as they are written to JSON files: plain, and ``null`` for numbers that are not finite, which JSON does not know."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def plain(value: Any) -> Any:
    """A value of plain types only; ``None`` for a number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    of_array = getattr(value, "tolist", None)
    if callable(of_array):
        return plain(of_array())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | str | bool | type(None)) else str(value)


def json_text(content: Mapping[str, Any]) -> str:
    """The text of a JSON file. It holds no ``Infinity`` and no ``NaN``."""
    return json.dumps(plain(content), indent=1, allow_nan=False) + "\n"


def finite_summary(summary: Mapping[str, tuple[Any, str]]) -> tuple[dict[str, tuple[Any, str]], str]:
    """The summary with ``None`` for every number that is not finite, and a sentence that names those (empty where there is none).

    Args:
        summary: key -> (value, unit).
    """
    kept = {key: (plain(value), unit) for key, (value, unit) in summary.items()}
    lost = [f"{key} ({float(summary[key][0]):g})" for key, (value, _) in kept.items() if value is None and summary[key][0] is not None]
    return kept, f"no finite value: {', '.join(lost)}" if lost else ""
