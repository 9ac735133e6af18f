"""One job of a sweep as a batch system runs it: in a process below this one, which so can always act on signals, a long solve or not.

How the job ended is a small JSON file that the owner of the sweep reads; nothing that comes back is executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from multiscale.files import write_atomically
from multiscale.machine import children_apart_from_current_folder
from multiscale.sweep.job_process import JobProcess
from multiscale.sweep.manifest import Job
from multiscale.sweep.worker import Outcome, Task

LOOK_SECONDS = 1.0
"""How often it is looked whether the job is to end [s]."""

IN_ORDER_SECONDS = 20.0
"""Time that a job has to put its run folder in order [s]."""


@dataclass(frozen=True)
class Owner:
    """A process on this machine, with which its jobs end.

    Attributes:
        pid: its number.
        since: when it was started, since numbers are given again [s].
    """

    pid: int
    since: float

    @classmethod
    def this(cls) -> Owner:
        """This process."""
        import psutil

        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def lives(self) -> bool:
        """Whether it does."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.since) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class Attempt:
    """What submitit is given.

    Args:
        compute: what is done with the task, in the process below.
        owner: with which the job ends; None on a batch system, where it goes on without.
    """

    def __init__(self, compute: Callable[[Task], tuple[str, str, bool]], owner: Owner | None) -> None:
        self._compute, self._owner = compute, owner
        self._below: JobProcess | None = None
        self._told = False

    def __getstate__(self) -> dict[str, Any]:
        """Without the process below."""
        return {"_compute": self._compute, "_owner": self._owner, "_below": None, "_told": False}

    def __call__(self, task: Task, ending: Path) -> None:
        """Compute the task, and write how it ended.

        Args:
            task: job of the sweep.
            ending: file for its outcome.
        """
        signal.signal(signal.SIGTERM, self._told_to_end)
        with children_apart_from_current_folder():
            below = self._below = JobProcess.start(self._compute)
        below.job = Job(task.number, task.overrides, (), str(task.place), "")
        below.give(task)
        outcome = None
        try:
            while outcome is None:
                wait([below.connection, below.process.sentinel], timeout=LOOK_SECONDS)
                outcome = below.outcome()
                if outcome is None and (self._told or (self._owner is not None and not self._owner.lives)):
                    outcome = self._ended_in_order(below)
            below.job = None
        finally:
            below.end()
        write_atomically(ending, json.dumps(asdict(outcome)))

    def checkpoint(self, task: Task, ending: Path) -> Any:
        """The time of the batch job is nearly over: end the process in order; the same task begins again, and reads the stages that are finished."""
        from submitit.helpers import DelayedSubmission

        if self._below is not None:
            self._ended_in_order(self._below)
            self._below.end()
        return DelayedSubmission(self, task, ending)

    def _told_to_end(self, _signal: int, _frame: object) -> None:
        self._told = True

    def _ended_in_order(self, below: JobProcess) -> Outcome:
        # Slurm sends the signal to all processes of a job; twice would interrupt the putting in order.
        if below.process.pid is not None and below.process.is_alive() and not (self._told and self._owner is None):
            os.kill(below.process.pid, signal.SIGTERM)
        with contextlib.suppress(EOFError, OSError):
            if below.connection.poll(IN_ORDER_SECONDS):
                outcome: Outcome = below.connection.recv()
                if outcome.state in ("optimal", "feasible"):
                    return outcome
        return Outcome("interrupted", "ended before it had an answer")


def ended(ending: Path) -> Outcome | None:
    """How an attempt ended; None where it has not, or did not come so far as to say.

    Raises:
        ValueError: the file is not what an attempt writes.
    """
    try:
        stored = json.loads(ending.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Outcome(str(stored["state"]), str(stored["message"]), float(stored["seconds"]), bool(stored["computed"]))
