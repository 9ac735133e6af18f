"""``multiscale futures``: several years planned in several futures, deciding now against waiting."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from multiscale.cli.command import ERROR, OK, Command, groups_text

INFEASIBLE = 3


def _futures(given: argparse.Namespace) -> int:
    from multiscale.plan_futures.futures import read_futures
    from multiscale.plan_futures.planned import planned_futures
    from multiscale.planning import NoPlanError
    from multiscale.spreadsheets import without_formulas

    try:
        tables = planned_futures(given.overrides, read_futures(given.file), given.revealed)
    except NoPlanError as error:
        print(f"error: {error}", file=sys.stderr)
        return INFEASIBLE if error.status == "infeasible" else ERROR
    given.output.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        path = given.output / f"{name}.csv"
        without_formulas(table).to_csv(path, index=False)
        print(table.to_string(index=False, float_format=lambda v: f"{v:,.2f}", na_rep="-"), path, sep="\n", end="\n\n")
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = groups_text()
    parser.add_argument("file", type=Path, metavar="FUTURES", help="YAML file of the futures, their probabilities and overrides")
    parser.add_argument("overrides", nargs="*", metavar="group=choice | group.key=value", help="what differs from the defaults")
    parser.add_argument(
        "--revealed", type=int, default=None, metavar="YEAR", help="first year in which the planner knows the future; default: the second"
    )
    parser.add_argument("--output", type=Path, default=Path("futures"), metavar="FOLDER", help="folder for the tables")


FUTURES = Command("futures", "plan several years in several futures: deciding now against waiting", _futures, _arguments)
