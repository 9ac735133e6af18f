"""A run folder is whole or says that it is not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
import yaml

from multiscale import cli
from multiscale.config import StudyConfig, load_config
from multiscale.results import NoAnswerError, RunExistsError, RunFolder, RunFolderError, RunResult
from multiscale.results.run import run_lock
from multiscale.results.run.provenance import SEAL, changed_files, with_file

FILES = {"result.nc", "summary.json", "report.html", "config.yaml", "provenance.json", "status.json", "log.jsonl"}


def _config(folder: Path, *more: str) -> StudyConfig:
    return load_config(["study=tiny", f"output.folder={folder}", "output.report=false", *more])


def _dataset() -> xr.Dataset:
    return xr.Dataset({"power": ("time", [1.0, 2.0], {"units": "kW", "long_name": "power"})})


def test_a_finished_run_holds_every_file(finished: RunResult):
    assert {p.name for p in finished.folder.iterdir()} == FILES
    assert finished.folder.name.startswith("tiny-")
    assert not finished.details["message"]


def test_summary_holds_value_and_unit_of_every_key_and_the_stage_times(finished: RunResult):
    stored = json.loads((finished.folder / "summary.json").read_text())
    assert all(set(entry) == {"value", "unit"} for entry in stored.values())
    assert {"plan.objective", "coordination.gap", "time.build", "time.report", "memory.peak"} <= set(stored)
    assert stored["memory.peak"]["value"] > 10


def test_a_run_read_back_is_the_run_that_was_written(finished: RunResult):
    read = RunResult.load(finished.folder)
    assert read.status == "optimal"
    assert read.exit_code == 0
    assert read.value("plan.price.network_charge") == 0.0437
    xr.testing.assert_equal(read.dataset, finished.dataset)
    assert read.dataset["loading"].attrs == finished.dataset["loading"].attrs


def test_the_configuration_of_a_run_can_be_run_again(finished: RunResult, config: StudyConfig):
    stored = yaml.safe_load((finished.folder / "config.yaml").read_text())
    assert StudyConfig.model_validate(stored).model_dump() == config.model_dump()


def test_provenance_names_what_the_result_depends_on(finished: RunResult):
    record = finished.provenance()
    assert record["overrides"][0] == "study=tiny"
    assert record["packages"]["xarray"] == xr.__version__
    assert record["seeds"] == {"growth": 0, "solver": 0}
    assert set(record["files"]) == FILES - {"provenance.json"}
    assert changed_files(finished.folder) == []


def test_a_changed_byte_is_named(finished: RunResult, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in finished.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "summary.json").write_bytes((copy / "summary.json").read_bytes()[:-1] + b" ")
    (copy / "result.nc").unlink()
    assert changed_files(copy) == ["result.nc: missing", "summary.json: changed"]


def test_log_lines_are_json_with_time_level_stage_and_message(finished: RunResult):
    lines = [json.loads(line) for line in (finished.folder / "log.jsonl").read_text().splitlines()]
    assert all({"time", "level", "stage", "message"} <= set(line) for line in lines)
    assert next(line for line in lines if line["message"] == "a line")["number"] == 1


def test_the_name_depends_on_the_study_and_not_on_where_it_is_computed(tmp_path: Path):
    base, other = _config(tmp_path), _config(tmp_path, "planning.gap=0.02")
    elsewhere = _config(tmp_path / "x", "engine=local", "engine.workers=4")
    names = [c.record().key for c in (base, other, elsewhere)]
    assert names[0] == names[2] != names[1]


def test_a_changed_input_changes_the_name(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "buses.csv").write_text("a")
    config = load_config(["system=folder", f"system.path={data}"])
    before = config.record().key
    (data / "buses.csv").write_text("b")
    assert config.record().key != before


def test_while_it_is_written_no_folder_has_the_final_name(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()) as run:
        assert [p.name for p in tmp_path.iterdir()] == [f".{run.final.name}.partial"]
        assert json.loads((run.path / "status.json").read_text())["status"] == "running"
        run.finish(_dataset(), {}, "feasible")
    assert list(tmp_path.iterdir()) == [run.final]


def test_a_failed_run_is_marked_and_keeps_the_reason(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), RunFolder.create(_config(tmp_path).record()) as run, run.progress.stage("plan"):
        _ = 1 / 0
    (left,) = tmp_path.iterdir()
    assert left.name == f"{run.final.name}.incomplete"
    status = RunResult.load(left)
    assert (status.status, status.details["stage"], status.exit_code) == ("error", "plan", 1)
    assert "division by zero" in status.details["message"]
    assert "ZeroDivisionError" in (left / "log.jsonl").read_text()
    assert status.dataset is None


@pytest.mark.parametrize(("status", "code"), [("infeasible", 3), ("time_limit", 4)])
def test_no_answer_is_a_status_of_its_own(tmp_path: Path, status: str, code: int):
    with pytest.raises(NoAnswerError), RunFolder.create(_config(tmp_path).record()):
        raise NoAnswerError(status, "line 'a' cannot carry the demand")
    (left,) = tmp_path.iterdir()
    assert RunResult.load(left).exit_code == code
    assert left.name.endswith(".incomplete")


def test_leaving_without_finishing_is_no_success(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()):
        pass
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".incomplete")


def test_a_variable_without_unit_is_refused_and_named(tmp_path: Path):
    bare = xr.Dataset({"power": ("time", [1.0]), "kind": ("time", ["a"])})
    study = _config(tmp_path).record()
    with pytest.raises(ValueError, match=r"power: no units and no long_name; kind: no long_name"), RunFolder.create(study) as run:
        run.finish(bare, {}, "optimal")
    assert not run.final.exists()


def test_success_replaces_what_was_there(tmp_path: Path):
    for value in (1.0, 2.0):
        with RunFolder.create(_config(tmp_path).record()) as run:
            run.finish(_dataset(), {"value": (value, "1")}, "optimal")
    assert RunResult.load(run.final).value("value") == 2.0
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(RunExistsError):
        RunFolder.create(_config(tmp_path, "output.overwrite=false").record())


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"output.folder '.*file/runs' cannot be written"):
        RunFolder.create(_config(tmp_path / "file" / "runs").record())


def test_a_run_at_work_is_not_disturbed(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()) as run:
        with pytest.raises(RunFolderError, match="is computing this study"):
            RunFolder.create(_config(tmp_path).record())
        run.finish(_dataset(), {}, "optimal")


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _INTERRUPTED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(RunFolderError, match="another process on this machine is computing this study"):
            RunFolder.create(load_config(["study=tiny", f"output.folder={tmp_path}"]).record())
        process.kill()
    with RunFolder.create(load_config(["study=tiny", f"output.folder={tmp_path}"]).record()) as run:
        run.finish(_dataset(), {}, "optimal")
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]


def test_a_run_of_another_machine_is_left_alone_while_it_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    record = _config(tmp_path).record()
    with RunFolder.create(record) as run:
        # Seen from elsewhere: locks of the operating system do not arrive, host names and process numbers are the same.
        monkeypatch.setattr(run_lock, "_machine", lambda: "another")
        monkeypatch.setattr(run_lock, "is_free", lambda _: True)
        with pytest.raises(RunFolderError, match=r"a process on another machine \(it gave a sign of life"):
            RunFolder.create(record)
        assert (run.path / run_lock.NAME).is_file()
        run.finish(_dataset(), {}, "optimal")
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]


def test_who_lost_its_folder_does_not_write_into_that_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    record = _config(tmp_path).record()
    with contextlib.suppress(RunFolderError), RunFolder.create(record) as silent:
        monkeypatch.setattr(run_lock, "_machine", lambda: "another")
        monkeypatch.setattr(run_lock, "is_free", lambda _: True)
        monkeypatch.setattr(run_lock, "STALE_SECONDS", -1.0)
        with RunFolder.create(record) as other:
            (other.path / "mine").touch()
            with pytest.raises(RunFolderError, match="has taken"):
                silent._rename(silent.final)
            result = other.finish(_dataset(), {}, "optimal")
        raise RunFolderError("lost")
    assert (result.folder / "mine").is_file()
    assert [p.name for p in tmp_path.iterdir()] == [other.final.name]


def test_on_a_full_disk_the_status_is_not_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with contextlib.suppress(OSError), RunFolder.create(_config(tmp_path).record()) as run:
        monkeypatch.setattr(RunFolder, "_write_json", full)
        run.finish(_dataset(), {}, "optimal")
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".incomplete")
    assert RunResult.load(left).status == "error"


def test_every_file_is_verified_and_others_are_named(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()) as run:
        run.finish(_dataset(), {"plan.gap": (0.1, "1")}, "optimal")
    folder = run.final
    assert changed_files(folder) == []
    for file in sorted(folder.iterdir()):
        before = file.read_bytes()
        file.write_bytes(before.replace(b"o", b"0", 1) if file.suffix != ".nc" else before[: len(before) // 2])
        assert changed_files(folder)[0].startswith(f"{file.name}: changed")
        assert cli.main(["provenance", str(folder), "--verify"]) == 1
        file.write_bytes(before)
    (folder / "data").mkdir()
    (folder / "data" / "more.csv").touch()
    (folder / "empty").mkdir()
    (folder / "elsewhere").symlink_to(tmp_path)
    assert changed_files(folder) == [f"{name}: not written by the run" for name in ("data", "data/more.csv", "elsewhere", "empty")]


def test_a_record_without_a_seal_is_not_one_that_was_changed(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()) as run:
        run.finish(_dataset(), {}, "optimal")
    file = run.final / "provenance.json"
    record = json.loads(file.read_text())
    seal = record.pop(SEAL)
    file.write_text(json.dumps(record))
    (found,) = changed_files(run.final)
    assert found.startswith("provenance.json: has no seal")
    # A report that is written again seals nothing that had no seal, and heals nothing that was changed.
    assert SEAL not in with_file(record, run.final / "status.json")
    assert with_file({**record, "multiscale": "another", SEAL: seal}, run.final / "status.json")[SEAL] == seal
    file.write_text(json.dumps({**record, "files": ["result.nc"]}))
    assert "nothing else can be checked" in changed_files(run.final)[1]


@pytest.mark.parametrize("given", ["relative", "absolute"])
def test_inputs_are_found_from_wherever_the_command_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str):
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "data" / "buses.csv").write_text("a")
    monkeypatch.chdir(project)
    path = "data" if given == "relative" else project / "data"
    config = load_config(["study=tiny", "system=folder", f"system.path={path}", "output.folder=runs", "output.report=false"])
    with RunFolder.create(config.record()) as run:
        run.finish(_dataset(), {}, "optimal")
    folder = run.final.resolve()
    assert changed_files(run.final) == []
    monkeypatch.chdir(tmp_path)
    assert changed_files(folder) == changed_files(Path("project/runs") / folder.name) == []
    if given == "relative":
        # What belongs together may be moved together.
        project.rename(tmp_path / "moved")
        folder = tmp_path / "moved" / "runs" / folder.name
        assert changed_files(folder) == []
    (folder.parents[1] / "data" / "buses.csv").write_text("b")
    name = "../../data" if given == "relative" else path
    assert changed_files(folder) == [f"input {name}: changed"]


def test_a_run_killed_before_its_lock_was_given_up_is_whole(tmp_path: Path):
    with RunFolder.create(_config(tmp_path).record()) as run:
        run.finish(_dataset(), {}, "optimal")
    (run.final / run_lock.NAME).write_text("{}")
    assert changed_files(run.final) == []


def test_a_folder_that_cannot_be_begun_keeps_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "_write_json", full)
        with pytest.raises(RunFolderError, match="No space left"):
            RunFolder.create(_config(tmp_path).record())
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RunFolderError, match="No space left"):
            RunFolder.create(_config(tmp_path).record())
    assert list(tmp_path.iterdir()) == []
    with RunFolder.create(_config(tmp_path).record()) as run:
        run.finish(_dataset(), {}, "optimal")


def test_what_is_no_run_is_said_so(tmp_path: Path):
    with pytest.raises(RunFolderError, match="is no run folder"):
        RunResult.load(tmp_path)


_INTERRUPTED = """
import sys, types, time
from multiscale.results import RunFolder
from multiscale import cli

def run_study(config):
    with RunFolder.create(config.record()) as run, run.progress.stage("plan"):
        print("ready", flush=True)
        time.sleep(300)

sys.modules["multiscale.study"] = types.SimpleNamespace(run_study=run_study)
sys.exit(cli.main(["run", "study=tiny", "output.folder=" + sys.argv[1]]))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so(tmp_path: Path, sent: signal.Signals):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        started = time.monotonic()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - started < 10
    assert "interrupted" in errors
    assert "Traceback" not in errors
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".incomplete")
    assert RunResult.load(left).status == "interrupted"
    assert RunResult.load(left).details["stage"] == "plan"
