"""The report can be read alone, and its tables are the dataset."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from multiscale.results import RunResult
from multiscale.results.data.dataset import missing_declarations
from multiscale.results.figures import maps, plots, voltages
from multiscale.results.figures.plots import exchange_figure
from multiscale.results.figures.style import FLOWS, flow_look
from multiscale.results.report.embedding import scripts
from multiscale.results.report.page import rebuild_report, write_report
from multiscale.results.run.provenance import changed_files
from multiscale.results.tables.limitations import sensitivity_table
from multiscale.results.tables.network_tables import options_table, violations_table
from multiscale.results.tables.scenario_tables import money_table, welfare_table
from multiscale.results.words.answer import answer, reinforcements
from multiscale.results.words.closing_table import print_closing_table
from multiscale.results.words.comparison import print_comparison
from multiscale.results.words.headline import headline
from multiscale.results.words.numbers import THIN, signed


@pytest.fixture(scope="module")
def page(finished: RunResult) -> str:
    """The report without the script of the plotting library."""
    return (finished.folder / "report.html").read_text(encoding="utf-8").replace(scripts(), "")


def _download(page: str, name: str) -> pd.DataFrame:
    data = re.search(rf'download="{name}.csv" href="data:text/csv;base64,([^"]*)"', page).group(1)
    return pd.read_csv(io.StringIO(base64.b64decode(data).decode("utf-8")))


def test_nothing_is_fetched_from_elsewhere(page: str):
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page, flags=re.IGNORECASE)
    assert not re.search(r"<(link|iframe|img)\b", page)
    data = [f'<script type="application/json" class="live-data" data-target="live-{key}"' for key in ("map", "nodes")]
    assert re.findall(r"<script\b[^>]*", page) == data
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert re.findall(r"<script\b[^>]*>", scripts()) == ["<script>"] * 4


def test_the_page_is_well_formed(page: str):
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, _: object) -> None:
            if tag not in {"meta", "br", "hr", "wbr"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(page)
    assert parser.open == []


def test_every_section_is_there_and_nothing_is_missing(page: str):
    assert page.count("<svg") == 7
    assert 'class="missing"' not in page
    body = ("answer", "plan", "network", "operation", "money", "checks", "limitations", "data", "model", "reproducibility")
    for key in (*body, "payments", "definitions", "assumptions", "values"):
        assert f'<section id="{key}">' in page


@pytest.mark.usefixtures("undrawn")
def test_what_failed_is_the_first_thing_on_the_page(finished: RunResult, tmp_path: Path):
    summary = finished.summary | {"ac.max_line_overload": (7.3, "%"), "plan.gap": (0.0, "1")}
    result = RunResult(finished.folder, finished.dataset, summary, "feasible", {"message": "AC power flow of MV2.101: 2 violations of limits"})
    text = write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    box = text.index('id="failures"')
    assert box < text.index('id="answer"')
    assert box < text.index("AC power flow of MV2.101: 2 violations of limits") < text.index('id="answer"')
    assert text.index("✗") < text.index("✓")
    proven = finished.summary | {"plan.gap": (0.0, "1")}
    sound = write_report(RunResult(finished.folder, finished.dataset, proven, "optimal"), tmp_path / "sound.html").read_text(encoding="utf-8")
    assert 'id="failures"' not in sound
    assert "✗" not in sound


def test_sensitivities_are_the_scenarios_with_one_kind_of_cost_scaled(finished: RunResult):
    table = sensitivity_table(finished).frame.set_index("kind of cost")
    cost = finished.dataset.real_cost.sum("stakeholder")
    scaled = cost * xr.where(cost.cost == "production", 1.1, 1.0)
    saved = scaled.sel(scenario="conventional").sum() - scaled.sel(scenario="plan").sum()
    assert table.loc["production", "saved with +10 %"] == pytest.approx(float(saved))
    factor = 1.0 - 15e3 / 16e3
    assert table.loc["production", "saving is zero at"] == f"{factor:.4f} times"


def test_why_goes_by_the_usable_rating(finished: RunResult):
    data = finished.dataset
    usable = xr.DataArray(
        np.tile([46.5, 93.0], (data.sizes["branch"], 1)), dims=("branch", "flow_direction"), coords={"flow_direction": ["to customers", "back"]}
    )
    need = xr.where(data.option_built > 0, 140.0, 60.0)
    result = RunResult(finished.folder, data.assign(branch_usable=usable, option_need=need), finished.summary, "optimal")
    frame = options_table(result).frame
    assert set(frame["usable"]) == {f"46.5{THIN}/{THIN}93"}
    assert dict(zip(frame["decision"], frame["why"], strict=True)) == {"build": "short of usable rating without it", "leave": "within usable rating"}
    assert "usable rating towards customers" not in duration_labels(finished)
    assert {"rating", "usable rating towards customers", "usable rating back"} <= duration_labels(result)


def test_differences_are_drawn_where_two_profiles_coincide(finished: RunResult):
    data = finished.dataset
    same = data.assign(exchange_integrated=data.exchange.sel(scenario="plan", drop=True))
    for dataset, coincide in ((data, False), (same, True)):
        labels = drawn_labels(exchange_figure, RunResult(finished.folder, dataset, finished.summary, "optimal"))
        assert ("integrated optimum less that" in labels) is not coincide
        assert ("integrated optimum: the same" in labels) is coincide


def test_a_flow_has_one_colour_in_every_report():
    looks = [flow_look(flow) for flow in FLOWS]
    assert len(set(looks)) == len(looks)
    assert len({colour for colour, _ in looks}) == len(looks)
    assert flow_look("a component of one's own") == flow_look("a component of one's own")


def test_no_title_of_a_map_is_clipped(finished: RunResult):
    titles: list[tuple[str, bool]] = []

    def keep(figure: Figure, description: str) -> str:
        figure.draw_without_rendering()
        page = figure.bbox
        for text in figure.findobj(Text):
            box = text.get_window_extent()
            if text.get_fontweight() == "bold" and text.get_text():
                titles.append((text.get_text(), page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1))
        return description

    long = xr.DataArray([f"{title}, response and trading, purchases" for title in finished.dataset.scenario_title.values], dims="scenario")
    tall = finished.dataset.assign(scenario_title=long)
    result = RunResult(finished.folder, tall, finished.summary, "optimal")
    for module, draw in ((maps, maps.loading_map), (voltages, voltages.voltage_figure)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "svg", keep)
            draw(result)
    assert sum("purchases" in title for title, _ in titles) == 4
    assert all(whole for _, whole in titles)


def drawn_labels(draw: Callable[[RunResult], object], result: RunResult) -> set[str]:
    """Texts of the legend and the axes of a figure."""
    found: set[str] = set()

    def keep(figure: Figure, description: str) -> str:
        found.update(text.get_text() for text in figure.findobj(Text))
        return description

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "svg", keep)
        draw(result)
    return found


def duration_labels(result: RunResult) -> set[str]:
    return drawn_labels(plots.duration_figure, result)


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
    assert set(summary["key"]) == {key for key in finished.summary if not key.startswith(("time.", "memory."))}


def test_the_answer_names_what_is_built_and_who_gains(finished: RunResult):
    built = reinforcements(finished)
    assert len(built) == 3
    assert [b.need for b in built] == sorted((b.need for b in built), reverse=True)
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


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.usefixtures("undrawn")
def test_a_report_is_rebuilt_from_the_folder_and_stays_verified(finished: RunResult, tmp_path: Path):
    folder = tmp_path / finished.folder.name
    shutil.copytree(finished.folder, folder)
    (folder / "report.html").unlink()
    assert rebuild_report(folder).is_file()
    assert changed_files(folder) == []


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


def test_the_headline_tells_what_each_step_costs_society(finished: RunResult):
    """Steps add up to minus what all gain together, so that no step hides behind another."""
    assert not any("by step" in sentence for sentence in headline(finished))
    names = ["existing", "conventional", "response", "trading", "plan"]
    data = finished.dataset[["real_cost", "money", "welfare"]].drop_vars("scenario")
    wide = data.isel(scenario=[0, 1, 1, 2, 2]).assign_coords(scenario=names).assign_attrs(finished.dataset.attrs)
    cost = wide.real_cost.copy()
    cost[{"scenario": 3}] += 1000.0
    wide = wide.assign(real_cost=cost, scenario_title=("scenario", names))
    [said] = [s for s in headline(replace(finished, dataset=wide, summary={})) if "by step" in s]
    steps = cost.sum(("stakeholder", "cost")).diff("scenario").values[1:]
    for name, step in zip(("plan of the study, with demand response", "trading", "purchases in answer to the charge"), steps, strict=True):
        assert f"{name} {signed(float(step))}" in said
