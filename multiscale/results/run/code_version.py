"""Which code computed a result: hash of the package, commit of the working copy, versions of other packages."""

from __future__ import annotations

import importlib.metadata
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from multiscale.content import content_key, file_hash


@cache
def code_hash() -> str:
    """Hash of the source files of the package with their relative names; the code of a process does not change while it runs."""
    root = Path(__file__).parents[2]
    files = (p for p in sorted(root.rglob("*")) if p.suffix in (".py", ".csv", ".j2") and p.is_file())
    return content_key(*((path.relative_to(root).as_posix(), file_hash(path)) for path in files))


def git_state() -> dict[str, Any] | None:
    """Commit of the working copy the package stands in and whether it is changed; ``None`` for an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changed = subprocess.run(["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "changed": bool(changed.stdout.strip())}


@cache
def package_version(package: str) -> str:
    """Version of an installed package; empty if it is not installed. What is installed does not change while a process runs."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
