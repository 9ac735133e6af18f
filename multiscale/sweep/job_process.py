"""A process that computes jobs of a sweep, as seen from the process that started it."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from multiscale.sweep.manifest import Job
from multiscale.sweep.worker import Outcome, Task, serve

LAST_SECONDS = 5.0
"""Time that a process has to end by itself [s]."""


@dataclass
class JobProcess:
    """A worker process, and the job it is at.

    Attributes:
        process: it.
        connection: takes tasks and gives outcomes.
        job: which; None while it waits for one.
    """

    process: BaseProcess
    connection: Connection
    job: Job | None = None

    @classmethod
    def start(cls, compute: Callable[[Task], tuple[str, str, bool]]) -> JobProcess:
        """Start one that does ``compute`` with every task."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, compute))
        process.start()
        there.close()
        return cls(process, here)

    def outcome(self) -> Outcome | None:
        """How its job ended; None while it is at it. A process that died is a job that failed."""
        if self.connection.poll():
            try:
                outcome: Outcome = self.connection.recv()
            except (EOFError, OSError):
                self._die()
                return Outcome("error", _death(self.process.exitcode))
            return outcome
        return None if self.process.is_alive() else Outcome("error", _death(self.process.exitcode))

    def end(self) -> None:
        """End it: at once where it is at a job, else when it has seen that there is nothing more."""
        if self.job is not None:
            self.process.kill()
        self.give(None)
        self._die()
        self.connection.close()

    def give(self, task: Task | None) -> None:
        """Give it a task, or nothing more; that it has died meanwhile is found where its outcome is asked for."""
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def _die(self) -> None:
        """Wait until it has ended, and end it where that takes too long."""
        self.process.join(LAST_SECONDS)
        self.process.kill()
        self.process.join()


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with code {code}; the log of the job says more"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    why = "; often for want of memory: run fewer jobs at the same time (--jobs)" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{why}"
