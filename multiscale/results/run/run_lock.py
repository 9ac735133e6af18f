"""Who writes a run folder: a lock that holds between processes, containers and hosts on one shared folder.

The holder keeps a lock of the operating system on a file (it ends with the process, however that ends) and touches the file every two seconds. On
the machine of the holder the first says whether it lives; elsewhere, where such locks may not be seen, the second does: its age is measured by the
clock of the file system, so clocks of hosts need not agree. Names of hosts and numbers of processes decide nothing: containers have the same ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from pathlib import Path

from multiscale.file_locks import is_free, lock, try_lock

NAME = ".lock"
BEAT_SECONDS = 2.0
LOOKED_AT_SECONDS = 1.0
"""How long a lock that is held is tried again: who only looks at it holds it for a moment [s]."""
STALE_SECONDS = 60.0
"""Age from which on a lock of another machine is given up [s]."""


def _machine() -> str:
    """What tells running systems apart: drawn at every start of the operating system."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{uuid.getnode():x}"


class FolderHeldError(RuntimeError):
    """A process holds the lock of a folder; the text says which."""


class RunLock:
    """The lock of a folder; held until ``release``.

    Args:
        folder: existing folder that no other process writes.
        left: whether the lock of a process that has ended may be there; it is taken over.

    Raises:
        FolderHeldError: a process holds the lock (only where ``left``).
        OSError: the folder has a lock already, or cannot be written.
    """

    def __init__(self, folder: Path, *, left: bool = False) -> None:
        self._token = uuid.uuid4().hex
        self._descriptor = _taken_over(folder) if left else os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            # Locked before anything is written: who reads what is written finds it locked.
            lock(self._descriptor)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, json.dumps({"token": self._token, "machine": _machine()}).encode())
            os.fsync(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def holds(self, folder: Path) -> bool:
        """Whether the folder's lock is this one still: another process may have taken the folder from one that gave no sign of life."""
        return _read(folder / NAME).get("token") == self._token

    def release(self, folder: Path) -> None:
        """Give the lock up and remove its file."""
        if self._ended.is_set():
            return
        self._ended.set()
        # Once closed, the number of the descriptor may be that of another file, which is not to be touched.
        self._beating.join()
        if self.holds(folder):
            (folder / NAME).unlink(missing_ok=True)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)


def _taken_over(folder: Path) -> int:
    """Descriptor of the lock file, locked where there are such locks: of two that find a lock that was left, one has it.

    Raises:
        FolderHeldError, OSError: see ``RunLock``.
    """
    until = time.monotonic() + LOOKED_AT_SECONDS
    while True:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            at_work = _kept_by(folder / NAME, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if not at_work:
            return descriptor
        os.close(descriptor)
        if time.monotonic() > until:
            raise FolderHeldError(at_work)
        time.sleep(0.02)


def _kept_by(file: Path, descriptor: int) -> str:
    """Who keeps this process from having a lock file, in words; empty where it has it."""
    taken = try_lock(descriptor)
    if taken is False:
        # It holds the lock, or only looks at it for a moment.
        return "another process on this machine"
    if not _is_at(file, descriptor):
        return "another process that has just ended"
    there = _read(file)
    if not there or (taken and there.get("machine") == _machine()):
        return ""
    return _beating(file)


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _beating(file: Path, machine: str = "another") -> str:
    """In words, that a process on another machine gives signs of life; empty where none does any longer."""
    age = _age(file)
    wait = f"it gave a sign of life {max(age, 0.0):.0f} s ago; were it ended, its folder would be free after {STALE_SECONDS:g} s"
    return f"a process on {machine} machine ({wait})" if age < STALE_SECONDS else ""


def holder(folder: Path) -> str:
    """Who holds a folder, in words; empty where no process does (any longer)."""
    file = folder / NAME
    try:
        descriptor = os.open(file, os.O_RDWR)
    except OSError:
        # Between making the folder and its lock, or after it was given up.
        age = _age(folder)
        return f"another process has just begun (a moment of {age:.0f} s ago)" if age < BEAT_SECONDS else ""
    try:
        free = is_free(descriptor)
        if free is False:
            return "another process on this machine"
        machine = _read(file).get("machine", "")
        return "" if free and machine == _machine() else _beating(file, "another" if machine else "this or another")
    finally:
        os.close(descriptor)


def _read(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _age(path: Path) -> float:
    """Seconds since a file or folder was changed, by the clock of its file system."""
    probe = path.parent / f".clock-{uuid.uuid4().hex}"
    changed = path.stat().st_mtime
    try:
        probe.touch()
        return probe.stat().st_mtime - changed
    finally:
        probe.unlink(missing_ok=True)
