"""A sweep: every combination of several overrides, each in a run folder of its own, none stopped by the failure of another."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from multiscale.config import ConfigError, ConfigProblem, StudyConfig, load_config
from multiscale.config.loading import parse_overrides
from multiscale.files import write_atomically
from multiscale.results.run.run_result import EXIT_CODES, RunFolderError


@dataclass
class Job:
    """One combination.

    Attributes:
        number: position in the sweep.
        overrides: what makes it different, and what is common to all.
        status: ``queued``, ``running``, or how it ended.
        folder: its run folder, once it has ended well.
        message: why it did not.
        seconds: how long it took.
    """

    number: int
    overrides: list[str]
    status: str = "queued"
    folder: str = ""
    message: str = ""
    seconds: float = 0.0
    summary: dict[str, object] = field(default_factory=dict)


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of every job: the product of all overrides with several values (Hydra's syntax: ``a,b``, ``range``, ``choice``, ``glob``).

    Raises:
        ConfigError: an override that cannot be read.
    """
    expanded: list[list[str]] = []
    for override in parse_overrides(overrides):
        if not override.is_sweep_override():
            expanded.append([str(override.input_line)])
        else:
            from hydra.core.override_parser.types import Glob

            sweep = override.value()
            if isinstance(sweep, Glob):
                from multiscale.config.groups import groups

                values = sweep.filter(groups().get(override.key_or_group, []))
                expanded.append([f"{override.get_key_element()}={value}" for value in values])
            else:
                expanded.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
    return [list(job) for job in itertools.product(*expanded)]


def run_sweep(overrides: Sequence[str], private: Path | None = None, *, keep_going: bool = True) -> int:
    """Check all jobs, write the manifest, run them one after the other, show how each ended.

    Returns:
        0 if all jobs have an answer, otherwise the exit code of the first that has none.

    Raises:
        ConfigError: with the problems of all jobs, before any is started.
        RunFolderError: the manifest cannot be written.
    """
    jobs = [Job(i, job) for i, job in enumerate(combinations(overrides), 1)]
    configs = _checked(jobs, private)
    folder = configs[0].output.folder
    manifest = folder / f"sweep-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S')}-{os.getpid()}" / "manifest.json"
    try:
        manifest.parent.mkdir(parents=True)
        _write(manifest, jobs)
    except OSError as error:
        raise RunFolderError(f"output.folder '{folder}' cannot be written ({error.strerror}); give another one with output.folder=...") from None
    try:
        code = _run_jobs(jobs, configs, manifest, keep_going)
    except KeyboardInterrupt:
        for job in jobs:
            if job.status == "running":
                job.status, job.message = "interrupted", "interrupted before the end"
        _write(manifest, jobs)
        _print_jobs(jobs)
        raise KeyboardInterrupt(_how_to_go_on(jobs, manifest)) from None
    _print_jobs(jobs)
    print(manifest.parent)
    return code


def _run_jobs(jobs: list[Job], configs: list[StudyConfig], manifest: Path, keep_going: bool) -> int:
    """Run the jobs in their order; returns the exit code of the first that has no answer, else 0."""
    code = 0
    for job, config in zip(jobs, configs, strict=True):
        print(f"job {job.number} of {len(jobs)}: {' '.join(job.overrides)}", file=sys.stderr)
        job.status = "running"
        _write(manifest, jobs)
        started = time.perf_counter()
        try:
            ended = _run_job(job, config)
        finally:
            job.seconds = round(time.perf_counter() - started, 3)
        _write(manifest, jobs)
        code = code or ended
        if ended and not keep_going:
            break
    return code


def _how_to_go_on(jobs: list[Job], manifest: Path) -> str:
    """What of an interrupted sweep has been run, what has not, and the command that runs the rest."""

    def named(title: str, these: list[Job]) -> str:
        return f"{title} {len(these)}" + (f" ({', '.join(f'job {job.number}' for job in these)})" if these else "")

    answered = [job for job in jobs if job.folder]
    ended = [job for job in jobs if not job.folder and job.status not in ("queued", "interrupted")]
    parts = [named("with an answer", answered), named("without one", ended)] if ended else [named("with an answer", answered)]
    parts += [named("interrupted", [j for j in jobs if j.status == "interrupted"]), named("not begun", [j for j in jobs if j.status == "queued"])]
    rest = "the same command with output.overwrite=false reads the runs that have an answer and computes the others"
    return f"interrupted; of {len(jobs)} jobs {', '.join(parts)}; all are listed in {manifest}; to go on: {rest}"


def _checked(jobs: list[Job], private: Path | None) -> list[StudyConfig]:
    configs: list[StudyConfig] = []
    problems: dict[ConfigProblem, None] = {}
    for job in jobs:
        try:
            configs.append(load_config(job.overrides, private))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(problems)
    return configs


def _run_job(job: Job, config: StudyConfig) -> int:
    from multiscale.results import NoAnswerError, RunExistsError, RunResult
    from multiscale.study import run_study

    try:
        result = run_study(config)
    except RunExistsError as there:
        result = RunResult.load(there.folder)
    except NoAnswerError as none:
        job.status, job.message = none.status, str(none)
        return EXIT_CODES[none.status]
    except Exception as error:
        # A failed job is recorded, with its run folder, and the others go on.
        job.status, job.message = "error", str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return EXIT_CODES["error"]
    job.status, job.folder = result.status, str(result.folder)
    job.summary = {key: result.value(key) for key in _SHOWN if key in result.summary}
    return result.exit_code


_SHOWN = {
    "plan.reinforcements": "built",
    "plan.price.network_charge": "network charge [EUR/kWh]",
    "plan.objective": "cost [EUR/a]",
    "coordination.value_reached": "coordination reached",
}


def _write(manifest: Path, jobs: list[Job]) -> None:
    write_atomically(manifest, json.dumps({"jobs": [asdict(job) for job in jobs]}, indent=1, default=str) + "\n")


def _print_jobs(jobs: list[Job]) -> None:
    from rich.console import Console
    from rich.table import Table

    from multiscale.results.words.numbers import number

    common = set.intersection(*(set(job.overrides) for job in jobs))
    table = Table(title="Sweep", title_justify="left", title_style="bold")
    for head in ("job", "overrides", "status", *_SHOWN.values(), "time [s]", "run folder or reason"):
        table.add_column(head, overflow="fold")
    for job in jobs:
        own = " ".join(o for o in job.overrides if o not in common)
        shown = [number(job.summary[key], 4) if key in job.summary else "–" for key in _SHOWN]
        table.add_row(str(job.number), own, job.status, *shown, number(job.seconds), job.folder or job.message)
    Console().print(table)
