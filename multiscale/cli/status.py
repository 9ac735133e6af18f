"""``multiscale status``: how runs ended, and how far a sweep is."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import ERROR, OK, Command


def _status(given: argparse.Namespace) -> int:
    from multiscale.sweep.manifest import is_sweep

    worst = OK
    for folder in given.runs:
        if is_sweep(folder):
            from multiscale.sweep.commands import show_status

            worst = max(worst, show_status(folder))
        else:
            worst = max(worst, _status_of_run(folder))
    return worst


def _status_of_run(folder: Path) -> int:
    from multiscale.results.run.run_result import EXIT_CODES, read_status

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
    return EXIT_CODES.get(status, ERROR)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN | SWEEP")


STATUS = Command("status", "say how runs ended, and how far a sweep is", _status, _arguments)
