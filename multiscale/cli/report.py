"""``multiscale report``: the report of a run, written again."""

from __future__ import annotations

import argparse

from multiscale.cli.command import OK, Command, takes_run


def _report(given: argparse.Namespace) -> int:
    from multiscale.results.report.page import rebuild_report

    print(rebuild_report(given.run))
    return OK


REPORT = Command("report", "write the report of a run again", _report, takes_run)
