"""``multiscale provenance``: where a result comes from, and whether its files are what was written."""

from __future__ import annotations

import argparse

from multiscale.cli.command import ERROR, OK, Command, takes_run


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


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_run(parser)
    parser.add_argument("--verify", action="store_true", help="compute all hashes again and name the files that changed")


PROVENANCE = Command("provenance", "show where a result comes from", _provenance, _arguments)
