"""What a source did to the data because the model has no counterpart for them: one list that every reader of results is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Approximation:
    """One thing that is approximated or excluded.

    Attributes:
        component: what it concerns, with names, e.g. ``ward 'eq'``.
        field: attribute of the data that is not taken as given.
        done: what was done instead, with values and units.
    """

    component: str
    field: str
    done: str

    def __str__(self) -> str:
        return f"{self.component}: {self.field}: {self.done}" if self.field else f"{self.component}: {self.done}"

    def as_record(self) -> dict[str, str]:
        """Plain values, for files."""
        return {"component": self.component, "field": self.field, "done": self.done}

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, str]]) -> tuple[Approximation, ...]:
        """What ``as_record`` gave."""
        return tuple(cls(str(r["component"]), str(r["field"]), str(r["done"])) for r in records)


def several(kind: str, names: Sequence[object]) -> str:
    """A kind of component with its names, e.g. ``2 wards 'a', 'b'``."""
    shown = ", ".join(repr(str(name)) for name in names[:NAMED_AT_MOST])
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{kind} {shown}" if len(names) == 1 else f"{len(names)} {kind}{'es' if kind.endswith(('s', 'ch')) else 's'} {shown}{more}"
