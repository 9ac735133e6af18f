"""The folder of a run: written aside, renamed when whole, marked when not."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import shutil
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
import xarray as xr
import yaml

from multiscale.files import replace_folder, restore_replaced, write_atomically
from multiscale.results.run.ledger_file import write_ledger
from multiscale.results.run.log import JsonLines
from multiscale.results.run.plain_values import finite_summary, json_text, plain
from multiscale.results.run.progress import Progress, stage_times_file
from multiscale.results.run.provenance import provenance, sealed
from multiscale.results.run.run_lock import RunLock, holder
from multiscale.results.run.run_result import STATUSES, RunFolderError, RunResult
from multiscale.results.run.study_record import StudyRecord

logger = logging.getLogger("multiscale")


class NoAnswerError(RuntimeError):
    """A study ends without an answer, for a reason that is no fault of the program.

    Args:
        status: ``infeasible`` or ``time_limit``.
        message: why, for people.
        relaxation: the least change of one limit that would give an answer, where it is known (of, setting, value, needed, unit).
    """

    def __init__(self, status: str, message: str, relaxation: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.relaxation = status, relaxation


class RunExistsError(RuntimeError):
    """The same study has been computed already and ``output.overwrite`` is false.

    Attributes:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds this study already; output.overwrite=true computes it again")
        self.folder = folder


class RunFolder:
    """A run being written; use as a context manager.

    Files are written to ``.<name>.partial``. ``finish`` renames it to ``<name>``; any other way out (an exception, an interruption,
    leaving without ``finish``) writes the reason to ``status.json`` and renames it to ``<name>.incomplete``.

    Attributes:
        study: settings of the study.
        path: the folder as it is called now.
        final: what it will be called.
        progress: stages and their times.
    """

    def __init__(self, study: StudyRecord, final: Path) -> None:
        self.study = study
        self.final = final
        self.path = _partial(final)
        self._started = datetime.now(UTC)
        self._clock = time.perf_counter()
        self._result: RunResult | None = None
        self._relaxation: Mapping[str, Any] | None = None
        self._prepare()
        self._handler = JsonLines(self.path / "log.jsonl", lambda: self.progress.current)
        logger.addHandler(self._handler)
        logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
        self.progress = Progress(
            key=f"{study.name}/{study.title}/{study.config.get('horizon', {}).get('days', '')}",
            memory_file=stage_times_file(),
            note=self._note_stage,
        )

    @classmethod
    def create(cls, study: StudyRecord) -> Self:
        """Make the folder for a study, before anything is computed.

        Raises:
            RunFolderError: the folder cannot be written, or another process is writing the same run.
            RunExistsError: the run exists and ``output.overwrite`` is false.
        """
        final = study.output.folder / study.folder_name
        if final.exists() and not study.output.overwrite:
            clear_left(final)
            raise RunExistsError(final)
        return cls(study, final)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._result is not None:
            return
        if isinstance(error, NoAnswerError):
            status, message = error.status, str(error)
        elif isinstance(error, KeyboardInterrupt):
            status, message = "interrupted", "interrupted before the end; nothing in this folder is a result"
        elif error is not None:
            status, message = "error", str(error) or type(error).__name__
        else:
            status, message = "error", "the study ended without finishing its run folder"
        if error is not None and status == "error":
            logger.error("%s", message, extra={"traceback": "".join(traceback.format_exception(kind, error, trace))})
        self._relaxation = error.relaxation if isinstance(error, NoAnswerError) else None
        self._abandon(status, message)

    def log(self, message: str, level: int = logging.INFO, **fields: Any) -> None:
        """Write a line to ``log.jsonl``; fields become keys of the line."""
        logger.log(level, "%s", message, extra={"fields": fields})

    def finish(
        self,
        dataset: xr.Dataset,
        summary: Mapping[str, tuple[Any, str]],
        status: str,
        provenance_extra: Mapping[str, Any] | None = None,
        note: str = "",
        ledger: Iterable[tuple[Mapping[str, str], pd.DataFrame]] | None = None,
        report: Callable[[RunResult, Path], object] | None = None,
        reasons: Sequence[str] = (),
    ) -> RunResult:
        """Write everything and give the folder its name.

        Args:
            dataset: the answer; every variable with ``units`` and ``long_name``.
            summary: key -> (value, unit); stage times and peak memory are added here, and what is not finite becomes ``None`` with a note.
            status: ``optimal`` or ``feasible``.
            provenance_extra: e.g. solver versions, options, bounds.
            note: what a reader of the status must know, e.g. who was excluded.
            ledger: blocks of the ledger of trades, see ``ledger_file``; none is written where not given.
            report: writes the report to a file; default: ``write_report``.
            reasons: why the status is ``feasible`` and not ``optimal``, one by one; kept in ``status.json``.

        Raises:
            ValueError: a variable without unit or name, an unknown status.
        """
        from multiscale.results.data.dataset import write_dataset

        if status not in STATUSES:
            raise ValueError(f"status {status!r} is unknown; use one of {', '.join(STATUSES)}")
        record = provenance(self.study, self.final) | dict(provenance_extra or {})
        with self.progress.stage("write"):
            if ledger is not None:
                record["ledger_head"] = write_ledger(self.path, ledger)
            stored = write_dataset(dataset, self.path / "result.nc", record)
            (self.path / "config.yaml").write_text(_config_text(self.study.config), encoding="utf-8")
        summary, lost = finite_summary(summary)
        note = "; ".join(filter(None, (note, lost)))
        complete = self._with_costs(summary)
        message = note
        details = self._status(status, message, complete) | ({"reasons": list(reasons)} if reasons else {})
        self._write_json("provenance.json", record)
        if self.study.output.report:
            with self.progress.stage("report"):
                message = "; ".join(filter(None, (note, self._report(RunResult(self.path, stored, complete, status, details), report))))
        complete = self._with_costs(summary)
        details = self._status(status, message, complete) | ({"reasons": list(reasons)} if reasons else {})
        self._write_json("summary.json", {key: {"value": value, "unit": unit} for key, (value, unit) in complete.items()})
        self._close(remember=True)
        record["times"] = {
            "started": self._started.isoformat(),
            "seconds": round(time.perf_counter() - self._clock, 3),
            "stages": self.progress.seconds,
        }
        self._write_json("status.json", details)
        self._write_json("provenance.json", sealed(record, self.path))
        self._rename(self.final)
        shutil.rmtree(self.final.with_name(f"{self.final.name}.incomplete"), ignore_errors=True)
        self._result = RunResult(self.path, stored, complete, status, details)
        return self._result

    def _report(self, result: RunResult, report: Callable[[RunResult, Path], object] | None) -> str:
        """Write the report; the answer is not lost with it, so a failure becomes the message of the status."""
        from multiscale.results.report.page import write_report

        try:
            (report or write_report)(result, self.path / "report.html")
        except Exception as error:
            logger.exception("the report could not be written")
            return f"the report could not be written ({error}); 'multiscale report' tries again"
        return ""

    def _with_costs(self, summary: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
        times = {f"time.{name}": (round(seconds, 3), "s") for name, seconds in self.progress.seconds.items()}
        total = {"time.total": (round(time.perf_counter() - self._clock, 3), "s")}
        return dict(summary) | times | total | {"memory.peak": (round(self.progress.peak_memory_mb, 1), "MB")}

    def _prepare(self) -> None:
        parent = self.final.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            if at_work := _cleared(self.path):
                raise RunFolderError(f"{at_work} is computing this study in '{self.path}'; wait for it, or give another output.folder")
            try:
                self.path.mkdir()
            except FileExistsError:
                message = f"another process has just begun this study in '{self.path}'; wait for it, or give another output.folder"
                raise RunFolderError(message) from None
            self._begin()
        except OSError as error:
            raise RunFolderError(
                f"output.folder '{parent}' cannot be written ({error.strerror}); give another one with output.folder=..., or make it writable"
            ) from None

    def _begin(self) -> None:
        """Lock the folder, and only then bring back a run whose replacement was killed half-way: one who replaces it now has it aside as well.

        Raises:
            RunExistsError: it is there, and ``output.overwrite`` is false.
            OSError: the folder cannot be written; it is removed.
        """
        try:
            self._lock = RunLock(self.path)
            try:
                restore_replaced(self.final)
                if self.final.exists() and not self.study.output.overwrite:
                    raise RunExistsError(self.final)
                self._write_json("status.json", self._status("running", ""))
            except BaseException:
                self._lock.release(self.path)
                raise
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def _note_stage(self, event: str, name: str, seconds: float) -> None:
        if event == "start":
            logger.info("stage %s begins", name)
            self._write_json("status.json", self._status("running", ""))
        else:
            logger.info("stage %s ended", name, extra={"fields": {"seconds": round(seconds, 3)}})

    def _status(self, status: str, message: str, summary: Mapping[str, tuple[Any, str]] | None = None) -> dict[str, Any]:
        details: dict[str, Any] = {"status": status, "study": self.study.name}
        shown = {"objective": "plan.objective", "bound": "plan.bound", "gap": "plan.gap", "coordination_missed": "coordination.gap_of_value"}
        for name, key in shown.items():
            if summary and key in summary:
                details[name] = plain(summary[key][0])
        progress = getattr(self, "progress", None)
        return details | {
            "stage": progress.current if progress else "",
            "stages": {name: round(seconds, 3) for name, seconds in progress.seconds.items()} if progress else {},
            "message": message,
            **({"relaxation": dict(self._relaxation)} if self._relaxation else {}),
            "started": self._started.isoformat(timespec="seconds"),
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
            "process": os.getpid(),
            "host": socket.gethostname(),
        }

    def _abandon(self, status: str, message: str) -> None:
        self._write_last_status(status, message)
        self._close(remember=False)
        if not self._lock.holds(self.path):
            # Another process took the folder: nothing of it is ours any longer.
            self._lock.release(self.path)
            return
        with contextlib.suppress(OSError):
            self._rename(self.final.with_name(f"{self.final.name}.incomplete"))
        self._lock.release(self.path)

    def _write_last_status(self, status: str, message: str) -> None:
        """How the run ended, on a full disk as well: there in the room of what no longer counts, or of the status before."""
        file, content = self.path / "status.json", self._status(status, message)
        with contextlib.suppress(OSError):
            self._write_json("status.json", content)
            return
        with contextlib.suppress(OSError):
            (self.path / "result.nc").unlink(missing_ok=True)
            (self.path / "report.html").unlink(missing_ok=True)
            self._write_json("status.json", content)
            return
        with contextlib.suppress(OSError), file.open("r+b") as stream:
            # Writing within the length of a file takes no further room.
            room = file.stat().st_size
            stream.write(json_text({"status": status, "message": message[:40]}).encode().ljust(room)[:room])
            return
        with contextlib.suppress(OSError):
            file.unlink()

    def _close(self, *, remember: bool) -> None:
        self.progress.close(remember=remember)
        logger.removeHandler(self._handler)
        self._handler.close()

    def _rename(self, target: Path) -> None:
        if not self._lock.holds(self.path):
            raise RunFolderError(f"another process has taken '{self.path}' over, as this one gave no sign of life; its answer is the one that counts")
        # The lock goes with the folder: given up before, another process could take the folder away while it is written to the disk.
        replace_folder(self.path, target)
        self.path = target
        self._lock.release(self.path)

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_atomically(self.path / name, json_text(content))


def clear_left(final: Path) -> None:
    """Clear away what killed processes left of runs whose folder is whole; nothing where one is at work, or the folder above cannot be written."""
    with contextlib.suppress(OSError):
        _cleared(_partial(final))


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}.partial")


def _cleared(path: Path) -> str:
    """Clear away what a killed process left; where one is still at work, nothing is touched, and it is returned in words."""
    name = path.name.removesuffix(".partial")
    if path.exists():
        at_work = holder(path)
        if at_work:
            return at_work
        # Moved aside first: of two that find it, one has it.
        path.rename(path.with_name(f"{name}.{uuid.uuid4().hex}.left"))
    for left in path.parent.glob(f"{glob.escape(name)}.*.left"):
        shutil.rmtree(left, ignore_errors=True)
    return ""


def _config_text(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
