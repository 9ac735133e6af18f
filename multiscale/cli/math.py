"""``multiscale math``: every equation of a study, from the objects that build it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from multiscale.cli.command import OK, Command, takes_overrides
from multiscale.cli.run import print_config

FORMS = ("terminal", "latex", "html", "markdown")


def _math(given: argparse.Namespace) -> int:
    from multiscale.config import load_config
    from multiscale.files import write_atomically

    config = load_config(given.overrides, given.config_dir)
    if given.cfg:
        print_config(config)
        return OK
    from multiscale.mathematics.document import study_equations
    from multiscale.mathematics.written import FORMS as WRITERS

    text = WRITERS[given.format](study_equations(config))
    if given.to is None:
        sys.stdout.write(text)
    else:
        write_atomically(given.to, text)
        print(given.to)
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_overrides(parser)
    parser.add_argument("--format", choices=FORMS, default="terminal", help="how it is written")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write to a file instead of the terminal")


MATH = Command("math", "print every equation of a study with sets, units, symbols and its place in the code", _math, _arguments)
"""Programs are built and not solved."""
