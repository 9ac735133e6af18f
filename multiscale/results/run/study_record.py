"""What a run folder keeps of the settings of its study; the configuration makes it, so that results need to know no settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from multiscale.content import content_key, file_hash
from multiscale.results.run.code_version import code_hash, package_version
from multiscale.results.run.output_settings import OutputSettings
from multiscale.version import __version__


@dataclass(frozen=True)
class Setting:
    """One setting of a study: dotted key, value in plain form, unit (empty for texts and flags), meaning."""

    key: str
    value: Any
    unit: str
    meaning: str


@dataclass(frozen=True)
class StudyRecord:
    """The settings of a study in plain form.

    Attributes:
        name: of the study; the run folder begins with it.
        title: of the system.
        config: all values in plain form, as ``config.yaml`` keeps them.
        settings: every setting in use, with unit and meaning.
        decisive: what of the values the answer depends on: not where it is computed or written.
        seeds: seed of each random choice.
        files: files and folders that are read.
        packages: what the installed package provides -> name of the package.
        overrides: what was asked for in addition to the defaults.
        output: where the answer goes.
    """

    name: str
    title: str
    config: Mapping[str, Any]
    settings: tuple[Setting, ...]
    decisive: Mapping[str, Any]
    seeds: Mapping[str, int]
    files: tuple[Path, ...]
    packages: Mapping[str, str]
    overrides: tuple[str, ...]
    output: OutputSettings

    @cached_property
    def inputs(self) -> dict[str, str]:
        """What is read from outside -> its hash, or the version of the package it comes with."""
        found = {name: f"package {package} {package_version(package)}" for name, package in self.packages.items()}
        return found | {str(path): file_hash(path) for path in self.files}

    @property
    def config_hash(self) -> str:
        """Hash of the values that the answer depends on."""
        return content_key(json.dumps(self.decisive, sort_keys=True))

    @cached_property
    def key(self) -> str:
        """Hash of values, inputs and code: equal keys mean the same study."""
        return content_key(self.config_hash, json.dumps(self.inputs, sort_keys=True), __version__, code_hash())

    @property
    def folder_name(self) -> str:
        """Name of the run folder."""
        return f"{self.name}-{self.key[:10]}"
