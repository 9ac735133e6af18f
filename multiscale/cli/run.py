"""``multiscale run``: one study, or with ``-m`` a sweep."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from multiscale.cli.command import OK, Command, takes_overrides
from multiscale.cli.resume import takes_jobs

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def _run(given: argparse.Namespace) -> int:
    from multiscale.config import load_config

    if given.multirun:
        from multiscale.sweep.commands import run_sweep

        return run_sweep(given.overrides, given.config_dir, jobs=given.jobs, oversubscribe=given.oversubscribe, keep_going=not given.fail_fast)
    config = load_config(given.overrides, given.config_dir)
    if given.cfg:
        print_config(config)
        return OK
    return run_one(config)


def run_one(config: StudyConfig) -> int:
    """Run a study, show its closing table, print its folder as the last line; returns the exit code."""
    from multiscale.results import NoAnswerError, RunExistsError, RunResult
    from multiscale.results.words.closing_table import print_closing_table

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
    print_closing_table(result)
    print(result.folder)
    return result.exit_code


def print_config(config: StudyConfig) -> None:
    """The composed configuration as YAML."""
    import yaml

    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--multirun", action="store_true", help="a sweep: key=a,b or key=range(1,5) gives one run per combination")
    takes_jobs(parser)
    takes_overrides(parser)


RUN = Command("run", "run a study, or with -m every combination of several values", _run, _arguments)
