"""What is said of an exception that ends a command, and its exit code."""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback

from multiscale.cli.command import BAD_INPUT, ERROR


def said_of(error: Exception) -> int:
    """Print one line about an exception, with the remedy where it is known; returns the exit code."""
    if _disk_is_full(error):
        message = "the disk is full: free some space, or give other places with output.folder=..., output.stages=..., TMPDIR and MULTISCALE_CACHE"
        print(f"error: {message} ({one_line(error)})", file=sys.stderr)
        return ERROR
    if is_bad_input(error):
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    print(f"error: {one_line(error)}; details are in {_keep_traceback()}", file=sys.stderr)
    return ERROR


def is_bad_input(error: Exception) -> bool:
    """Faults of what was given, not of the program: their text says what to correct."""
    from multiscale.config import ConfigError
    from multiscale.results import RunFolderError

    if isinstance(error, ConfigError | RunFolderError):
        return True
    from multiscale.sweep.combinations import SweepError

    if isinstance(error, SweepError):
        return True
    from multiscale.bilevel import BilevelError
    from multiscale.coordination.engine import EngineUnavailableError, TaskError
    from multiscale.coordination.negotiation.checkpoint import CheckpointError
    from multiscale.system import InvalidSystemError
    from multiscale.system.rooted import MeshedNetworkError

    if isinstance(error, InvalidSystemError | MeshedNetworkError | BilevelError | EngineUnavailableError | CheckpointError):
        return True
    # What a worker found wrong with the data is wrong with the data.
    return isinstance(error, TaskError) and isinstance(error.__cause__, Exception) and is_bad_input(error.__cause__)


def one_line(error: BaseException) -> str:
    """The first line of what an exception says; its name where it says nothing."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether writing failed for want of space (or of what a file may hold), here or in what led to it."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left on device" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _keep_traceback() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="multiscale-", suffix=".log", delete=False, encoding="utf-8") as stream:
        stream.write(traceback.format_exc())
    return stream.name
