"""Labels of every dimension over all jobs, in the order in which they are first met; a job may lack some of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from multiscale.sweep.collect.run_file import RunFile
from multiscale.sweep.combinations import SweepError


class Labels:
    """Labels of the dimensions of all jobs; ``add`` every job before asking where its labels stand."""

    def __init__(self) -> None:
        self._places: dict[str, dict[Any, int]] = {}
        self._of_jobs: dict[int, dict[str, Sequence[Any]]] = {}

    def add(self, job: int, run: RunFile) -> None:
        """Add the labels of a job.

        Raises:
            SweepError: a label that stands twice in one dimension.
        """
        mine: dict[str, Sequence[Any]] = {}
        for dim in run.dimensions:
            labels = run.labels(dim)
            known = self._places.setdefault(dim, {})
            if len(set(labels)) < len(labels):
                raise SweepError(f"dimension '{dim}' of job {job} has a label twice, so its values cannot be put side by side with those of others")
            for label in labels:
                known.setdefault(label, len(known))
            mine[dim] = labels
        # Jobs with equal labels share them: a sweep has thousands.
        self._of_jobs[job] = next((other for other in self._distinct() if other == mine), mine)

    def _distinct(self) -> Iterable[dict[str, Sequence[Any]]]:
        return {id(labels): labels for labels in self._of_jobs.values()}.values()

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

    def places(self, job: int) -> dict[str, np.ndarray | None]:
        """Dimension -> where the labels of a job stand among all; None where they are all, in the same order."""
        found: dict[str, np.ndarray | None] = {}
        for dim, labels in self._of_jobs[job].items():
            known = self._places[dim]
            found[dim] = None if len(labels) == len(known) and labels == list(known) else np.asarray([known[label] for label in labels], dtype=int)
        return found
