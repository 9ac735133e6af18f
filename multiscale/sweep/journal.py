"""What happened to the jobs of a sweep: one line per event, added by the one process that runs it, forced to the disk."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from multiscale.sweep.combinations import SweepError

NAME = "journal.jsonl"


@dataclass(frozen=True)
class Event:
    """A job began or ended.

    Attributes:
        job: its number.
        state: ``running``, or how it ended.
        message: why it has no answer.
        seconds: how long it took [s].
        computed: whether it was computed, not read.
        time: when (ISO 8601, UTC).
    """

    job: int
    state: str
    message: str = ""
    seconds: float = 0.0
    computed: bool = True
    time: str = ""


def add(folder: Path, event: Event) -> None:
    """Add an event.

    Raises:
        OSError: the folder cannot be written.
    """
    line = json.dumps(asdict(event) | {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}) + "\n"
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        # A process that was killed while it wrote may have left half a line, which is no event.
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        written = os.write(descriptor, content := ("\n" * torn + line).encode())
        if written < len(content):
            os.ftruncate(descriptor, end)
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / NAME))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_events(folder: Path) -> dict[int, Event]:
    """The last event of every job that has any; half a line, and one that says no event, is none.

    Raises:
        SweepError: the journal cannot be read.
    """
    try:
        lines = (folder / NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        remedy = "make it readable, or remove it: the run folders of the jobs say what has an answer"
        raise SweepError(f"'{folder / NAME}' cannot be read ({error.strerror}); {remedy}") from None
    found = {}
    for line in lines:
        try:
            stored = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(stored, dict) and {name: type(value) for name, value in stored.items() if name != "seconds"} == _TYPES and _is_time(stored):
            event = Event(**stored)
            found[event.job] = event
    return found


_TYPES = {"job": int, "state": str, "message": str, "computed": bool, "time": str}


def _is_time(stored: dict[str, object]) -> bool:
    seconds = stored.get("seconds")
    return isinstance(seconds, int | float) and 0.0 <= seconds < float("inf") and (not stored["time"] or _moment(str(stored["time"])))


def _moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
