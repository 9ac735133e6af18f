"""Locks of the operating system on open files: they end with the process that holds them, however that ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def lock(descriptor: int) -> None:
    """Take the lock of a file, after a process that looks at it this moment; nothing where there are no such locks (Windows, some network drives).

    Args:
        descriptor: of the file, opened for reading and writing; the lock is given back when it is closed.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    # A file system without such locks: callers decide by age.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def try_lock(descriptor: int) -> bool | None:
    """Take the lock of a file if no other process has it, without waiting; None where there are no such locks.

    Args:
        descriptor: see ``lock``.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Of the processes of a machine that come here with one file, one is inside and the others wait; nothing where there are no such locks.

    Args:
        file: made here, in an existing folder, and removed by the last to leave.

    Raises:
        OSError: the folder cannot be written.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(file.stat(), os.fstat(descriptor)):
                    break
        except BaseException:
            os.close(descriptor)
            raise
        # The one before removed the file when it left.
        os.close(descriptor)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows: another process has it open
            file.unlink()
        os.close(descriptor)


def is_free(descriptor: int) -> bool | None:
    """Whether no process holds the lock of a file; None where there are no such locks.

    It is shared with others who look, so that they do not take each other for the holder, and given back with the descriptor.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
