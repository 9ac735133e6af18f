"""``multiscale collect``: one dataset and one table of all jobs of a sweep."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from multiscale.cli.command import OK, Command


def _collect(given: argparse.Namespace) -> int:
    from multiscale.sweep.collect.collected import collect
    from multiscale.sweep.states import counted

    variables = None if given.variables is None else [name for name in given.variables.split(",") if name]
    files, states = collect(given.sweep, given.to, variables)
    answered = sum(state.answered for state in states)
    lacking = "" if answered == len(states) else f" ({counted(states)}); what is missing is NaN, and job_state says why"
    print(f"{answered} of {len(states)} jobs have an answer{lacking}", file=sys.stderr)
    for file in files:
        print(file)
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="folder that 'multiscale run -m' printed last")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="folder for the files; default: that of the sweep")
    parser.add_argument("--variables", metavar="A,B", help="variables of the datasets to take; default: all; '' takes the summaries only")


COLLECT = Command("collect", "write one dataset and one table of all jobs of a sweep", _collect, _arguments)
