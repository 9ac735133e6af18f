"""How one column of a table is declared: type, unit, default, valid range, meaning; and how what has columns is documented."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Attribute:
    """One attribute of a component.

    Attributes:
        kind: ``text``, ``number`` or ``flag``.
        unit: unit of a number; of a text that names a profile the unit of that profile (empty: a share of the rating); else empty.
        meaning: one line for people.
        default: value where a source is silent; ``None`` makes the attribute required.
        lower, upper: valid range of a number, ends included.
        choices: valid values of a text.
        positive: the number must be above zero.
        refers_to: component whose identifiers this text must name (empty text allowed unless required).
        extensive: whether the value of several alike is the sum of theirs (a power, an energy), not one they share (an efficiency).
    """

    kind: str
    unit: str
    meaning: str
    default: Any = None
    lower: float = -np.inf
    upper: float = np.inf
    choices: tuple[str, ...] = ()
    positive: bool = False
    refers_to: str = ""
    extensive: bool = False


def text(meaning: str, default: str | None = None, **more: Any) -> Attribute:
    """Declare a column of texts."""
    return Attribute("text", more.pop("unit", ""), meaning, default, **more)


def number(unit: str, meaning: str, default: float | None = None, **more: Any) -> Attribute:
    """Declare a column of numbers."""
    return Attribute("number", unit, meaning, default, **more)


def section(key: str, settings: type[Any], facts: Sequence[str], group: str) -> list[str]:
    """Lines of Markdown that document a registry entry with columns: meaning, facts, columns, settings.

    Args:
        key: the entry's key.
        settings: its class, with ``columns``, ``required`` and ``model_fields``.
        facts: further lines of the list, first.
        group: group of the configuration that holds the settings.
    """
    columns = [f"`{name}`{' (required)' if name in settings.required else ''}" for name in settings.columns]
    return [
        f"### {key}",
        "",
        inspect.cleandoc(settings.__doc__ or ""),
        "",
        *(f"- {fact}" for fact in facts),
        f"- columns beyond the common ones: {', '.join(columns) or 'none'}",
        f"- settings: `{group}.{key}.` {', '.join(f'`{name}`' for name in settings.model_fields)}",
    ]
