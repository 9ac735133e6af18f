"""Sweeps from the command line: every job ends on its own, what is missing is run later, and only that."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from multiscale import cli
from multiscale.sweep import commands, running
from multiscale.sweep.journal import Event, add, last_events
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import job_states
from tests.sweep import fakes


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Overrides of a study that ends as it is asked to; the folder where that is asked; what was computed."""
    asked = tmp_path / "asked"
    asked.mkdir()
    monkeypatch.setenv(fakes.FOLDER, str(asked))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "COMPUTE", fakes.compute)

    def computed() -> list[int]:
        file = asked / "computed"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    return ["study=tiny", f"output.folder={tmp_path / 'runs'}"], asked, computed


def _only_sweep(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").glob("sweep-*")
    return folder


def test_a_failure_or_a_lost_process_stops_no_other_job_and_resume_runs_what_is_missing(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides, asked, computed = study
    (asked / "2").write_text("fail")
    (asked / "3").write_text("die")
    (asked / "4").write_text("infeasible")
    assert cli.main(["run", "-m", "--jobs", "1", *overrides, "solver.seed=1,2,3,4,5"]) == 1
    said = capsys.readouterr()
    folder = Path(said.out.splitlines()[-1])
    assert folder == _only_sweep(tmp_path)
    manifest = Manifest.read(folder)
    states = job_states(folder, manifest)
    assert [state.state for state in states] == ["optimal", "error", "error", "infeasible", "optimal"]
    assert states[1].message == "solver lost"
    assert "SIGKILL" in states[2].message
    assert "1 to go, " in said.err
    # Every job has a log of its own, with what it printed and why it failed.
    logs = [(folder / "logs" / f"job-{number:04d}.log").read_text() for number in range(1, 6)]
    assert [f"computing seed {number}" in log for number, log in enumerate(logs, 1)] == [True] * 5
    assert "RuntimeError: solver lost" in logs[1]

    assert cli.main(["status", str(folder)]) == 1
    told = capsys.readouterr().out
    assert "does not run; 5 jobs: 2 optimal, 1 infeasible, 2 error" in told
    assert "job 4 infeasible (seed=4): line 'a' is short of 3 kW at 18:00" in told
    assert f"to go on: multiscale resume {folder}" in told

    whole = {state.job.number: (run_folder(folder, state.job) / "status.json").stat() for state in states if state.answered}
    assert cli.main(["resume", str(folder), "--states", "interrupted"]) == 1
    assert "nothing to run" in capsys.readouterr().err
    assert computed() == [1, 2, 3, 4, 5]
    # What is proved infeasible would be so again.
    assert cli.main(["resume", str(folder), "--jobs", "1"]) == 3
    assert computed() == [1, 2, 3, 4, 5, 2, 3]
    for number, before in whole.items():
        now = (run_folder(folder, manifest.jobs[number - 1]) / "status.json").stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_process_that_died_between_two_jobs_is_a_job_that_failed(study, tmp_path: Path):
    worker = running.JobProcess.start(running.COMPUTE)
    try:
        worker.process.kill()
        worker.process.join()
        worker.give(running.Task(1, ("study=tiny", "solver.seed=1"), None, tmp_path / "run", tmp_path / "log"))
        outcome = worker.outcome()
        assert outcome is not None
        assert (outcome.state, "SIGKILL" in outcome.message) == ("error", True)
    finally:
        worker.end()


def test_an_interrupted_sweep_says_how_to_go_on(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides, asked, computed = study
    (asked / "2").write_text("interrupt the sweep")
    assert cli.main(["run", "-m", "--jobs", "1", *overrides, "solver.seed=1,2,3"]) == 130
    folder = _only_sweep(tmp_path)
    said = capsys.readouterr().err
    assert "of 3 jobs with an answer 1 (job 1), interrupted 1 (job 2), not begun 1 (job 3)" in said
    assert f"to go on: multiscale resume {folder}" in said
    assert not (folder / ".lock").exists()
    assert computed() == [1, 2]


def test_one_process_runs_a_sweep(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    overrides, _, computed = study
    monkeypatch.setattr(commands, "run_jobs", lambda *_, **__: None)
    assert cli.main(["run", "-m", *overrides, "solver.seed=1,2"]) == 1
    folder = _only_sweep(tmp_path)
    monkeypatch.setattr("multiscale.results.run.run_lock.LOOKED_AT_SECONDS", 0.0)
    lock = commands.RunLock(folder, left=True)
    try:
        assert cli.main(["resume", str(folder)]) == 2
        assert "another process on this machine runs the sweep" in capsys.readouterr().err
        assert cli.main(["status", str(folder)]) == 1
        assert ": runs; 2 jobs: 2 queued" in capsys.readouterr().out
    finally:
        lock.release(folder)
    assert computed() == []


def test_resume_refuses_what_has_changed_unless_it_is_permitted(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    overrides, _, _ = study
    private = tmp_path / "own"
    (private / "coordination").mkdir(parents=True)
    choice = private / "coordination" / "mine.yaml"
    choice.write_text("kind: pricing\nimport_export_gap: 0.01\n")
    ran: list[int] = []
    monkeypatch.setattr(commands, "run_jobs", lambda _, __, jobs, *___, **____: ran.extend(job.number for job in jobs))
    command = ["run", "-m", "--config-dir", str(private), *overrides, "coordination=mine", "solver.seed=1,2"]
    assert cli.main(command) == 1
    folder = _only_sweep(tmp_path)
    before = Manifest.read(folder)
    choice.write_text("kind: pricing\nimport_export_gap: 0.02\n")
    capsys.readouterr()
    assert cli.main(["resume", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "the configuration of 2 jobs (coordination.import_export_gap) has changed" in said
    assert "--allow-changes" in said
    assert ran == [1, 2]
    assert cli.main(["resume", str(folder), "--allow-changes"]) == 1
    assert ran == [1, 2, 1, 2]
    now = Manifest.read(folder)
    assert {job.run for job in now.jobs}.isdisjoint({job.run for job in before.jobs})
    # Code counts as well.
    monkeypatch.setattr("multiscale.sweep.planned.code_hash", lambda: "another")
    assert cli.main(["resume", str(folder)]) == 2
    assert "the code of multiscale" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["planning.gap=0.1,3", "market=community,bazaar"], "2 problems"),
        (["engine=serial,local"], "jobs 1 (study=tiny"),
        (["solver.seed=1,2", "solver.seed=3,4"], "solver.seed is swept twice"),
        (["solver.seed=1,2", "--jobs", "0"], "--jobs 0: at least one job has to run"),
        (["solver.seed=1,2", "engine=local", "engine.workers=64", "--jobs", "2"], "128 of "),
    ],
)
def test_what_cannot_be_swept_starts_nothing(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str):
    overrides, _, computed = study
    assert cli.main(["run", "-m", *overrides, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert computed() == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "is no sweep"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is damaged: it is no JSON"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "written by another version"),
        (lambda folder: (folder / "manifest.json").write_text('{"schema": 2, "dimensions": [], "jobs": [{}]}'), "is damaged ("),
    ],
)
def test_what_is_no_sweep_is_not_resumed(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, damage, said: str):
    overrides, _, _ = study
    monkeypatch.setattr(commands, "run_jobs", lambda *_, **__: None)
    cli.main(["run", "-m", *overrides, "solver.seed=1,2"])
    folder = _only_sweep(tmp_path)
    damage(folder)
    capsys.readouterr()
    assert cli.main(["resume", str(folder)]) == 2
    assert said in capsys.readouterr().err


def test_unknown_states_are_named(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    overrides, _, _ = study
    monkeypatch.setattr(commands, "run_jobs", lambda *_, **__: None)
    cli.main(["run", "-m", *overrides, "solver.seed=1,2"])
    assert cli.main(["resume", str(_only_sweep(tmp_path)), "--states", "broken"]) == 2
    assert "--states broken: broken is no state" in capsys.readouterr().err


def test_a_killed_sweep_is_judged_by_its_run_folders(study, tmp_path: Path, monkeypatch):
    """What the process could not note any more counts; what it noted and is no longer there does not."""
    overrides, _, _ = study
    monkeypatch.setattr(commands, "run_jobs", lambda *_, **__: None)
    cli.main(["run", "-m", *overrides, "solver.seed=range(1,8)"])
    folder = _only_sweep(tmp_path)
    manifest = Manifest.read(folder)
    places = [run_folder(folder, job) for job in manifest.jobs]
    for number in (1, 2, 3, 5):
        fakes.answer(places[number - 1], number)
    for number in (1, 3, 4):
        add(folder, Event(number, "optimal", seconds=2.0))
    add(folder, Event(2, "running"))
    add(folder, Event(6, "running"))
    (places[2] / "summary.json").write_text("{}")
    places[6].with_name(f".{places[6].name}.partial").mkdir()
    with (folder / "journal.jsonl").open("a") as stream:
        stream.write('{"job": 7, "state": "opti')
    states = job_states(folder, manifest, running=False)
    assert [state.state for state in states] == ["optimal", "optimal", "lost", "lost", "optimal", "interrupted", "queued"]
    assert "summary.json: changed" in states[2].message
    # While a process runs the sweep, what it notes is right.
    assert [state.state for state in job_states(folder, manifest, running=True)][1] == "running"
    # What was left of a job that had its answer before is cleared away.
    left = places[0].with_name(f".{places[0].name}.partial")
    left.mkdir()
    (left / "result.nc").write_text("half")
    os.utime(left, (0, 0))
    cli.main(["resume", str(folder), "--states", "infeasible"])
    assert not left.exists()
    # Half a line keeps no later one from being read.
    add(folder, Event(7, "optimal"))
    assert last_events(folder)[7].state == "optimal"
    assert json.loads((folder / "manifest.json").read_text())["dimensions"][0]["labels"] == [1, 2, 3, 4, 5, 6, 7]


def test_a_folder_that_cannot_be_written_is_named(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides, _, _ = study
    (tmp_path / "runs").write_text("")
    assert cli.main(["run", "-m", *overrides, "solver.seed=1,2"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["resume", "collect"])
def test_a_sweep_that_cannot_be_written_says_so(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, command: str):
    overrides, _, _ = study
    monkeypatch.setattr(commands, "run_jobs", lambda *_, **__: None)
    cli.main(["run", "-m", *overrides, "solver.seed=1,2"])
    folder = _only_sweep(tmp_path)
    before = Manifest.read(folder)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(commands, "RunLock", read_only)
    monkeypatch.setattr("multiscale.sweep.collect.collected.write_atomically", read_only)
    monkeypatch.setattr("multiscale.sweep.collect.collected.SweepDataset", lambda *_: None)
    fakes.answer(run_folder(folder, before.jobs[0]), 1.0)
    assert cli.main([command, str(folder)]) == 2
    assert f"'{folder}' cannot be written (Read-only file system); " in capsys.readouterr().err
    assert Manifest.read(folder) == before


def test_a_full_disk_ends_a_sweep_with_what_to_do(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    overrides, _, _ = study

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running, "add", full)
    assert cli.main(["run", "-m", "--jobs", "1", *overrides, "solver.seed=1,2"]) == 1
    said = capsys.readouterr().err
    assert "the disk is full" in said
    assert f"multiscale resume {_only_sweep(tmp_path)}" in said
