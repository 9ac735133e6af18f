"""What is wrong with a configuration: every problem in one list, each with key, value, reason and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ConfigProblem:
    """One thing that is wrong.

    Attributes:
        key: dotted key, e.g. ``planning.gap``; empty where no key can be named.
        value: what stands there, as text.
        message: what is wrong, and after a semicolon what to do about it.
        origin: where the value comes from, e.g. ``command line`` or ``conf/planning/dso.yaml``.
    """

    key: str
    value: str
    message: str
    origin: str = ""

    def __str__(self) -> str:
        subject = f"{self.key} = {self.value}" if self.key and self.value else self.key
        text = f"{subject}: {self.message}" if subject else self.message
        return f"{text}  [{self.origin}]" if self.origin else text


class ConfigError(ValueError):
    """A configuration that cannot be run; its text lists all problems, numbered.

    Attributes:
        problems: what is wrong.
        values: what could be read, without what is at fault.
    """

    def __init__(self, problems: Iterable[ConfigProblem], values: Mapping[str, Any] | None = None) -> None:
        self.problems = tuple(problems)
        self.values = dict(values or {})
        count = len(self.problems)
        head = f"the configuration has {count} problem{'s' if count != 1 else ''}:"
        super().__init__("\n".join([head, *(f"  {i}. {problem}" for i, problem in enumerate(self.problems, 1))]))
