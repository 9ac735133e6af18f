"""Interrupts of the process that runs a sweep."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Self


class SweepInterrupt(KeyboardInterrupt):
    """A sweep was interrupted and ended in order."""


@dataclass
class Interrupts:
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
