"""Stages of a run: what is being done, how long it should take, how long it took, how much memory it needed."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from multiscale.files import write_atomically

if TYPE_CHECKING:
    import psutil
    from rich.progress import Progress as Bars

DEFAULT_SECONDS: Mapping[str, float] = {
    "build": 10.0,
    "plan": 60.0,
    "operate": 30.0,
    "verify": 15.0,
    "assess": 3.0,
    "write": 1.0,
    "report": 6.0,
}
"""Estimated duration of a stage [s] before anything has been measured here."""


WATCHED_EVERY_SECONDS = 1.0


class Stage:
    """A stage under way.

    Attributes:
        name: of the stage.
        detail: what is being done within it.
    """

    def __init__(self, name: str, show: Callable[[str], None]) -> None:
        self.name = name
        self.detail = ""
        self._show = show

    def update(self, detail: str) -> None:
        """Progress what is being done, e.g. ``gap 0.8 %``."""
        self.detail = detail
        self._show(detail)


class Progress:
    """Shows the stages of one run and records their times and the peak memory.

    On a terminal a line with a bar and the remaining time; otherwise one plain line at the start and end of each stage.

    Args:
        stages: names in order, for the estimate of the whole; others may follow.
        key: what the stage times are remembered under, e.g. study and system.
        memory_file: file of remembered stage times; ``None``: nothing is remembered.
        stream: where to show; default: standard error.
        note: called with (event, stage, seconds) at every start and end, for the log.
    """

    def __init__(
        self,
        stages: Sequence[str] = (),
        *,
        key: str = "",
        memory_file: Path | None = None,
        stream: TextIO | None = None,
        note: Callable[[str, str, float], None] | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._key, self._file, self._note = key, memory_file, note
        self.expected = dict(DEFAULT_SECONDS) | _remembered(memory_file).get(key, {})
        self.stages = list(stages)
        self.seconds: dict[str, float] = {}
        self.current = ""
        self._memory = PeakMemory()
        self._bars: Bars | None = None

    @property
    def peak_memory_mb(self) -> float:
        """Largest memory in use by this process and its children so far [MB]."""
        return self._memory.peak_mb

    def announce(self, stages: Sequence[str]) -> None:
        """Name the stages to come, in order; writing and reporting follow them."""
        self.stages = [*stages, *(name for name in ("write", "report") if name not in stages)]

    def remaining(self) -> float:
        """Estimated seconds of the announced stages that have not ended."""
        return sum(self.expected.get(name, 5.0) for name in self.stages if name not in self.seconds)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Everything inside belongs to the stage; a second visit adds to its time."""
        outer, self.current = self.current, name
        if name not in self.stages:
            self.stages.append(name)
        started = time.perf_counter()
        if self._note:
            self._note("start", name, 0.0)
        try:
            with self._shown(name) as stage:
                yield stage
        except BaseException:
            # The stage stays the current one: that is where it went wrong.
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
            raise
        spent = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        if self._note:
            self._note("end", name, spent)
        self.current = outer

    def close(self, *, remember: bool) -> None:
        """End the measurements; remember the stage times if the run went through."""
        self._memory.stop()
        if remember and self._file is not None:
            kept = _remembered(self._file)
            kept[self._key] = {name: round(value, 3) for name, value in self.seconds.items()}
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._file, json.dumps(kept, indent=1))

    @contextlib.contextmanager
    def _shown(self, name: str) -> Iterator[Stage]:
        number = f"[{self.stages.index(name) + 1}/{len(self.stages)}]"
        expected = self.expected.get(name, 5.0)
        nested = self._bars is not None
        if nested:
            yield Stage(name, lambda _: None)
        elif self._stream.isatty() and os.environ.get("TERM") != "dumb":
            with self._terminal(number, name, expected) as stage:
                yield stage
        else:
            left = self.remaining()
            print(f"{number} {name}: about {duration(expected)}, whole run about {duration(left)} left", file=self._stream, flush=True)
            started = time.perf_counter()
            stage = Stage(name, lambda _: None)
            yield stage
            ending = f" ({stage.detail})" if stage.detail else ""
            print(f"{number} {name}: done in {duration(time.perf_counter() - started)}{ending}", file=self._stream, flush=True)

    @contextlib.contextmanager
    def _terminal(self, number: str, name: str, expected: float) -> Iterator[Stage]:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = Console(file=self._stream)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
        started = time.perf_counter()
        ended = threading.Event()
        with Bars(*columns, console=console, transient=True) as bars:
            self._bars = bars
            task = bars.add_task(f"{number} {name}", total=max(expected, 0.1), left="")
            others = self.remaining() - expected

            def tick() -> None:
                while not ended.wait(0.2):
                    spent = time.perf_counter() - started
                    left = max(expected - spent, 0.0)
                    # The bar approaches the end without reaching it when the estimate was too short.
                    share = spent / expected if spent < 0.9 * expected else 1.0 - 0.1 * 0.9 * expected / spent
                    bars.update(task, completed=share * expected, left=f"about {duration(left + others)} left in all")

            ticker = threading.Thread(target=tick, daemon=True)
            ticker.start()
            try:
                yield Stage(name, lambda detail: bars.update(task, description=f"{number} {name}: {detail}"))
            finally:
                ended.set()
                ticker.join()
                self._bars = None
        console.print(f"{number} {name}: done in {duration(time.perf_counter() - started)}", highlight=False, style="dim")


class PeakMemory:
    """Watches the memory of this process and its children, once a second, until it is stopped or no longer used.

    What processes share counts once. To find that, the system walks through all their memory; so it is found when a process comes or goes, and every
    ten seconds, and in between what they hold counts less what they shared then.
    """

    EXACT_EVERY = 10
    """Samples from one look at what is shared to the next."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._ended = threading.Event()
        self._watched: set[int] = set()
        self._shared, self._since = 0, 0
        self._sample()
        threading.Thread(target=_watch, args=(weakref.ref(self), self._ended), daemon=True).start()

    def stop(self) -> None:
        """Take a last sample and end."""
        self._since = self.EXACT_EVERY
        self._sample()
        self._ended.set()

    def _sample(self) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process()
            held = {}
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    held[one.pid] = one, one.memory_info().rss
            self._since += 1
            if self._since >= self.EXACT_EVERY or set(held) != self._watched:
                self._shared, self._since, self._watched = 0, 0, set(held)
                for one, resident in held.values():
                    with contextlib.suppress(psutil.Error):
                        self._shared += resident - _memory(one)
            self.peak_mb = max(self.peak_mb, (sum(resident for _, resident in held.values()) - self._shared) / 1e6)


def _watch(watching: weakref.ref[PeakMemory], ended: threading.Event) -> None:
    while not ended.wait(WATCHED_EVERY_SECONDS):
        memory = watching()
        if memory is None:
            return
        memory._sample()
        del memory


def _memory(process: psutil.Process) -> int:
    """Memory of a process [byte]; what it shares with others counts only in part where the system tells (Linux)."""
    try:
        return int(process.memory_full_info().pss)
    except AttributeError:
        return int(process.memory_info().rss)


def stage_times_file() -> Path:
    """Where stage times are remembered between runs."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("multiscale")) / "stage_times.json"


def _remembered(file: Path | None) -> dict[str, dict[str, float]]:
    if file is None:
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def duration(seconds: float) -> str:
    """A time in words, as exact as it is of use."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
