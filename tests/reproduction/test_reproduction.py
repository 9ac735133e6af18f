"""A run computed again is compared value by value: what differs is named with the place where it differs most."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from multiscale import cli
from multiscale.config import StudyConfig, load_config
from multiscale.reproduction.differences import Tolerance, differences
from multiscale.reproduction.recorded import changed_since, recorded_config
from multiscale.results import NoAnswerError, RunFolder, RunResult
from multiscale.results.run.provenance import SEAL, sealed
from multiscale.sources import tiny_system, write_folder


def _result(**changed: object) -> RunResult:
    data = {
        "voltage": (("scenario", "bus"), np.array([[1.0, 1.02], [np.nan, 0.97]]), {"units": "pu"}),
        "built": ("bus", np.array([1, 0]), {"units": "1"}),
        "kind": ("bus", np.array(["load", "slack"]), {}),
    }
    data |= {name: value for name, value in changed.items() if name in data}
    dataset = xr.Dataset({k: v for k, v in data.items() if v is not None}, coords={"bus": ["a", "b"], "scenario": ["today", "plan"]})
    summary = {
        "plan.objective": (1e6, "EUR/a"),
        "plan.left": ("", "-"),
        "plan.bound": (None, "EUR/a"),
        "time.total": (changed.get("seconds", 3.0), "s"),
    }
    summary |= changed.get("summary", {})
    return RunResult(Path("run"), dataset, summary, str(changed.get("status", "optimal")))


def test_equal_results_differ_in_nothing_but_times():
    found, compared = differences(_result(), _result(seconds=99.0), Tolerance())
    assert (found, compared) == ([], 3 + 2 + 3 + 1)


def test_rounding_is_permitted_and_no_more():
    almost = np.array([[1.0, 1.02 * (1 + 5e-7)], [np.nan, 0.97]])
    other = _result(voltage=(("scenario", "bus"), almost, {"units": "pu"}), summary={"plan.objective": (1e6 + 0.5, "EUR/a")})
    assert differences(_result(), other, Tolerance(1e-6, 0.0))[0] == []
    found = {one.name: one for one in differences(_result(), other, Tolerance(1e-7, 0.0))[0]}
    assert set(found) == {"voltage", "plan.objective"}
    assert found["voltage"].what == "differs at 1 of 4 values"
    assert found["voltage"].where == "scenario today, bus b"
    assert found["plan.objective"].absolute == 0.5
    assert found["plan.objective"].relative == pytest.approx(5e-7)


@pytest.mark.parametrize(
    ("other", "name", "what"),
    [
        (_result(voltage=(("scenario", "bus"), np.array([[1.0, 1.02], [0.9, 0.97]]), {"units": "pu"})), "voltage", "differs at 1 of 4 values"),
        (_result(voltage=(("scenario", "bus"), np.array([[np.inf, 1.02], [np.nan, 0.97]]), {"units": "pu"})), "voltage", "differs at 1 of 4 values"),
        (_result(voltage=(("scenario", "bus"), np.array([[1.0, 1.02], [np.nan, 0.97]]), {"units": "V"})), "voltage", "has another unit"),
        (_result(voltage=("bus", np.array([1.0, 1.02]), {"units": "pu"})), "voltage", "has other dimensions"),
        (_result(voltage=None), "voltage", "is missing"),
        (_result(kind=("bus", np.array(["load", "load"]), {})), "kind", "differs at 1 of 2 values"),
        (_result(built=("bus", np.array([1, 1]), {"units": "1"})), "built", "differs at 1 of 2 values"),
        (_result(summary={"plan.bound": (3.0, "EUR/a")}), "plan.bound", "differs"),
        (_result(summary={"plan.left": ("a line", "-")}), "plan.left", "differs"),
        (_result(summary={"plan.new": (1.0, "1")}), "plan.new", "is new"),
        (_result(status="feasible"), "status", "differs"),
    ],
)
def test_every_kind_of_difference_is_found(other: RunResult, name: str, what: str):
    (found,), _ = differences(_result(), other, Tolerance())
    assert (found.name, found.what) == (name, what)


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Put a study in the place of the real one, whose answer is a number that the test chooses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    answer = {"value": 1.0}

    def run_study(config: StudyConfig) -> RunResult:
        with RunFolder.create(config.record()) as run:
            if answer["value"] is None:
                raise NoAnswerError("infeasible", "line 'a' is short of 3 kW")
            dataset = xr.Dataset({"power": ("time", [answer["value"]], {"units": "kW", "long_name": "power"})})
            return run.finish(dataset, {"plan.objective": (answer["value"], "EUR/a")}, "optimal")

    monkeypatch.setitem(sys.modules, "multiscale.study", types.SimpleNamespace(run_study=run_study))
    return answer, run_study


def test_the_exit_code_says_whether_a_run_is_reproduced(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    answer, run_study = study
    run = run_study(load_config(["study=tiny", f"output.folder={tmp_path / 'runs'}", "tariff.levy.price=0.1", "output.report=false"])).folder
    assert cli.main(["reproduce", str(run)]) == 0
    said = capsys.readouterr()
    assert "reproduced: 3 variables and values are equal" in said.out
    again = Path(said.out.splitlines()[-1])
    assert again == tmp_path / "runs" / "reproduced" / run.name
    assert RunResult.load(again).config()["tariff"]["levy"]["price"] == 0.1
    answer["value"] = 2.0
    assert cli.main(["reproduce", str(run), "--to", str(tmp_path / "there")]) == 1
    said = capsys.readouterr().out
    assert "2 of" in said
    assert "power" in said
    assert "the optimum may not be unique" in said.replace("\n", " ")
    # A tolerance that permits it.
    assert cli.main(["reproduce", str(run), "--to", str(tmp_path / "there"), "--relative", "0.6"]) == 0
    answer["value"] = None
    assert cli.main(["reproduce", str(run), "--to", str(tmp_path / "there")]) == 1
    assert "without an answer now (infeasible)" in capsys.readouterr().out


def test_what_cannot_be_reproduced_is_said(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    answer, run_study = study
    config = load_config(["study=tiny", f"output.folder={tmp_path / 'runs'}", "output.report=false"])
    run = run_study(config).folder
    assert cli.main(["reproduce", str(run), "--to", str(run.parent)]) == 2
    assert "is the run itself" in capsys.readouterr().err
    assert cli.main(["reproduce", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err
    answer["value"] = None
    with pytest.raises(NoAnswerError):
        run_study(config)
    assert cli.main(["reproduce", str(run.with_name(f"{run.name}.incomplete"))]) == 2
    assert "has no answer (status infeasible)" in capsys.readouterr().err
    record = json.loads((run / "provenance.json").read_text())
    record["config"]["planning"]["no_such_setting"] = 1
    (run / "provenance.json").write_text(json.dumps(record))
    assert cli.main(["reproduce", str(run)]) == 2
    assert "provenance.json' is not what was written" in capsys.readouterr().err
    (run / "provenance.json").write_text(json.dumps(sealed({k: v for k, v in record.items() if k != SEAL}, run)))
    assert cli.main(["reproduce", str(run)]) == 2
    assert "no_such_setting" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["reproduce", str(run), "--relative", "-1"])


def test_relative_inputs_are_found_from_anywhere_and_changes_are_named(study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, run_study = study
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    work.mkdir()
    elsewhere.mkdir()
    write_folder(tiny_system(), work / "mine")
    monkeypatch.chdir(work)
    given = ["system=folder", "system.path=mine"]
    run = run_study(load_config(["study=tiny", "study.name=mine", *given, "output.folder=runs", "output.report=false"])).folder.absolute()
    monkeypatch.chdir(elsewhere)
    result = RunResult.load(run)
    assert changed_since(result) == []
    # Only paths are looked for: the name of the study is that of its folder.
    assert recorded_config(result, elsewhere).study.name == "mine"
    assert Path(recorded_config(result, elsewhere).system.path) == work / "mine"
    (work / "mine" / "network.csv").touch()
    packages = result.provenance()["packages"] | {"numpy": "0"}
    monkeypatch.setattr("multiscale.reproduction.recorded.package_version", packages.__getitem__)
    found = changed_since(result)
    assert any("numpy is 0, was" in line for line in found)
    assert any("has changed" in line and "mine" in line for line in found)
