"""From overrides to a checked manifest; and whether a sweep is still the one that was begun."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multiscale.config import StudyConfig
from multiscale.config.loading import load_configs
from multiscale.results.run.code_version import code_hash
from multiscale.results.run.study_record import StudyRecord
from multiscale.sweep.combinations import Combinations, SweepError, combinations
from multiscale.sweep.manifest import Dimension, Job, Manifest
from multiscale.version import __version__


@dataclass(frozen=True)
class Planned:
    """A sweep before it begins.

    Attributes:
        manifest: its jobs.
        configs: their checked configurations.
    """

    manifest: Manifest
    configs: tuple[StudyConfig, ...]


def run_place(record: StudyRecord) -> Path:
    """Where the run folder of a study will be."""
    return record.output.folder / record.folder_name


def planned(overrides: Sequence[str], private: Path | None, folder_name: str) -> Planned:
    """Check all jobs of a sweep.

    Args:
        overrides: with several values.
        private: folder of the user's own choices.
        folder_name: of the sweep, within ``output.folder`` of its first job.

    Raises:
        ConfigError: with the problems of all jobs.
        SweepError: two jobs are the same study.
    """
    asked = combinations(overrides)
    configs = load_configs(asked.jobs, private)
    records = [config.record() for config in configs]
    sweep = configs[0].output.folder / folder_name
    places = [os.path.relpath(run_place(record), sweep) for record in records]
    first: dict[str, int] = {}
    for number, place in enumerate(places, 1):
        if place in first:
            both = f"jobs {first[place]} ({' '.join(asked.jobs[first[place] - 1])}) and {number} ({' '.join(asked.jobs[number - 1])})"
            reason = "what they differ in (engine, output, or the spelling of a value) changes no answer"
            raise SweepError(f"{both} are the same study: {reason}; keep one of them")
        first[place] = number
    jobs = tuple(
        Job(number, own, at, place, record.config_hash)
        for number, (own, at, place, record) in enumerate(zip(asked.jobs, asked.at, places, records, strict=True), 1)
    )
    inputs = {name: value for record in records for name, value in record.inputs.items()}
    manifest = Manifest(
        dimensions=tuple(_dimensions(asked, records)),
        jobs=jobs,
        directory=str(Path.cwd()),
        private=str(private.resolve()) if private else "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        multiscale=__version__,
        code_sha256=code_hash(),
        inputs=inputs,
        config=configs[0].decisive,
    )
    return Planned(manifest, tuple(configs))


def _dimensions(asked: Combinations, records: Sequence[StudyRecord]) -> Iterator[Dimension]:
    """Swept keys with their labels: what the configuration made of the values, where that is one value for each."""
    settings = [{setting.key: setting for setting in record.settings} for record in records]
    for k, swept in enumerate(asked.swept):
        values: list[Any] = [None] * len(swept.texts)
        for at, known in zip(asked.at, settings, strict=True):
            values[at[k]] = known[swept.key].value if swept.key in known else None
        declared = settings[0].get(swept.key)
        if declared is not None and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            yield Dimension(swept.key, tuple(values), declared.unit, declared.meaning)
        else:
            labels = _numbers(swept.texts) or [text.strip("'\"") for text in swept.texts]
            yield Dimension(swept.key, tuple(labels), "", declared.meaning if declared else "")


def _numbers(texts: Sequence[str]) -> Sequence[float | str]:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return [kind(text) for text in texts]
    return []


def changes(manifest: Manifest, jobs: Sequence[Job], records: Sequence[StudyRecord]) -> list[str]:
    """What of a sweep is no longer what it was when it began, in words; empty where nothing is.

    Args:
        manifest: as it was.
        jobs: that are to be run.
        records: of these jobs, as they are now.
    """
    found = []
    if manifest.multiscale != __version__:
        found.append(f"multiscale is {__version__}, was {manifest.multiscale}")
    elif manifest.code_sha256 != code_hash():
        found.append(f"the code of multiscale {__version__} has changed")
    now = {name: value for record in records for name, value in record.inputs.items()}
    for name, value in now.items():
        if name in manifest.inputs and manifest.inputs[name] != value:
            package = f" ({manifest.inputs[name]} before, {value} now)" if value.startswith("package ") else ""
            found.append(f"input {name} has changed{package}")
    differ = [job for job, record in zip(jobs, records, strict=True) if job.config_sha256 != record.config_hash]
    if differ:
        of_first = [record.decisive for job, record in zip(jobs, records, strict=True) if job.number == 1]
        keys = list(_different(manifest.config, of_first[0])) if of_first else []
        named = f" ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})" if keys else ""
        several = f"{len(differ)} jobs" if len(differ) > 1 else "a job"
        found.append(f"the configuration of {several}{named} has changed, first that of job {differ[0].number}")
    return found


def _different(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in sorted({*before, *now}):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _different(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}"
