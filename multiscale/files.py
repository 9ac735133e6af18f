"""Files that are whole or not there: written under another name in the same folder, forced to the disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file in one step; an interruption leaves the file before or the file after, never half of one.

    Args:
        path: file in an existing folder; replaced if it is there.
        content: text (UTF-8) or bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.writing")
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

    A folder that has the name already is replaced. Where another process takes the name at the same moment, its folder stays.

    Raises:
        OSError: the folder above cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as temporary:
        fresh = Path(temporary) / "new"
        yield fresh
        for file in fresh.iterdir():
            _sync(file)
        _sync_folder(fresh)
        if path.exists():
            # A rename cannot replace a full folder: the old one is moved aside first.
            shutil.move(path, Path(temporary) / "old")
        try:
            fresh.rename(path)
        except OSError:
            if not path.exists():
                raise
    _sync_folder(path.parent)


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
