"""Locks of the operating system on open files: they end with the process that holds them, however that ends."""

from __future__ import annotations

import contextlib


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
