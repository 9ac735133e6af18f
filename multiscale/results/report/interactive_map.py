"""The map of the network that can be zoomed and asked: loading, voltage and what is built, at every step and in every state of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from multiscale.results.data.dataset import FLOW_DIRECTIONS, has
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.maps import loading_colours, placed_words
from multiscale.results.figures.style import GROUND, RED
from multiscale.results.report.embedding import embedded
from multiscale.results.report.exhibits import Interactive
from multiscale.results.report.interactive_time import branch_curves
from multiscale.results.report.network_states import Shown, states_of, values_of
from multiscale.results.report.pointed_at import NOT_SOLVED, NOT_SUPPLIED, said
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import reinforcements
from multiscale.results.words.numbers import number

if TYPE_CHECKING:
    from bokeh.models import Column, ColumnDataSource
    from bokeh.plotting import figure

_INK, _PALE = "#111827", "#9ca3af"

_SHOW = """
const k = Number(state.value), t = step.categories.indexOf(step.value), at = k * step.categories.length + t;
const part = (values, n) => Array.prototype.slice.call(values, at * n, at * n + n);
const loading = part(all_loading, n_branches), voltage = part(all_voltage, n_buses), there = all_built[k];
const n = lines.data.name.length;
for (const [source, values, measures] of [[lines, loading.slice(0, n), there.slice(0, n)], [points, loading.slice(n), there.slice(n)]])
  source.data = {...source.data, loading: values, built: measures.map((m) => m || "nothing"), cased: measures.map((m) => m ? 1 : 0)};
buses.data = {...buses.data, voltage, place: voltage.map((v, i) => (v - buses.data.low[i]) / (buses.data.high[i] - buses.data.low[i]))};
"""
"""Puts the values of the chosen state and step on the map."""

_ASKED = "if (cb_obj.indices.length) branch.value = source.data.name[cb_obj.indices[0]];"
"""A branch that is clicked is the chosen one."""


HOW = (
    "Point at a line, a transformer (square; two rings: fed from a higher voltage) or a bus (dot) for its values; click it for its curves. Drag to "
    "move, Ctrl and wheel or the buttons to zoom; keyboard: Tab to a control, arrow keys on the slider and in the lists, Enter on a button. Cased or "
    "framed in black: built in the state shown; numbers: places in the list of the answer. Orange dot: voltage outside its band. Dotted curves: "
    "the rating; dashed: the usable rating. The boxes hide or show curves."
)
"""How the map is used."""


def map_of_run(result: RunResult) -> Interactive | None:
    """The map of all scenarios of a run; None where the dataset holds no network or no power flow."""
    data = result.dataset
    if data is None or not has(data, "loading", "period_hours", "branch_from", "branch_to", "bus_x", "bus_y", "bus_vn_kv"):
        return None
    layout = Layout(data)
    if not layout.drawable:
        return None
    values = values_of(data, layout, states_of(data))
    numbers = {b.branch: i + 1 for i, b in enumerate(reinforcements(result))}
    html = embedded(network_map(data, layout, values, numbers), "map", "Map of the network with loading, voltage and what is built, at a chosen step")
    return Interactive(html, " ".join(filter(None, [HOW, placed_words(layout), values.omitted])))


def network_map(data: xr.Dataset, layout: Layout, shown: Shown, numbers: Mapping[str, int]) -> Column:
    """The map with its controls, and below it the chosen branch over time.

    Args:
        data: whose network is drawn.
        layout: where everything is drawn.
        shown: the values.
        numbers: branch -> its number in the list of the answer.
    """
    from bokeh.models import CategoricalSlider, Column, CustomJS, Row, Select
    from bokeh.plotting import figure

    names = data.branch.values.astype(str)[shown.branches].tolist()
    lines, points, buses = _sources(data, layout, shown, names)
    tall = int(np.clip(960 * layout.aspect, 320, 560))
    plot = figure(
        sizing_mode="stretch_width",
        height=tall + 60,
        match_aspect=not layout.schematic,
        background_fill_color=GROUND,
        tools="",
        toolbar_location="above",
    )
    plot.axis.visible = plot.grid.visible = False
    plot.outline_line_color = None
    # Keeps the whole network in sight, also one along a straight line, which has no extent in one direction.
    left, right, bottom, top = layout.frame
    plot.scatter([left, right], [bottom, top], size=0, alpha=0, name="frame")
    _draw(plot, layout, lines, points, buses, shown)
    _numbered(plot, layout, names, shown, numbers)
    _tools(plot)

    largest = shown.loading[0, 0]
    order = sorted(range(len(names)), key=lambda i: (names[i] not in numbers, -np.nan_to_num(largest[i])))
    state = Select(
        title="State of the network", value="0", options=[(str(k), title) for k, title in enumerate(shown.titles)], sizing_mode="stretch_width"
    )
    branch = Select(title="Branch in the curves below", value=names[order[0]], options=[names[i] for i in order], sizing_mode="stretch_width")
    step = CategoricalSlider(
        title="Time step", categories=list(shown.steps), value=shown.steps[0], sizing_mode="stretch_width", visible=len(shown.steps) > 1
    )
    values = {"all_loading": shown.loading.ravel(), "all_voltage": shown.voltage.ravel(), "all_built": [list(b) for b in shown.built]}
    counts = {"n_branches": len(names), "n_buses": len(shown.buses)}
    controls = {"state": state, "step": step, "branch": branch}
    show = CustomJS(args={"lines": lines, "points": points, "buses": buses} | controls | values | counts, code=_SHOW)
    state.js_on_change("value", show)
    step.js_on_change("value", show)
    for source in (lines, points):
        source.selected.js_on_change("indices", CustomJS(args={"branch": branch, "source": source}, code=_ASKED))
    children: list[Any] = [Row(state, branch, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"}), step, plot]
    if len(shown.steps) > 1:
        children += branch_curves(data, shown, names, usable(data, shown), controls, shown.loading.ravel())
    return Column(*children, sizing_mode="stretch_width")


def usable(data: xr.Dataset, shown: Shown) -> np.ndarray:
    """Usable rating of every drawn branch towards customers and back [%], dims (branch, direction); the rating where none is stated."""
    if not has(data, "branch_usable"):
        return np.full((len(shown.branches), 2), 100.0)
    return data.branch_usable.sel(flow_direction=list(FLOW_DIRECTIONS)).transpose("branch", "flow_direction").values[shown.branches].astype(float)


def _sources(data: xr.Dataset, layout: Layout, shown: Shown, names: list[str]) -> tuple[ColumnDataSource, ColumnDataSource, ColumnDataSource]:
    """Lines, transformers at their sites, and buses with what is said of each, as first shown."""
    from bokeh.models import ColumnDataSource

    def text(name: str) -> list[str]:
        return data[name].values.astype(str)[shown.branches].tolist() if has(data, name) else [""] * len(names)

    known = {
        "name": names,
        "kind": text("branch_kind"),
        "ends": [f"{a} – {b}" for a, b in zip(text("branch_from"), text("branch_to"), strict=True)],
        "rating": data.branch_rating.values[shown.branches].astype(float) if has(data, "branch_rating") else np.full(len(names), np.nan),
        "usable": [" to customers, ".join(map(number, row)) + " back" for row in usable(data, shown).tolist()],
        "loading": shown.loading[0, 0],
        "built": [measure or "nothing" for measure in shown.built[0]],
        "cased": [1.0 if measure else 0.0 for measure in shown.built[0]],
    }
    n = shown.lines
    drawn = layout.branches.copy()
    ends = layout.segments(drawn)
    line = {key: values[:n] for key, values in known.items()} | {"xs": ends[:, :, 0].tolist(), "ys": ends[:, :, 1].tolist()}
    at = layout.site_bus[shown.branches[n:]]
    marks = ["circle" if layout.substations[b] else "square" for b in shown.branches[n:]]
    point = {key: values[n:] for key, values in known.items()} | {"x": layout.x[at], "y": layout.y[at], "mark": marks}
    low, high = (data[v].values[shown.buses].astype(float) if has(data, v) else np.full(len(shown.buses), e) for v, e in _BAND)
    voltage = shown.voltage[0, 0]
    bus = {
        "name": data.bus.values.astype(str)[shown.buses].tolist(),
        "kv": data.bus_vn_kv.values[shown.buses].astype(float),
        "low": low,
        "high": high,
        "voltage": voltage,
        "place": (voltage - low) / (high - low),
        "x": layout.x[shown.buses],
        "y": layout.y[shown.buses],
    }
    return ColumnDataSource(line, name="lines"), ColumnDataSource(point, name="points"), ColumnDataSource(bus, name="buses")


_BAND = (("bus_v_min", -np.inf), ("bus_v_max", np.inf))


def _draw(plot: figure, layout: Layout, lines: ColumnDataSource, points: ColumnDataSource, buses: ColumnDataSource, shown: Shown) -> None:
    from bokeh.models import ColorBar, FixedTicker, HoverTool, LinearColorMapper

    top = max(120.0, 10 * np.ceil(min(float(np.nanmax(shown.loading, initial=0.0)), 200.0) / 10))
    look = loading_colours(top).get_cmap()
    palette = [to_hex(c) for c in look((np.arange(int(2 * top)) + 0.5) / int(2 * top))]
    colours = LinearColorMapper(palette=palette, low=0.0, high=top, nan_color=_PALE)
    inside = LinearColorMapper(palette=["#ffffff"], low=-1e-9, high=1.0 + 1e-9, low_color=RED, high_color=RED, nan_color=_PALE)
    loaded = {"field": "loading", "transform": colours}
    same = {"nonselection_alpha": 1.0}
    open_ends = layout.segments(layout.open)
    if len(open_ends):
        plot.multi_line(open_ends[:, :, 0].tolist(), open_ends[:, :, 1].tolist(), color=_PALE, line_width=1.5, line_dash="dotted")
    for width, colour in ((13, _INK), (10, "white")):
        plot.multi_line("xs", "ys", source=lines, line_color=colour, line_width=width, line_alpha="cased", nonselection_line_alpha="cased")
    line = plot.multi_line(
        "xs", "ys", source=lines, line_color=loaded, line_width=5, line_cap="round", hover_line_color=_INK, nonselection_line_alpha=1.0
    )
    plot.scatter(
        "x", "y", source=points, size=22, marker="mark", fill_color="white", line_color=_INK, line_width=2, alpha="cased", nonselection_alpha="cased"
    )
    point = plot.scatter("x", "y", source=points, size=13, marker="mark", fill_color=loaded, line_color=_INK, hover_line_color=RED, **same)
    bus = plot.scatter("x", "y", source=buses, size=5, fill_color={"field": "place", "transform": inside}, line_color="#374151", **same)
    rings = np.unique(layout.site_bus[layout.substations])
    for offset in (0, 1):
        plot.scatter(layout.x[rings], layout.y[rings], size=20 + 8 * offset, fill_color=None, line_color="#374151", line_width=2)
    for text, x, y in layout.labels:
        plot.text([x], [y], [text], text_align="center", y_offset=-12, text_font_size="12px", text_color="#374151")
    words = [
        ("", "<b>@name</b> (@kind)"),
        ("ends", "@ends"),
        ("loading", "@loading{custom}"),
        ("usable", "@usable [% of the rating]"),
        ("rating before the plan", "@rating{custom}"),
        ("built", "@built"),
    ]
    branches = (lines, points)
    formatters = {
        "@loading": said("loading", " % of the rating", 2, NOT_SUPPLIED, NOT_SOLVED, branches),
        "@rating": said("rating", " kVA", 1, "the branch has no rating", "the dataset holds no ratings", branches),
    }
    voltages = {"@voltage": said("voltage", " pu", 5, NOT_SUPPLIED, "the AC power flow of this step has no solution, or was not computed", (buses,))}
    plot.add_tools(
        HoverTool(renderers=[line], tooltips=words, formatters=formatters, line_policy="interp", description="Values of lines"),
        HoverTool(renderers=[point], tooltips=words, formatters=formatters, description="Values of transformers"),
        HoverTool(
            renderers=[bus],
            tooltips=[
                ("", "<b>@name</b> (bus, @kv{0.[00]} kV)"),
                ("voltage", "@voltage{custom}"),
                ("band", "@low{0.00[0]} to @high{0.00[0]} pu"),
            ],
            formatters=voltages,
            attachment="below",
            description="Voltages of buses",
        ),
    )
    ticks = FixedTicker(ticks=list(range(0, int(top) + 1, 20)))
    title = "loading of the rating under AC power flow [%]"
    plot.add_layout(ColorBar(color_mapper=colours, ticker=ticks, title=title, height=10, padding=4, title_text_font_style="normal"), "below")


def _numbered(plot: figure, layout: Layout, names: list[str], shown: Shown, numbers: Mapping[str, int]) -> None:
    """The numbers of the answer next to what is reinforced."""
    at = [(layout.point(int(b)), numbers[name]) for b, name in zip(shown.branches, names, strict=True) if name in numbers]
    if at:
        (x, y), text = zip(*(place for place, _ in at), strict=True), [str(n) for _, n in at]
        plot.text(
            x, y, text, x_offset=16, y_offset=-10, text_font_size="12px", text_font_style="bold", text_baseline="middle", text_align="center",
            background_fill_color="white", border_line_color=_INK, padding=3, border_radius=8,
        )  # fmt: skip


def _tools(plot: figure) -> None:
    from bokeh.models import PanTool, ResetTool, SaveTool, TapTool, WheelZoomTool, ZoomInTool, ZoomOutTool

    # The wheel alone scrolls the page.
    wheel = WheelZoomTool(modifiers={"ctrl": True})
    plot.add_tools(ZoomInTool(factor=0.3), ZoomOutTool(factor=0.3), PanTool(), wheel, ResetTool(), SaveTool(), TapTool())
    plot.toolbar.active_scroll = wheel
    plot.toolbar.logo = None
