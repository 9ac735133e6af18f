"""The reference of all settings as Markdown tables, written from the models: ``python -m multiscale.config.reference``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from multiscale.config.models import StudyConfig
from multiscale.settings import LARGEST_SEED, Settings, holds_names, inner_settings, kinds, names_of, unit_of

_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_tables() -> str:
    """One table per group, and one per kind where a group has several: key, unit, default, range, meaning."""
    return "\n".join(line for name, field in StudyConfig.model_fields.items() for line in _tables(name, field))


def _tables(title: str, field: FieldInfo) -> Iterator[str]:
    several = kinds(field)
    if not several:
        for model in inner_settings(field).values():
            yield from _table(title, model)
        return
    models = list(several.values())
    common = [
        name
        for name, field in models[0].model_fields.items()
        if name != "kind" and all(name in m.model_fields and m.model_fields[name].default == field.default for m in models)
    ]
    base = next(b for b in models[0].__mro__ if all(issubclass(m, b) for m in models))
    yield from (f"### {title}", "", str(base.__doc__).strip(), "")
    if holds_names(field):
        if standard := field.get_default(call_default_factory=True):
            yield from _standard(title, standard)
        title = f"{title}.<name>"
    yield from ("| kind | |", "|---|---|")
    yield from (f"| `{kind}` | {_first_line(model)} |" for kind, model in several.items())
    yield ""
    if common:
        yield from (f"Keys of every kind of `{title}`:", "")
        yield from _rows(title, models[0], common)
    for kind, model in several.items():
        own = [name for name in model.model_fields if name != "kind" and name not in common]
        if own:
            yield from (f"Keys of `{title}.kind={kind}` only:", "")
            yield from _rows(title, model, own)


def _standard(title: str, groups: Mapping[str, Settings]) -> Iterator[str]:
    """The named groups that are there where nothing is said, with what differs from the defaults of their kind."""
    yield from (
        f"Standard components of `{title}`; `null` removes one, a number alone sets its price:",
        "",
        "| name | kind | settings |",
        "|---|---|---|",
    )
    for name, settings in groups.items():
        changed = ", ".join(f"`{key}` {value}" for key, value in settings.model_dump(exclude_defaults=True).items() if key != "kind")
        yield f"| `{name}` | `{settings.model_dump()['kind']}` | {changed or 'as declared'} |"
    yield ""


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield from (f"### {title}", "", inspect.cleandoc(str(model.__doc__)), "")
    yield from _rows(title, model, list(model.model_fields))


def _rows(title: str, model: type[BaseModel], names: list[str]) -> Iterator[str]:
    yield from ("| key | unit | default | range | meaning |", "|---|---|---|---|---|")
    inner = []
    for name in names:
        field = model.model_fields[name]
        if inner_settings(field):
            inner.append((f"{title}.{name}", field))
        else:
            yield f"| `{name}` | {unit_of(model, name) or ''} | {_default(field)} | {_range(field)} | {field.description} |"
    yield ""
    for nested, field in inner:
        yield from _tables(nested, field)


def _first_line(model: type[BaseModel]) -> str:
    return str(model.__doc__).strip().splitlines()[0]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int | float):
        return f"{default:g}"
    return f"`{default}`" if default not in (None, "", {}) else ""


def _range(field: FieldInfo) -> str:
    limits = [
        f"{sign} {limit:g}"
        for m in field.metadata
        for key, sign in _SIGNS.items()
        if (limit := getattr(m, key, LARGEST_SEED)) not in (None, LARGEST_SEED)
    ]
    return " and ".join(limits) or ", ".join(names_of(field))


if __name__ == "__main__":
    sys.stdout.write(settings_tables())
