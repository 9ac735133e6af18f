"""Commands, their exit codes, and that bad input never shows a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from multiscale import cli
from multiscale.config import StudyConfig
from multiscale.results import NoAnswerError, RunFolder, RunResult
from multiscale.sources import tiny_system

ROOT = Path(__file__).parents[1]


def _answered(config: StudyConfig, status: str = "optimal") -> RunResult:
    dataset = xr.Dataset({"power": ("time", [1.0], {"units": "kW", "long_name": "power"})})
    with RunFolder.create(config.record()) as run:
        with run.progress.stage("plan"):
            pass
        return run.finish(dataset, {"plan.gap": (0.004, "1"), "plan.price.network_charge": (config.tariff["levy"].price, "EUR/kWh")}, status)


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[StudyConfig], RunResult]], list[str]]:
    """Put a study in the place of the real one; returns the overrides that every command needs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def put(run_study: Callable[[StudyConfig], RunResult]) -> list[str]:
        module = types.SimpleNamespace(run_study=run_study, build_case=lambda _: types.SimpleNamespace(system=tiny_system()))
        monkeypatch.setitem(sys.modules, "multiscale.study", module)
        return ["study=tiny", f"output.folder={tmp_path / 'runs'}", "output.report=false"]

    return put


def test_run_prints_the_answer_and_last_the_folder(study, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["run", *study(_answered)]) == 0
    captured = capsys.readouterr()
    folder = Path(captured.out.splitlines()[-1])
    assert RunResult.load(folder).status == "optimal"
    assert "Status" in captured.out
    assert "[1/" in captured.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--jobs", "2", "--fail-fast"], "--jobs, --fail-fast: for the jobs of a sweep; add -m"),
        (["--oversubscribe"], "--oversubscribe: for the jobs of a sweep"),
        (["-m", "--cfg", "job"], "--cfg prints one configuration"),
    ],
)
def test_options_that_would_do_nothing_are_refused(study, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str):
    assert cli.main(["run", *options, *study(_answered)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("status", "code"), [("infeasible", 3), ("time_limit", 4)])
def test_no_answer_has_its_own_exit_code(study, capsys: pytest.CaptureFixture[str], status: str, code: int):
    def none(config: StudyConfig) -> RunResult:
        with RunFolder.create(config.record()):
            raise NoAnswerError(status, "line 'a' is short of 3 kW at 18:00")

    assert cli.main(["run", *study(none)]) == code
    captured = capsys.readouterr()
    assert "short of 3 kW" in captured.err
    assert captured.out == ""


def test_feasible_is_success(study):
    assert cli.main(["run", *study(lambda c: _answered(c, "feasible"))]) == 0


def test_bad_input_is_listed_without_traceback(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["run", "planning.gap=7", "tarif.levy=3"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: the configuration has 2 problems:")
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_unwritable_folder_is_bad_input(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert cli.main(["run", *study(_answered), f"output.folder={tmp_path / 'file'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line_and_a_file_with_the_rest(study, capsys: pytest.CaptureFixture[str]):
    def broken(config: StudyConfig) -> RunResult:
        raise RuntimeError("something\nlong")

    assert cli.main(["run", *study(broken)]) == 1
    line = capsys.readouterr().err.strip()
    assert line.startswith("error: something; details are in ")
    details = Path(line.rsplit(" ", 1)[1])
    assert "RuntimeError" in details.read_text()
    details.unlink()


def test_interruption_has_its_own_exit_code(study, capsys: pytest.CaptureFixture[str]):
    def stopped(config: StudyConfig) -> RunResult:
        with RunFolder.create(config.record()):
            raise KeyboardInterrupt

    assert cli.main(["run", *study(stopped)]) == 130
    assert "interrupted" in capsys.readouterr().err


_INTERRUPTED = """
import sys, types
from multiscale import cli

def run_study(config):
    exec("import os, signal; os.kill(os.getpid(), signal.SIGINT)")

sys.modules["multiscale.study"] = types.SimpleNamespace(run_study=run_study)
sys.exit(cli.main(["run", "study=tiny", "output.folder=" + sys.argv[1]]))
"""


def test_the_exit_code_of_an_interrupt_is_the_same_wherever_it_arrives(tmp_path: Path):
    """Python's own interrupt, passing code that is executed from a string, would end ``python -m`` by the signal: many imports execute such code."""
    (tmp_path / "interrupted.py").write_text(_INTERRUPTED)
    run = subprocess.run(
        [sys.executable, "-m", "interrupted", str(tmp_path / "runs")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 130, run.stderr
    assert "interrupted; the run has no result" in run.stderr


def test_validate_solves_nothing(study, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    def never(config: StudyConfig) -> RunResult:
        raise AssertionError

    assert cli.main(["validate", *study(never)]) == 0
    out = capsys.readouterr().out
    assert "study 'tiny' is valid" in out
    assert "prosumers" in out
    assert not (tmp_path / "runs").exists()
    assert cli.main(["validate", "study=tiny", "horizon.days=0"]) == 2


def test_the_composed_configuration_can_be_printed(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["run", "--cfg", "job", "study=tiny", "tariff.levy=8 ct/kWh"]) == 0
    assert "  levy:\n    kind: volumetric\n    price: 0.08\n" in capsys.readouterr().out


def test_status_compare_provenance_of_runs(study, capsys: pytest.CaptureFixture[str]):
    overrides = study(_answered)
    folders = []
    for levy in (0.08, 0.12):
        assert cli.main(["run", *overrides, f"tariff.levy={levy}"]) == 0
        folders.append(capsys.readouterr().out.splitlines()[-1])
    assert cli.main(["status", *folders]) == 0
    assert "optimal; plan gap 0.4 %" in capsys.readouterr().out
    assert cli.main(["compare", *folders]) == 0
    out = capsys.readouterr().out
    assert "tariff.levy" in out
    assert "+50.00 %" in out
    assert cli.main(["provenance", folders[0]]) == 0
    assert "config_sha256" in capsys.readouterr().out
    assert cli.main(["provenance", folders[0], "--verify"]) == 0
    (Path(folders[0]) / "summary.json").write_text("{}")
    assert cli.main(["provenance", folders[0], "--verify"]) == 1
    assert "summary.json: changed" in capsys.readouterr().out


def test_status_of_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["status", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_an_existing_run_is_shown_and_not_repeated_if_so_wished(study, capsys: pytest.CaptureFixture[str]):
    overrides = study(_answered)
    assert cli.main(["run", *overrides]) == 0
    first = capsys.readouterr().out.splitlines()[-1]

    def never(config: StudyConfig) -> RunResult:
        with RunFolder.create(config.record()):
            raise AssertionError

    study(never)
    assert cli.main(["run", *overrides, "output.overwrite=false"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == first
    assert "output.overwrite=true" in captured.err


def test_overrides_may_stand_anywhere_among_the_options(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["run", "study=tiny", "--cfg", "job", "tariff.levy=8 ct/kWh"]) == 0
    assert "    price: 0.08\n" in capsys.readouterr().out
    for wrong in (["run", "study=tiny", "--nothing"], ["status", "--all", "there"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(wrong)
        assert ended.value.code == 2
    assert "unrecognized arguments: --all" in capsys.readouterr().err


def test_help_is_fast_and_names_groups_and_exit_codes(tmp_path: Path):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run(
        [sys.executable, "-m", "multiscale.cli", "--help"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0, "CPU seconds"
    for expected in ("four_level", "time_of_use", "exit codes", "provenance", "study"):
        assert expected in shown.stdout
