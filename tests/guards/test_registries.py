"""Every entry of a registry has settings with a meaning, a place in the documentation, and a test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from multiscale.bilevel.reformulate.assemble import REFORMULATIONS
from multiscale.config import StudyConfig
from multiscale.coordination.engine import ENGINES
from multiscale.coordination.mechanisms import MECHANISMS
from multiscale.settings import Entry, inner_settings, kinds
from multiscale.sources import SOURCES

ROOT = Path(__file__).parents[2]

REGISTRIES: dict[str, Mapping[str, Any]] = {"system": SOURCES, "engine": ENGINES, "coordination": MECHANISMS, "reformulation": REFORMULATIONS}
"""Group of the configuration (or what the registry is of) -> registry. A new registry is one line here."""

WITHOUT_SETTINGS: set[str] = {"reformulation"}
"""Registries whose entries take no settings."""

ENTRIES = [(group, kind) for group, registry in REGISTRIES.items() for kind in registry]


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_has_settings(group: str, kind: str):
    entry = REGISTRIES[group][kind]
    if group in WITHOUT_SETTINGS:
        assert not isinstance(entry, Entry), "no longer true; remove from WITHOUT_SETTINGS"
        return
    assert entry.settings.__doc__
    assert callable(entry.function)
    assert all(field.description for name, field in entry.settings.model_fields.items() if name != "kind" and not inner_settings(field))
    assert kinds(StudyConfig.model_fields[group])[kind] is entry.settings


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_is_documented(group: str, kind: str):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"\b{kind}\b", pages), f"{group} {kind} stands in no page of docs/"


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_has_a_test(group: str, kind: str):
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if path.parent != Path(__file__).parent)
    assert any(re.search(rf"\b{kind}(_system)?\b", path.read_text(encoding="utf-8")) for path in tests), f"{group} {kind} is named in no test"
