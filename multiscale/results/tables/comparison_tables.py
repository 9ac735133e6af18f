"""Tables that set several runs against a baseline run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import CENT, Table, settled
from multiscale.results.words.answer import failures
from multiscale.results.words.comparison import compared, differing_settings

SOCIAL_COST = "assess.social_cost_plan"
MAIN = {
    "plan.reinforcements": "built",
    "plan.investment": "investment",
    "transmission.reinforcements": "built on transmission",
    "transmission.investment": "investment in transmission",
    "plan.price.network_charge": "network charge",
    "plan.gap_eur": "gap of the plan",
    "coordination.cost": "cost of operation",
    "ac.year.violated_hours": "hours with a limit violated",
    SOCIAL_COST: "social cost",
}
"""Keys of the summary that are shown for every run -> what they are called."""
MOST_COLUMNS = 8
"""Runs, or settings that differ, of which a table is shown; of more it is a CSV file only."""
_IN_FILE = "too many for a page, so they are in the CSV file only."


@dataclass(frozen=True)
class Compared:
    """A run among others.

    Attributes:
        label: short and unique, e.g. the number of its job.
        name: what makes it different, or its folder.
        result: its answer; the dataset is not needed.
    """

    label: str
    name: str
    result: RunResult

    @property
    def title(self) -> str:
        """Label and name."""
        return f"{self.label}: {self.name}"


def value_of(run: Compared, key: str) -> float:
    """A value of the summary; NaN where the run has none."""
    value = run.result.value(key)
    return float(value) if _numeric(value) else np.nan


def numeric_keys(runs: Sequence[Compared]) -> dict[str, str]:
    """Keys of the summary that are numbers and not the same in all runs -> their unit; without computing time and memory."""
    found = compared([run.result for run in runs], everything=len(runs) == 1)
    return {key: unit for key, unit, values in found if not key.startswith(("time.", "memory.")) and all(v is None or _numeric(v) for v in values)}


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def runs_table(runs: Sequence[Compared], baseline: int) -> Table:
    """The main values of every run, and its social cost against that of the baseline run."""
    folders = all(run.name == run.result.folder.resolve().name for run in runs)
    frame = pd.DataFrame({"run": [run.label for run in runs], "folder" if folders else "differs in": [run.name for run in runs]})
    frame["status"] = [run.result.status for run in runs]
    frame["failed checks"] = [len(failures(run.result)) for run in runs]
    units = {}
    for key, name in MAIN.items():
        if any(key in run.result.summary for run in runs):
            frame[name] = [value_of(run, key) for run in runs]
            units[name] = next(run.result.summary[key][1] for run in runs if key in run.result.summary)
    if "social cost" in frame:
        frame["against the baseline run"] = frame["social cost"] - frame["social cost"][baseline]
        units["against the baseline run"] = units["social cost"]
    note = f"Baseline run (bold): {runs[baseline].title}. Against it: negative costs less. Failed checks are listed at the top."
    return Table("runs", "The runs", settled(frame, CENT), units, note, (baseline,))


def gains_table(runs: Sequence[Compared], baseline: int) -> Table | None:
    """What every stakeholder gains in each run against the baseline scenario of that run, and the difference from the baseline run."""
    keys = [key for key in dict.fromkeys(key for run in runs for key in run.result.summary) if key.startswith("assess.gain.")]
    if not keys:
        return None
    rows = [{"run": run.title} | {key.removeprefix("assess.gain.").replace("_", " "): value_of(run, key) for key in keys} for run in runs]
    frame = settled(pd.DataFrame(rows))
    note = "Gain of each stakeholder against the baseline scenario of its own run; the baseline run is bold."
    return Table("gains", "Who gains in which run", frame, dict.fromkeys(frame.columns[1:], "EUR/a"), note, (baseline,))


def settings_table(runs: Sequence[Compared]) -> Table | None:
    """Settings that are not the same in all runs; None where they are."""
    differing = differing_settings([run.result for run in runs])
    if not differing:
        return None
    titles, shown = [run.title for run in runs], min(len(runs), len(differing)) <= MOST_COLUMNS
    if len(runs) <= MOST_COLUMNS < len(differing):
        rows = [[key, *values] for key, values in differing.items()]
        return Table("settings", "Settings that differ", pd.DataFrame(rows, columns=["setting", *titles]))
    frame = pd.DataFrame(differing)
    frame.insert(0, "run", titles)
    return Table("settings", "Settings that differ", frame, note="" if shown else f"{len(differing)} settings; {_IN_FILE}", shown=shown)


def checks_table(runs: Sequence[Compared]) -> Table:
    """What failed or is not proven, run by run."""
    rows = [{"run": run.title, "status": run.result.status, "failed": reason} for run in runs for reason in failures(run.result) or ["nothing"]]
    return Table("checks", "Checks of every run", pd.DataFrame(rows))


def values_table(runs: Sequence[Compared]) -> Table:
    """Every value of the summaries that is not the same in all runs."""
    found = compared([run.result for run in runs])
    heads = [run.title for run in runs]
    rows = [[key, *(_shown(v) for v in values), unit] for key, unit, values in found if not key.startswith(("time.", "memory."))]
    shown = len(runs) <= MOST_COLUMNS
    note = "" if shown else f"{len(rows)} values of {len(runs)} runs; {_IN_FILE}"
    return Table("values", "Values that differ", pd.DataFrame(rows, columns=["key", *heads, "unit"]), note=note, shown=shown)


def _shown(value: Any) -> Any:
    return np.nan if value is None else value
