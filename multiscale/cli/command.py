"""What a command is, its exit codes, and what several of them share. Imported at every start: nothing heavy is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OK, ERROR, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def _no_arguments(_: argparse.ArgumentParser) -> None:
    return None


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: what is typed.
        does: what it does, in one line.
        function: parsed arguments -> exit code; what it needs is imported inside.
        arguments: declares the arguments.
    """

    name: str
    does: str
    function: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments


def groups_text() -> str:
    """The configuration groups and their choices, for the help."""
    from multiscale.config.groups import groups

    lines = [f"  {group:<14}{', '.join(choices)}" for group, choices in groups().items()]
    return "groups and their choices (the first is the default):\n" + "\n".join(lines) + "\n\n"


def takes_overrides(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose a study."""
    parser.epilog = groups_text()
    parser.add_argument("overrides", nargs="*", metavar="group=choice | group.key=value", help="what differs from the defaults")
    parser.add_argument("--cfg", choices=["job"], help="print the composed configuration")
    parser.add_argument("--config-dir", type=Path, metavar="FOLDER", help="folder with your own choices, laid out like conf")


def takes_run(parser: argparse.ArgumentParser) -> None:
    """One run folder."""
    parser.add_argument("run", type=Path, metavar="RUN")


def takes_runs(parser: argparse.ArgumentParser) -> None:
    """Several run folders."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
