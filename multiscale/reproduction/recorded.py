"""The configuration that a run folder records, and what around it is no longer what it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiscale.config import ConfigError, StudyConfig
from multiscale.config.checking import checked
from multiscale.content import file_hash
from multiscale.results.run.code_version import code_hash, package_version
from multiscale.results.run.provenance import changed_files
from multiscale.results.run.run_result import RunFolderError, RunResult
from multiscale.version import __version__


def recorded_config(run: RunResult, output: Path) -> StudyConfig:
    """The configuration of a run, to be computed anew in another folder: no stage of another run is read, and no report is written.

    Args:
        run: that was.
        output: folder in which the new run folder is made.

    Raises:
        RunFolderError: the run records no configuration.
        ConfigError: what it records is no configuration of this version.
    """
    values = run.config()
    if not values:
        raise RunFolderError(f"'{run.folder}' records no configuration (it has no provenance.json), as the run did not go through; run it again")
    values = _found(values, _inputs(run))
    values["output"] = {**values.get("output", {}), "folder": str(output), "report": False, "overwrite": True, "stages": None, "reuse": False}
    config, problems = checked(values, set())
    if config is None:
        raise ConfigError(problems, values)
    return config.asked_by(run.provenance().get("overrides", ()))


def _inputs(run: RunResult) -> dict[Path, str]:
    """Files and folders that a run read -> their hash then."""
    there = Path(os.path.realpath(run.folder))
    inputs = {name: str(value) for name, value in run.provenance().get("inputs", {}).items()}
    return {Path(os.path.normpath(there / name)): value for name, value in inputs.items() if not value.startswith("package ")}


def _found(values: Mapping[str, Any], inputs: Mapping[Path, str]) -> dict[str, Any]:
    """The values with relative paths as they are found from here: the run may have been started in another folder."""

    def of(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: of(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [of(inner) for inner in value]
        if isinstance(value, str) and value and not Path(value).is_absolute() and not Path(value).exists():
            parts = Path(os.path.normpath(value)).parts
            return next((str(path) for path in inputs if path.parts[-len(parts) :] == parts), value)
        return value

    return {key: of(value) for key, value in values.items()}


def changed_since(run: RunResult) -> list[str]:
    """What is no longer as it was when a run was computed, in words: causes of a difference, if there is one."""
    record, found = run.provenance(), []
    if record.get("multiscale") != __version__:
        found.append(f"multiscale is {__version__}, was {record.get('multiscale', 'unknown')}")
    if record.get("code_sha256") != code_hash():
        commit = (record.get("git") or {}).get("commit", "")
        found.append("the code of multiscale has changed" + (f" (commit then: {commit[:12]})" if commit else ""))
    for name, before in record.get("packages", {}).items():
        now = package_version(name)
        if now != before:
            found.append(f"{name} is {now or 'not installed'}, was {before}")
    for path, before in _inputs(run).items():
        if not path.exists():
            found.append(f"input '{path}' is missing")
        elif file_hash(path) != before:
            found.append(f"input '{path}' has changed")
    found += [f"the run folder is not what was written: {line}" for line in changed_files(run.folder, inputs=False)]
    return found
