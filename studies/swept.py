"""A sweep as rows: what was swept, and values of the summary of every job that has an answer."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from multiscale.results import RunResult
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import job_states


def rows(folder: Path, values: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """One row for each job with an answer, and the jobs without one, in words.

    Args:
        folder: of the sweep.
        values: column -> key of the summary; NaN where a run has no such value.
    """
    manifest = Manifest.read(folder)
    found, without = [], []
    for job, state in zip(manifest.jobs, job_states(folder, manifest), strict=True):
        if not state.answered:
            without.append(f"{manifest.own(job)}: {state.state}, {state.message}")
            continue
        result = RunResult.load(run_folder(folder, job))
        row: dict[str, Any] = {name: d.labels[k] for name, d, k in zip(manifest.short_names, manifest.dimensions, job.at, strict=True)}
        row["status"] = result.status
        found.append(row | {column: result.value(key) if result.value(key) is not None else math.nan for column, key in values.items()})
    return pd.DataFrame(found), without


def swept(overrides: Sequence[str], output: Path, jobs: int | None) -> Path:
    """Run a sweep into a folder of its own; returns that folder, also where some jobs have no answer."""
    from multiscale.sweep.commands import run_sweep

    before = set(output.glob("sweep-*"))
    run_sweep([*overrides, f"output.folder={output}"], jobs=jobs)
    (folder,) = set(output.glob("sweep-*")) - before
    return folder


def written(title: str, table: pd.DataFrame, path: Path) -> None:
    """Print a table and write it."""
    table.to_csv(path, index=False)
    with pd.option_context("display.width", 250, "display.max_columns", None):
        text = table.to_string(index=False, na_rep="-", float_format=lambda v: f"{v:,.3f}" if abs(v) < 100 else f"{v:,.0f}")
    sys.stdout.write(f"\n{title}\n{text}\n{path}\n")


def missing(without: Sequence[str]) -> None:
    """Say which jobs have no answer."""
    for line in without:
        sys.stdout.write(f"no answer: {line}\n")
