"""Folders of runs and sweeps in which a file was damaged: what is wrong is named, and no command ends in a traceback."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from multiscale import cli
from multiscale.results.run.run_result import RunFolderError, RunResult, read_status
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.journal import Event, add, last_events
from multiscale.sweep.manifest import Dimension, Job, Manifest


def manifest() -> Manifest:
    jobs = tuple(Job(number, ("a=1",), (number - 1,), f"../run-{number}", "0") for number in (1, 2))
    return Manifest((Dimension("a", (1, 2)),), jobs, ".", "", "2026-01-01", "0", "0", {}, {})


@pytest.mark.parametrize(
    "change",
    [
        {"directory": [[]]},
        {"inputs": {"a": 1}},
        {"config": None},
        {"dimensions": [{"key": "a", "labels": []}]},
        {"dimensions": [{"key": "a", "labels": [[1], 2]}]},
        {"jobs": []},
        {"jobs": [asdict(manifest().jobs[1])]},
        {"jobs": [asdict(manifest().jobs[0]) | {"at": [2]}]},
        {"jobs": [asdict(manifest().jobs[0]) | {"run": "a\0b"}]},
        {"jobs": [asdict(manifest().jobs[0]) | {"overrides": [3]}]},
    ],
)
def test_a_damaged_manifest_is_refused_by_every_command(tmp_path: Path, change: dict[str, object], capsys: pytest.CaptureFixture[str]):
    manifest().write(tmp_path)
    assert Manifest.read(tmp_path) == manifest()
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    for command in ("status", "collect", "resume"):
        assert cli.main([command, str(tmp_path)]) == 2
        assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        b"\xdf\xa2",
        b"[1]",
        b"[" * 100_000,
        *(json.dumps(asdict(Event(1, "error")) | wrong).encode() for wrong in ({"job": []}, {"state": 1}, {"seconds": "x"}, {"time": "soon"})),
    ],
)
def test_a_line_of_the_journal_that_says_no_event_is_none(tmp_path: Path, line: bytes):
    add(tmp_path, Event(1, "optimal", seconds=2.0))
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write(line + b"\n")
    add(tmp_path, Event(2, "running"))
    assert {job: event.state for job, event in last_events(tmp_path).items()} == {1: "optimal", 2: "running"}


def test_a_folder_in_place_of_the_journal_is_named(tmp_path: Path):
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(SweepError, match=r"journal\.jsonl' cannot be read"):
        last_events(tmp_path)


@pytest.mark.parametrize("text", ["[]", "7", '{"status": "splendid"}', '{"status": "optimal", "stages": {"plan": "long"}}', "[" * 100_000,
                                  '{"status": "infeasible", "relaxation": {"value": 1}}', '{"status": "optimal", "gap": "small"}'])  # fmt: skip
def test_a_status_that_no_run_writes_is_refused(tmp_path: Path, text: str):
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"status\.json"):
        read_status(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', '{"a": {"value": 1}}', '{"a": {"value": {}, "unit": "kW"}}'])
def test_a_summary_without_values_and_units_is_refused(tmp_path: Path, text: str):
    (tmp_path / "status.json").write_text('{"status": "feasible"}')
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"summary\.json"):
        RunResult.load(tmp_path)
