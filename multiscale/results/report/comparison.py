"""The report of several runs, or of a whole sweep, against a baseline run: one HTML file from the pieces of the report of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from multiscale.files import write_atomically
from multiscale.results.data.dataset import compared_scenarios, has
from multiscale.results.figures.comparison_plots import MOST_RUNS, cost_figure
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.maps import placed_words
from multiscale.results.report.drawn import TEMPLATES, in_html
from multiscale.results.report.embedding import embedded, scripts
from multiscale.results.report.exhibits import Exhibit, Interactive, Section, figure, interactive, table
from multiscale.results.report.interactive_map import HOW, network_map
from multiscale.results.report.interactive_values import values_figure
from multiscale.results.report.network_states import State, state_of, values_of
from multiscale.results.run.run_result import RunFolderError, RunResult
from multiscale.results.tables.comparison_tables import (
    SOCIAL_COST,
    Compared,
    checks_table,
    gains_table,
    numeric_keys,
    runs_table,
    settings_table,
    value_of,
    values_table,
)
from multiscale.results.words.answer import failures, reinforcements
from multiscale.results.words.comparison import differing_settings
from multiscale.results.words.numbers import euros, plural
from multiscale.version import __version__

MOST_STATES = 12
"""Runs on the map: the baseline run and the first ones."""
ASSUMED = ("system", "horizon", "costs", "devices", "measures")
"""Groups of settings that say what is assumed, not what is decided."""


@dataclass(frozen=True)
class Lacking:
    """A job without an answer: what it is called (see ``Compared.title``), how it stands, and why."""

    title: str
    state: str
    message: str


def write_comparison(title: str, runs: Sequence[Compared], path: Path, baseline: int = 0, lacking: Sequence[Lacking] = (), name: str = "") -> Path:
    """Write the report of several runs.

    Args:
        title: what they are.
        runs: with an answer; their datasets are read one after the other.
        path: the page.
        baseline: position of the run that the others are compared with.
        lacking: jobs without an answer.
        name: of the sweep, where it is one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = in_html(_sections(runs, baseline))
    failed = [f"{job.title}: {job.state.replace('_', ' ')}{f': {job.message}' if job.message else ''}" for job in lacking]
    failed += [f"{run.title}: {reason}" for run in runs for reason in failures(run.result)]
    page = TEMPLATES.get_template("comparison.html.j2").render(
        title=title,
        name=name,
        question=runs[baseline].result.config().get("study", {}).get("question", ""),
        failures=failed,
        headline=headline(runs, baseline, lacking),
        sections=sections,
        scripts=scripts() if any("live-data" in section.html for section in sections) else "",
        version=__version__,
    )
    write_atomically(path, page)
    return path


def headline(runs: Sequence[Compared], baseline: int, lacking: Sequence[Lacking]) -> list[str]:
    """What a reader of nothing else should know."""
    sound = [run for run in runs if not failures(run.result)]
    base = runs[baseline]
    answered = f"{len(runs)} of {plural(len(runs) + len(lacking), 'run')} {'has' if len(runs) == 1 else 'have'} an answer"
    sentences = [f"{answered}, {len(sound)} passed all checks. The baseline run is {base.title}."]
    if any(len(run.result.config().get("horizon", {}).get("years", ())) > 1 for run in runs):
        sentences.append("Of runs of several years, all that follows is of the last year; their own reports have the others.")
    differing = {k: row for k, row in differing_settings([run.result for run in runs]).items() if k.split(".", 1)[0] in ASSUMED}
    alike = [run for i, run in enumerate(runs) if all(row[i] == row[baseline] for row in differing.values())]
    known = [run for run in alike if run in sound and np.isfinite(value_of(run, SOCIAL_COST))]
    if len(known) > 1:
        best, cost = min(known, key=lambda run: round(value_of(run, SOCIAL_COST), 2)), value_of(base, SOCIAL_COST)
        saved = round(cost, 2) - round(value_of(best, SOCIAL_COST), 2)
        than = f"{euros(abs(saved), True)} {'less' if saved > 0 else 'more'} than" if saved else "the same as"
        against = "" if best is base or not np.isfinite(cost) else f", {than} in the baseline run"
        among = f"Of the {len(known)} runs that passed all checks{' and assume the same as the baseline run' if differing else ''}"
        sentences.append(f"{among}, the social cost is least in {best.title}: {euros(value_of(best, SOCIAL_COST), True)}{against}.")
    if differing:
        sentences.append(
            f"The runs differ in what they assume ({', '.join(differing)}): costs that differ for that reason say nothing about decisions."
        )
    return sentences


def _sections(runs: Sequence[Compared], baseline: int) -> list[Section]:
    first = runs[baseline].result
    names, costs = [run.title for run in runs], np.array([value_of(run, SOCIAL_COST) for run in runs])

    few = f" Of {len(runs)} runs: the baseline run and the first {MOST_RUNS - 1} others." if len(runs) > MOST_RUNS else ""

    def of(make: Callable[[], Any]) -> Callable[[RunResult], Any]:
        return lambda _: make()

    blocks: dict[str, tuple[str, str, list[Exhibit | None]]] = {
        "runs": (
            "The runs against the baseline run",
            "Each with its own plan, operation and checks; its own report is in its folder.",
            [
                interactive(first, of(lambda: values_figure(runs, numeric_keys(runs), baseline, SOCIAL_COST)), "values"),
                figure(first, f"Social cost against the baseline run.{few}", of(lambda: cost_figure(names, costs, baseline)), "social cost"),
                table(first, of(lambda: runs_table(runs, baseline)), "runs"),
                table(first, of(lambda: settings_table(runs)), "settings", optional=True),
            ],
        ),
        "network": (
            "The network",
            "With the plan of each run.",
            [interactive(first, of(lambda: _map(runs, baseline)), "the network")],
        ),
        "money": ("Who gains", "", [table(first, of(lambda: gains_table(runs, baseline)), "gains", optional=True)]),
        "checks": ("Checks", "", [table(first, of(lambda: checks_table(runs)), "checks")]),
        "values": ("All values that differ", "", [table(first, of(lambda: values_table(runs)), "values")]),
    }
    return [Section(key, title, text, shown) for key, (title, text, shown) in blocks.items() if any(block is not None for block in shown)]


def _map(runs: Sequence[Compared], baseline: int) -> Interactive | None:
    """The map with the plan of every run; runs whose network or days are others are not on it."""
    order = [baseline, *(i for i in range(len(runs)) if i != baseline)][:MOST_STATES]
    result = RunResult.load(runs[baseline].result.folder).of_year()
    data, states = result.dataset, []
    omitted = [run.title for i, run in enumerate(runs) if i not in order]
    if data is None or not has(data, "loading", "period_hours", "branch_from", "branch_to", "bus_x", "bus_y", "bus_vn_kv"):
        return None
    for i in order:
        state = _state(runs[i])
        if state is not None and _alike(state, data):
            states.append(state)
        else:
            omitted.append(runs[i].title)
    layout = Layout(data)
    if not layout.drawable or not states:
        return None
    values = values_of(data, layout, states)
    numbers = {b.branch: i + 1 for i, b in enumerate(reinforcements(result))}
    html = embedded(network_map(data, layout, values, numbers), "map", "Map of the network with the plan of each run, at a chosen step")
    without = f"Not on the map, as their network or days are others or there are too many: {', '.join(omitted)}." if omitted else ""
    of_baseline = "Numbers, rating before the plan and usable rating: of the baseline run."
    return Interactive(html, " ".join(filter(None, [HOW, of_baseline, placed_words(layout), values.omitted, without])))


def _alike(state: State, data: xr.Dataset) -> bool:
    """Whether network and steps are those of a dataset."""
    return all(np.array_equal(state.loading[dim], data[dim]) for dim in ("branch", "period")) and np.array_equal(state.voltage.bus, data.bus)


def _state(run: Compared) -> State | None:
    data = RunResult.load(run.result.folder).of_year().dataset
    pair = compared_scenarios(data)
    return None if data is None or pair is None or not has(data, "loading", "voltage") else state_of(data, pair[1], run.title)


def compared_run(folder: Path, label: str, name: str = "") -> Compared:
    """A run for a comparison; its dataset is read when its map is drawn."""
    return Compared(label, name or folder.resolve().name, RunResult.load(folder, with_dataset=False))


def compare_runs(folders: Sequence[Path], path: Path) -> Path:
    """Write the report of some runs against the first of them.

    Raises:
        RunFolderError: the first has no answer, or one of them is no run.
    """
    runs = [compared_run(folder, str(i + 1)) for i, folder in enumerate(folders)]
    sound = [run for run in runs if not run.result.exit_code]
    if runs[0] not in sound:
        why = f"no answer (status {runs[0].result.status}), so nothing can be compared with it"
        raise RunFolderError(f"'{folders[0]}' has {why}; give another one first")
    lacking = [Lacking(run.title, run.result.status, str(run.result.details.get("message", ""))) for run in runs if run not in sound]
    return write_comparison(f"{plural(len(runs) - 1, 'run')} against {runs[0].name}", sound, path, 0, lacking)
