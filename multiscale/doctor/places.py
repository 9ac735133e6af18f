"""Where things are kept: cache and output folder, whether they can be written, and what their file systems can do."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from multiscale.doctor.finding import Finding
from multiscale.file_locks import is_free, lock
from multiscale.files import exchanged, write_atomically

LEAST_FREE = 1e9
"""Free space below which a warning is given [B]."""


def check_places(output: Path) -> Iterator[Finding]:
    """The cache, the output folder, and the folder for temporary files."""
    from multiscale.sources.cache import cache_folder

    cache = cache_folder()
    yield _writable("cache", cache, "set MULTISCALE_CACHE to a folder that can be written; until then every run converts its system again", held=True)
    yield _writable("output folder", output, "make it writable, or give another one with output.folder=...")
    yield from _file_system(output)
    yield _writable("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder that can be written")


def _writable(what: str, folder: Path, remedy: str, *, held: bool = False) -> Finding:
    there = _first_there(folder)
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".doctor-") as probe:
            write_atomically(Path(probe) / "probe", "probe")
    except OSError as error:
        return Finding("failed", what, f"'{folder}' cannot be written ({error.strerror})", remedy)
    free = shutil.disk_usage(there).free
    made = "" if there == folder else ", made at the first run"
    holds = f", {_held(folder)}" if held and folder.is_dir() else ""
    found = f"'{folder}' can be written{made}; {free / 1e9:.1f} GB free{holds}"
    if free < LEAST_FREE:
        return Finding("warning", what, found, "free some space: runs that cannot be written end without an answer")
    return Finding("ok", what, found)


def _first_there(folder: Path) -> Path:
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _held(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    systems = sum(1 for path in folder.iterdir() if path.is_dir())
    return f"{systems} converted system{'s' if systems != 1 else ''}, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB"


def _file_system(output: Path) -> Iterator[Finding]:
    """Locks, renaming and clock where run folders are made."""
    there = _first_there(output)
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".doctor-") as temporary:
            folder = Path(temporary)
            yield _locks(folder)
            yield _renames(folder)
            probe = folder / "clock"
            probe.touch()
            apart = abs(probe.stat().st_mtime - time.time())
    except OSError as error:
        yield Finding(
            "failed", "file system of the output folder", f"{error}", "give another output.folder, on a local disk or a well-kept network drive"
        )
        return
    if apart > 60:
        yield Finding("warning", "clock", f"that of the file system is {apart:.0f} s from this machine's", "synchronise the clocks (NTP)")


def _locks(folder: Path) -> Finding:
    what = "locks"
    descriptors = [os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644) for _ in range(2)]
    try:
        lock(descriptors[0])
        free = is_free(descriptors[1])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if free is False:
        return Finding("ok", what, "of the operating system work in the output folder")
    text = "the output folder has none of the operating system" if free is None else "are granted twice in the output folder"
    return Finding("warning", what, text, "do not start the same study twice within a minute: only the age of a lock counts")


def _renames(folder: Path) -> Finding:
    for name in ("one", "other"):
        (folder / name).mkdir()
        (folder / name / name).touch()
    if exchanged(folder / "one", folder / "other"):
        return Finding("ok", "renaming", "a run folder replaces an older one in one step")
    (folder / "one").rename(folder / "third")
    return Finding(
        "ok", "renaming", "works; an older run folder is moved aside for a moment when it is replaced (this file system cannot exchange folders)"
    )
