"""How settings are declared: groups, numbers with a unit, names out of a registry, and groups that come in several kinds.

A plain number is in its declared unit; a text such as ``8 ct/kWh`` is converted. A registry entry is a settings class and the function that
takes it; the class carries its key as ``kind: Literal["..."]``, so that the name stands in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

F = TypeVar("F")

LARGEST_SEED = 2**31 - 1
"""Largest seed that every solver and random generator takes."""

ONE_WORD = r"^\S*$"
"""Pattern of a text without blanks and line ends."""


class Settings(BaseModel):
    """Immutable; unknown keys are refused; numbers are read in their declared units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        unit = unit_of(cls, str(info.field_name))
        if unit is None:
            return value
        if isinstance(value, bool):
            raise ValueError(f"{value} is not a number")
        if not isinstance(value, str):
            return value
        # An import inside: reading the models (for help and tables) must not wait for the unit registry.
        from multiscale.units import UnitError, convert

        try:
            return convert(value, unit)
        except UnitError as error:
            raise ValueError(str(error)) from None


def unit_of(model: type[BaseModel], field: str) -> str | None:
    """Declared unit of a field; ``None`` for texts and flags."""
    extra = model.model_fields[field].json_schema_extra
    return str(extra["units"]) if isinstance(extra, dict) and "units" in extra else None


def quantity(
    default: float | EllipsisType | None,
    unit: str,
    meaning: str,
    *,
    lower: float | None = None,
    upper: float | None = None,
    above: float | None = None,
) -> Any:
    """Declare a number.

    Args:
        default: value where the configuration is silent, in the unit; None where a number may be absent, ``...`` where it has to be given.
        unit: declared unit; ``1`` for a share or a factor.
        meaning: one line for people.
        lower, upper: valid range, ends included.
        above: the number must be larger than this.
    """
    return Field(default, ge=lower, le=upper, gt=above, allow_inf_nan=False, description=meaning, json_schema_extra={"units": unit})


def count(default: int, meaning: str, lower: int, upper: int | None = None) -> Any:
    """Declare a whole number, with its range."""
    return Field(default, ge=lower, le=upper, description=meaning, json_schema_extra={"units": "1"})


@dataclass(frozen=True)
class Entry(Generic[F]):
    """One line of a registry.

    Attributes:
        settings: settings class; its field ``kind`` is the key of the entry.
        function: what takes the settings.
    """

    settings: type[Settings]
    function: F


def registry(*entries: Entry[F]) -> dict[str, Entry[F]]:
    """Kind -> entry, in the given order.

    Raises:
        ValueError: two entries have one kind, or a settings class has none.
    """
    found = {kind_name(entry.settings): entry for entry in entries}
    if len(found) < len(entries):
        raise ValueError(f"two entries of a registry have the same kind; there are {', '.join(kind_name(e.settings) for e in entries)}")
    return found


def kind_name(settings: type[Settings]) -> str:
    """The kind that a settings class is for: the single value of its field ``kind``.

    Raises:
        ValueError: the class declares no kind.
    """
    names = get_args(settings.model_fields["kind"].annotation) if "kind" in settings.model_fields else ()
    if len(names) != 1:
        raise ValueError(f'{settings.__name__} declares no kind of its own; add the field kind: Literal["..."] = "..."')
    return str(names[0])


class OfKind:
    """Annotation of a group that comes in several kinds: ``engine: Annotated[EngineSettings, OfKind(Serial, Local, default="local")]``.

    The annotated type is the common base class. The key ``kind`` of the given values chooses the class that checks them; a text alone is the kind.

    Args:
        classes: settings classes, one per kind.
        default: kind where the values name none; empty: one has to be named.
    """

    def __init__(self, *classes: type[Settings], default: str = "") -> None:
        self.kinds: Mapping[str, type[Settings]] = {kind_name(c): c for c in classes}
        self.default = default
        if default and default not in self.kinds:
            raise ValueError(f"kind {default!r} does not exist; there are {', '.join(self.kinds)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def with_kind(value: object) -> object:
            if isinstance(value, str):
                return {"kind": value}
            return {"kind": self.default, **value} if self.default and isinstance(value, Mapping) else value

        union = core_schema.tagged_union_schema({kind: handler.generate_schema(c) for kind, c in self.kinds.items()}, discriminator="kind")
        return core_schema.no_info_before_validator_function(with_kind, union)


class OneOf:
    """Annotation of a text that is a key of a registry: ``method: Annotated[str, OneOf(METHODS)]``."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


def kinds(field: FieldInfo) -> Mapping[str, type[Settings]]:
    """Kind -> settings class of a group, or of a mapping of named groups, that come in several kinds; empty for any other field."""
    return next((m.kinds for m in (*field.metadata, *_of_values(field)) if isinstance(m, OfKind)), {})


def holds_names(field: FieldInfo) -> bool:
    """Whether a field is a mapping name -> group that comes in several kinds: ``dict[str, Annotated[Component, OfKind(...)]]``."""
    return any(isinstance(m, OfKind) for m in _of_values(field))


def _of_values(field: FieldInfo) -> tuple[Any, ...]:
    """Annotations of the values of a mapping."""
    values = get_args(field.annotation)[1:] if get_origin(field.annotation) is dict else ()
    return tuple(m for value in values for m in getattr(value, "__metadata__", ()))


def inner_settings(field: FieldInfo) -> dict[str, type[Settings]]:
    """Settings classes that a field, or each value of a mapping, may hold: by kind, a single one under the empty name, none for a plain value."""
    if several := kinds(field):
        return dict(several)
    annotation = field.annotation
    return {"": annotation} if isinstance(annotation, type) and issubclass(annotation, Settings) else {}


def names_of(field: FieldInfo) -> list[str]:
    """Texts that a field accepts, where only certain ones are valid."""
    listed = [name for m in field.metadata if isinstance(m, OneOf) for name in m.names]
    return listed or _texts(field.annotation)


def _texts(annotation: Any) -> list[str]:
    return [annotation] if isinstance(annotation, str) else [text for part in get_args(annotation) for text in _texts(part)]
