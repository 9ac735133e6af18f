"""``multiscale compare``: summaries side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import OK, Command, takes_runs


def _compare(given: argparse.Namespace) -> int:
    from multiscale.results import RunResult
    from multiscale.results.words.comparison import print_comparison

    print_comparison([RunResult.load(folder, with_dataset=False) for folder in given.runs], everything=given.all)
    if given.report is not None:
        from multiscale.results.report.comparison import compare_runs

        print(compare_runs(given.runs, given.report))
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_runs(parser)
    parser.add_argument("--all", action="store_true", help="every value, not only those that differ")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write an HTML file with map, figures and tables against the first run")


COMPARE = Command("compare", "show the summaries of runs side by side", _compare, _arguments)
