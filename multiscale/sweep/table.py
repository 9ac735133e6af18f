"""How the jobs of a sweep ended, or how far they are, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.progress import RECENT, in_words, remaining
from multiscale.sweep.states import JobState, counted

SHOWN = {
    "plan.reinforcements": "built",
    "transmission.reinforcements": "built on transmission",
    "plan.price.network_charge": "network charge [EUR/kWh]",
    "plan.objective": "cost [EUR/a]",
    "coordination.value_reached": "coordination reached",
}
"""Keys of the summary that the closing table shows."""

MOST_ROWS = 60
"""Jobs that the closing table shows; of larger sweeps only those without an answer."""


def print_jobs(folder: Path, manifest: Manifest, states: Sequence[JobState]) -> None:
    """The closing table: every job with its main results; of large sweeps those without an answer."""
    from rich.console import Console
    from rich.table import Table

    from multiscale.results.words.numbers import number

    rows = states if len(states) <= MOST_ROWS else [state for state in states if not state.answered]
    title = f"Sweep: {counted(states)}" + ("" if rows is states else f"; only the {len(rows)} without an answer are shown")
    table = Table(title=title, title_justify="left", title_style="bold")
    summaries = {state.job.number: _summary(run_folder(folder, state.job)) if state.answered else {} for state in rows[:MOST_ROWS]}
    values = {n: {key: found[key]["value"] for key in SHOWN if found.get(key, {}).get("value") is not None} for n, found in summaries.items()}
    keys = [key for key in SHOWN if any(key in found for found in values.values())]
    for head in ("job", "differs in", "status", *(SHOWN[key] for key in keys), "time [s]", "run folder or reason"):
        table.add_column(head, overflow="fold")
    for state in rows[:MOST_ROWS]:
        place = run_folder(folder, state.job)
        found = values[state.job.number]
        shown = [number(found[key], 4) if key in found else "–" for key in keys]
        where = place.resolve().name if state.answered else state.message
        table.add_row(str(state.job.number), manifest.own(state.job), state.state.replace("_", " "), *shown, number(state.seconds), where)
    Console().print(table)


def print_status(folder: Path, manifest: Manifest, states: Sequence[JobState], *, running: bool) -> None:
    """How far a sweep is: counts, what runs, how long it may still take, what failed and why, and how to go on."""
    print(f"{folder}: {'runs' if running else 'does not run'}; {len(states)} jobs: {counted(states)}")
    at_work = [state for state in states if state.state == "running"]
    for state in at_work:
        print(f"  job {state.job.number} runs for {_since(state.since):.0f} s: {manifest.own(state.job)}")
    if running:
        times = [state.seconds for state in states if state.answered and state.computed]
        queued = sum(state.state == "queued" for state in states)
        print(f"  {in_words(remaining(times, queued, [_since(s.since) for s in at_work], len(at_work)), len(times[-RECENT:]))}")
    for state in states:
        if state.message and not state.answered:
            print(f"  job {state.job.number} {state.state.replace('_', ' ')} ({manifest.own(state.job)}): {state.message.splitlines()[0]}")
    if not running and not all(state.answered for state in states):
        print(f"  to go on: multiscale resume {folder}")


def _summary(place: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads((place / "summary.json").read_text(encoding="utf-8")))


def _since(time: str) -> float:
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()) if time else 0.0
