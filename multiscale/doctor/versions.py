"""Installed packages against the bounds that are declared."""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from collections.abc import Iterator
from pathlib import Path

from multiscale.doctor.finding import Finding
from multiscale.version import __version__


def check_versions(_: Path) -> Iterator[Finding]:
    """Python, multiscale, and every package it declares."""
    from packaging.requirements import Requirement

    yield Finding("ok", "multiscale", f"{__version__} in '{Path(__file__).parents[1]}', Python {platform.python_version()}")
    declared = [Requirement(text) for text in requirements()]
    wanted = [requirement for requirement in declared if requirement.marker is None or requirement.marker.evaluate({"extra": ""})]
    faulty = 0
    for requirement in wanted:
        try:
            there = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            faulty += 1
            yield Finding("failed", f"package {requirement.name}", "is not installed", f"python -m pip install '{requirement}'")
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            faulty += 1
            found = f"{there} is outside {requirement.specifier}, with which multiscale is tested"
            yield Finding("warning", f"package {requirement.name}", found, f"python -m pip install '{requirement}'")
    if not faulty:
        yield Finding("ok", "packages", f"all {len(wanted)} within their declared bounds")


def requirements() -> list[str]:
    """Declared requirements: of the working copy, or of the installed package."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.is_file():
        return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])
    return importlib.metadata.requires("multiscale") or []
