"""``multiscale futures``: several years planned in several futures, deciding now against waiting."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from multiscale.cli.command import ERROR, OK, Command, groups_text

if TYPE_CHECKING:
    from multiscale.plan_futures.measures import Measure

EXIT_CODES = {"infeasible": 3, "time_limit": 4}


def _futures(given: argparse.Namespace) -> int:
    from multiscale.plan_futures.figure import draw
    from multiscale.plan_futures.futures import read_futures
    from multiscale.plan_futures.planned import planned_futures
    from multiscale.planning import NoPlanError
    from multiscale.results import RunFolderError
    from multiscale.spreadsheets import without_formulas

    measure = _measure(given)
    futures = read_futures(given.file)
    # Before hours of planning, not after.
    try:
        given.output.mkdir(parents=True, exist_ok=True)
        writable = os.access(given.output, os.W_OK)
    except OSError as error:
        raise RunFolderError(f"{given.output}: cannot be made ({error.strerror}); give another folder (--output)") from error
    if not writable:
        raise RunFolderError(f"{given.output}: cannot be written; give another folder (--output)")
    try:
        tables = planned_futures(given.overrides, futures, given.revealed, measure)
    except NoPlanError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODES.get(error.status, ERROR)
    for name, table in tables.items():
        path = given.output / f"{name}.csv"
        without_formulas(table).to_csv(path, index=False)
        print(table.to_string(index=False, float_format=lambda v: f"{v:,.2f}", na_rep="-"), path, sep="\n", end="\n\n")
    picture = given.output / "futures.png"
    draw(tables, picture)
    print(picture)
    return OK


def _measure(given: argparse.Namespace) -> Measure:
    """What is minimised, as it was asked for.

    Raises:
        ConfigError: a share is out of its range, or has no effect.
    """
    from multiscale.config import ConfigError
    from multiscale.config.errors import ConfigProblem
    from multiscale.plan_futures.measures import CVAR, Measure

    problems = []
    if not 0.0 < given.tail <= 1.0:
        problems.append(ConfigProblem("--tail", f"{given.tail:g}", "is no probability above 0 and at most 1", "command line"))
    if given.weight is not None and given.objective != CVAR:
        problems.append(ConfigProblem("--weight", f"{given.weight:g}", f"has no effect with --objective {given.objective}", "command line"))
    if given.weight is not None and not 0.0 <= given.weight <= 1.0:
        problems.append(ConfigProblem("--weight", f"{given.weight:g}", "is no share between 0 and 1", "command line"))
    if problems:
        raise ConfigError(problems)
    return Measure(given.objective, given.tail, 1.0 if given.weight is None else given.weight)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = groups_text()
    parser.add_argument("file", type=Path, metavar="FUTURES", help="YAML file of the futures, their probabilities and overrides")
    parser.add_argument("overrides", nargs="*", metavar="group=choice | group.key=value", help="what differs from the defaults")
    parser.add_argument(
        "--revealed", type=int, default=None, metavar="YEAR", help="first year in which the planner knows the future; default: the second"
    )
    parser.add_argument(
        "--objective",
        choices=["expected", "cvar", "regret"],
        default="expected",
        help="what is minimised over the futures; default: the expected cost",
    )
    parser.add_argument(
        "--tail", type=float, default=0.2, metavar="SHARE", help="probability of the worst futures whose mean is taken (cvar); default: 0.2"
    )
    parser.add_argument("--weight", type=float, default=None, metavar="SHARE", help="share of that mean next to the expected cost; default: 1")
    parser.add_argument("--output", type=Path, default=Path("futures"), metavar="FOLDER", help="folder for the tables and the picture")


FUTURES = Command("futures", "plan several years in several futures: deciding now against waiting", _futures, _arguments)
