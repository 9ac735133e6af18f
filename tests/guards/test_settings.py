"""Every setting means something, is read by something, and has one default."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from multiscale.config import StudyConfig, load_config
from multiscale.config.groups import shipped_folder
from multiscale.settings import Settings, holds_names, inner_settings, kinds, unit_of
from multiscale.study import run_study

ROOT = Path(__file__).parents[2]

NOT_READ: set[str] = set()
"""Settings that nothing reads yet; the list may only become shorter."""

HANDED_ON: set[str] = {"question"}
"""Settings that are read from the record of a run, by their key."""

REPEATED: set[str] = set()
"""Defaults that a file of conf/ states a second time; the list may only become shorter."""


def _every_setting(model: type[Settings] = StudyConfig, prefix: str = "") -> Iterator[tuple[str, type[Settings], str, FieldInfo]]:
    """Dotted key (with the kind in brackets where a group has several), settings class, name and declaration."""
    for name, field in model.model_fields.items():
        inner = inner_settings(field)
        for kind, settings in inner.items():
            yield from _every_setting(settings, f"{prefix}{name}{f'[{kind}]' if kind else ''}.")
        if not inner:
            yield f"{prefix}{name}", model, name, field


def _read_names() -> set[str]:
    """Names that the package reads from any object, outside the rules that check settings."""

    def read(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef) and any("validator" in ast.unparse(decorator) for decorator in node.decorator_list):
            return
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        for inner in ast.iter_child_nodes(node):
            yield from read(inner)

    return {name for path in (ROOT / "multiscale").rglob("*.py") for name in read(ast.parse(path.read_text(encoding="utf-8")))}


def test_every_setting_has_a_meaning_and_every_number_a_unit():
    for key, model, name, field in _every_setting():
        assert field.description or (name == "kind" and model.__doc__), key
        if field.annotation in (int, float):
            assert unit_of(model, name), key


def test_every_setting_is_read_by_something():
    """By its name, which one class alone has; a name that several have is judged by a run."""
    read = _read_names() | HANDED_ON
    assert {key for key, _, name, _ in _every_setting() if name not in read} - NOT_READ == set(), "settings that nothing reads"


def _declaring(model: type[Settings], name: str) -> type[Settings]:
    """The class that declares a setting."""
    return next(base for base in model.__mro__ if name in inspect.get_annotations(base))


def test_settings_of_one_name_are_all_read_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read: set[tuple[type, str]] = set()
    plain = Settings.__getattribute__

    def recording(self: Settings, name: str) -> object:
        read.add((type(self), name))
        return plain(self, name)

    # With errors of the forecast: without them, nothing is guarded against, and pricing reads no coverage.
    config = load_config(
        [
            f"output.folder={tmp_path}",
            "study=tiny",
            "horizon=one_day",
            "horizon.step_hours=6",
            "system.dsos=[north]",
            "output.report=false",
            "coordination.forecast_error=5 %",
        ]
    )
    monkeypatch.setattr(Settings, "__getattribute__", recording)
    run_study(config)
    used = {type(getattr(config, group)) for group in StudyConfig.model_fields} | {type(config.system.growth), *map(type, config.tariff.values())}
    # A setting that kinds inherit from a common class is one setting, wherever it is read.
    read = {(_declaring(model, name), name) for model, name in read if name in getattr(model, "model_fields", {})}
    names = Counter(name for model in {model for _, model, _, _ in _every_setting()} for name in model.model_fields)
    several = {(_declaring(model, name), name) for _, model, name, _ in _every_setting() if model in used and name != "kind" and names[name] > 1}
    assert {f"{model.__name__}.{name}" for model, name in several - read if name not in HANDED_ON} == set(), "settings that the run did not read"


def test_a_kind_that_nothing_tells_apart_is_listed():
    """A group with a kind needs a registry, or somebody who asks for the kind."""
    read = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "multiscale").rglob("*.py"))
    groups = {name: field for name, field in StudyConfig.model_fields.items() for m in inner_settings(field).values() if "kind" in m.model_fields}
    unread = {f"{name}.kind" for name, field in groups.items() if not kinds(field) and f"config.{name}.kind" not in read}
    assert unread == NOT_READ


def _repeated(model: type[Settings], stated: Mapping[str, Any]) -> Iterator[str]:
    for key, value in stated.items():
        field = model.model_fields[key]
        inner = inner_settings(field)
        if holds_names(field):
            standard = field.get_default(call_default_factory=True)
            yield from (
                f"{key}.{name}" for name, part in value.items() if name in standard and str(part) in (str(standard[name]), str(standard[name].price))
            )
        elif inner and isinstance(value, dict):
            settings = inner.get(str(value.get("kind", ""))) or next(iter(inner.values()))
            yield from (f"{key}.{repeated}" for repeated in _repeated(settings, value))
        elif key != "kind" and not field.is_required() and str(field.default) == str(value):
            yield key


def test_every_setting_has_one_default():
    """A file of conf/ holds only what differs from the declared defaults."""
    repeated = set()
    for group in StudyConfig.model_fields:
        for path in (shipped_folder("conf") / group).glob("*.yaml") if group != "study" else ():
            stated = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            repeated |= {f"{group}/{path.stem}.{key.removeprefix(f'{group}.')}" for key in _repeated(StudyConfig, {group: stated})}
    assert repeated - REPEATED == set(), "defaults stated twice"
    assert REPEATED - repeated == set(), "no longer true; remove from REPEATED"


def test_the_command_line_and_python_start_from_the_same_values():
    composed = load_config()
    plain = StudyConfig.model_validate({"study": composed.study, "system": composed.system})
    assert composed == plain
