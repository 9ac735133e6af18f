"""The commands: run, validate, status, report, compare, ledger, provenance."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from multiscale.version import __version__

if TYPE_CHECKING:
    from multiscale.config import ConfigError, StudyConfig
    from multiscale.results import RunResult

OK, ERROR, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
exit codes: 0 optimal or feasible, 1 error, 2 bad input, 3 infeasible, 4 time limit without an answer, 130 interrupted

examples:
  multiscale run                                       the main study
  multiscale run study=tiny                            the smallest one, in seconds
  multiscale run tariff.levy='12 ct/kWh' planning.gap='0.5 %'
  multiscale run -m tariff.levy=0.08,0.12 market=community,time_of_use
  multiscale validate system=folder system.path=my_system
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
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
        if _disk_is_full(error):
            message = "the disk is full: free some space, or give other places with output.folder=..., output.stages=..., TMPDIR and MULTISCALE_CACHE"
            print(f"error: {message} ({_one_line(error)})", file=sys.stderr)
            return ERROR
        if _is_bad_input(error):
            print(f"error: {error}", file=sys.stderr)
            return BAD_INPUT
        print(f"error: {_one_line(error)}; details are in {_keep_traceback()}", file=sys.stderr)
        return ERROR


def _apart_from_current_folder() -> None:
    """Nothing is imported from the current folder: a file there may have the name of a module."""
    here, package = os.path.realpath(os.curdir), str(Path(__file__).resolve().parents[1])
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


def _is_bad_input(error: Exception) -> bool:
    """Faults of what was given, not of the program: their text says what to correct."""
    from multiscale.config import ConfigError
    from multiscale.results import RunFolderError

    if isinstance(error, ConfigError | RunFolderError):
        return True
    from multiscale.bilevel import BilevelError
    from multiscale.coordination.engine import EngineUnavailableError, TaskError
    from multiscale.coordination.negotiation.checkpoint import CheckpointError
    from multiscale.operation.radial import MeshedNetworkError
    from multiscale.system import InvalidSystemError

    if isinstance(error, InvalidSystemError | MeshedNetworkError | BilevelError | EngineUnavailableError | CheckpointError):
        return True
    # What a worker found wrong with the data is wrong with the data.
    return isinstance(error, TaskError) and isinstance(error.__cause__, Exception) and _is_bad_input(error.__cause__)


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether writing failed for want of space, here or in what led to it."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _keep_traceback() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="multiscale-", suffix=".log", delete=False, encoding="utf-8") as stream:
        stream.write(traceback.format_exc())
    return stream.name


def _run(given: argparse.Namespace) -> int:
    from multiscale.config import load_config

    if given.multirun:
        from multiscale.sweep import run_sweep

        return run_sweep(given.overrides, given.config_dir, keep_going=not given.fail_fast)
    config = load_config(given.overrides, given.config_dir)
    if given.cfg:
        _print_config(config)
        return OK
    return run_one(config)


def run_one(config: StudyConfig) -> int:
    """Run a study, show its closing table, print its folder as the last line; returns the exit code."""
    from multiscale.results import NoAnswerError, RunExistsError, RunResult

    try:
        from multiscale.study import run_study

        result = run_study(config)
    except RunExistsError as there:
        print(f"{there}", file=sys.stderr)
        result = RunResult.load(there.folder)
    except NoAnswerError as none:
        from multiscale.results.run.run_result import EXIT_CODES

        print(f"{none.status.replace('_', ' ')}: {none}", file=sys.stderr)
        return EXIT_CODES[none.status]
    _show(result)
    return result.exit_code


def _show(result: RunResult) -> None:
    from multiscale.results.words.closing_table import print_closing_table

    print_closing_table(result)
    print(result.folder)


def _print_config(config: StudyConfig) -> None:
    import yaml

    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")


def _validate(given: argparse.Namespace) -> int:
    from multiscale.config import ConfigError, load_config

    try:
        config = load_config(given.overrides, given.config_dir)
    except ConfigError as error:
        # The data are looked at all the same: everything that is wrong comes in one go.
        print(f"error: {error}", file=sys.stderr)
        for also in _problems_of_data(error):
            print(also, file=sys.stderr)
        return BAD_INPUT
    if given.cfg:
        _print_config(config)
    from multiscale.pipeline.case import case_of
    from multiscale.pipeline.recovery import unrecoverable
    from multiscale.system import InvalidSystemError

    case = case_of(config)
    lacking = [*config.market.problems(case.fleets), *unrecoverable(config, case)]
    if lacking:
        raise InvalidSystemError(lacking)
    system = case.system
    sizes = {"prosumers": system.prosumers.prosumer, "buses": system.buses.bus, "reinforcement options": system.options.option}
    print(f"{system.name}: {len(system.at_level('platform'))} platforms, " + ", ".join(f"{ids.size} {name}" for name, ids in sizes.items()))
    if system.approximations:
        print(f"approximated or excluded ({len(system.approximations)}):")
        for approximation in system.approximations:
            print(f"  {approximation}")
    for note in system.notes:
        print(f"  note: {note}")
    print(f"study '{config.study.name}' is valid")
    return OK


def _problems_of_data(error: ConfigError) -> list[str]:
    """What is wrong with the system of a configuration that is at fault itself; nothing where the configuration does not say which system it is."""
    from pydantic import ValidationError

    from multiscale.sources import SOURCES, SystemSettings
    from multiscale.sources.selection import study_system
    from multiscale.system import InvalidSystemError

    stated = dict(error.values.get("system", {}))
    entry = SOURCES.get(str(stated.get("kind", "")))
    if entry is None:
        return []
    try:
        settings = entry.settings(**stated)
        assert isinstance(settings, SystemSettings)
        study_system(settings)
    except ValidationError:
        # A fault of the settings, which is in the list already.
        return []
    except InvalidSystemError as wrong:
        return [str(wrong)]
    return []


def _status(given: argparse.Namespace) -> int:
    from multiscale.results.run.run_result import EXIT_CODES, read_status

    worst = OK
    for folder in given.runs:
        details = read_status(folder)
        status = str(details["status"])
        parts = [f"{folder}: {status.replace('_', ' ')}"]
        if "gap" in details:
            parts.append(f"plan gap {100 * float(details['gap']):.3g} %")
        if "coordination_missed" in details:
            parts.append(f"misses {100 * float(details['coordination_missed']):.3g} % of what coordination can save")
        if details.get("stage") and status in ("error", "interrupted", "running"):
            parts.append(f"in stage {details['stage']}")
        if details.get("message"):
            parts.append(str(details["message"]).splitlines()[0])
        print("; ".join(parts))
        worst = max(worst, EXIT_CODES.get(status, ERROR))
    return worst


def _report(given: argparse.Namespace) -> int:
    from multiscale.results.report.page import rebuild_report

    print(rebuild_report(given.run))
    return OK


def _compare(given: argparse.Namespace) -> int:
    from multiscale.results import RunResult
    from multiscale.results.words.comparison import print_comparison

    print_comparison([RunResult.load(folder) for folder in given.runs], everything=given.all)
    return OK


def _provenance(given: argparse.Namespace) -> int:
    from multiscale.results import RunResult
    from multiscale.results.run.provenance import changed_files
    from multiscale.results.run.run_result import RunFolderError, read_status

    if given.verify:
        changed = changed_files(given.run)
        for line in changed:
            print(line)
        print(f"{len(changed)} file{'s' if len(changed) != 1 else ''} differ from what was written" if changed else "all files are what was written")
        return ERROR if changed else OK
    details = read_status(given.run)
    record = RunResult(given.run, None, {}, str(details["status"]), details).provenance()
    if not record:
        raise RunFolderError(f"'{given.run}' has no provenance.json: the run did not go through")
    import yaml

    print(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), end="")
    return OK


def _ledger(given: argparse.Namespace) -> int:
    from multiscale.results.run.ledger_file import read_ledger, verify_ledger
    from multiscale.results.run.run_result import RunFolderError

    try:
        if given.action == "csv":
            read_ledger(given.run).to_csv(sys.stdout, index=False)
            return OK
        findings = verify_ledger(given.run)
    except FileNotFoundError as missing:
        raise RunFolderError(str(missing)) from None
    for finding in findings:
        print(finding)
    print(f"{len(findings)} finding{'s' if len(findings) != 1 else ''}: not what was written" if findings else "the ledger is what was written")
    return ERROR if findings else OK


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=118)


def _groups_text() -> str:
    from multiscale.config.groups import groups

    lines = [f"  {group:<14}{', '.join(choices)}" for group, choices in groups().items()]
    return "groups and their choices (the first is the default):\n" + "\n".join(lines) + "\n\n"


def _parser() -> argparse.ArgumentParser:
    described = "Planning and coordination of networks with peer-to-peer energy trading platforms."
    parser = argparse.ArgumentParser("multiscale", description=described, epilog=_groups_text() + _EPILOG, formatter_class=_Help)
    parser.add_argument("--version", action="version", version=f"multiscale {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, does: str, function: object) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=does, description=does, formatter_class=_Help)
        sub.set_defaults(command=function)
        return sub

    run = command("run", "run a study, or with -m every combination of several values", _run)
    run.add_argument("-m", "--multirun", action="store_true", help="a sweep: key=a,b or key=range(1,5) gives one run per combination")
    run.add_argument("--fail-fast", action="store_true", help="end a sweep at the first failed run")
    validate = command("validate", "check configuration and system of a study without solving anything", _validate)
    for sub in (run, validate):
        sub.epilog = _groups_text()
        sub.add_argument("overrides", nargs="*", metavar="group=choice | group.key=value", help="what differs from the defaults")
        sub.add_argument("--cfg", choices=["job"], help="print the composed configuration")
        sub.add_argument("--config-dir", type=Path, metavar="FOLDER", help="folder with your own choices, laid out like conf")
    command("status", "say how runs ended", _status).add_argument("runs", nargs="+", type=Path, metavar="RUN")
    command("report", "write the report of a run again", _report).add_argument("run", type=Path, metavar="RUN")
    compare = command("compare", "show the summaries of runs side by side", _compare)
    compare.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    compare.add_argument("--all", action="store_true", help="every value, not only those that differ")
    ledger = command("ledger", "verify the ledger of trades of a run, or print it", _ledger)
    ledger.add_argument("action", choices=["verify", "csv"], help="verify: name what is not what was written; csv: print all rows")
    ledger.add_argument("run", type=Path, metavar="RUN")
    provenance = command("provenance", "show where a result comes from", _provenance)
    provenance.add_argument("run", type=Path, metavar="RUN")
    provenance.add_argument("--verify", action="store_true", help="compute all hashes again and name the files that changed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
