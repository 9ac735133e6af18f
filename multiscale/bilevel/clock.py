"""Seconds left of a solve, and where they went."""

from __future__ import annotations

import time


class Clock:
    """Seconds left, and where they went."""

    def __init__(self, limit: float) -> None:
        self.deadline = time.perf_counter() + limit
        self.timings: dict[str, float] = {}

    def left(self, reserve: float = 0.0) -> float:
        """Seconds left when some are kept, never less than half a second."""
        return max(0.5, self.deadline - reserve - time.perf_counter())

    @property
    def one_solve(self) -> float:
        """Seconds for one follower solve: a minute, or a fifth of what is left where that is more, but never more than half of it."""
        return min(max(60.0, 0.2 * self.left()), 0.5 * self.left())

    @property
    def is_late(self) -> bool:
        """Whether less than a second is left: a search ends."""
        return self.left() < 1.0

    def stage(self, name: str) -> Stage:
        """A context whose seconds are added to ``timings``."""
        return Stage(self, name)


class Stage:
    """Adds the seconds of a ``with`` block to a clock."""

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock, self.name = clock, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self.clock.timings[self.name] = self.clock.timings.get(self.name, 0.0) + time.perf_counter() - self.started
