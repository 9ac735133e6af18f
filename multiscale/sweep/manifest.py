"""What a sweep is: all its jobs, written before the first of them begins. It does not change while the sweep runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multiscale.files import write_atomically
from multiscale.sweep.combinations import SweepError

NAME = "manifest.json"
SCHEMA = 2


@dataclass(frozen=True)
class Dimension:
    """One swept key.

    Attributes:
        key: dotted key or group.
        labels: its values in the order given: numbers in the declared unit where all are numbers, else texts.
        unit: declared unit; empty for texts and flags.
        meaning: what the key stands for; empty for groups.
    """

    key: str
    labels: tuple[float | str, ...]
    unit: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Job:
    """One combination.

    Attributes:
        number: position in the sweep, from 1.
        overrides: what it is computed with.
        at: position along every dimension.
        run: its run folder, as seen from the folder of the sweep.
        config_sha256: hash of the values its answer depends on.
    """

    number: int
    overrides: tuple[str, ...]
    at: tuple[int, ...]
    run: str
    config_sha256: str


@dataclass(frozen=True)
class Manifest:
    """All jobs of a sweep and what they are computed with.

    Attributes:
        dimensions: the swept keys.
        jobs: every combination.
        directory: current folder when the sweep was begun; relative paths in overrides start there.
        private: folder of the user's own choices; empty for none.
        created: when (ISO 8601, UTC).
        multiscale: version of the package.
        code_sha256: hash of its code.
        inputs: what is read from outside -> its hash, over all jobs.
        config: values of the first job that its answer depends on, to say what has changed.
        launcher: where the jobs are computed: kind and settings of a launcher; empty for processes on this machine.
    """

    dimensions: tuple[Dimension, ...]
    jobs: tuple[Job, ...]
    directory: str
    private: str
    created: str
    multiscale: str
    code_sha256: str
    inputs: Mapping[str, str]
    config: Mapping[str, Any]
    launcher: Mapping[str, Any] = field(default_factory=dict)

    def own(self, job: Job) -> str:
        """What makes a job different from the others, in words."""
        return " ".join(f"{n}={d.labels[k]}" for n, d, k in zip(self.short_names, self.dimensions, job.at, strict=True)) or "the only combination"

    @property
    def short_names(self) -> list[str]:
        """The last part of every swept key where that tells them apart."""
        last = [d.key.rpartition(".")[2] for d in self.dimensions]
        return [name if last.count(name) == 1 else d.key for name, d in zip(last, self.dimensions, strict=True)]

    def write(self, folder: Path) -> None:
        """Write it into the folder of the sweep.

        Raises:
            OSError: the folder cannot be written.
        """
        write_atomically(folder / NAME, json.dumps({"schema": SCHEMA} | asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a sweep.

        Raises:
            SweepError: the folder holds none, or one that cannot be read.
        """
        try:
            stored = json.loads((folder / NAME).read_text(encoding="utf-8"))
        except OSError:
            raise SweepError(f"'{folder}' is no sweep: it has no {NAME}; give the folder that 'multiscale run -m' printed last") from None
        except ValueError:
            raise SweepError(f"'{folder / NAME}' is damaged: it is no JSON; take it from a backup, or begin the sweep anew") from None
        if not isinstance(stored, dict) or stored.pop("schema", None) != SCHEMA:
            raise SweepError(f"'{folder / NAME}' was written by another version of multiscale (schema {SCHEMA} is read); begin the sweep anew")
        try:
            dimensions = tuple(Dimension(**{**d, "labels": tuple(d["labels"])}) for d in stored.pop("dimensions"))
            jobs = tuple(Job(**{**j, "overrides": tuple(j["overrides"]), "at": tuple(j["at"])}) for j in stored.pop("jobs"))
            made = cls(dimensions=dimensions, jobs=jobs, **stored)
            fault = made.fault()
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            fault = str(error)
        if fault:
            raise SweepError(f"'{folder / NAME}' is damaged ({fault}); take it from a backup, or begin the sweep anew")
        return made

    def fault(self) -> str:
        """What of it no sweep has; empty where there is nothing."""
        texts = (self.directory, self.private, self.created, self.multiscale, self.code_sha256)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(m, Mapping) for m in (self.inputs, self.config, self.launcher)):
            return "a field is of another type"
        if not all(isinstance(text, str) for pair in self.inputs.items() for text in pair):
            return "inputs are not names with hashes"
        for d in self.dimensions:
            if not all(isinstance(text, str) for text in (d.key, d.unit, d.meaning)) or not d.labels:
                return f"dimension {d.key!r}"
            if not all(isinstance(label, int | float | str) and not isinstance(label, bool) for label in d.labels):
                return f"dimension {d.key!r}: a label that is neither a number nor a text"
        if not self.jobs or [job.number for job in self.jobs] != list(range(1, len(self.jobs) + 1)):
            return "jobs are not numbered from 1"
        for job in self.jobs:
            if not all(isinstance(text, str) for text in (job.run, job.config_sha256, *job.overrides)) or "\0" in job.run:
                return f"job {job.number}: a field is of another type"
            places = [range(len(d.labels)) for d in self.dimensions]
            if len(job.at) != len(places) or not all(type(k) is int and k in place for k, place in zip(job.at, places, strict=True)):
                return f"job {job.number}: it is at no place of the swept keys"
        return ""


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / NAME).is_file()


def run_folder(folder: Path, job: Job) -> Path:
    """The run folder of a job."""
    return folder / job.run
