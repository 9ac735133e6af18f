"""``multiscale report``: the report of a run, written again, or of a whole sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import OK, Command


def _report(given: argparse.Namespace) -> int:
    from multiscale.results.run.run_result import RunFolderError
    from multiscale.sweep.manifest import is_sweep

    if is_sweep(given.run):
        from multiscale.sweep.report import write_sweep_report

        print(write_sweep_report(given.run, given.baseline, given.to))
        return OK
    from multiscale.results.report.page import rebuild_report

    if given.baseline is not None or given.to is not None:
        remedy = "compare runs by: multiscale compare BASELINE RUN --report FILE"
        raise RunFolderError(f"'{given.run}' is no sweep, and --baseline and --to are for sweeps; {remedy}")
    print(rebuild_report(given.run))
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN | SWEEP")
    parser.add_argument("--baseline", metavar="JOB | RUN", help="of a sweep: what its jobs are compared with; default: the first with an answer")
    parser.add_argument("--to", type=Path, metavar="FILE", help="of a sweep: where the report is written; default: report.html in its folder")


REPORT = Command("report", "write the report of a run again, or that of a sweep", _report, _arguments)
