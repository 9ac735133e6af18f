"""The report of several runs: failures first, differences against the baseline run, nothing compared that assumes something else."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from multiscale import cli
from multiscale.content import file_hash
from multiscale.results import RunResult
from multiscale.results.figures.comparison_plots import cost_figure
from multiscale.results.figures.style import Remark
from multiscale.results.report.comparison import Lacking, compared_run, headline, write_comparison
from multiscale.results.report.embedding import scripts
from multiscale.results.run.run_result import SEAL, seal
from multiscale.results.tables import comparison_tables
from multiscale.results.tables.comparison_tables import SOCIAL_COST, Compared, numeric_keys, runs_table, settings_table, values_table
from multiscale.results.words.comparison import print_comparison


@pytest.fixture(scope="module")
def runs(finished: RunResult, tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    """The synthetic run, one that saves 1,000 EUR/a with another tariff, and one that failed a check and assumes another growth."""
    folder = tmp_path_factory.mktemp("compared")
    changes = (
        ({SOCIAL_COST: 1e5}, {}, "optimal"),
        ({SOCIAL_COST: 1e5 - 1000.0}, {"tariff": {"levy": {"price": 0.5}}}, "optimal"),
        ({SOCIAL_COST: 1e5 - 9000.0, "ledger.money_residual": 1.0}, {"system": {"growth": {"load_factor": 2.0}}}, "feasible"),
    )
    for number, (values, settings, status) in enumerate(changes):
        place = folder / f"run{number}"
        shutil.copytree(finished.folder, place)
        summary = json.loads((place / "summary.json").read_text())
        summary |= {"plan.gap": {"value": 0.0, "unit": "1"}} | {
            k: {"value": v, "unit": "EUR/a" if k == SOCIAL_COST else "1"} for k, v in values.items()
        }
        (place / "summary.json").write_text(json.dumps(summary))
        record = json.loads((place / "provenance.json").read_text())
        for group, change in settings.items():
            _change(record["config"][group], change)
        (place / "status.json").write_text(json.dumps({"status": status, "study": "tiny", "message": "", "stages": {}}))
        record["files"] |= {name: file_hash(place / name) for name in ("summary.json", "status.json")}
        (place / "provenance.json").write_text(json.dumps(record | {SEAL: seal(record)}))
    return [compared_run(folder / f"run{number}", str(number + 1)) for number in range(3)]


def _change(config: dict, change: dict) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _change(config[key], value)
        else:
            config[key] = value


def test_differences_are_against_the_baseline_run(runs: list[Compared]):
    for baseline, expected in ((0, [0.0, -1000.0, -9000.0]), (1, [1000.0, 0.0, -8000.0])):
        table = runs_table(runs, baseline)
        np.testing.assert_allclose(table.frame["against the baseline run"], expected, atol=1e-6)
        assert table.marked == (baseline,)
    assert runs_table(runs, 0).frame["failed checks"].tolist() == [0, 0, 1]
    assert set(settings_table(runs).frame.columns) == {"run", "tariff.levy.price", "system.growth.load_factor"}
    assert set(numeric_keys(runs)) == {SOCIAL_COST, "ledger.money_residual"}
    assert set(values_table(runs).frame["key"]) == {SOCIAL_COST, "ledger.money_residual"}


def test_the_best_is_sound_and_assumes_the_same(runs: list[Compared]):
    said = headline(runs, 0, [Lacking("4: x", "infeasible", "")])
    assert said[0].startswith("3 of 4 runs have an answer, 2 passed all checks. The baseline run is 1:")
    assert "least in 2: run1" in said[1]
    assert "less than in the baseline run" in said[1]
    assert "system.growth.load_factor" in said[2]
    assert "least in" not in " ".join(headline(runs, 2, []))


def test_failures_are_first_and_the_page_is_one_file(runs: list[Compared], tmp_path: Path):
    text = write_comparison(
        "Three runs", runs, tmp_path / "compared.html", 0, [Lacking("4: x=2", "infeasible", "line 'a' is short of 3 kW")]
    ).read_text("utf-8")
    page = text.replace(scripts(), "")
    box, answer = page.index('id="failures"'), page.index('id="answer"')
    for reason in ("4: x=2: infeasible: line &#39;a&#39; is short of 3 kW", "3: run2: Ledger: does not add up"):
        assert box < page.index(reason) < answer
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page, flags=re.IGNORECASE)
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert [k for k in ("values", "map") if f'data-target="live-{k}"' in page] == ["values", "map"]
    assert 'class="missing"' not in page
    data = re.search(r'download="runs.csv" href="data:text/csv;base64,([^"]*)"', page)[1]
    table = pd.read_csv(io.StringIO(base64.b64decode(data).decode()))
    np.testing.assert_allclose(table["against the baseline run [EUR/a]"], [0.0, -1000.0, -9000.0], atol=1e-6)


def test_runs_that_cost_the_same_are_called_so(runs: list[Compared]):
    again = [replace(runs[0], label=label) for label in ("1", "2")]
    assert "the same as in the baseline run" in headline(again, 1, [])[1]


def test_of_which_year_values_are_is_said(runs: list[Compared], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RunResult, "config", lambda _: {"horizon": {"years": [2030, 2035]}})
    assert "all that follows is of the last year" in headline(runs[:2], 0, [])[1]


def test_the_figure_holds_the_baseline_run_and_no_bar_for_what_is_not_known():
    costs = np.arange(60.0) * 1000
    costs[3] = np.nan
    texts = re.findall(r"<!-- (.*?) -->", cost_figure([f"{i}: run" for i in range(60)], costs, 50))
    assert [t for t in texts if t.endswith("run")] == [f"{i}: run" for i in (*range(39), 50)]
    assert texts.count("not known") == 1
    assert cost_figure(["a", "b"], np.array([1.0, np.nan]), 1) == Remark("No figure of social cost: it is not known of the baseline run.")


def test_differences_of_less_than_a_hundred_euros_are_no_zero_with_a_sign():
    texts = re.findall(r"<!-- (.*?) -->", cost_figure(["a", "b", "c"], np.array([1e6, 1e6 - 0.93, 5e5]), 0))
    assert {"0\u202fEUR/a", "−0.93\u202fEUR/a", "−500\u202f000\u202fEUR/a"} <= set(texts)


def test_what_is_built_on_the_transmission_level_is_no_zero(runs: list[Compared]):
    assert "built on transmission" not in runs_table(runs, 0).frame
    above = {"transmission.reinforcements": (2, "1"), "transmission.investment": (271000.0, "EUR")}
    joint = replace(runs[0], label="4", result=replace(runs[0].result, summary=runs[0].result.summary | above))
    frame = runs_table([*runs, joint], 0).frame
    assert frame["built on transmission"].isna().tolist() == [True, True, True, False]
    assert frame["investment in transmission"].iloc[-1] == 271000.0


def test_four_runs_are_readable_in_80_columns(runs: list[Compared]):
    changed = [replace(runs[0].result, summary={"assess.value.generation_and_transmission_upgrades": (1.2345 + i, "EUR/a")}) for i in range(4)]
    console = Console(width=80, record=True, file=io.StringIO())
    print_comparison(changed, console=console)
    text = console.export_text()
    assert all(f"{1.2345 + i:.4f}" in text for i in range(4))


def test_many_settings_of_few_runs_are_rows(runs: list[Compared], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparison_tables, "differing_settings", lambda results: {f"a.{i}": ["1"] * len(results) for i in range(20)})
    table = settings_table(runs)
    assert (table.shown, len(table.frame), table.frame.columns[0]) == (True, 20, "setting")


def test_commands_write_it_and_name_what_cannot_be_compared(runs: list[Compared], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folders = [str(run.result.folder) for run in runs[:2]]
    assert cli.main(["compare", *folders, "--report", str(tmp_path / "two.html")]) == 0
    assert "1 run against run0" in (tmp_path / "two.html").read_text("utf-8")
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "status.json").write_text(json.dumps({"status": "infeasible"}))
    capsys.readouterr()
    assert cli.main(["compare", str(stopped), folders[0], "--report", str(tmp_path / "none.html")]) == 2
    assert "has no answer (status infeasible)" in capsys.readouterr().err
    assert cli.main(["report", folders[0], "--baseline", "1"]) == 2
    assert "is no sweep" in capsys.readouterr().err
