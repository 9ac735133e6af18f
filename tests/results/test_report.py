"""The report can be read alone, and its tables are the dataset."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from multiscale.results import RunResult
from multiscale.results.answer import answer, reinforcements
from multiscale.results.closing_table import print_closing_table
from multiscale.results.comparison import print_comparison
from multiscale.results.dataset import missing_declarations
from multiscale.results.headline import headline
from multiscale.results.network_tables import options_table, violations_table
from multiscale.results.provenance import changed_files
from multiscale.results.report import rebuild_report, write_report
from multiscale.results.scenario_tables import money_table, welfare_table


@pytest.fixture(scope="module")
def page(finished: RunResult) -> str:
    return (finished.folder / "report.html").read_text(encoding="utf-8")


def _download(page: str, name: str) -> pd.DataFrame:
    data = re.search(rf'download="{name}.csv" href="data:text/csv;base64,([^"]*)"', page).group(1)
    return pd.read_csv(io.StringIO(base64.b64decode(data).decode("utf-8")))


def test_nothing_is_fetched_from_elsewhere(page: str):
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page, flags=re.IGNORECASE)
    assert not re.search(r"<(script|link|iframe|img)\b", page)
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_the_page_is_well_formed(page: str):
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, _: object) -> None:
            if tag not in {"meta", "br", "hr"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(page)
    assert parser.open == []


def test_every_section_is_there_and_nothing_is_missing(page: str):
    assert page.count("<svg") == 7
    assert 'class="missing"' not in page
    for key in ("answer", "plan", "network", "operation", "money", "checks", "data", "assumptions", "model", "reproducibility"):
        assert f'<section id="{key}">' in page


def test_figures_are_described(page: str):
    assert page.count('role="img" aria-label="') == page.count("<svg")


def test_downloaded_tables_add_up_to_the_dataset(page: str, finished: RunResult):
    data = finished.dataset
    money = _download(page, "money_plan").set_index("stakeholder")
    used = [f for f in data.flow.values if np.abs(data.money.sel(flow=f, scenario="plan")).max() > 0]
    assert len(used) == 6
    for flow in used:
        received = float(data.money.sel(flow=flow, scenario="plan").sum())
        assert money[f"{flow} [EUR/a]"].iloc[:-1].sum() == pytest.approx(received, abs=1e-6)
        assert money.loc["total", f"{flow} [EUR/a]"] == pytest.approx(received, abs=1e-6)
    options = _download(page, "options")
    built = options[options["decision"] == "build"]
    assert built["investment [EUR]"].sum() == pytest.approx(finished.value("plan.investment"))
    assert options["investment [EUR]"].sum() == pytest.approx(float(data.option_cost.sum()))
    bills = _download(page, "bills")
    assert bills["sum with plan [EUR/a]"].sum() == pytest.approx(float(data.bill.sel(scenario="plan").sum()))
    energy = _download(page, "energy").set_index("term")
    assert energy.loc["demand", "Existing network, no trading [MWh/a]"] == pytest.approx(
        float(data.energy.sel(scenario="existing", term="demand").sum()) / 1000
    )
    summary = _download(page, "summary")
    assert len(summary) >= len(finished.summary) - 1


def test_the_answer_names_what_is_built_and_who_gains(finished: RunResult):
    built = reinforcements(finished)
    assert len(built) == 3
    assert [b.peak_before for b in built] == sorted((b.peak_before for b in built), reverse=True)
    text = " ".join(headline(finished))
    assert all(b.branch in text for b in built)
    assert "4.37" in text
    facts = {f.label: f for f in answer(finished)}
    assert facts["AC power flow"].good
    assert facts["Who gains, who loses"].text.startswith("prosumers +41")


def test_a_violation_is_not_hidden(finished: RunResult):
    summary = finished.summary | {
        "ac.max_line_overload": (7.3, "%"),
        "ledger.money_residual": (0.4, "1"),
        "plan.certificate.follower_gap": (1e-3, "1"),
    }
    facts = {f.label: f for f in answer(RunResult(finished.folder, finished.dataset, summary, "feasible"))}
    assert not facts["AC power flow"].good
    assert "7.3 %" in facts["AC power flow"].text
    assert not facts["Ledger"].good
    assert not facts["Platforms' answer"].good


def test_every_limit_violated_is_named_with_its_hours(finished: RunResult):
    table = violations_table(finished)
    assert table.note.endswith("With plan and trading: 0; Conventional plan, no trading: 3; Existing network, no trading: 3.")
    loading = finished.dataset.loading.sel(scenario="conventional", branch=table.frame["where"].iloc[0])
    assert table.frame["worst value"].iloc[0] == pytest.approx(float(loading.max()))
    assert table.frame["hours of the year"].iloc[0] == pytest.approx(float(finished.dataset.period_hours.where(loading > 100).sum()))
    assert set(table.frame["unit"]) == {"%"}


def test_money_of_every_flow_adds_up_to_zero(finished: RunResult):
    for scenario in ("existing", "conventional", "plan"):
        table = money_table(finished, scenario).frame.set_index("stakeholder")
        flows = [c for c in table.columns if c not in ("sum", "real costs borne", "in all")]
        assert np.abs(table.loc["total", flows].to_numpy(dtype=float)).max() < 1e-6
        cost = float(finished.dataset.real_cost.sel(scenario=scenario).sum())
        assert table.loc["total", "in all"] == pytest.approx(-cost)


def test_every_variable_has_unit_and_name(finished: RunResult):
    assert missing_declarations(finished.dataset) == []


@pytest.mark.parametrize(
    "lost", [("loading", "money", "energy"), ("voltage", "bill", "option_built"), ("import_price", "exchange", "bus_x", "period_hours")]
)
def test_missing_variables_cost_their_sections_and_no_more(finished: RunResult, tmp_path: Path, lost: tuple[str, ...]):
    result = RunResult(finished.folder, finished.dataset.drop_vars(lost), finished.summary, "optimal", finished.details)
    text = write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("the result does not hold the data for it") >= len(lost)
    assert 'id="reproducibility"' in text


def test_an_empty_result_still_gives_a_report(tmp_path: Path):
    text = write_report(RunResult(tmp_path, xr.Dataset(), {}, "feasible"), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "This run holds no plan" in text


def test_names_cannot_break_the_page(finished: RunResult, tmp_path: Path):
    data = finished.dataset[["money", "welfare"]]
    names = ['<b>&"', *data.stakeholder.values[1:]]
    result = RunResult(finished.folder, data.assign_coords(stakeholder=names), finished.summary, "optimal")
    text = write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in text


def test_a_report_is_rebuilt_from_the_folder_and_stays_verified(finished: RunResult):
    (finished.folder / "report.html").unlink()
    assert rebuild_report(finished.folder).is_file()
    assert changed_files(finished.folder) == []


def test_closing_table_tells_what_to_build_and_the_proofs(finished: RunResult):
    console = Console(width=120, record=True, file=io.StringIO())
    print_closing_table(finished, console)
    text = console.export_text()
    for expected in ("3 reinforcements", "parallel cable", "4.37", "gap 0.52", "no limit violated", "prosumers +41", "GB at most", "report.html"):
        assert expected in text


def test_comparison_shows_what_differs(finished: RunResult):
    other = RunResult(finished.folder, finished.dataset, finished.summary | {"plan.price.network_charge": (0.05, "EUR/kWh")}, "feasible")
    console = Console(width=120, record=True, file=io.StringIO())
    print_comparison([finished, other], console=console)
    text = console.export_text()
    assert "plan.price.network_charge" in text
    assert "+14.42 %" in text
    assert "plan.investment" not in text


def test_options_and_welfare_tables_are_complete(finished: RunResult):
    assert len(options_table(finished).frame) == finished.dataset.sizes["option"]
    assert welfare_table(finished).frame["change"].iloc[-1] == pytest.approx(
        float((finished.dataset.welfare.sel(scenario="plan") - finished.dataset.welfare.sel(scenario="conventional")).sum()), abs=1e-6
    )
