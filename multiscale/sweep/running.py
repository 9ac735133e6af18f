"""The loop that hands the jobs of a sweep to its workers, notes how they end, and ends in order when it is interrupted."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from multiscale.machine import children_apart_from_current_folder
from multiscale.sweep.journal import Event, add
from multiscale.sweep.manifest import Job, Manifest, run_folder
from multiscale.sweep.progress import SweepProgress
from multiscale.sweep.states import ANSWERED
from multiscale.sweep.worker import Outcome, Task, compute_job, serve

LOOK_SECONDS = 0.25
"""How often it is looked whether the sweep was interrupted [s]."""

END_SECONDS = 60.0
"""Time that interrupted jobs have to put their run folders in order [s]."""

LAST_SECONDS = 5.0
"""Time that a process has to end by itself [s]."""

LOGS = "logs"

COMPUTE: Callable[[Task], tuple[str, str, bool]] = compute_job
"""What workers do with a task."""


class SweepInterrupt(KeyboardInterrupt):
    """A sweep was interrupted and ended in order."""


@dataclass
class _Worker:
    """A worker process, and the job it is at."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None

    @classmethod
    def start(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, COMPUTE))
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


@dataclass
class _Interrupts:
    """Counts interrupts instead of being interrupted: what is being noted is noted to its end."""

    count: int = 0
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        # Only the main thread is given signals.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def run_jobs(folder: Path, manifest: Manifest, jobs: Sequence[Job], at_once: int, progress: SweepProgress, *, keep_going: bool) -> None:
    """Run jobs in their order, several at the same time, and note in the journal how they end.

    Args:
        folder: of the sweep, whose lock this process holds.
        manifest: of the sweep.
        jobs: that are to be run.
        at_once: how many at the same time.
        progress: shows how far they are.
        keep_going: whether others begin after a job ended without an answer; those that run are ended in order in any case.

    Raises:
        SweepInterrupt: after the first interrupt, when the jobs that ran are ended and noted; a second one ends them at once.
        OSError: the journal cannot be written. Jobs that run are ended.
    """
    (folder / LOGS).mkdir(exist_ok=True)
    private = Path(manifest.private) if manifest.private else None
    waiting = deque(jobs)
    workers: list[_Worker] = []

    def ended(worker: _Worker, outcome: Outcome) -> None:
        nonlocal keep_going
        job, worker.job = worker.job, None
        assert job is not None
        add(folder, Event(job.number, outcome.state, outcome.message, outcome.seconds, outcome.computed))
        progress.ended(job, outcome)
        if outcome.state not in ANSWERED and not keep_going:
            waiting.clear()

    def begin(worker: _Worker) -> None:
        job = worker.job = waiting.popleft()
        add(folder, Event(job.number, "running"))
        progress.begun(job)
        log = (folder / LOGS / f"job-{job.number:04d}.log").resolve()
        worker.give(Task(job.number, job.overrides, private, run_folder(folder, job), log))

    with _Interrupts() as interrupts, children_apart_from_current_folder(), progress:
        try:
            while (waiting or any(w.job for w in workers)) and not interrupts.count:
                while waiting and len(workers) < min(at_once, len(waiting) + len(workers)) and sum(w.job is None for w in workers) == 0:
                    workers.append(_Worker.start())
                    begin(workers[-1])
                for worker in workers:
                    if worker.job is None and waiting:
                        begin(worker)
                wait([part for w in workers if w.job for part in (w.connection, w.process.sentinel)], timeout=LOOK_SECONDS)
                for worker in [w for w in workers if w.job]:
                    if outcome := worker.outcome():
                        ended(worker, outcome)
                        if not worker.process.is_alive():
                            worker.end()
                            workers.remove(worker)
            if interrupts.count:
                _end_in_order([w for w in workers if w.job], interrupts, ended)
                raise SweepInterrupt
        finally:
            for worker in workers:
                worker.end()


def _end_in_order(workers: Sequence[_Worker], interrupts: _Interrupts, ended: Callable[[_Worker, Outcome], None]) -> None:
    """Interrupt the jobs that run, and wait until their run folders say so; after a second interrupt, or too long a time, no more."""
    for worker in workers:
        if worker.process.pid is not None and worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGTERM)
    until = time.monotonic() + END_SECONDS
    left = list(workers)
    while left and time.monotonic() < until and interrupts.count < 2:
        wait([worker.connection for worker in left], timeout=LOOK_SECONDS)
        for worker in list(left):
            outcome = worker.outcome()
            if outcome is not None:
                # What ended in the same moment has its answer; what was ended has none.
                ended(worker, outcome if outcome.state in ANSWERED else Outcome("interrupted", "interrupted before the end", outcome.seconds))
                left.remove(worker)
    for worker in left:
        worker.process.kill()
        ended(worker, Outcome("interrupted", "ended at once"))
