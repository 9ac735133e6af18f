"""How far a sweep is, and how long it still takes: as a range, from the jobs that it has computed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from multiscale.results.run.progress import duration
from multiscale.sweep.manifest import Job, Manifest
from multiscale.sweep.states import ANSWERED
from multiscale.sweep.worker import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

RECENT = 20
"""Jobs whose times the estimate is made from: the last ones, as the first compute what later ones read."""


def remaining(times: Sequence[float], queued: int, running: Sequence[float], at_once: int) -> tuple[float, float] | None:
    """Shortest and longest time that a sweep will still take [s], by the middle half of the times of its last jobs; None before the first has ended.

    Args:
        times: of the jobs that were computed, in the order in which they ended [s].
        queued: jobs that have not begun.
        running: seconds since the others began.
        at_once: jobs at the same time.
    """
    if not times:
        return None
    recent = sorted(times[-RECENT:])
    slots = max(1, min(at_once, queued + len(running)))

    def left(each: float) -> float:
        longest = max((each - spent for spent in running), default=0.0)
        work = queued * each + sum(max(0.0, each - spent) for spent in running)
        return max(work / slots, longest, each if queued else 0.0, 0.0)

    return left(recent[(len(recent) - 1) // 4]), left(recent[-1 - (len(recent) - 1) // 4])


def in_words(estimate: tuple[float, float] | None, count: int) -> str:
    """The estimate for people; count is the number of jobs it is made from."""
    if estimate is None:
        return "time left unknown until the first job has ended"
    if estimate[1] < 1:
        return "what runs takes longer than the jobs before it"
    low, high = (duration(part) for part in estimate)
    return f"about {low if low == high else f'{low} to {high}'} left, judged by {count} job{'s' if count > 1 else ''}"


class SweepProgress:
    """Shows the jobs of a sweep as they begin and end: on a terminal above a bar, otherwise one plain line each.

    Args:
        manifest: of the sweep.
        count: jobs that are to be run.
        at_once: jobs at the same time.
        stream: where to show; default: standard error.
    """

    def __init__(self, manifest: Manifest, count: int, at_once: int, stream: TextIO | None = None) -> None:
        self._manifest, self._count, self._at_once = manifest, count, at_once
        self._stream = stream or sys.stderr
        self._began: dict[int, float] = {}
        self._times: list[float] = []
        self._done = 0
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("jobs"), MofNCompleteColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
            self._bars = Progress(*columns, console=Console(file=self._stream), transient=True)
            self._bars.start()
            self._task = self._bars.add_task("", total=self._count, left="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def left(self) -> str:
        """How long it still takes, in words."""
        spent = [time.monotonic() - began for began in self._began.values()]
        queued = self._count - self._done - len(self._began)
        return in_words(remaining(self._times, queued, spent, self._at_once), len(self._times[-RECENT:]))

    def begun(self, job: Job) -> None:
        """A job began."""
        self._began[job.number] = time.monotonic()
        self._say(f"job {job.number} of {len(self._manifest.jobs)}: {self._manifest.own(job)}")

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job ended."""
        self._began.pop(job.number, None)
        self._done += 1
        if outcome.computed and outcome.state in ANSWERED:
            self._times.append(outcome.seconds)
        how = "read" if not outcome.computed else f"in {duration(outcome.seconds)}"
        message = f": {outcome.message.splitlines()[0]}" if outcome.message else ""
        left = f"; {self._count - self._done} to go, {self.left()}" if self._done < self._count else ""
        self._say(f"job {job.number} of {len(self._manifest.jobs)}: {outcome.state.replace('_', ' ')} {how}{message}{left}")

    def _say(self, line: str) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.console.print(line, highlight=False, markup=False)
            self._bars.update(self._task, completed=self._done, left=self.left() if self._done < self._count else "")
        else:
            print(line, file=self._stream, flush=True)
