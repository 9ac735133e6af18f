"""Where a result comes from: configuration, inputs, code, versions, machine; and whether its files are still what was written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from multiscale.content import file_hash
from multiscale.results.run.code_version import code_hash, git_state, package_version
from multiscale.results.run.run_lock import NAME as LOCK
from multiscale.results.run.run_result import SEAL, RunFolderError, seal
from multiscale.results.run.study_record import StudyRecord
from multiscale.version import __version__

PACKAGES = (
    "numpy", "scipy", "pandas", "xarray", "highspy", "pyscipopt", "clarabel", "pyomo", "pandapower", "power-grid-model", "simbench", "dask",
    "distributed", "numba", "hydra-core", "omegaconf", "pydantic", "h5netcdf", "matplotlib",
)  # fmt: skip


def provenance(study: StudyRecord, folder: Path) -> dict[str, Any]:
    """Everything but the output files: see the keys.

    Args:
        study: settings of the study.
        folder: of the run; a path given relative to the current folder is written down relative to this one.
    """
    files = {str(path): _from_folder(path, folder) for path in study.files}
    return {
        "schema": 2,
        "multiscale": __version__,
        "code_sha256": code_hash(),
        "git": git_state(),
        "config_sha256": study.config_hash,
        "overrides": list(study.overrides),
        "config": dict(study.config),
        "settings": [asdict(setting) for setting in study.settings],
        "inputs": {files.get(name, name): value for name, value in study.inputs.items()},
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
        "seeds": dict(study.seeds),
        "host": {
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
    }


def _from_folder(path: Path, folder: Path) -> str:
    """A path as it is found from a folder, wherever a command is called; one that was given absolute stays so."""
    if path.is_absolute():
        return path.as_posix()
    try:
        return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(folder))).as_posix()
    except ValueError:  # Windows: on another drive
        return path.resolve().as_posix()


NAME = "provenance.json"


def sealed(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The record with the hashes of all files of a run, and of itself."""
    files = {p.relative_to(folder).as_posix(): file_hash(p) for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in (NAME, LOCK)}
    return _with_seal({**record, "files": files})


def with_file(record: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The record with the new hash of one file; a record that was changed by others stays one that was changed, one without a seal has none."""
    stored = {key: value for key, value in record.items() if key != SEAL}
    fresh = {**stored, "files": {**stored.get("files", {}), file.name: file_hash(file)}}
    if SEAL not in record:
        return fresh
    sound = record[SEAL] == _with_seal(stored)[SEAL]
    return _with_seal(fresh) if sound else {**fresh, SEAL: record[SEAL]}


def _with_seal(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, SEAL: seal(record)}


def changed_files(folder: Path, *, inputs: bool = True) -> list[str]:
    """Names of the run's files and inputs that are not what was written down, and of files and folders that are in no record; with the reason.

    Args:
        folder: of the run.
        inputs: whether what it read is looked at as well.

    Raises:
        RunFolderError: there is no record, or it cannot be read.
    """
    file = folder / NAME
    if not file.is_file():
        raise RunFolderError(f"'{folder}' has no {NAME}: the run did not go through, or this is no run folder")
    try:
        stored = dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return [f"{NAME}: changed (it is no JSON any longer, so nothing else can be checked)"]
    found = []
    if SEAL not in stored:
        found.append(f"{NAME}: has no seal ({SEAL}), which is written when a run is complete; what it says of the files cannot be relied on")
    elif stored.pop(SEAL) != _with_seal(stored)[SEAL]:
        found.append(f"{NAME}: changed")
    files, read = stored.get("files", {}), stored.get("inputs", {})
    if not all(isinstance(part, dict) and all(isinstance(v, str) for v in part.values()) for part in (files, read)):
        return [*found, f"{NAME}: files and inputs are not names with hashes, so nothing else can be checked"]
    # The lock is there where the process was killed between giving the folder its name and giving the lock up.
    written = {NAME, LOCK, *files, *(above.as_posix() for name in files for above in PurePosixPath(name).parents)}
    there = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    found += [f"{name}: not written by the run" for name in there if name not in written]
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: missing")
        elif file_hash(path) != expected:
            found.append(f"{name}: changed")
    for name, expected in read.items() if inputs else ():
        if expected.startswith("package "):
            continue
        path = Path(os.path.realpath(folder)) / name
        if not path.exists():
            found.append(f"input {name}: missing")
        elif file_hash(path) != expected:
            found.append(f"input {name}: changed")
    return found
