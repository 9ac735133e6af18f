"""``multiscale ledger``: whether the ledger of trades of a run is what was written, and its rows."""

from __future__ import annotations

import argparse
import sys

from multiscale.cli.command import ERROR, OK, Command, takes_run


def _ledger(given: argparse.Namespace) -> int:
    from multiscale.results.run.ledger_file import ledger_head, read_ledger, verify_ledger
    from multiscale.results.run.run_result import RunFolderError
    from multiscale.spreadsheets import without_formulas

    try:
        if given.action == "csv":
            without_formulas(read_ledger(given.run)).to_csv(sys.stdout, index=False)
            return OK
        findings = verify_ledger(given.run)
    except FileNotFoundError as missing:
        raise RunFolderError(str(missing)) from None
    for finding in findings:
        print(finding)
    if findings:
        print(f"the ledger is not what was written: {len(findings)} finding{'s' if len(findings) > 1 else ''}")
        return ERROR
    print(f"the ledger is what was written; head of its chain: {ledger_head(given.run)}")
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["verify", "csv"], help="verify: name what is not what was written; csv: print all rows")
    takes_run(parser)


LEDGER = Command("ledger", "verify the ledger of trades of a run, or print it", _ledger, _arguments)
