"""The sections of a report depend on the answer alone: not on the clock, on the folder, or on where the study was computed."""

import dataclasses
import json

import pytest

from multiscale.content import content_key
from multiscale.results import RunResult
from multiscale.results.report.drawn import DrawnSection, DrawnSections, drawn_sections, read_by_sections
from multiscale.results.report.page import write_report
from multiscale.results.run.run_result import SEAL, seal

NOTHING = DrawnSections((DrawnSection("plan", "What to build", "A text.", "<p>drawn before</p>"),), (), 0)


def key(result):
    return content_key(read_by_sections(result))


def with_record(result, folder, change):
    """The result in another folder, with another record."""
    record = result.provenance()
    change(record)
    (folder / "provenance.json").write_text(json.dumps(record | {SEAL: seal(record)}))
    return dataclasses.replace(result, folder=folder)


def test_time_memory_and_place_are_not_read(finished, tmp_path):
    slower = finished.summary | {"time.plan": (1e3, "s"), "memory.peak": (1e5, "MB")}

    def elsewhere(record):
        record["config"]["output"]["folder"] = "elsewhere"
        record["config"]["engine"] = {"kind": "local", "workers": 4}
        record["overrides"].append("engine=local")
        record["host"]["cores"] = 400

    other = with_record(dataclasses.replace(finished, summary=slower, details={"started": "2001-01-01"}), tmp_path, elsewhere)
    assert key(other) == key(finished)
    assert key(RunResult.load(finished.folder)) == key(finished)


def a_number(result, _):
    return dataclasses.replace(result, dataset=result.dataset.assign(loading=result.dataset.loading * 1.001))


def a_name(result, _):
    return dataclasses.replace(result, dataset=result.dataset.assign_attrs(system="another"))


def the_status(result, _):
    return dataclasses.replace(result, status="feasible")


def a_value(result, _):
    return dataclasses.replace(result, summary=result.summary | {"plan.gap": (0.5, "1")})


def a_setting(result, folder):
    return with_record(result, folder, lambda record: record["config"]["planning"].update(gap=0.5))


@pytest.mark.parametrize("change", [a_number, a_name, the_status, a_value, a_setting])
def test_what_is_shown_is_read(finished, tmp_path, change):
    assert key(change(finished, tmp_path)) != key(finished)


def test_sections_that_are_known_are_not_drawn_again(finished, tmp_path):
    page = write_report(finished, tmp_path / "report.html", NOTHING).read_text(encoding="utf-8")
    assert "<p>drawn before</p>" in page
    assert "<svg" not in page
    assert "Computing time and memory" in page


@pytest.mark.usefixtures("undrawn")
def test_a_part_that_could_not_be_made_is_counted_so_that_it_is_tried_again(finished, monkeypatch):
    def fails(_):
        raise ValueError("no colour")

    monkeypatch.setattr("multiscale.results.figures.maps.loading_map", fails)
    drawn = drawn_sections(finished)
    assert drawn.failed == 1
    assert any("an error kept it from being made (ValueError: no colour)" in section.html for section in drawn.body)
