"""The reference of all settings as Markdown tables, written from the models: ``python -m multiscale.config.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from multiscale.config.models import LARGEST_SEED, StudyConfig
from multiscale.settings import unit_of

_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_tables() -> str:
    """One table per group: key, unit, default, range, meaning."""
    return "\n".join(line for name, field in StudyConfig.model_fields.items() for line in _table(name, field.annotation))


def _table(title: str, model: Any) -> Iterator[str]:
    yield from (f"### {title}", "", str(model.__doc__).strip(), "", "| key | unit | default | range | meaning |", "|---|---|---|---|---|")
    inner = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            inner.append((f"{title}.{name}", field.annotation))
        else:
            yield f"| `{name}` | {unit_of(model, name) or ''} | {_default(field)} | {_range(field)} | {field.description} |"
    yield ""
    for nested in inner:
        yield from _table(*nested)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(field.default, int | float):
        return f"{field.default:g}"
    return f"`{field.default}`" if field.default not in (None, "") else ""


def _range(field: FieldInfo) -> str:
    limits = [
        f"{sign} {limit:g}"
        for m in field.metadata
        for key, sign in _SIGNS.items()
        if (limit := getattr(m, key, LARGEST_SEED)) not in (None, LARGEST_SEED)
    ]
    return " and ".join(limits) or ", ".join(_texts(field.annotation))


def _texts(annotation: Any) -> list[str]:
    return [annotation] if isinstance(annotation, str) else [text for inner in get_args(annotation) for text in _texts(inner)]


if __name__ == "__main__":
    sys.stdout.write(settings_tables())
