"""Labels of every dimension over all jobs, in the order in which they are first met; a job may lack some of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from multiscale.sweep.collect.run_file import RunFile
from multiscale.sweep.combinations import SweepError


class Labels:
    """Labels of the dimensions of all jobs; ``add`` every job before asking where its labels stand."""

    def __init__(self) -> None:
        self._places: dict[str, dict[object, int]] = {}

    def add(self, run: RunFile) -> None:
        """Add the labels of a job.

        Raises:
            SweepError: a label that stands twice in one dimension.
        """
        for dim in run.sizes:
            mine = run.labels(dim).tolist()
            known = self._places.setdefault(dim, {})
            if mine == list(known):
                continue
            if len(set(mine)) < len(mine):
                raise SweepError(f"dimension '{dim}' of a run has a label twice, so its values cannot be put side by side")
            for label in mine:
                known.setdefault(label, len(known))

    @property
    def dims(self) -> list[str]:
        """Names of the dimensions."""
        return list(self._places)

    def of(self, dim: str) -> np.ndarray:
        """All labels of a dimension."""
        labels = list(self._places[dim])
        return np.asarray(labels, dtype=object if any(isinstance(label, str) for label in labels) else None)

    def size(self, dims: Iterable[str]) -> int:
        """Number of values over these dimensions."""
        return int(np.prod([len(self._places[dim]) for dim in dims], dtype=int))

    def shape(self, dims: Iterable[str]) -> tuple[int, ...]:
        """Sizes of these dimensions."""
        return tuple(len(self._places[dim]) for dim in dims)

    def places(self, run: RunFile, dim: str) -> np.ndarray | None:
        """Where the labels of a job stand among all; None where they are all, in the same order."""
        known, mine = self._places[dim], run.labels(dim).tolist()
        return None if mine == list(known) else np.asarray([known[label] for label in mine], dtype=int)
