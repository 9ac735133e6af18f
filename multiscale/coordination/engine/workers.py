"""Where the workers of a Dask engine come from: what every kind of engine tells the engine about its own."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol


class Workers(Protocol):
    """The workers of one kind of engine.

    Attributes:
        count: how many there are, or are to be.
        least: how many are waited for before work begins.
        lacking: what to say where they do not come up in time, with what to do; ``{there}`` are those that are there, ``{seconds}`` the time waited.
    """

    count: int
    least: int
    lacking: str

    def connect(self, opened: contextlib.ExitStack) -> Any:
        """A ``distributed.Client`` of their scheduler; what is opened is closed with ``opened``, after an interrupt as well.

        Raises:
            EngineUnavailableError: the scheduler cannot be had.
        """
        ...

    def restore(self, there: set[str]) -> None:
        """Start others in the place of those that were lost, where they are ours to start.

        Args:
            there: names of the workers that are there.

        Raises:
            EngineUnavailableError: they can no longer start.
        """
        ...

    def waited(self) -> None:
        """Look, while they are waited for, whether they still can come up.

        Raises:
            EngineUnavailableError: they cannot.
        """
        ...
