"""One line of the answer of a study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One line of the answer.

    Attributes:
        label: what it is about.
        text: what was found.
        good: whether a check passed; ``None`` where there is nothing to judge.
        warned: whether no check failed but a reader must be warned.
    """

    label: str
    text: str
    good: bool | None = None
    warned: bool = False
