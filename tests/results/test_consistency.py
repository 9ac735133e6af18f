"""What the words, the terminal and the files of a run may not contradict."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from multiscale.config import load_config
from multiscale.results import RunFolder, RunResult
from multiscale.results.report.page import write_report
from multiscale.results.tables.network_tables import violations_table
from multiscale.results.words.answer import answer, failures
from multiscale.results.words.check_words import outage_facts, year_facts
from multiscale.results.words.closing_table import print_closing_table
from multiscale.results.words.comparison import print_comparison
from multiscale.results.words.headline import headline
from tests.results.conftest import leave_undrawn
from tests.results.synthetic_study import synthetic_dataset, synthetic_summary

FAILURES = [
    {"ac.max_line_overload": (7.3, "%")},
    {"ac.diverged_steps": (2, "1")},
    {"ac.buses_without_supply": (1, "1")},
    {"ac.violations": (1, "1")},
    {"ac.violations": (None, "1")},
    {"ac.max_voltage_violation": (None, "pu")},
    {"ac.max_voltage_violation": (float("nan"), "pu")},
    {"ac.max_line_overload": (None, "%"), "ac.max_voltage_violation": (None, "pu")},
    {"ledger.money_residual": (0.4, "1")},
    {"ledger.money_residual": (float("nan"), "1")},
    {"ledger.energy_residual": (None, "1")},
    {"plan.certificate.follower_gap": (None, "1")},
    {"plan.gap": (None, "1"), "plan.bound": (None, "EUR/a")},
    {"ac.year.hours": (8784, "h/a"), "ac.year.violated_hours": (3, "h/a"), "ac.year.basis": ("profiles", "")},
    {"ac.year.hours": (8784, "h/a"), "ac.year.violated_hours": (None, "h/a"), "ac.year.basis": ("profiles", "")},
    {"ac.year.hours": (8784, "h/a"), "ac.year.dispatched_unserved": (50.0, "kWh"), "ac.year.basis": ("profiles", "")},
    {"ac.year.hours": (8784, "h/a"), "ac.year.dispatched_unserved": (None, "kWh"), "ac.year.basis": ("profiles", "")},
]


@pytest.fixture(scope="module")
def unproven(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run whose plan has no lower bound, so that its gap is infinite."""
    dataset = synthetic_dataset()
    config = load_config(["study=tiny", f"output.folder={tmp_path_factory.mktemp('unproven')}"])
    unbounded = {"plan.bound": (-np.inf, "EUR/a"), "plan.gap": (np.float64(np.inf), "1"), "plan.gap_eur": (np.inf, "EUR/a")}
    summary = synthetic_summary(dataset) | unbounded
    certificates = {"MV2.101": {"status": "feasible", "objective": 1.0, "bound": -math.inf, "gap": math.inf, "method": "search"}}
    with pytest.MonkeyPatch.context() as patch, RunFolder.create(config.record()) as run:
        leave_undrawn(patch)
        run.log("no bound", gap=math.inf)
        return run.finish(dataset, summary, "feasible", {"certificates": certificates})


def _sound(finished: RunResult, **details: str) -> RunResult:
    """The run with a plan that reaches the gap asked for."""
    proven = {"plan.gap": (0.0, "1"), "plan.gap_eur": (0.0, "EUR/a")}
    return RunResult(finished.folder, finished.dataset, finished.summary | proven, "optimal", dict(details))


def test_a_year_within_limits_by_another_operation_than_that_of_the_study_is_no_passed_check(finished: RunResult):
    year = {
        "ac.year.hours": (8784, "h/a"),
        "ac.year.violated_hours": (0, "h/a"),
        "ac.year.violated_hours_before": (557, "h/a"),
        "ac.year.basis": ("profiles", ""),
    }
    marks = []
    for days in (0, 174):
        result = RunResult(
            finished.folder,
            None,
            finished.summary | year | {"ac.year.violated_hours_before": (3 * days, "h/a"), "ac.year.dispatched_days": (days, "d/a")},
            "optimal",
            {},
        )
        (fact,) = year_facts(result)
        marks.append((fact.good, fact.warned))
        assert ("except on 174 days of 366" in fact.text) == (days > 0)
    assert marks == [(True, False), (None, True)]


OUTAGES = {"lines": 9, "failed": 0, "unrestored": 2, "diverged": 0, "feed_in_cut": 0, "demand_lost": 40.0, "lowest_voltage": 0.93}


@pytest.mark.parametrize(
    ("changed", "good", "said"),
    [
        ({}, True, "no rating violated under any outage of 7 medium-voltage lines"),
        ({"unrestored": 9}, None, "none of 9 lines has a second feed"),
        (
            {"failed": 3, "worst_line": "line 1", "worst_branch": "line 2", "worst_loading": 119.0},
            False,
            "3 outages of 9 not survived: line 2 is loaded to 119 % of its rating after an outage of line 1",
        ),
        (
            {"failed": 1, "diverged": 1, "worst_line": "line 1"},
            False,
            "1 outage of 9 not survived: no solution of the power flow after an outage of line 1",
        ),
        ({"failed": 1, "unrestored": 9, "worst_line": "line 1"}, False, "1 outage of 9 not survived"),
    ],
)
def test_outages_that_are_not_survived_are_said_wherever_supply_is_restored(finished: RunResult, changed: dict, good: bool | None, said: str):
    summary = {f"ac.outages.{key}": (value, "") for key, value in (OUTAGES | changed).items()}
    (fact,) = outage_facts(RunResult(finished.folder, None, finished.summary | summary, "optimal", {}))
    assert fact.good is good
    assert fact.text.startswith(said)


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


def test_files_hold_no_number_that_json_does_not_know(unproven: RunResult):
    for name in ("summary.json", "status.json", "provenance.json"):
        json.loads((unproven.folder / name).read_text(encoding="utf-8"), parse_constant=_refuse)
    for line in (unproven.folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=_refuse)
    stored = json.loads((unproven.folder / "summary.json").read_text(encoding="utf-8"))
    assert stored["plan.gap"] == {"value": None, "unit": "1"}
    assert stored["plan.objective"]["value"] == 869800.0
    message = json.loads((unproven.folder / "status.json").read_text(encoding="utf-8"))["message"]
    assert "no finite value: plan.bound (-inf), plan.gap (inf)" in message


def test_a_bound_that_is_not_known_is_not_spoken_of_as_one(unproven: RunResult):
    for result in (unproven, RunResult.load(unproven.folder)):
        words = " ".join([*headline(result), *(f.text for f in answer(result))])
        assert "no lower bound is proven" in words
        assert "no lower bound is known" in words
        assert not re.search(r"\b(inf|nan)\b", words)
        assert "less than –" not in words
        assert "gap –" not in words
    page = (unproven.folder / "report.html").read_text(encoding="utf-8")
    assert "gap inf" not in page
    assert "no plan costs less than" not in page


@pytest.mark.parametrize("found", FAILURES)
def test_nothing_is_called_optimal_where_a_check_failed(finished: RunResult, tmp_path: Path, found: dict[str, tuple[object, str]]):
    sound = _sound(finished, message="limits are violated")
    result = replace(sound, summary=sound.summary | found)
    facts = answer(result)
    failed = [fact.good is False for fact in facts]
    assert failed[0]
    assert sorted(failed, reverse=True) == failed
    status = next(fact for fact in facts if fact.label == "Status")
    assert status.good is None
    assert "optimal" not in status.text
    assert "1 check failed" in status.text
    assert failures(result)[0] == "limits are violated"


def test_all_checks_passed_is_said_only_then(finished: RunResult):
    status = next(fact for fact in answer(_sound(finished)) if fact.label == "Status")
    assert status.good
    assert status.text.endswith("all checks passed")
    assert failures(_sound(finished)) == []
    warned = _sound(finished)
    warned.summary.update({"ac.year.hours": (8784, "h/a"), "ac.year.dispatched_days": (3, "d/a"), "ac.year.basis": ("profiles", "")})
    status = next(fact for fact in answer(warned) if fact.label == "Status")
    assert status.text.endswith("no check failed, 1 warning")


def test_rounding_is_no_gap(finished: RunResult):
    summary = finished.summary | {"plan.gap_eur": (1.5e-10, "EUR/a"), "plan.gap": (1e-15, "1"), "plan.gap_of_decisions": (2.5e-13, "1")}
    assert "It is proven that no other plan is better, to within a cent a year." in headline(RunResult(Path(), finished.dataset, summary, "optimal"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_terminals_of_any_encoding_show_the_answer_within_80_columns(finished: RunResult, encoding: str):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    summary = finished.summary | {"ac.max_line_overload": (7.3, "%")}
    result = RunResult(finished.folder, finished.dataset, summary, "feasible", finished.details)
    console = Console(file=stream, width=80)
    print_closing_table(result, console)
    print_comparison([finished, result], console=console)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    passed, failed = ("✓", "✗") if encoding == "utf-8" else ("ok", "FAILED")
    assert f"{failed} overload up to 7.3" in text.replace("\u202f", " ")
    assert f"{passed} solved again" in text
    assert max(len(line.rstrip()) for line in text.splitlines() if not line.startswith("Report: ")) <= 80
    assert f"Report: {finished.folder / 'report.html'}" in text


@pytest.mark.usefixtures("undrawn")
def test_the_report_is_written_without_its_bound(unproven: RunResult, tmp_path: Path):
    text = write_report(RunResult.load(unproven.folder), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "not known" in text


def test_a_power_flow_without_a_value_is_listed_as_violated(finished: RunResult):
    """A step that did not converge and a bus without supply have no value; that is not within limits."""
    data = finished.dataset
    lost, dark = np.zeros((3, data.sizes["period"]), dtype=int), np.zeros((3, data.sizes["bus"]), dtype=int)
    lost[2, 5], dark[2, 7] = 1, 1
    voltage, loading = data.voltage.copy(), data.loading.copy()
    voltage[2, :, 5], loading[2, :, 5], voltage[2, 7, :] = np.nan, np.nan, np.nan
    broken = data.assign(
        voltage=voltage, loading=loading, power_flow_diverged=(("scenario", "period"), lost), bus_without_supply=(("scenario", "bus"), dark)
    )
    frame = violations_table(replace(finished, dataset=broken)).frame
    assert {"power flow", str(data.bus.values[7])} <= set(frame["where"])
    assert frame.set_index("where").loc["power flow", "hours of the year"] == float(data.period_hours.values[5])
