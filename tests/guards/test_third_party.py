"""THIRD_PARTY.md names everything that an installation brings, and travels with wheel and source distribution."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTED = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")


def installed_packages() -> dict[str, str]:
    """Every package that the dependencies of the project bring, as installed here -> its licence by its own metadata."""
    found: dict[str, str] = {}
    waiting = list(PROJECT["project"]["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        stated = distribution.metadata
        classifiers = [c.rpartition("::")[2].strip() for c in stated.get_all("Classifier") or [] if c.startswith("License ::")]
        found[name] = stated.get("License-Expression") or "; ".join(classifiers) or (stated.get("License") or "not stated").splitlines()[0]
        waiting += distribution.requires or []
    return found


def test_everything_that_is_installed_is_listed_with_its_licence():
    listed = set(re.findall(r"[a-z0-9][a-z0-9.-]+", LISTED.lower()))
    lacking = {f"{name}: {licence}" for name, licence in installed_packages().items() if name not in listed}
    assert not lacking


def test_the_list_travels_with_wheel_and_source_distribution():
    assert "THIRD_PARTY.md" in PROJECT["project"]["license-files"]
