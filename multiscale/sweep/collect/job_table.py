"""Summaries of a sweep: one row for each job, with or without an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import JobState

JOB_COLUMNS = ("job_number", "job_state", "job_message", "job_seconds", "job_folder")
"""What is known of every job, next to its values of the swept keys."""


def swept_names(manifest: Manifest, taken: Sequence[str] = ()) -> list[str]:
    """Names of the swept keys among those that are taken already."""
    return [f"swept.{d.key}" if d.key in (*taken, *JOB_COLUMNS) else d.key for d in manifest.dimensions]


def summaries(folder: Path, states: Sequence[JobState]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Summary values of every job (none without an answer), and the unit of every key."""
    values: list[dict[str, Any]] = []
    units: dict[str, str] = {}
    for state in states:
        found: dict[str, Any] = {}
        if state.answered:
            stored = json.loads((run_folder(folder, state.job) / "summary.json").read_text(encoding="utf-8"))
            for key, entry in stored.items():
                found[key] = entry["value"]
                units.setdefault(key, str(entry["unit"]))
        values.append(found)
    return values, units


def numeric(values: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Whether a key of the summary is a number in every job that has it."""
    return all(isinstance(found[key], int | float) for found in values if found.get(key) is not None)


def job_table(folder: Path, manifest: Manifest, states: Sequence[JobState], values: Sequence[dict[str, Any]], units: dict[str, str]) -> pd.DataFrame:
    """The table: swept keys, how each job ended, and every key of the summary with its unit; NaN where a job has none."""
    columns: dict[str, Any] = {"job_number": [state.job.number for state in states]}
    for k, (name, dimension) in enumerate(zip(swept_names(manifest), manifest.dimensions, strict=True)):
        columns[_head(name, dimension.unit)] = [dimension.labels[state.job.at[k]] for state in states]
    columns["job_state"] = [state.state for state in states]
    columns["job_message"] = [state.message for state in states]
    columns["job_seconds [s]"] = [state.seconds if state.answered else np.nan for state in states]
    columns["job_folder"] = [run_folder(folder, state.job).resolve().name for state in states]
    for key, unit in units.items():
        column = [found.get(key) for found in values]
        columns[_head(key, unit)] = np.asarray(column, dtype=float) if numeric(values, key) else [None if v is None else str(v) for v in column]
    return pd.DataFrame(columns)


def _head(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit not in ("", "1") else name
