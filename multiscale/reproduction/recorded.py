"""The configuration that a run folder records, and what around it is no longer what it was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from multiscale.config import ConfigError, StudyConfig
from multiscale.config.checking import checked
from multiscale.content import file_hash
from multiscale.results.run.code_version import code_hash, package_version
from multiscale.results.run.provenance import changed_files
from multiscale.results.run.run_result import RunFolderError, RunResult
from multiscale.settings import Settings, inner_settings, kinds, names_of
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
    values = _found(values, StudyConfig, _inputs(run))
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


def _found(values: Mapping[str, Any], model: type[Settings], inputs: Iterable[Path]) -> dict[str, Any]:
    """The values of settings with relative paths as they are found from here: the run may have been started in another folder."""
    found = dict(values)
    for name, declared in model.model_fields.items():
        value = values.get(name)
        inner = inner_settings(declared)
        if isinstance(value, Mapping):
            # A kind that is not known, and named groups, hold no path that could be found.
            of_kind = inner.get(str(value.get("kind", "")) if kinds(declared) else "")
            found[name] = _found(value, of_kind, inputs) if of_kind else value
        elif isinstance(value, str) and Path in (declared.annotation, *get_args(declared.annotation)) and value not in names_of(declared):
            found[name] = _place(Path(value), inputs)
    return found


def _place(path: Path, inputs: Iterable[Path]) -> str:
    """A relative path that is not there, as that of the input which ends in it."""
    if path.is_absolute() or path.exists():
        return str(path)
    parts = Path(os.path.normpath(path)).parts
    return next((str(there) for there in inputs if there.parts[-len(parts) :] == parts), str(path))


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
