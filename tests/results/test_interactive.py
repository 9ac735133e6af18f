"""What the interactive figures hold is the dataset, and they need nothing but their file."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bokeh.models import CategoricalSlider, ColumnDataSource, CustomJS, Select

from multiscale.results import RunResult
from multiscale.results.data.dataset import reinforced_branches
from multiscale.results.figures.layout import Layout
from multiscale.results.report import embedding
from multiscale.results.report.interactive_map import map_of_run, network_map
from multiscale.results.report.interactive_time import duration, exchange_series, node_figures, price_series
from multiscale.results.report.network_states import ALL_STEPS, states_of, values_of
from multiscale.results.report.page import write_report


@pytest.fixture(scope="module")
def drawn(finished: RunResult):
    """The map of the synthetic study: dataset, values, model."""
    data = finished.of_year().dataset
    layout = Layout(data)
    values = values_of(data, layout, states_of(data))
    return data, values, network_map(data, layout, values, {})


def test_values_pointed_at_are_those_of_the_dataset_in_every_state_and_step(drawn):
    data, values, model = drawn
    show = next(c for c in model.select({"type": CustomJS}) if "all_loading" in c.args)
    states = [str(name) for name in ("plan", "conventional")]
    assert values.titles[:2] == tuple(str(data.scenario_title.sel(scenario=s).item()) for s in states)
    loading = np.reshape(show.args["all_loading"], values.loading.shape)
    voltage = np.reshape(show.args["all_voltage"], values.voltage.shape)
    names = [*model.select_one({"name": "lines"}).data["name"], *model.select_one({"name": "points"}).data["name"]]
    buses = list(model.select_one({"name": "buses"}).data["name"])
    assert set(names) == set(data.branch.values.astype(str)[values.branches])
    for k, scenario in enumerate(states):
        here = data.sel(scenario=scenario)
        np.testing.assert_allclose(loading[k, 1:], here.loading.sel(branch=names).transpose("period", "branch").values, rtol=1e-6)
        np.testing.assert_allclose(loading[k, 0], here.loading.sel(branch=names).max("period").values, rtol=1e-6)
        np.testing.assert_allclose(voltage[k, 1:], here.voltage.sel(bus=buses).transpose("period", "bus").values, rtol=1e-6)
        away = np.abs(here.voltage.sel(bus=buses) - 1.0).max("period").values
        np.testing.assert_allclose(np.abs(voltage[k, 0] - 1.0), away, atol=1e-6)
        assert {n for n, text in zip(names, show.args["all_built"][k], strict=True) if text} == set(reinforced_branches(data, scenario)) & set(names)
    np.testing.assert_allclose([*model.select_one({"name": "lines"}).data["loading"]], loading[0, 0, : values.lines])


def test_every_period_is_a_step_of_the_slider(drawn):
    data, _, model = drawn
    slider = model.select_one({"type": CategoricalSlider})
    assert slider.categories[0] == ALL_STEPS == slider.value
    assert len(slider.categories) == data.sizes["period"] + 1
    assert all(label.startswith(str(period)) for label, period in zip(slider.categories[1:], data.period.values, strict=True))


def test_a_duration_curve_keeps_the_energy_and_falls():
    values, hours = np.array([3.0, np.nan, 9.0, 5.0]), np.array([1000.0, 760.0, 2000.0, 5000.0])
    curve = duration(values, hours)
    assert curve["hours"].tolist() == [0.0, 2000.0, 7000.0, 8000.0, 8760.0]
    assert curve["loading"][:3].tolist() == [9.0, 5.0, 3.0]
    assert np.isnan(curve["loading"][3])
    known = np.diff(curve["hours"])[:3] @ curve["loading"][:3]
    assert known == pytest.approx(np.nansum(values * hours))


def test_prices_and_exchange_of_every_node_are_those_of_the_dataset(finished: RunResult):
    data = finished.of_year().dataset
    prices, exchange = price_series(data), exchange_series(data)
    np.testing.assert_allclose(prices[0].values, 100 * data.import_price.transpose("node", "period").values, rtol=1e-6)
    np.testing.assert_allclose(exchange[0].values, data.exchange.sel(scenario="plan").transpose("node", "period").values, rtol=1e-6)
    last = str(data.node.values[-1])
    model = node_figures(data, last)
    assert model.select_one({"type": Select}).options == [str(n) for n in data.node.values]
    shown = [s.data["s0"] for s in model.select({"type": ColumnDataSource}) if "s0" in s.data]
    assert any(np.allclose(s, exchange[0].values[-1]) for s in shown)


def test_what_does_not_fit_is_named(drawn):
    data, values, _ = drawn
    layout, states = Layout(data), states_of(data)
    each = values.loading[0].size + values.voltage[0].size
    fewer = values_of(data, layout, states, 2 * each)
    assert len(fewer.titles) == 2
    assert all(state.title in fewer.omitted for state in states[2:])
    coarse = values_of(data, layout, states, each)
    assert coarse.steps == (ALL_STEPS,)
    assert "single steps" in coarse.omitted
    np.testing.assert_array_equal(coarse.loading[:, 0], values.loading[:2, 0])
    model = network_map(data, layout, coarse, {})
    assert not model.select_one({"type": CategoricalSlider}).visible


def test_the_same_answer_gives_the_same_text_and_ends_no_script_early(finished: RunResult):
    year = finished.of_year()
    named = replace(year, dataset=year.dataset.assign_coords(branch=[f"<!--<script></script>{b}" for b in year.dataset.branch.values]))
    first, second = (map_of_run(result).html for result in (year, year))
    assert first == second
    text = map_of_run(named).html
    assert text.count("</script>") == text.count("<script") == 1
    assert "<!--" not in text
    assert "<!--<script></script>" in json.dumps(json.loads(_item(text)))


def _item(html: str) -> str:
    return re.search(r'data-target="[^"]*">(.*)</script>', html, re.DOTALL)[1]


def test_values_are_in_the_file_itself(finished: RunResult):
    data = finished.of_year().dataset
    item = json.loads(_item(map_of_run(finished.of_year()).html))
    arrays: list[np.ndarray] = []

    def read(part):
        if isinstance(part, dict):
            if part.get("type") == "ndarray" and part.get("dtype") == "float32":
                raw = base64.b64decode(part["array"]["data"])
                arrays.append(np.frombuffer(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw, dtype=np.float32))
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                read(inner)

    read(item["doc"])
    largest = float(data.loading.sel(scenario="plan").max())
    assert any(np.isclose(array.max(), largest, rtol=1e-6) for array in arrays)


@pytest.mark.usefixtures("undrawn")
def test_a_page_without_interactive_figures_has_no_scripts(finished: RunResult, tmp_path: Path):
    plain = replace(finished, dataset=finished.dataset.drop_vars(["loading", "exchange", "import_price", "export_price"]))
    assert "<script" not in write_report(plain, tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_the_library_adds_is_below_two_megabytes():
    assert len(embedding.scripts().encode()) < 2e6


def test_a_network_along_a_straight_line_fills_the_map(finished: RunResult):
    data = finished.of_year().dataset
    straight = data.assign(bus_y=data.bus_y * 0 + 51.0)
    layout = Layout(straight)
    model = network_map(straight, layout, values_of(straight, layout, states_of(straight)), {})
    frame = model.select_one({"name": "frame"}).data_source.data
    across = np.ptp(layout.x[layout.buses])
    assert np.ptp(frame["x"]) > across
    assert 0.05 * across < np.ptp(frame["y"]) < across
