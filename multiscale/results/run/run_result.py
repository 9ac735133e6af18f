"""The answer of a study: its folder, dataset, summary and status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xarray as xr

STATUSES = ("optimal", "feasible", "infeasible", "time_limit", "error", "interrupted", "running")
EXIT_CODES: Mapping[str, int] = {"optimal": 0, "feasible": 0, "infeasible": 3, "time_limit": 4, "error": 1, "interrupted": 130, "running": 1}
BAD_INPUT = 2


class RunFolderError(ValueError):
    """A folder that cannot be written, or that holds no run."""


@dataclass(frozen=True)
class RunResult:
    """A run that went through.

    Attributes:
        folder: where its files are.
        dataset: see ``multiscale.results.data.dataset``; ``None`` for a run without an answer.
        summary: key -> (value, unit).
        status: one of STATUSES.
        details: the whole of ``status.json``.
    """

    folder: Path
    dataset: xr.Dataset | None
    summary: dict[str, tuple[Any, str]]
    status: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 with an answer, 3 infeasible, 4 time limit without an answer, 1 error, 130 interrupted."""
        return EXIT_CODES.get(self.status, 1)

    def value(self, key: str) -> Any:
        """Value of a summary key, ``None`` where it is absent."""
        return self.summary[key][0] if key in self.summary else None

    def config(self) -> dict[str, Any]:
        """The configuration as it was run."""
        return dict(self.provenance().get("config", {}))

    def provenance(self) -> dict[str, Any]:
        """What ``provenance.json`` holds; empty where it is absent."""
        path = self.folder / "provenance.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def of_year(self, year: int | None = None) -> RunResult:
        """The same result with the dataset of one year: the given one, else the last.

        Raises:
            KeyError: a year that was not studied.
        """
        if self.dataset is None or "year" not in self.dataset.dims:
            return self
        chosen = int(self.dataset.year.values[-1]) if year is None else year
        return replace(self, dataset=self.dataset.sel(year=chosen, drop=True))

    @classmethod
    def load(cls, folder: Path | str, *, with_dataset: bool = True) -> RunResult:
        """Read a run folder, whole or not; its dataset too, if wanted.

        Raises:
            RunFolderError: there is no run.
        """
        folder = Path(folder)
        details = read_status(folder)
        summary_file, result_file = folder / "summary.json", folder / "result.nc"
        summary = json.loads(summary_file.read_text(encoding="utf-8")) if summary_file.is_file() else {}
        dataset = None
        if with_dataset and result_file.is_file():
            from multiscale.results.data.dataset import read_dataset

            dataset = read_dataset(result_file)
        return cls(folder, dataset, {k: (v["value"], v["unit"]) for k, v in summary.items()}, str(details["status"]), details)


def read_status(folder: Path) -> dict[str, Any]:
    """What ``status.json`` holds.

    Raises:
        RunFolderError: there is no run in the folder.
    """
    try:
        details = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunFolderError(
            f"'{folder}' is no run folder: it has no readable status.json; give the folder that 'multiscale run' printed last"
        ) from None
    return dict(details)
