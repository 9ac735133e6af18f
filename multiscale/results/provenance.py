"""Where a result comes from: configuration, inputs, code, versions, machine; and whether its files are still what was written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multiscale.content import content_key, file_hash
from multiscale.results.code_version import code_hash, git_state, package_version
from multiscale.results.plain_values import json_text
from multiscale.results.run_lock import NAME as LOCK
from multiscale.results.run_result import RunFolderError
from multiscale.results.study_record import StudyRecord
from multiscale.version import __version__

PACKAGES = (
    "numpy", "scipy", "pandas", "xarray", "highspy", "pyscipopt", "clarabel", "pyomo", "pandapower", "power-grid-model", "simbench", "dask",
    "distributed", "numba", "hydra-core", "omegaconf", "pydantic", "h5netcdf", "matplotlib",
)  # fmt: skip


def provenance(study: StudyRecord) -> dict[str, Any]:
    """Everything but the output files: see the keys."""
    return {
        "schema": 1,
        "multiscale": __version__,
        "code_sha256": code_hash(),
        "git": git_state(),
        "config_sha256": study.config_hash,
        "overrides": list(study.overrides),
        "config": dict(study.config),
        "settings": [asdict(setting) for setting in study.settings],
        "inputs": study.inputs,
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
        "seeds": dict(study.seeds),
        "host": {
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
    }


NAME = "provenance.json"


def sealed(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The record with the hashes of all files of a run, and of itself."""
    files = {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in (NAME, LOCK)}
    return _with_seal({**record, "files": files})


def with_file(record: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The record with the new hash of one file; a record that was changed by others stays one that was changed."""
    stored = {key: value for key, value in record.items() if key != "record_sha256"}
    sound = record.get("record_sha256") == _with_seal(stored)["record_sha256"]
    fresh = {**stored, "files": {**stored.get("files", {}), file.name: file_hash(file)}}
    return _with_seal(fresh) if sound else {**fresh, "record_sha256": record.get("record_sha256")}


def _with_seal(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "record_sha256": content_key(json_text(record))}


def changed_files(folder: Path) -> list[str]:
    """Names of the run's files, and of its inputs, that are not what was written down, and of files that are in no record; with the reason.

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
    seal = stored.pop("record_sha256", None)
    if seal != _with_seal(stored)["record_sha256"]:
        found.append(f"{NAME}: changed")
    known = stored.get("files", {})
    there = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())
    found += [f"{name}: not written by the run" for name in there if name not in known and name != NAME]
    for name, expected in stored.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: missing")
        elif file_hash(path) != expected:
            found.append(f"{name}: changed")
    for name, expected in stored.get("inputs", {}).items():
        path = Path(name)
        if not expected.startswith("package ") and not path.exists():
            found.append(f"input {name}: missing")
        elif not expected.startswith("package ") and file_hash(path) != expected:
            found.append(f"input {name}: changed")
    return found
