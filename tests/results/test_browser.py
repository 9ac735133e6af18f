"""A real browser shows the report without a complaint or a request, by keyboard too, on a narrow screen, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from multiscale.results import RunResult
from tests.chromium import NARROW, WIDE, Chromium, executable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(executable() is None, reason="no Chromium on this machine (apt-get install chromium)"),
]
LIVE = "document.documentElement.classList.contains('live')"
LINES = "Bokeh.documents.map((d) => d.get_model_by_name('lines')).find((m) => m)"
FOCUS = "(() => { let a = document.activeElement; while (a?.shadowRoot?.activeElement) a = a.shadowRoot.activeElement; return a; })()"
CUT = """[...document.querySelectorAll('table, svg')]
  .filter((t) => t.getClientRects().length && !t.closest('figure.interactive'))
  .filter((t) => t.getBoundingClientRect().right > document.body.getBoundingClientRect().right + 1)
  .map((t) => t.closest('figure')?.id || t.closest('section')?.id)"""
"""Tables and figures that are wider than the page."""


@pytest.fixture(scope="module")
def browser(finished: RunResult) -> Iterator[Chromium]:
    with Chromium(finished.folder / "report.html", WIDE) as opened:
        opened.wait(LIVE)
        opened.wait(f"{LINES} !== undefined")
        yield opened


def test_no_complaint_and_no_request(browser: Chromium):
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert browser.value("document.querySelectorAll('figure.interactive').length") == 2
    assert browser.value("[...document.querySelectorAll('figure.paper')].every((f) => getComputedStyle(f).display == 'none')")


def test_steps_are_chosen_by_keyboard(browser: Chromium, finished: RunResult):
    loading = finished.dataset.loading.sel(scenario="plan")
    names = browser.value(f"[...{LINES}.data.name]")
    np.testing.assert_allclose(browser.value(f"[...{LINES}.data.loading]"), loading.sel(branch=names).max("period"), rtol=1e-5)
    browser.value("document.querySelector('#live-map').setAttribute('tabindex', '-1'), document.querySelector('#live-map').focus()")
    passed = []
    while len(passed) < 20 and "noUi-handle" not in (passed or [""])[-1]:
        browser.key("Tab", 9)
        passed.append(browser.value(f"{FOCUS}.className"))
    assert "noUi-handle" in passed[-1], passed
    for _ in range(5):
        browser.key("ArrowRight", 39)
    browser.wait(f"{LINES}.data.loading[0] != {float(loading.sel(branch=names[0]).max())}")
    np.testing.assert_allclose(browser.value(f"[...{LINES}.data.loading]"), loading.sel(branch=names).isel(period=4), rtol=1e-5)
    buttons = [browser.key("Tab", 9) or browser.value(f"{FOCUS}.title") for _ in range(9)]
    assert {"Zoom In", "Zoom Out", "Reset"} <= set(buttons)
    assert browser.complaints == []


def test_a_missing_value_is_said_with_its_reason(browser: Chromium):
    """At a step without a solution every loading is missing; a single one is missing where nothing is supplied."""
    asked = "Bokeh.documents.flatMap((d) => [...d._all_models.values()]).find((m) => m.name == 'said_loading').format"
    assert browser.value(f"{asked}(98.765, '', {{}})") == "98.77 % of the rating"
    assert browser.value(f"{asked}(NaN, '', {{}})") == "no value: not supplied, or not part of the power flow"
    sources = "Bokeh.documents.flatMap((d) => [d.get_model_by_name('lines'), d.get_model_by_name('points')]).filter((m) => m)"
    kept = f"window.kept = {sources}.map((s) => s.data.loading)"
    browser.value(f"{kept}, {sources}.forEach((s) => {{ s.data.loading = s.data.loading.map(() => NaN); }}), 0")
    assert browser.value(f"{asked}(NaN, '', {{}})") == "no value: the AC power flow of this step has no solution"
    browser.value(f"{sources}.forEach((s, i) => {{ s.data.loading = window.kept[i]; }}), 0")
    assert browser.complaints == []


def test_nothing_is_cut_on_paper(browser: Chromium, tmp_path: Path):
    browser.send("Emulation.setEmulatedMedia", media="print")
    # A4 less margins, at 96 pixels an inch.
    browser.send("Emulation.setDeviceMetricsOverride", width=688, height=1009, deviceScaleFactor=1, mobile=False)
    assert browser.value(CUT) == []
    assert browser.value("[...document.querySelectorAll('figure.paper')].every((f) => getComputedStyle(f).display != 'none')")
    assert browser.value("[...document.querySelectorAll('figure.interactive')].every((f) => getComputedStyle(f).display == 'none')")
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    browser.send("Emulation.setEmulatedMedia", media="")


def test_a_narrow_screen_scrolls_downwards_only(finished: RunResult):
    with Chromium(finished.folder / "report.html", NARROW) as opened:
        opened.wait(LIVE)
        assert opened.value("document.documentElement.scrollWidth") <= NARROW[0]
        assert opened.value(CUT), "wide tables scroll in a box of their own"
        assert opened.complaints == []


def test_without_scripts_the_figures_for_paper_are_shown(finished: RunResult):
    with Chromium(finished.folder / "report.html", WIDE, scripts=False) as opened:
        opened.send("Emulation.setScriptExecutionDisabled", value=False)
        assert not opened.value(LIVE)
        assert opened.value("[...document.querySelectorAll('figure.paper')].every((f) => getComputedStyle(f).display != 'none')")
        assert opened.value("[...document.querySelectorAll('figure.interactive')].every((f) => getComputedStyle(f).display == 'none')")
