"""The answer of a study: its folder, dataset, summary and status."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

from multiscale.content import content_key, file_hash
from multiscale.results.run.plain_values import json_text

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
        """What ``provenance.json`` holds; empty where it is absent.

        Raises:
            RunFolderError: it is not what was written.
        """
        path = self.folder / "provenance.json"
        if not path.is_file():
            return {}
        record = _json(path)
        if SEAL in record and not _holds(path.read_bytes()):
            raise RunFolderError(_changed(path))
        return record

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
            RunFolderError: there is no run, or one of its files is damaged.
        """
        folder = Path(folder)
        details = read_status(folder)
        summary_file, result_file = folder / "summary.json", folder / "result.nc"
        summary = _json(summary_file) if summary_file.exists() else {}
        _check_hashes(folder, summary_file, folder / "status.json")
        if not all(isinstance(v, dict) and isinstance(v.get("unit"), str) and _is_plain(v.get("value", ())) for v in summary.values()):
            raise RunFolderError(f"'{summary_file}' is damaged: it holds other than values with their units; {_REMEDY}")
        dataset = None
        if with_dataset and result_file.is_file():
            from multiscale.results.data.dataset import read_dataset

            dataset = read_dataset(result_file)
        return cls(folder, dataset, {k: (v["value"], v["unit"]) for k, v in summary.items()}, str(details["status"]), details)


_STATUS: Mapping[str, type | tuple[type, ...]] = {
    "status": str, "study": str, "message": str, "stage": str, "stages": dict, "reasons": list, "relaxation": dict, "started": str,
    "objective": (int, float), "bound": (int, float), "gap": (int, float), "coordination_missed": (int, float),
}  # fmt: skip
"""What ``status.json`` holds; numbers may be unknown."""


def read_status(folder: Path) -> dict[str, Any]:
    """What ``status.json`` holds.

    Raises:
        RunFolderError: there is no run in the folder, or the file is damaged.
    """
    file = folder / "status.json"
    if not file.is_file():
        raise RunFolderError(f"'{folder}' is no run folder: it has no readable status.json; give the folder that 'multiscale run' printed last")
    details = _json(file)
    wrong = [name for name, kind in _STATUS.items() if name in details and not isinstance(details[name], kind) and details[name] is not None]
    plain = all(_is_plain(v) for name in ("stages", "relaxation", "reasons") for v in _values(details.get(name) or ()))
    seconds = all(isinstance(v, int | float) for v in _values(details.get("stages") or {}))
    relaxation: dict[str, Any] = {} if wrong else details.get("relaxation") or {}
    if relaxation:
        seconds &= all(isinstance(relaxation.get(name), int | float) for name in ("value", "needed")) and {"of", "setting", "unit"} <= {*relaxation}
    if wrong or not plain or not seconds or details.get("status") not in STATUSES:
        named = f" ({', '.join(wrong)})" if wrong else ""
        raise RunFolderError(f"'{folder}' is no run folder: its status.json is damaged{named}; {_REMEDY}")
    return details


SEAL = "record_sha256"
"""Key of ``provenance.json``: hash of the record itself; written last, when everything else of the run is there."""


def seal(record: Mapping[str, Any]) -> str:
    """Hash of a record of provenance, whether or not it has one."""
    return content_key(json_text({key: value for key, value in record.items() if key != SEAL}))


@lru_cache(maxsize=8)
def _holds(written: bytes) -> bool:
    """Whether a record of provenance, as it is on the disk, is what was sealed; a report asks for the record many times."""
    record = json.loads(written)
    return bool(record[SEAL] == seal(record))


def _check_hashes(folder: Path, *files: Path) -> None:
    """What a run says of itself is what it wrote; a run that did not go through has no hashes.

    Raises:
        RunFolderError: a file is another one.
    """
    record = folder / "provenance.json"
    stored = _json(record).get("files", {}) if record.exists() else {}
    for file in files if stored and isinstance(stored, dict) else ():
        if stored.get(file.name, "") != (file_hash(file) if file.is_file() else ""):
            raise RunFolderError(_changed(file))


def _changed(file: Path) -> str:
    return f"'{file}' is not what was written; multiscale provenance {shlex.quote(str(file.parent))} --verify names what has changed"


_REMEDY = "take the folder from a backup, or compute the run again"


def _json(path: Path) -> dict[str, Any]:
    """What a JSON file of a run holds.

    Raises:
        RunFolderError: it cannot be read, or holds no table of names and values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"'{path}' cannot be read ({type(error).__name__}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise RunFolderError(f"'{path}' is damaged: it holds no table of names and values; {_REMEDY}")
    return content


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float) or (isinstance(value, list) and all(map(_is_plain, value)))


def _values(content: Any) -> list[Any]:
    return list(content.values()) if isinstance(content, dict) else list(content)
