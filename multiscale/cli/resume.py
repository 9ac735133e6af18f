"""``multiscale resume``: what a sweep still lacks."""

from __future__ import annotations

import argparse
from pathlib import Path

from multiscale.cli.command import Command


def _resume(given: argparse.Namespace) -> int:
    from multiscale.sweep.commands import resume_sweep

    return resume_sweep(
        given.sweep,
        given.states,
        jobs=given.jobs,
        oversubscribe=given.oversubscribe,
        keep_going=not given.fail_fast,
        allow_changes=given.allow_changes,
        words=given.overrides,
    )


def takes_jobs(parser: argparse.ArgumentParser) -> None:
    """How the jobs of a sweep are run."""
    parser.add_argument("--jobs", type=int, metavar="N", help="jobs of a sweep that run at the same time; default: as many as there are cores for")
    parser.add_argument("--oversubscribe", action="store_true", help="permit jobs that together use more cores than there are")
    parser.add_argument("--fail-fast", action="store_true", help="end a sweep at the first job without an answer; the others are resumed later")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="folder that 'multiscale run -m' printed last")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="hydra/launcher=...",
        help="another launcher, with hydra.launcher.key=value; default: that the sweep began with",
    )
    parser.add_argument("--states", metavar="A,B", help="run the jobs in these states only; default: queued,interrupted,error,lost")
    parser.add_argument("--allow-changes", action="store_true", help="go on although configuration, data, or code have changed since the sweep began")
    takes_jobs(parser)


RESUME = Command("resume", "run what a sweep still lacks, and nothing else", _resume, _arguments)
