"""One command, from its arguments to its exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from multiscale.cli.command import BAD_INPUT, ERROR, INTERRUPTED, groups_text
from multiscale.cli.commands import COMMANDS
from multiscale.cli.failures import said_of
from multiscale.version import __version__

_EPILOG = """\
exit codes: 0 optimal or feasible, 1 error, 2 bad input, 3 infeasible, 4 time limit without an answer, 130 interrupted

examples:
  multiscale run                                       the main study
  multiscale run study=tiny                            the smallest one, in seconds
  multiscale run tariff.levy='12 ct/kWh' planning.gap='0.5 %'
  multiscale run -m tariff.levy=0.08,0.12 market=community,time_of_use
  multiscale resume runs/sweep-20261127T191200-1       what an interrupted sweep still lacks
  multiscale validate system=folder system.path=my_system
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    given = _parsed(parser, arguments)
    if not getattr(given, "command", None):
        parser.print_help()
        return BAD_INPUT
    _apart_from_current_folder()
    _print_anywhere()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        return int(given.command(given))
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}" if str(interrupt) else "\ninterrupted; the run has no result; the same command begins again", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:
        return said_of(error)


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parsed arguments; overrides may stand before, between and after options, of which argparse knows only the first group."""
    given, more = parser.parse_known_args(arguments)
    if more and (not hasattr(given, "overrides") or any(text.startswith("-") for text in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        given.overrides = [*given.overrides, *more]
    return given


def _apart_from_current_folder() -> None:
    """Nothing is imported from the current folder: a file there may have the name of a module."""
    here, package = os.path.realpath(os.curdir), str(Path(__file__).resolve().parents[2])
    sys.path[:] = [p for p in sys.path if (os.path.realpath(p or os.curdir) != here) or here == package]


def _print_anywhere() -> None:
    """A terminal that lacks a sign shows another one instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class _Interrupt(KeyboardInterrupt):
    """The interrupt of a command, whose exit code is 130 wherever it arrives.

    Where Python's own arrives while code is executed from a string (as when a data class is made during an import), ``python -m`` ends by the signal
    even though the interrupt was caught.
    """


def _interrupt(_signal: int, _frame: object) -> None:
    raise _Interrupt


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=118)


def _parser() -> argparse.ArgumentParser:
    described = "Planning and coordination of networks with peer-to-peer energy trading platforms."
    parser = argparse.ArgumentParser("multiscale", description=described, epilog=groups_text() + _EPILOG, formatter_class=_Help)
    parser.add_argument("--version", action="version", version=f"multiscale {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.does, description=command.does, formatter_class=_Help)
        command.arguments(sub)
        sub.set_defaults(command=command.function)
    return parser
