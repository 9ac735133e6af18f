"""Where a result comes from: configuration, inputs, code, versions, machine; and whether its files are still what was written."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import multiscale
from multiscale.config import StudyConfig
from multiscale.config.groups import shipped_folder

PACKAGES = (
    "numpy", "scipy", "pandas", "xarray", "highspy", "pyscipopt", "pyomo", "pandapower", "simbench", "dask", "distributed", "numba",
    "hydra-core", "omegaconf", "pydantic", "h5netcdf", "matplotlib",
)  # fmt: skip
_DO_NOT_CHANGE_THE_ANSWER = {"output", "engine"}


def file_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their relative names."""
    digest = hashlib.sha256()
    if path.is_dir():
        for inner in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{inner.relative_to(path).as_posix()}\0{file_hash(inner)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def code_hash() -> str:
    """SHA-256 over the source files of the package."""
    root = Path(multiscale.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".csv", ".j2") and path.is_file():
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def input_hashes(config: StudyConfig) -> dict[str, str]:
    """What the configuration reads from outside -> its hash, or the version of the package it comes with."""
    found = {}
    if config.system.kind == "simbench":
        found[f"simbench:{config.system.code}"] = f"package simbench {_version('simbench')}"
    if config.system.path is not None:
        found[str(config.system.path)] = file_hash(config.system.path)
    if isinstance(config.costs.reinforcement_table, Path):
        found[str(config.costs.reinforcement_table)] = file_hash(config.costs.reinforcement_table)
    return found


def config_hash(config: StudyConfig) -> str:
    """SHA-256 of everything in the configuration that the answer depends on (not where it is computed or written)."""
    values = {k: v for k, v in config.model_dump(mode="json").items() if k not in _DO_NOT_CHANGE_THE_ANSWER}
    # Where a negotiation is kept changes nothing of what it leads to.
    del values["coordination"]["checkpoints"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def content_hash(config: StudyConfig, inputs: dict[str, str]) -> str:
    """Hash of configuration, inputs and code: equal hashes mean the same study."""
    parts = [config_hash(config), json.dumps(inputs, sort_keys=True), multiscale.__version__, code_hash()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def provenance(config: StudyConfig, inputs: dict[str, str], overrides: Iterable[str]) -> dict[str, Any]:
    """Everything but the output files: see the keys."""
    return {
        "schema": 1,
        "multiscale": multiscale.__version__,
        "code_sha256": code_hash(),
        "git": git_state(),
        "config_sha256": config_hash(config),
        "overrides": list(overrides),
        "config": config.model_dump(mode="json"),
        "inputs": inputs,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "seeds": {"growth": config.system.growth.seed, "solver": config.solver.seed},
        "host": {
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
    }


def git_state() -> dict[str, Any] | None:
    """Commit of the working copy the package stands in and whether it is changed; ``None`` for an installed package."""
    root = shipped_folder("conf").parent
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changed = subprocess.run(["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "changed": bool(changed.stdout.strip())}


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


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
