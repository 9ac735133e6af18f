"""A file that HDF5 writes through Python, so that a full disk is an error here and not the end of the process.

HDF5 does not give up a file that it could not write: it tries again when the file is closed, and once more when the process ends, which crashes then.
So HDF5 never hears of the error. What does not fit is held in memory, where it can still be read, until the writer asks (``check``).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any


class OutputFile(io.RawIOBase):
    """A new file.

    Args:
        path: replaced if it is there.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._at = self._end = 0
        self._held: list[tuple[int, bytes]] = []
        self._error: OSError | None = None

    def check(self) -> None:
        """Ask whether everything is on the disk so far.

        Raises:
            OSError: it is not, e.g. because the disk is full.
        """
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """``check``, and force everything to the disk."""
        self.check()
        os.fsync(self._file.fileno())

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; returns it."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def write(self, content: Any) -> int:
        """Write at the place where the file stands; returns the number of bytes."""
        data = bytes(content)
        if self._error is None:
            try:
                self._to_disk(data)
            except OSError as error:
                self._error = error
        if self._error is not None:
            self._held.append((self._at, data))
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def _to_disk(self, data: bytes) -> None:
        self._file.seek(self._at)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the place where the file stands; zeros beyond its end."""
        size = len(buffer)
        self._file.seek(self._at)
        found = bytearray(self._file.read(size).ljust(size, b"\0"))
        for at, data in self._held:
            first, last = max(at, self._at), min(at + len(data), self._at + size)
            if first < last:
                found[first - self._at : last - self._at] = data[first - at : last - at]
        buffer[:] = found
        self._at += size
        return size

    def truncate(self, size: int | None = None) -> int:
        """Give the file a length; returns it."""
        self._end = self._at if size is None else size
        if self._error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self._error = error
        return self._end

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
