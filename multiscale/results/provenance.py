"""Where a result comes from: configuration, inputs, code, versions, machine; and whether its files are still what was written."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multiscale.content import file_hash
from multiscale.results.code_version import code_hash, git_state, package_version
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


def changed_files(folder: Path) -> list[str]:
    """Names of the run's files, and of its inputs, that are not what was written down; with the reason."""
    stored = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    found = []
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
