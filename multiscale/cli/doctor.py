"""``multiscale doctor``: what of the installation works, and what to do about the rest."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import ERROR, OK, Command


def _doctor(given: argparse.Namespace) -> int:
    from rich.console import Console

    from multiscale.doctor.examination import examined
    from multiscale.results.words.terminal import shown

    console = Console(soft_wrap=True, highlight=False, markup=False)
    marks = {"ok": "✓", "warning": "!", "failed": "✗"}
    styles = {"ok": None, "warning": "yellow", "failed": "red"}
    counts = dict.fromkeys(marks, 0)
    for finding in examined(given.output):
        counts[finding.state] += 1
        console.print(shown(f"{marks[finding.state]} {finding.what}: {finding.found}", console), style=styles[finding.state])
        if finding.remedy:
            console.print(shown(f"    → {finding.remedy}", console), style=styles[finding.state])
    if counts["failed"]:
        console.print(f"{counts['failed']} of {sum(counts.values())} checks failed")
        return ERROR
    warned = f", {counts['warning']} with a warning" if counts["warning"] else ""
    console.print(f"all {sum(counts.values())} checks passed{warned}")
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("runs"), metavar="FOLDER", help="folder in which run folders are made; default: runs")


DOCTOR = Command("doctor", "say what of the installation works and what to do", _doctor, _arguments)
