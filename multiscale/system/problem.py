"""One thing that is wrong with a system or a source, and the error that lists all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        component: kind of component, e.g. ``branch`` (or ``file`` for a source that cannot be read).
        identifier: which one.
        field: attribute (or column) at fault; empty where the component as a whole is.
        value: its value, as text.
        unit: unit of the value, empty for text.
        message: what is wrong, and after a semicolon what to do about it.
    """

    component: str
    identifier: str
    field: str
    value: str
    unit: str
    message: str

    def __str__(self) -> str:
        subject = " ".join(part for part in (self.field, self.value, self.unit) if part)
        return f"{self.component} {str(self.identifier)!r}: {subject} {self.message}".replace(":  ", ": ")


class InvalidSystemError(ValueError):
    """A system that cannot be studied; its text lists all problems, numbered.

    Attributes:
        problems: what is wrong.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"the system has {count} problem{'s' if count != 1 else ''}:"
        super().__init__("\n".join([head, *(f"  {i}. {problem}" for i, problem in enumerate(self.problems, 1))]))


def number_text(value: float) -> str:
    """A number in a message."""
    return f"{value:.6g}" if np.isfinite(value) else str(value)


def close_names(name: str, known: Iterable[str]) -> str:
    """The names most like a misspelt one, as a part of a message; empty where none is."""
    # Comparing is quadratic in the lengths: against many names, only those of about the same beginning are looked at.
    candidates = list(known)
    if len(candidates) > 2000:
        candidates = [c for c in candidates if c[:3] == str(name)[:3]][:2000]
    matches = difflib.get_close_matches(str(name), candidates, n=3, cutoff=0.6)
    return f" (close: {', '.join(repr(m) for m in matches)})" if matches else ""
