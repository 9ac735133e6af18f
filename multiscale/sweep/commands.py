"""The commands of sweeps: run one, go on with one, say how far it is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from multiscale.config import StudyConfig
from multiscale.config.loading import load_configs
from multiscale.coordination.engine import EngineSettings
from multiscale.results.run.run_folder import clear_left
from multiscale.results.run.run_lock import FolderHeldError, RunLock
from multiscale.results.run.run_result import RunFolderError
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.cores import Cores, OfSlurm, cores_of, shared_out
from multiscale.sweep.interrupts import SweepInterrupt
from multiscale.sweep.launchers.batched import Batch, run_batched
from multiscale.sweep.launchers.joblib import JoblibSettings
from multiscale.sweep.launchers.settings import LauncherSettings, SubmititSettings
from multiscale.sweep.launchers.submitit_slurm import SubmititSlurmSettings
from multiscale.sweep.launchers.words import of_manifest, split
from multiscale.sweep.manifest import Job, Manifest, run_folder
from multiscale.sweep.planned import changes, planned, run_place
from multiscale.sweep.progress import SweepProgress
from multiscale.sweep.running import run_jobs
from multiscale.sweep.states import JobState, chosen_states, counted, exit_code, job_states, owner
from multiscale.sweep.table import print_jobs, print_status


def run_sweep(
    overrides: Sequence[str], private: Path | None = None, *, jobs: int | None = None, oversubscribe: bool = False, keep_going: bool = True
) -> int:
    """Check all jobs, write the manifest, run them, show how each ended.

    Args:
        overrides: with several values.
        private: folder of the user's own choices.
        jobs: at the same time; default: as many as there are cores for.
        oversubscribe: whether they may use more cores than there are.
        keep_going: whether others begin after one ended without an answer.

    Returns:
        0 if all jobs have an answer, otherwise the exit code of the first that has none.

    Raises:
        ConfigError: with the problems of all jobs, before any is started.
        SweepError: two jobs are the same study, or would use more cores than there are.
        RunFolderError: the folder cannot be written.
        KeyboardInterrupt: interrupted, with what to do to go on.
    """
    overrides, chosen = split(overrides)
    launcher = chosen or JoblibSettings()
    name = f"sweep-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    plan = planned(overrides, private, name)
    plan = replace(plan, manifest=replace(plan.manifest, launcher=launcher.model_dump(mode="json")))
    output = plan.configs[0].output.folder
    folder = output / name
    cores = _cores(launcher, [config.engine for config in plan.configs], jobs, oversubscribe=oversubscribe)
    try:
        folder.mkdir(parents=True)
        lock = RunLock(folder)
        plan.manifest.write(folder)
    except OSError as error:
        raise RunFolderError(f"output.folder '{output}' cannot be written ({error.strerror}); give another one with output.folder=...") from None
    print(f"sweep of {len(plan.configs)} jobs in {folder}; {cores}", file=sys.stderr)
    return _run(folder, plan.manifest, plan.manifest.jobs, launcher, cores, lock, keep_going=keep_going)


def resume_sweep(
    folder: Path,
    states: str | None = None,
    *,
    jobs: int | None = None,
    oversubscribe: bool = False,
    keep_going: bool = True,
    allow_changes: bool = False,
    words: Sequence[str] = (),
) -> int:
    """Run what a sweep lacks, and nothing else.

    Args:
        folder: of the sweep.
        states: run the jobs in these states only, e.g. ``failed,interrupted``; default: all that have not ended by themselves.
        jobs: see ``run_sweep``.
        oversubscribe: see ``run_sweep``.
        keep_going: see ``run_sweep``.
        allow_changes: whether to go on where configuration, data, or code are not what they were.
        words: of Hydra, for another launcher than that of the manifest.

    Returns:
        As ``run_sweep``.

    Raises:
        SweepError: no sweep, a state that there is not, another process runs it, or it is not what it was.
        ConfigError, KeyboardInterrupt: see ``run_sweep``.
    """
    folder = folder.absolute()
    manifest, wanted = Manifest.read(folder), chosen_states(states)
    others, chosen = split(words)
    if others:
        raise SweepError(f"{others[0]}: a sweep that is resumed keeps its overrides; only hydra/launcher and hydra.launcher.* are taken")
    launcher = chosen or of_manifest(dict(manifest.launcher))
    lock = _taken(folder)
    try:
        with _in_folder(manifest, folder):
            before = job_states(folder, manifest, running=False)
            todo = [state.job for state in before if state.state in wanted]
            print(f"sweep of {len(before)} jobs in {folder}: {counted(before)}", file=sys.stderr)
            for state in before:
                if state.answered:
                    clear_left(run_folder(folder, state.job))
            if not todo:
                print(f"nothing to run: no job is in state {', '.join(wanted)}", file=sys.stderr)
                print_jobs(folder, manifest, before)
                print(folder)
                return exit_code(before)
            private = Path(manifest.private) if manifest.private else None
            configs = load_configs([job.overrides for job in todo], private)
            changed = changes(manifest, todo, [config.record() for config in configs])
            if changed and not allow_changes:
                remedy = "begin a new sweep, or go on with --allow-changes: jobs that have an answer keep it, so the sweep will mix both"
                raise SweepError(f"'{folder}' is not the sweep that was begun: {'; '.join(changed)}; {remedy}")
            cores = _cores(launcher, [config.engine for config in configs], jobs, oversubscribe=oversubscribe)
            if changed:
                print(f"changed since the sweep began: {'; '.join(changed)}", file=sys.stderr)
                manifest, todo = _renewed(folder, manifest, todo, configs)
            print(f"running {len(todo)} of them ({', '.join(str(job.number) for job in todo)}); {cores}", file=sys.stderr)
            return _run(folder, manifest, todo, launcher, cores, lock, keep_going=keep_going)
    finally:
        lock.release(folder)


def show_status(folder: Path) -> int:
    """Print how far a sweep is; returns the exit code of the sweep as it stands."""
    manifest = Manifest.read(folder)
    running = bool(owner(folder))
    states = job_states(folder, manifest, running=running)
    print_status(folder, manifest, states, running=running)
    return exit_code(states)


def _cores(launcher: LauncherSettings, engines: Sequence[EngineSettings], jobs: int | None, *, oversubscribe: bool) -> Cores:
    """How many jobs run at the same time, and what each uses: of this machine, or of the nodes of a batch system."""
    if isinstance(launcher, SubmititSlurmSettings):
        each, words = max((cores_of(engine) for engine in engines), default=(1, ""))
        if launcher.cpus_per_task is not None and launcher.cpus_per_task < each and not oversubscribe:
            raise SweepError(
                f"hydra.launcher.cpus_per_task = {launcher.cpus_per_task}: a job uses {each} cores ({words}); "
                f"give {each}, choose engine=serial, or permit it with --oversubscribe"
            )
        if jobs is not None:
            raise SweepError(f"--jobs {jobs}: Slurm shares its nodes out; give hydra.launcher.array_parallelism={jobs}")
        return OfSlurm(min(launcher.array_parallelism, len(engines)), each, 0, words)
    return shared_out(engines, len(engines), launcher.at_once if jobs is None else jobs, oversubscribe=oversubscribe)


def _run(folder: Path, manifest: Manifest, jobs: Sequence[Job], launcher: LauncherSettings, cores: Cores, lock: RunLock, *, keep_going: bool) -> int:
    try:
        try:
            progress = SweepProgress(manifest, len(jobs), cores.jobs)
            if isinstance(launcher, SubmititSettings):
                batch = Batch(folder, manifest, launcher, cores.jobs, cores.each)
                run_batched(batch, folder, jobs, progress, keep_going=keep_going)
            else:
                run_jobs(folder, manifest, jobs, cores.jobs, progress, keep_going=keep_going)
        except SweepInterrupt:
            states = job_states(folder, manifest, running=False)
            print_jobs(folder, manifest, states)
            raise KeyboardInterrupt(_how_to_go_on(folder, states)) from None
        except OSError as error:
            lost = f"the jobs that have an answer keep it; then: multiscale resume {folder}"
            error.add_note(lost)
            print(f"the sweep ended: its folder '{folder}' cannot be written ({error.strerror}); {lost}", file=sys.stderr)
            raise
    finally:
        lock.release(folder)
    states = job_states(folder, manifest, running=False)
    print_jobs(folder, manifest, states)
    print(folder)
    return exit_code(states)


def _taken(folder: Path) -> RunLock:
    try:
        return RunLock(folder, left=True)
    except FolderHeldError as held:
        raise SweepError(f"{held} runs the sweep in '{folder}'; wait for it (multiscale status {folder}), or interrupt it") from None
    except OSError as error:
        raise RunFolderError(f"'{folder}' cannot be written ({error.strerror}); make it writable, or copy it to where you may write") from None


@contextlib.contextmanager
def _in_folder(manifest: Manifest, folder: Path) -> Iterator[None]:
    """The folder where the sweep was begun is the current one: relative paths in its overrides start there."""
    if not Path(manifest.directory).is_dir():
        raise SweepError(
            f"'{folder}' was begun in '{manifest.directory}', where its relative paths start, and that is no folder any longer; restore it"
        )
    with contextlib.chdir(manifest.directory):
        yield


def _renewed(folder: Path, manifest: Manifest, todo: Sequence[Job], configs: Sequence[StudyConfig]) -> tuple[Manifest, list[Job]]:
    """The manifest with the run folders that jobs have under what has changed."""
    records = [config.record() for config in configs]
    fresh = {
        job.number: replace(job, run=os.path.relpath(run_place(record), folder), config_sha256=record.config_hash)
        for job, record in zip(todo, records, strict=True)
    }
    changed = replace(manifest, jobs=tuple(fresh.get(job.number, job) for job in manifest.jobs))
    changed.write(folder)
    return changed, list(fresh.values())


def _how_to_go_on(folder: Path, states: Sequence[JobState]) -> str:
    """What of an interrupted sweep has been run, what has not, and the command that runs the rest."""

    def named(title: str, these: list[JobState]) -> str:
        return f"{title} {len(these)}" + (f" ({', '.join(f'job {state.job.number}' for state in these)})" if these else "")

    answered = [state for state in states if state.answered]
    ended = [state for state in states if not state.answered and state.state not in ("queued", "interrupted")]
    parts = [named("with an answer", answered), named("without one", ended)] if ended else [named("with an answer", answered)]
    parts += [named("interrupted", [s for s in states if s.state == "interrupted"]), named("not begun", [s for s in states if s.state == "queued"])]
    return f"interrupted; of {len(states)} jobs {', '.join(parts)}; to go on: multiscale resume {folder}"
