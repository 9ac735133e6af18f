"""How every job of a sweep stands: what the journal says, and where no process runs the sweep, what its run folder says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiscale.results.run.provenance import changed_files
from multiscale.results.run.run_lock import NAME as LOCK
from multiscale.results.run.run_lock import holder
from multiscale.results.run.run_result import EXIT_CODES, RunFolderError, read_status
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.journal import Event, last_events
from multiscale.sweep.manifest import Job, Manifest, run_folder

ANSWERED = ("optimal", "feasible")
STATES = ("queued", "running", *ANSWERED, "infeasible", "time_limit", "error", "interrupted", "lost")
"""``queued`` has not begun; ``lost`` had an answer whose run folder is not there any longer, or not what was written."""

RESUMED = ("queued", "interrupted", "error", "lost")
"""States that are run again where none are chosen; what is infeasible or reached a time limit would be so again."""


@dataclass(frozen=True)
class JobState:
    """How a job stands.

    Attributes:
        job: which.
        state: one of ``STATES``.
        message: why it has no answer.
        seconds: how long it took [s].
        computed: whether it was computed, not read.
        since: when it began, for one that runs (ISO 8601).
    """

    job: Job
    state: str
    message: str = ""
    seconds: float = 0.0
    computed: bool = True
    since: str = ""

    @property
    def answered(self) -> bool:
        """Whether its run folder holds an answer."""
        return self.state in ANSWERED

    @property
    def exit_code(self) -> int:
        """That of a run that ended so; 1 for a job that has not."""
        return EXIT_CODES.get(self.state, 1)


def owner(folder: Path) -> str:
    """Who runs a sweep, in words; empty where no process does (any longer)."""
    return holder(folder) if (folder / LOCK).exists() else ""


def job_states(folder: Path, manifest: Manifest, *, running: bool | None = None) -> list[JobState]:
    """The states of all jobs, in their order.

    Args:
        folder: of the sweep.
        manifest: its jobs.
        running: whether a process runs it; default: whether one holds its lock. Then the journal is right; otherwise the run folders decide, as a
            process that was killed may have finished a job without having noted it.
    """
    if running is None:
        running = bool(owner(folder))
    events = last_events(folder)
    return [_state(folder, job, events.get(job.number), running) for job in manifest.jobs]


def _state(folder: Path, job: Job, event: Event | None, running: bool) -> JobState:
    noted = JobState(job, "queued") if event is None else JobState(job, event.state, event.message, event.seconds, event.computed, event.time)
    if running:
        return noted
    place = run_folder(folder, job)
    if not place.is_dir():
        if noted.answered:
            return JobState(job, "lost", f"its run folder '{place}' is not there any longer")
        return JobState(job, "interrupted", "its process was ended before it had an answer") if noted.state == "running" else noted
    fault = fault_of(place)
    if fault:
        return JobState(job, "lost", fault) if noted.answered else noted
    if noted.answered:
        return noted
    details = read_status(place)
    seconds = details.get("stages", {})
    return JobState(job, str(details["status"]), "", round(sum(seconds.values()), 3) if isinstance(seconds, dict) else 0.0)


def fault_of(place: Path) -> str:
    """Why a run folder is no whole answer; empty where it is one. Files that others put there are no fault."""
    try:
        status = str(read_status(place).get("status"))
        if status not in ANSWERED:
            return f"'{place}' has no answer: its status is {status}"
        changed = [line for line in changed_files(place, inputs=False) if not line.endswith("not written by the run")]
    except RunFolderError as error:
        return str(error)
    return f"'{place}' is not what was written: {'; '.join(changed)}" if changed else ""


def chosen_states(given: str | None) -> tuple[str, ...]:
    """States out of a text such as ``failed,interrupted``; ``failed`` means every end without an answer.

    Raises:
        SweepError: a state that there is not.
    """
    if given is None:
        return RESUMED
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in (*STATES, "failed") or name == "running"]
    if unknown or not names:
        known = ", ".join(["failed", *(s for s in STATES if s != "running")])
        raise SweepError(f"--states {given}: {unknown[0] if unknown else 'nothing'} is no state of a job that could be run again; there are {known}")
    failed = ("infeasible", "time_limit", "error")
    return tuple(dict.fromkeys(state for name in names for state in (failed if name == "failed" else (name,))))


def counted(states: Iterable[JobState]) -> str:
    """How many jobs are in which state, in words."""
    counts = Counter(state.state for state in states)
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in STATES if counts[name])


def exit_code(states: Sequence[JobState]) -> int:
    """0 if all jobs have an answer, else the code of the first that ended without one; 1 where there is only what has not begun."""
    lacking = [state for state in states if not state.answered]
    ended = [state for state in lacking if state.state not in ("queued", "running")]
    return (ended or lacking)[0].exit_code if lacking else 0
