"""``multiscale run``: one study, or with ``-m`` a sweep."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from multiscale.cli.command import BAD_INPUT, OK, Command, takes_overrides
from multiscale.cli.resume import takes_jobs

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def _run(given: argparse.Namespace) -> int:
    from multiscale.config import load_config

    if lacking := _of_no_use(given):
        print(f"error: {lacking}", file=sys.stderr)
        return BAD_INPUT
    if given.multirun:
        from multiscale.sweep.commands import run_sweep

        return run_sweep(given.overrides, given.config_dir, jobs=given.jobs, oversubscribe=given.oversubscribe, keep_going=not given.fail_fast)
    from multiscale.sweep.launchers.words import words_of_hydra

    if words := words_of_hydra(given.overrides):
        print(f"error: {', '.join(words)}: for the jobs of a sweep; add -m, or leave it out", file=sys.stderr)
        return BAD_INPUT
    config = load_config(given.overrides, given.config_dir)
    if given.cfg:
        print_config(config)
        return OK
    return run_one(config)


def _of_no_use(given: argparse.Namespace) -> str:
    """Which options do nothing in this command, and what to do; empty where there are none."""
    if given.multirun:
        return "--cfg prints one configuration; give it without -m, with one value for each key" if given.cfg else ""
    asked = {"--jobs": given.jobs is not None, "--oversubscribe": given.oversubscribe, "--fail-fast": given.fail_fast}
    idle = [name for name, there in asked.items() if there]
    return f"{', '.join(idle)}: for the jobs of a sweep; add -m, or leave it out" if idle else ""


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
