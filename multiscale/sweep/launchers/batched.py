"""The loop that submits the jobs of a sweep, notes how they end, and ends in order when it is interrupted.

On a batch system jobs go on when this process ends: ``resume`` then waits for those that are still there instead of submitting them twice.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiscale.files import write_atomically
from multiscale.machine import children_apart_from_current_folder
from multiscale.sweep import running
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.interrupts import Interrupts, SweepInterrupt
from multiscale.sweep.journal import Event, add
from multiscale.sweep.launchers.attempt import Attempt, Owner, ended
from multiscale.sweep.launchers.queue_states import LocalQueue, Queue, SlurmQueue
from multiscale.sweep.launchers.settings import SubmititSettings
from multiscale.sweep.launchers.submitit_slurm import SubmititSlurmSettings
from multiscale.sweep.manifest import Job, Manifest
from multiscale.sweep.progress import SweepProgress
from multiscale.sweep.states import ANSWERED
from multiscale.sweep.worker import Outcome, Task

FOLDER = "batch"
SUBMITTED = "submitted.json"

END_SECONDS = 60.0
"""Time that interrupted jobs have to put their run folders in order [s]."""


@dataclass
class _Submitted:
    """A job under way: its handle of submitit, whether it was seen to run, and since when it is in the queue no longer [s]."""

    job: Job
    handle: Any
    ending: Path
    begun: bool = False
    gone: float | None = None


class Batch:
    """The jobs of a sweep with a batch system.

    Args:
        folder: of the sweep, whose lock this process holds.
        manifest: of the sweep.
        settings: of the launcher.
        at_once: jobs that are submitted at the same time; a batch system with a queue takes all.
        cpus: cores of each job.

    Raises:
        SweepError: submitit, or what it submits with, is not there, or does not take the settings.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: SubmititSettings, at_once: int, cpus: int) -> None:
        self._sweep, self._manifest = folder.absolute(), manifest
        self._folder = self._sweep / FOLDER
        self._slurm = isinstance(settings, SubmititSlurmSettings)
        self.at_once = len(manifest.jobs) if self._slurm else at_once
        self.queue: Queue = SlurmQueue() if self._slurm else LocalQueue()
        word = settings.kind  # type: ignore[attr-defined]
        try:
            self._folder.mkdir(exist_ok=True)
            self._executor = settings.executor(self._folder, cpus)
        except ImportError:
            message = f"hydra/launcher={word} takes the package submitit, which is not installed"
            raise SweepError(f"{message}; python -m pip install 'multiscale[cluster]', or choose hydra/launcher=joblib") from None
        except (RuntimeError, ValueError) as error:
            remedy = "run it where batch jobs are submitted (a login node), or choose hydra/launcher=joblib"
            raise SweepError(f"hydra/launcher={word}: {_words(error, 0)}; {remedy}") from None

    def attached(self, jobs: Sequence[Job]) -> list[_Submitted]:
        """Those of the jobs that were submitted before and that the queue still has.

        Raises:
            SweepError: what was submitted cannot be read, or the batch system gives no answer: jobs that still run would be submitted a second time.
        """
        if not self._slurm or not (known := self._known()):
            return []
        there = self.queue.states(())
        if there is None:
            raise SweepError("squeue gives no answer, and jobs submitted before may still be in the queue; resume the sweep when it answers")
        from submitit import SlurmJob

        return [_Submitted(job, SlurmJob(self._folder, known[job.number]), self._ending(job)) for job in jobs if known.get(job.number) in there]

    def submit(self, jobs: Sequence[Job]) -> list[_Submitted]:
        """Submit jobs; several at the same time are one array.

        Raises:
            SweepError: the batch system refuses them.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        attempt = Attempt(running.COMPUTE, None if self._slurm else Owner.this())
        private = Path(self._manifest.private) if self._manifest.private else None
        for job in jobs:
            self._ending(job).unlink(missing_ok=True)
        try:
            with self._executor.batch():
                handles = []
                for job in jobs:
                    place = (self._sweep / job.run).resolve()
                    task = Task(job.number, job.overrides, private, place, self._sweep / running.LOGS / f"job-{job.number:04d}.log")
                    handles.append(self._executor.submit(attempt, task, self._ending(job)))
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise SweepError(f"the batch system refused the jobs: {_words(error, -1)}; correct hydra.launcher.*") from None
        submitted = [_Submitted(job, handle, self._ending(job)) for job, handle in zip(jobs, handles, strict=True)]
        self._note(submitted)
        return submitted

    def _ending(self, job: Job) -> Path:
        return self._folder / f"ended-{job.number:04d}.json"

    def _known(self) -> dict[int, str]:
        path = self._folder / SUBMITTED
        if not path.is_file():
            return {}
        try:
            return {int(number): str(name) for number, name in json.loads(path.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, AttributeError) as error:
            message = f"{path} cannot be read ({type(error).__name__}), and it says which jobs are in the queue already"
            raise SweepError(f"{message}; when none of the sweep is left there, remove the file and resume") from None

    def _note(self, submitted: Sequence[_Submitted]) -> None:
        known = self._known() | {one.job.number: str(one.handle.job_id) for one in submitted}
        write_atomically(self._folder / SUBMITTED, json.dumps(known))


def _words(error: Exception, line: int) -> str:
    """One line of what an error says; its kind where it says nothing."""
    return ([text for text in str(error).splitlines() if text.strip()] or [type(error).__name__])[line]


def run_batched(batch: Batch, folder: Path, jobs: Sequence[Job], progress: SweepProgress, *, keep_going: bool) -> None:
    """Run jobs with a batch system, and note in the journal how they end.

    Args:
        batch: the batch system.
        folder: of the sweep.
        jobs: that are to be run.
        progress: shows how far they are.
        keep_going: whether others begin after a job ended without an answer; those that run are waited for in any case.

    Raises:
        SweepInterrupt: after an interrupt, when the jobs that ran are ended and noted.
        SweepError: the batch system refuses the jobs.
        OSError: the journal cannot be written.
    """
    (folder / running.LOGS).mkdir(exist_ok=True)
    with Interrupts() as interrupts, children_apart_from_current_folder(), progress:
        under_way = batch.attached(jobs)
        attached = {one.job.number for one in under_way}
        waiting = deque(job for job in jobs if job.number not in attached)
        while (waiting or under_way) and not interrupts.count:
            room = min(batch.at_once - len(under_way), len(waiting))
            if room > 0:
                under_way += batch.submit([waiting.popleft() for _ in range(room)])
            time.sleep(batch.queue.look_seconds)
            if _noted(batch, folder, under_way, progress) and not keep_going:
                waiting.clear()
                batch.queue.cancel([one.handle for one in under_way if not one.begun])
                under_way = [one for one in under_way if one.begun]
        if interrupts.count:
            _end_in_order(batch, folder, under_way, progress, interrupts)
            raise SweepInterrupt


def _noted(batch: Batch, folder: Path, under_way: list[_Submitted], progress: SweepProgress) -> bool:
    """Note what has begun and ended; whether any ended without an answer."""
    states, failed = batch.queue.states([one.handle for one in under_way]), False
    for one in list(under_way):
        outcome = ended(one.ending)
        state = None if states is None else states.get(str(one.handle.job_id), "")
        if not one.begun and (outcome or state == "RUNNING"):
            one.begun = True
            add(folder, Event(one.job.number, "running"))
            progress.begun(one.job)
        if outcome is None and state == "":
            one.gone = one.gone or time.monotonic()
            if time.monotonic() - one.gone > batch.queue.patience:
                outcome = ended(one.ending) or Outcome("error", batch.queue.why(one.handle))
        elif state:
            one.gone = None
        if outcome is not None:
            under_way.remove(one)
            batch.queue.left(one.handle)
            add(folder, Event(one.job.number, outcome.state, outcome.message, outcome.seconds, outcome.computed))
            progress.ended(one.job, outcome)
            failed = failed or outcome.state not in ANSWERED
    return failed


def _end_in_order(batch: Batch, folder: Path, under_way: list[_Submitted], progress: SweepProgress, interrupts: Interrupts) -> None:
    """Cancel what waits or runs, and wait until the run folders say so; after a second interrupt, or too long a time, no more."""
    batch.queue.cancel([one.handle for one in under_way])
    under_way[:] = [one for one in under_way if one.begun]
    until = time.monotonic() + END_SECONDS
    while under_way and time.monotonic() < until and interrupts.count < 2:
        time.sleep(batch.queue.look_seconds)
        for one in list(under_way):
            outcome = ended(one.ending)
            states = batch.queue.states([one.handle])
            if outcome is None and (states is None or str(one.handle.job_id) in states):
                continue
            kept = outcome is not None and outcome.state in ANSWERED
            outcome = outcome if kept and outcome is not None else Outcome("interrupted", "interrupted before the end")
            under_way.remove(one)
            batch.queue.left(one.handle)
            add(folder, Event(one.job.number, outcome.state, outcome.message, outcome.seconds, outcome.computed))
            progress.ended(one.job, outcome)
    for one in under_way:
        batch.queue.left(one.handle)
        add(folder, Event(one.job.number, "interrupted", "not waited for any longer"))
