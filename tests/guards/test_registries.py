"""Every entry of a registry has settings with a meaning, a place in the documentation, and a test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from multiscale.bilevel.reformulate.methods.registry import REFORMULATIONS
from multiscale.config import StudyConfig
from multiscale.coordination.engine import ENGINES
from multiscale.coordination.mechanisms import MECHANISMS
from multiscale.devices import DEVICES
from multiscale.markets import MARKETS
from multiscale.planning import REGIMES
from multiscale.planning.targets import TARGETS
from multiscale.settings import Entry, Settings, inner_settings, kinds, names_of
from multiscale.sources import SOURCES
from multiscale.tariffs import COMPONENTS, POLICIES

ROOT = Path(__file__).parents[2]

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "system": SOURCES,
    "devices": DEVICES,
    "tariff": COMPONENTS,
    "policy": POLICIES,
    "targets": TARGETS,
    "market": MARKETS,
    "coordination": MECHANISMS,
    "regime": REGIMES,
    "engine": ENGINES,
    "planning.method": REFORMULATIONS,
}
"""Group of the configuration, or key of the setting that names an entry -> registry. A new registry is one line here."""

ENTRIES = [(group, kind) for group, registry in REGISTRIES.items() for kind in registry]


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_has_settings(group: str, kind: str):
    entry = REGISTRIES[group][kind]
    # A registry holds either settings with the function that takes them, or settings classes that do the work themselves.
    settings = entry.settings if isinstance(entry, Entry) else entry
    assert issubclass(settings, Settings)
    assert settings.__doc__
    assert callable(entry.function if isinstance(entry, Entry) else entry)
    assert all(field.description or inner_settings(field) for name, field in settings.model_fields.items() if name != "kind")
    group, _, setting = group.partition(".")
    declared = StudyConfig.model_fields[group]
    if setting:
        holders = {model for model in kinds(declared).values() if setting in model.model_fields}
        assert holders
        assert all(kind in names_of(holder.model_fields[setting]) for holder in holders)
    elif kinds(declared):
        assert kinds(declared)[kind] is settings
    else:
        (holder,) = inner_settings(declared).values()
        assert holder.model_fields[kind].annotation is settings


@pytest.mark.parametrize("kind", DEVICES)
def test_a_device_has_its_section(kind: str):
    assert f"### {kind}\n" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [*COMPONENTS, *POLICIES, *MARKETS, *REGIMES])
def test_components_markets_and_regimes_have_their_sections(kind: str):
    assert f"### {kind}\n" in (ROOT / "docs" / "tariffs-and-markets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_is_documented(group: str, kind: str):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"\b{kind}\b", pages), f"{group} {kind} stands in no page of docs/"


@pytest.mark.parametrize(("group", "kind"), ENTRIES)
def test_an_entry_has_a_test(group: str, kind: str):
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if path.parent != Path(__file__).parent)
    assert any(re.search(rf"\b{kind}(_system)?\b", path.read_text(encoding="utf-8")) for path in tests), f"{group} {kind} is named in no test"
