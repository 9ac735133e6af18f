"""``multiscale reproduce``: a run computed again and compared value by value."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import Command, takes_run


def _reproduce(given: argparse.Namespace) -> int:
    from multiscale.reproduction.differences import Tolerance
    from multiscale.reproduction.reproduce import reproduce

    return reproduce(given.run, given.to, Tolerance(given.relative, given.absolute))


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no tolerance; give a number from 0 on")
    return value


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_run(parser)
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="folder in which the new run folder is made; default: 'reproduced' next to the run")
    parser.add_argument("--relative", type=_tolerance, default=1e-6, metavar="X", help="difference permitted, as a share of the value; default: 1e-6")
    parser.add_argument("--absolute", type=_tolerance, default=1e-6, metavar="X", help="the same, in the unit of the value; default: 1e-6")


REPRODUCE = Command("reproduce", "compute a run again from its folder and compare value by value", _reproduce, _arguments)
