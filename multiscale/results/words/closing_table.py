"""What stands on the terminal at the end of a run: the answer, understood without the manual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import Built, answer, reinforcements
from multiscale.results.words.numbers import euros, number
from multiscale.results.words.regime_words import years_of
from multiscale.results.words.terminal import shown
from multiscale.sources.followed_profiles import NOTED

if TYPE_CHECKING:
    from rich.console import Console


def print_closing_table(result: RunResult, console: Console | None = None) -> None:
    """Print the answer line by line: what to build where at which cost, the charge, proofs, gains, time and memory."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, result = console or Console(), result.of_year()
    name = (result.dataset.attrs.get("system") if result.dataset is not None else "") or result.details.get("study", "")
    years = years_of(result)
    title = shown(f"Answer for {years[-1]}: {name}" if years else f"Answer: {name}", console)
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, pad_edge=False, box=box.HORIZONTALS)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")

    def row(label: str, text: str, style: str = "") -> None:
        table.add_row(label, Text(shown(text, console), style=style))

    # What reservations there are comes first, with their reasons.
    if result.details.get("message"):
        row("Note", str(result.details["message"]), "yellow")
    followed = [str(note) for note in result.provenance().get("notes", []) if str(note).startswith(NOTED)]
    if followed:
        row("Profiles", "; ".join(followed))
    for fact in answer(result):
        mark = ("! " if fact.warned else "") if fact.good is None else ("✓ " if fact.good else "✗ ")
        row(fact.label, mark + fact.text, "red" if fact.good is False else "")
        if fact.label == "Build":
            for line in _built_lines(result):
                row("", line)
    seconds, memory = result.value("time.total"), result.value("memory.peak")
    if seconds is not None:
        stages = ", ".join(
            f"{key.removeprefix('time.')} {number(float(value), 2)} s"
            for key, (value, _) in result.summary.items()
            if key.startswith("time.") and key != "time.total" and float(value) >= 0.1
        )
        row("Time, memory", f"{number(float(seconds))} s ({stages}); {number(float(memory or 0) / 1000, 2)} GB at most")
    console.print(table)
    if (result.folder / "report.html").is_file():
        # On a line of its own, whole: to be copied.
        console.print(Text(shown(f"Report: {result.folder / 'report.html'}", console)), soft_wrap=True)


def _built_lines(result: RunResult) -> list[str]:
    """Up to four reinforcements one by one, more of them by measure."""
    built = reinforcements(result)

    def loading(one: Built) -> str:
        return f" ({one.loading})" if one.loading else ""

    def need(one: Built) -> str:
        return f" ({number(one.need)} %)" if one.need == one.need else ""

    if len(built) <= 4:
        return [f"{place}. {one.branch}: {one.measure}, {euros(one.cost)}{loading(one)}" for place, one in enumerate(built, 1)]
    lines = []
    for measure in dict.fromkeys(one.measure for one in built):
        members = [one for one in built if one.measure == measure]
        named = ", ".join(one.branch + need(one) for one in members[:6]) + (f" and {len(members) - 6} more" if len(members) > 6 else "")
        cost = euros(sum(one.cost for one in members))
        lines.append(f"{len(members)} × {measure}, {cost} (loading of the usable rating without it and without response): {named}")
    return lines
