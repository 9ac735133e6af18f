"""The process that computes jobs of a sweep, one after the other; what it prints goes to the log of the job.

It ends with the process that runs the sweep, however that ends. An interrupt of the terminal does not reach it: the process that runs the sweep ends
it in order, so that it arrives once and where it can be dealt with.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """A job as a worker is given it.

    Attributes:
        number: of the job.
        overrides: what it is computed with.
        private: folder of the user's own choices; None for none.
        place: its run folder.
        log: file for all it prints.
    """

    number: int
    overrides: tuple[str, ...]
    private: Path | None
    place: Path
    log: Path


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        state: of the job.
        message: why it has no answer.
        seconds: how long it took [s].
        computed: whether it was computed, not read.
    """

    state: str
    message: str = ""
    seconds: float = 0.0
    computed: bool = True


class _JobInterrupt(KeyboardInterrupt):
    """The interrupt of a job."""


def serve(connection: Connection, compute: Callable[[Task], tuple[str, str, bool]]) -> None:
    """Compute every task that comes over the connection, until there is none.

    Args:
        connection: gives tasks and takes outcomes.
        compute: task -> state, message, whether it was computed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(signal, "SIGUSR2"):
        # A batch system sends it to all processes of a job when its time is nearly over; the one above acts on it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while (task := connection.recv()) is not None:
            connection.send(_outcome(task, compute))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _interrupt(_signal: int, _frame: object) -> None:
    raise _JobInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    # Its own processes end with it: Dask workers and SCIP look for the process that started them.
    os._exit(1)


def _outcome(task: Task, compute: Callable[[Task], tuple[str, str, bool]]) -> Outcome:
    started = time.perf_counter()
    computed = True
    try:
        with _printed_to(task.log):
            try:
                state, message, computed = compute(task)
            except Exception:
                traceback.print_exc()
                raise
    except KeyboardInterrupt:
        state, message = "interrupted", "interrupted before the end"
    except OSError as error:
        state, message = "error", f"{error.strerror or error} ({error.filename or task.log})"
    except Exception as error:
        # A failed job is recorded, with its run folder and its log, and the others go on.
        text = str(error).strip().splitlines()
        state, message = "error", text[0] if text else type(error).__name__
    return Outcome(state, message, round(time.perf_counter() - started, 3), computed)


@contextlib.contextmanager
def _printed_to(log: Path) -> Iterator[None]:
    """All that this process and those it starts print goes to a file, after what is there of an earlier attempt."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1), os.dup(2)
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
        finally:
            os.close(descriptor)
        yield
    finally:
        with contextlib.suppress(OSError):  # a full disk: what is printed is lost, the answer is not
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(before[0], 1)
        os.dup2(before[1], 2)
        for copy in before:
            os.close(copy)


def compute_job(task: Task) -> tuple[str, str, bool]:
    """Run the study of a job, as ``multiscale run`` does.

    Returns:
        Its state, why it has no answer, and whether it was computed rather than read.
    """
    from multiscale.config import load_config
    from multiscale.results import NoAnswerError, RunExistsError, RunResult
    from multiscale.study import run_study
    from multiscale.sweep.planned import run_place

    logging.captureWarnings(True)
    print(f"job {task.number}: multiscale run {' '.join(task.overrides)}", file=sys.stderr, flush=True)
    config = load_config(task.overrides, task.private)
    place = run_place(config.record())
    if place.resolve() != task.place.resolve():
        raise RuntimeError(f"data, configuration, or code have changed since the sweep began: its run folder would be '{place}'; begin a new sweep")
    try:
        result = run_study(config)
    except RunExistsError as there:
        return RunResult.load(there.folder).status, "", False
    except NoAnswerError as none:
        print(f"{none.status}: {none}", file=sys.stderr)
        return none.status, str(none), True
    return result.status, "", True
