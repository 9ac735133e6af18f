"""``multiscale reproduce``: compute a run again from what its folder records, and compare."""

from __future__ import annotations

import sys
from pathlib import Path

from multiscale.reproduction.differences import Difference, Tolerance, differences
from multiscale.reproduction.recorded import changed_since, recorded_config
from multiscale.results.run.run_folder import NoAnswerError
from multiscale.results.run.run_result import RunFolderError, RunResult

MOST_ROWS = 40
"""Differences that are shown."""


def reproduce(folder: Path, to: Path | None, tolerance: Tolerance) -> int:
    """Compute a run again into a new folder and print what differs.

    Args:
        folder: of the run.
        to: folder in which the new run folder is made; default: ``reproduced`` next to the run.
        tolerance: how far values may be apart.

    Returns:
        0 where nothing differs, 1 where something does.

    Raises:
        RunFolderError: no run, one without an answer, or a folder that would be overwritten.
        ConfigError: its configuration is none of this version.
    """
    run = RunResult.load(folder)
    if run.dataset is None:
        raise RunFolderError(f"'{folder}' has no answer (status {run.status}), so there is nothing to reproduce")
    output = folder.absolute().parent / "reproduced" if to is None else to
    config = recorded_config(run, output)
    place = output / config.record().folder_name
    if place.resolve() == folder.resolve():
        raise RunFolderError(f"'{place}' is the run itself, which would be overwritten; give another folder with --to")
    changed = changed_since(run)
    for line in changed:
        print(f"not as it was: {line}", file=sys.stderr)
    from multiscale.study import run_study

    try:
        again = run_study(config)
    except NoAnswerError as none:
        print(f"the run ends without an answer now ({none.status}): {none}")
        return 1
    found, compared = differences(run, RunResult.load(again.folder), tolerance)
    print_differences(found, compared, tolerance, changed=bool(changed))
    print(again.folder)
    return 1 if found else 0


def print_differences(found: list[Difference], compared: int, tolerance: Tolerance, *, changed: bool) -> None:
    """The table of what differs, the largest relative difference first."""
    from rich.console import Console
    from rich.table import Table

    from multiscale.results.words.terminal import shown

    console = Console()
    allowed = f"relative {tolerance.relative:g}, absolute {tolerance.absolute:g}"
    if not found:
        console.print(f"reproduced: {compared} variables and values are equal ({allowed}); times and memory are not compared", highlight=False)
        return
    ranked = sorted(found, key=lambda d: -d.relative if d.relative == d.relative else -float("inf"))
    title = f"{len(found)} of {compared} variables and values differ by more than {allowed}"
    table = Table(title=title + (f"; the first {MOST_ROWS}" if len(found) > MOST_ROWS else ""), title_justify="left", title_style="bold")
    for head in ("in", "name", "what", "before", "now", "difference", "relative"):
        table.add_column(head, overflow="fold")
    for one in ranked[:MOST_ROWS]:
        numbers = one.absolute == one.absolute
        apart = (f"{one.absolute:.3g} {one.unit}".strip(), f"{one.relative:.2g}") if numbers else ("", "")
        what = f"{one.what}, most at {one.where}" if one.where else one.what
        table.add_row(one.kind, *(shown(cell, console) for cell in (one.name, what, one.before, one.after, *apart)))
    console.print(table)
    if not changed:
        remedy = "nothing that is recorded has changed: the optimum may not be unique, or a time limit may have ended a search"
        console.print(shown(f"{remedy}; compare objective and bound", console), highlight=False)
