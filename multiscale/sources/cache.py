"""A folder of converted systems: written in one move, checked when read, rebuilt when damaged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from multiscale.content import file_hash
from multiscale.files import folder_written_atomically
from multiscale.system.system import System

_MANIFEST = "manifest.json"
_log = logging.getLogger(__name__)


def cache_folder(given: Path | None = None) -> Path:
    """Where converted systems are kept: the argument, else the environment variable MULTISCALE_CACHE, else the user's cache folder."""
    if given is not None:
        return Path(given)
    named = os.environ.get("MULTISCALE_CACHE", "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("multiscale"))


def cached(key: str, build: Callable[[], System], folder: Path | None = None) -> System:
    """The system kept under a key, or a newly built one, which is then kept.

    The entry is written into a temporary folder and renamed, so that an interrupted run leaves nothing that looks whole; its files'
    hashes are checked when it is read, and an entry that fails is built anew with a notice. A folder that cannot be written costs the
    time of the conversion, not the run.
    """
    place = cache_folder(folder) / key
    if place.exists():
        try:
            _check(place)
            return System.load(place)
        except (OSError, ValueError, LookupError) as error:
            _log.warning("cache entry %s is damaged (%s); it is built anew", place, error)
    system = build()
    try:
        _keep(system, place)
    except OSError as error:
        _log.warning("the converted system cannot be kept in %s (%s); set MULTISCALE_CACHE to a folder that can be written", place.parent, error)
    return system


def _check(place: Path) -> None:
    manifest = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
    for name, expected in manifest.items():
        if file_hash(place / name) != expected:
            raise ValueError(f"content of {name} has changed")


def _keep(system: System, place: Path) -> None:
    with folder_written_atomically(place) as fresh:
        system.save(fresh)
        manifest = {file.name: file_hash(file) for file in sorted(fresh.iterdir())}
        (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
