"""The one owner of the cores: how many jobs of a sweep may run at the same time.

    cores in use = jobs x (workers x threads of each; one without workers), every solver with one thread

Of the workers of a running scheduler elsewhere nothing is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multiscale.coordination.engine import EngineSettings, LocalSettings
from multiscale.machine import usable_cores
from multiscale.sweep.combinations import SweepError


@dataclass(frozen=True)
class Cores:
    """How the cores are shared out.

    Attributes:
        jobs: jobs at the same time.
        each: cores that the largest of them uses.
        there: cores that this process may use.
        words: what each job consists of.
    """

    jobs: int
    each: int
    there: int
    words: str

    @property
    def shares(self) -> str:
        """How many jobs use how many of the cores, in words."""
        at_once = f"{self.jobs} job{'s' if self.jobs > 1 else ''} at a time, each {self.words}"
        return f"{at_once}: {self.jobs * self.each} of {self.there} cores"

    def __str__(self) -> str:
        return self.shares + ("" if self.jobs * self.each <= self.there else ": more than there are, so they wait for each other")


def cores_of(engine: EngineSettings) -> tuple[int, str]:
    """Cores that one job uses on this machine, and in words what they do."""
    if isinstance(engine, LocalSettings):
        workers = f"{engine.workers} worker{'s' if engine.workers > 1 else ''}"
        threads = f"{engine.threads_per_worker} thread{'s' if engine.threads_per_worker > 1 else ''}"
        return engine.workers * engine.threads_per_worker, f"with {workers} of {threads} (engine=local)"
    return 1, "in one process" if engine.kind == "serial" else "in one process, with workers elsewhere"  # type: ignore[attr-defined]


def shared_out(engines: Sequence[EngineSettings], count: int, jobs: int | None, *, oversubscribe: bool) -> Cores:
    """Share the cores out.

    Args:
        engines: of the jobs.
        count: number of jobs that are to be run.
        jobs: at the same time; default: as many as there are cores for, at least one.
        oversubscribe: whether more cores may be used than there are.

    Raises:
        SweepError: several jobs together would use more cores than there are.
    """
    there = usable_cores()
    each, words = max((cores_of(engine) for engine in engines), default=(1, ""))
    if jobs is None:
        return Cores(max(1, min(there // each, count)), each, there, words)
    if jobs < 1:
        raise SweepError(f"--jobs {jobs}: at least one job has to run; give a number from 1 on")
    chosen = Cores(min(jobs, max(count, 1)), each, there, words)
    if chosen.jobs > 1 and chosen.jobs * each > there and not oversubscribe:
        fits = max(1, there // each)
        fewer = " or engine=serial" if each > 1 else ""
        raise SweepError(f"--jobs {jobs}: {chosen.shares}; give --jobs {fits}{fewer}, or permit it with --oversubscribe")
    return chosen
