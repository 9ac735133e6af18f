"""The loop that hands the jobs of a sweep to its workers, notes how they end, and ends in order when it is interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from multiscale.machine import children_apart_from_current_folder
from multiscale.sweep.interrupts import Interrupts, SweepInterrupt
from multiscale.sweep.job_process import JobProcess
from multiscale.sweep.journal import Event, add
from multiscale.sweep.manifest import Job, Manifest, run_folder
from multiscale.sweep.progress import SweepProgress
from multiscale.sweep.states import ANSWERED
from multiscale.sweep.worker import Outcome, Task, compute_job

LOOK_SECONDS = 0.25
"""How often it is looked whether the sweep was interrupted [s]."""

END_SECONDS = 60.0
"""Time that interrupted jobs have to put their run folders in order [s]."""

LOGS = "logs"

COMPUTE: Callable[[Task], tuple[str, str, bool]] = compute_job
"""What workers do with a task."""


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
    workers: list[JobProcess] = []

    def ended(worker: JobProcess, outcome: Outcome) -> None:
        nonlocal keep_going
        job, worker.job = worker.job, None
        assert job is not None
        add(folder, Event(job.number, outcome.state, outcome.message, outcome.seconds, outcome.computed))
        progress.ended(job, outcome)
        if outcome.state not in ANSWERED and not keep_going:
            waiting.clear()

    def begin(worker: JobProcess) -> None:
        job = worker.job = waiting.popleft()
        add(folder, Event(job.number, "running"))
        progress.begun(job)
        log = (folder / LOGS / f"job-{job.number:04d}.log").resolve()
        worker.give(Task(job.number, job.overrides, private, run_folder(folder, job), log))

    with Interrupts() as interrupts, children_apart_from_current_folder(), progress:
        try:
            while (waiting or any(w.job for w in workers)) and not interrupts.count:
                while waiting and len(workers) < min(at_once, len(waiting) + len(workers)) and sum(w.job is None for w in workers) == 0:
                    workers.append(JobProcess.start(COMPUTE))
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


def _end_in_order(workers: Sequence[JobProcess], interrupts: Interrupts, ended: Callable[[JobProcess, Outcome], None]) -> None:
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
