"""``multiscale compare``: summaries side by side."""

from __future__ import annotations

import argparse

from multiscale.cli.command import OK, Command, takes_runs


def _compare(given: argparse.Namespace) -> int:
    from multiscale.results import RunResult
    from multiscale.results.words.comparison import print_comparison

    print_comparison([RunResult.load(folder) for folder in given.runs], everything=given.all)
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_runs(parser)
    parser.add_argument("--all", action="store_true", help="every value, not only those that differ")


COMPARE = Command("compare", "show the summaries of runs side by side", _compare, _arguments)
