"""Summaries of several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multiscale.results.run.run_result import RunResult
from multiscale.results.words.numbers import number
from multiscale.results.words.terminal import shown

if TYPE_CHECKING:
    from rich.console import Console


def differing_settings(results: Sequence[RunResult]) -> dict[str, list[str]]:
    """Settings that are not the same in all runs: key -> value in each."""
    flat = [_flat(result.config()) for result in results]
    keys = dict.fromkeys(key for one in flat for key in one if not key.startswith("output."))
    rows = {key: [str(one.get(key, "–")) for one in flat] for key in keys}
    return {key: row for key, row in rows.items() if len(set(row)) > 1}


def compared(results: Sequence[RunResult], *, everything: bool = False) -> list[tuple[str, str, list[Any]]]:
    """Key, unit and value in each run, of the summary values that differ (or of all)."""
    rows = []
    for key in dict.fromkeys(key for result in results for key in result.summary):
        values = [result.value(key) for result in results]
        unit = next(result.summary[key][1] for result in results if key in result.summary)
        if everything or len({str(value) for value in values}) > 1 or len(results) == 1:
            rows.append((key, unit, values))
    return rows


def print_comparison(results: Sequence[RunResult], *, everything: bool = False, console: Console | None = None) -> None:
    """Print settings and values that differ, one column per run; with two runs also the relative change."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    table = Table(title="Comparison", title_justify="left", title_style="bold")
    table.add_column("value", overflow="fold")
    table.add_column("unit")
    for result in results:
        table.add_column(result.folder.resolve().name, justify="right", overflow="fold")
    two = len(results) == 2
    if two:
        table.add_column("change", justify="right")

    def row(*cells: str, style: str = "") -> None:
        table.add_row(*(shown(cell, console) for cell in cells), style=style)

    for key, settings in differing_settings(results).items():
        row(key, "", *settings, *([""] if two else []), style="italic")
    table.add_section()
    row("status", "", *(result.status for result in results), *([""] if two else []))
    for key, unit, values in compared(results, everything=everything):
        row(key, unit, *(number(value, 5) for value in values), *([_change(values)] if two else []))
    console.print(table)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return out


def _change(values: list[Any]) -> str:
    first, second = values
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) or first == 0:
        return ""
    return f"{100 * (second - first) / abs(first):+.2f} %"
