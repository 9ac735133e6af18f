"""``multiscale explain``: why a run ended as it did."""

from __future__ import annotations

import argparse

from multiscale.cli.command import OK, Command, takes_run


def _explain(given: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from multiscale.results import RunResult
    from multiscale.results.words.explanation import explained
    from multiscale.results.words.terminal import shown

    console = Console(highlight=False)
    for part in explained(RunResult.load(given.run)):
        console.print(Text(shown(part.question, console), style="bold"))
        for line in part.lines:
            console.print(Padding(Text(shown(line, console)), (0, 0, 0, 2)))
    return OK


_DOES = "say why a run ended as it did: what is built, the gap, what binds, what is not served, what stopped it"

EXPLAIN = Command("explain", _DOES, _explain, takes_run)
"""Explains whole runs and those without an answer."""
