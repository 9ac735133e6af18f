"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        state: ``ok``; ``warning``: works, but not as well as it could; ``failed``: runs will fail or lose something.
        what: what was tried.
        found: what came out.
        remedy: what to do; empty where it is ok.
    """

    state: State
    what: str
    found: str
    remedy: str = ""


Check = Callable[[Path], Iterator[Finding]]
"""A check is given the folder in which run folders are made."""
