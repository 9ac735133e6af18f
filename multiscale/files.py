"""Files that are whole or not there: written under another name in the same folder, forced to the disk, then renamed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from multiscale.file_locks import is_free, lock


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file in one step; an interruption leaves the file before or the file after, never half of one.

    Args:
        path: file in an existing folder; replaced if it is there.
        content: text (UTF-8) or bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    # Numbers of processes are not unique where several machines share a folder.
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.writing")
    try:
        with scratch.open("wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def folder_written_atomically(path: Path) -> Iterator[Path]:
    """Path at which to make a folder, which takes the given name in one step at the end; after an exception nothing of it is left.

    A folder that has the name already is replaced. Where another process takes the name at the same moment, its folder stays. What processes
    that were killed while they wrote left in the folder above is removed.

    Raises:
        OSError: the folder above cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(path.parent, _UNFINISHED)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_UNFINISHED) as temporary, _locked(Path(temporary)):
        fresh = Path(temporary) / "new"
        yield fresh
        try:
            replace_folder(fresh, path)
        except OSError:
            if not path.exists():
                raise


@contextlib.contextmanager
def folder_of_process(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that only this user may read, removed in the end; those of processes that were killed are removed when the next one is made.

    Args:
        parent: made if it is not there.
        prefix: beginning of the names of these folders.

    Raises:
        OSError: the folder above cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(parent, prefix)
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix) as temporary, _locked(Path(temporary)):
        yield Path(temporary)


@contextlib.contextmanager
def _locked(temporary: Path) -> Iterator[None]:
    descriptor = os.open(temporary / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _remove_unfinished(parent: Path, prefix: str) -> None:
    """Remove what no process writes any longer: its lock is free, and it is not just being made."""
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime < _BEGUN_SECONDS:
                continue
            descriptor = os.open(left / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                free = is_free(descriptor)
            finally:
                os.close(descriptor)
            if free:
                shutil.rmtree(left)


def replace_folder(fresh: Path, path: Path) -> None:
    """Give a folder its name, in place of the one that has it; killed at any moment, one of the two is there, whole.

    Everything is forced to the disk before. Where the file system cannot exchange two folders, the old one is moved aside for a moment, to a name
    from which ``restore_replaced`` brings it back.

    Raises:
        OSError: the folder above cannot be written.
    """
    for file in sorted(fresh.rglob("*")):
        if file.is_file():
            _sync(file)
        else:
            _sync_folder(file)
    _sync_folder(fresh)
    restore_replaced(path)
    if path.exists():
        # Where names are exchanged, the old one has that of the new one until it is removed: for others it has just been written.
        os.utime(path)
    if not path.exists():
        fresh.rename(path)
    elif exchanged(fresh, path):
        shutil.rmtree(fresh, ignore_errors=True)
    else:
        old = _aside(path)
        path.rename(old)
        fresh.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(path.parent)


def restore_replaced(path: Path) -> None:
    """Bring a folder back whose replacement was killed half-way; remove what a replacement that went through left."""
    old = _aside(path)
    if old.exists() and not path.exists():
        old.rename(path)
    elif old.exists():
        shutil.rmtree(old, ignore_errors=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot (only Linux can)."""
    try:
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return bool(exchange(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


_UNFINISHED, _LOCK = ".writing-", "lock"
"""Beginning of the names of folders that are being written, and the file in them whose lock says that they are."""
_BEGUN_SECONDS = 60.0
"""Age below which a folder may not have its lock yet [s]."""

_HERE, _EXCHANGE = -100, 2
"""Linux: paths from the current folder (AT_FDCWD); exchange both (RENAME_EXCHANGE)."""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Force a rename to the disk; where a folder cannot be opened for it (Windows, some network drives), the system does so in its own time."""
    with contextlib.suppress(OSError):
        _sync(folder)
