"""A run explains itself in the terms of its user: component, time, limit, unit, and what would have to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr

from multiscale import cli
from multiscale.config import StudyConfig, load_config
from multiscale.results import NoAnswerError, RunFolder, RunResult
from multiscale.results.words.explained_network import binding, reinforcement_reasons
from multiscale.results.words.explanation import explained


def _answers(result: RunResult) -> dict[str, str]:
    return {part.question: "\n".join(part.lines).replace("\u202f", " ") for part in explained(result)}


@pytest.fixture
def feeder() -> RunResult:
    """Two lines: one overloaded without response and reinforced, one at its usable rating; one platform partly cut off for 100 h."""
    data = xr.Dataset(
        {
            "branch_rating": ("branch", [100.0, 200.0]),
            "branch_usable": (("branch", "flow_direction"), [[80.0, 90.0], [80.0, 90.0]]),
            "period_hours": ("period", [8660.0, 100.0]),
            "option_branch": ("option", ["line a", "line b"]),
            "option_built": ("option", [1, 0]),
            "option_need": ("option", [130.0, 110.0]),
            "option_cost": ("option", [5000.0, 6000.0]),
            "option_added_rating": ("option", [150.0, 150.0]),
            "loading": (("scenario", "branch", "period"), [[[50.0, 104.0], [40.0, 88.0]], [[20.0, 41.6], [40.0, 79.9]]]),
            "voltage": (("scenario", "bus", "period"), [[[1.0, 0.95]], [[1.0, 0.9004]]]),
            "bus_v_min": ("bus", [0.9]),
            "bus_v_max": ("bus", [1.1]),
            "overload_direction": ("overloaded_branch", ["load"]),
            "overload_hours": ("overloaded_branch", [37.0]),
            "overload_energy": ("overloaded_branch", [420.0]),
            "unserved_power": (("scenario", "unserved_place", "period"), [[[0.0, 0.0]], [[0.0, 3.0]]]),
        },
        coords={
            "branch": ["line a", "line b"],
            "bus": ["bus 1"],
            "period": ["2016-01-11T00:00", "2016-01-11T18:00"],
            "option": ["a", "b"],
            "scenario": ["conventional", "plan"],
            "flow_direction": ["to customers", "back"],
            "overloaded_branch": ["line a"],
            "unserved_place": ["platform 1"],
        },
        attrs={"baseline": "conventional", "headline": "plan"},
    )
    return RunResult(Path("nowhere"), data, {}, "feasible", {"reasons": ["300 kWh/a of demand are not served", "one more reason; with a semicolon"]})


def test_a_reinforcement_is_explained_by_need_usable_rating_hours_and_energy(feeder):
    built, avoided = (text.replace("\u202f", " ") for text in reinforcement_reasons(feeder))
    for fact in ("line a", "5 000 EUR", "+150 kVA", "130 % of the usable rating (80 kVA to customers, 90 kVA back)", "37 h/a", "420 kWh/a", "41.6 %"):
        assert fact in built
    assert avoided.startswith("not built: line b: without response 110 %")
    assert "at most 79.9 % of its rating, and some demand is not served" in avoided


def test_what_binds_is_named_with_time_limit_and_hours(feeder):
    line, bus = (text.replace("\u202f", " ") for text in binding(feeder))
    assert "line b: loading 79.9 % of the rating at 2016-01-11T18:00, usable 80 % to customers and 90 % back" in line
    assert "a limit if it then carries power to customers" in line
    assert line.endswith("at the limit in 100 h/a")
    assert "bus 1: voltage 0.9004 pu at 2016-01-11T18:00, lowest permitted 0.9 pu" in bus


def test_lines_of_transmission_at_their_limit_bind_too(feeder: RunResult):
    """What the power flow of distribution does not see is no limit that does not bind."""
    options = feeder.dataset.sizes["option"]
    above = {name: ("option", [100.0, *[20.0] * (options - 1)]) for name in ("option_dc_loading_before", "option_dc_loading_after")}
    said = binding(replace(feeder, dataset=feeder.dataset.assign(above)))
    assert said[:-1] == binding(feeder)
    assert said[-1].startswith(f"{feeder.dataset.option_branch.values[0]}: 100 % of its limit on the transmission level")


def test_demand_that_is_not_served_is_named_with_place_energy_hours_and_time(feeder):
    assert _answers(feeder)["Which demand is not served?"] == "platform 1: 300 kWh/a in 100 h/a; the most, 3 kW, at 2016-01-11T18:00"


def test_every_reason_against_optimality_is_a_line_of_its_own(feeder):
    lines = next(part.lines for part in explained(feeder) if part.question == "Why feasible and not optimal?")
    assert lines == ("300 kWh/a of demand are not served", "one more reason; with a semicolon")


def test_a_run_made_before_these_variables_says_that_it_does_not_know(feeder):
    older = replace(feeder, dataset=feeder.dataset.drop_vars(["unserved_power", "loading"]))
    assert "not known" in _answers(older)["Which demand is not served?"]
    assert "not known" in _answers(older)["Which limits bind with the plan?"]


def test_a_whole_run_is_explained_by_the_command(finished: RunResult, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["explain", str(finished.folder)]) == 0
    said = capsys.readouterr().out
    assert "Why optimal?" in said
    assert "Which limits bind" in said


def test_a_run_that_stopped_says_where_why_and_the_least_change(config: StudyConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    record = load_config(["study=tiny", f"output.folder={tmp_path}"]).record()
    limit = {"of": "north", "setting": "tariff.network_charge.price_max", "value": 0.03, "needed": 0.0408, "unit": "EUR/kWh"}

    def stop() -> None:
        with RunFolder.create(record) as run, run.progress.stage("plan"):
            raise NoAnswerError("infeasible", "no charge recovers the cost", limit)

    with pytest.raises(NoAnswerError):
        stop()
    folder = next(tmp_path.glob("*.incomplete"))
    assert cli.main(["explain", str(folder)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "What stopped it in stage 'plan'? (infeasible" in said
    assert "tariff.network_charge.price_max from 3 ct/kWh to at least 4.08 ct/kWh (1.08 ct/kWh more)" in said
    assert "may not be enough" in said


def test_half_a_line_in_a_log_is_counted_not_passed_over(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text('{"level": "WARNING", "stage": "plan", "message": "slow"}\n{"level": "ERR', encoding="utf-8")
    said = _answers(RunResult(tmp_path, None, {}, "interrupted", {"message": "interrupted"}))["What does its log say?"]
    assert said == "plan: slow\n1 line could not be read"


@pytest.mark.parametrize(("kind", "said"), [("dso", "the plan is proven"), ("none", "nothing was to be planned")])
def test_what_was_not_planned_is_not_called_proven(feeder, monkeypatch, kind: str, said: str):
    said_of_it = {"config": {"planning": {"kind": kind}}, "certificates": {"north": {"gap in EUR/a": None}}}
    monkeypatch.setattr(RunResult, "provenance", lambda _: said_of_it)
    why = _answers(replace(feeder, status="optimal", details={}))
    assert why["Why optimal?"].startswith(said)
    assert "north: no gap is stated" in why["Why this gap?"]
