"""Interactive figures over time: a branch over the representative days and its duration curve; prices and exchange of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.figures.plots import chosen_nodes
from multiscale.results.figures.style import COLOURS, FORECAST, INTEGRATED, RED
from multiscale.results.report.embedding import embedded
from multiscale.results.report.exhibits import Interactive
from multiscale.results.report.network_states import Shown
from multiscale.results.run.run_result import RunResult

if TYPE_CHECKING:
    from bokeh.models import CheckboxGroup, Column, ColumnDataSource, GlyphRenderer, LayoutDOM
    from bokeh.plotting import figure

_BRANCH = """
const b = names.indexOf(branch.value), n = names.length, steps = step.categories.length;
curves.forEach((source, k) => {
  const values = period.map((_, t) => loading[(k * steps + t + 1) * n + b]);
  source.data = {...source.data, loading: values};
  const rank = (t) => Number.isNaN(values[t]) ? -Infinity : values[t];
  const order = [...values.keys()].sort((i, j) => rank(j) > rank(i) ? 1 : rank(j) < rank(i) ? -1 : 0);
  let reached = 0;
  const above = order.map((t) => { const from = reached; reached += hours[t]; return from; });
  durations[k].data = {hours: [...above, reached], loading: [...order.map((t) => values[t]), values[order[order.length - 1]]]};
});
[towards, back].forEach((lines, k) => lines.forEach((line) => { line.location = usable[2 * b + k]; }));
over_time.title.text = branch.value;
"""
"""Puts the chosen branch into the curves."""

_WRAPPED = ".bk-input-group { flex-wrap: wrap; white-space: normal; height: auto; column-gap: 10px; }"
"""Boxes in as many lines as a narrow screen needs."""

_CHOSEN = """
for (const group of [...lines, items]) group.forEach((line, i) => { line.visible = cb_obj.active.includes(i); });
"""
"""Shows the lines that are ticked."""

_NOW = "const t = step.categories.indexOf(step.value); now.location = t - 0.5; now.visible = t > 0;"


def branch_curves(
    data: xr.Dataset, shown: Shown, names: Sequence[str], usable: np.ndarray, controls: Mapping[str, Any], loading: np.ndarray
) -> list[LayoutDOM]:
    """Loading of the chosen branch over time and as duration curve, in every state of the map."""
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, Row, Span

    b, titles = list(names).index(controls["branch"].value), list(shown.titles)
    hours = data.period_hours.values.astype(float)
    periods = list(shown.steps[1:])
    values = shown.loading[:, 1:, b].astype(float)
    curves = [ColumnDataSource({"at": np.arange(len(periods)), "period": periods, "loading": v}, name=f"curve {k}") for k, v in enumerate(values)]
    durations = [ColumnDataSource(duration(v, hours), name=f"duration {k}") for k, v in enumerate(values)]
    time = _over_periods(data, "loading of the rating [%]")
    time.title.text = str(names[b])
    of_year = _figure("hours of the year [h/a]", "loading of the rating [%]")
    limits: dict[str, list[Span]] = {"towards": [], "back": []}
    for plot in (time, of_year):
        plot.y_range.start = 0
        plot.add_layout(Span(location=100.0, dimension="width", line_color=RED, line_dash="dotted", line_width=2))
        for (name, spans), place in zip(limits.items(), usable[b], strict=True):
            spans.append(Span(location=float(place), dimension="width", line_color="#9a3412", line_dash="dashed" if name == "towards" else "dotdash"))
            plot.add_layout(spans[-1])
    drawn: list[tuple[GlyphRenderer, GlyphRenderer]] = []
    for k, title in enumerate(titles):
        look = {"line_color": COLOURS[k % len(COLOURS)], "line_width": 2.0 if k < 2 else 1.2, "line_dash": _DASHES[k % len(_DASHES)]}
        line = time.step("at", "loading", source=curves[k], mode="center", **look)
        curve = of_year.step("hours", "loading", source=durations[k], mode="after", **look)
        drawn.append((line, curve))
        time.add_tools(HoverTool(renderers=[line], tooltips=[("", title), ("step", "@period"), ("loading", "@loading{0.00} %")], visible=False))
        of_year.add_tools(
            HoverTool(renderers=[curve], tooltips=[("", title), ("loading", "@loading{0.00} %"), ("from", "@hours{0,0} h/a")], visible=False)
        )
    now = Span(location=-0.5, dimension="height", line_color="#111827", visible=False)
    time.add_layout(now)
    controls["step"].js_on_change("value", CustomJS(args={"step": controls["step"], "now": now}, code=_NOW))
    args = {
        "step": controls["step"], "branch": controls["branch"], "names": list(names), "loading": loading, "usable": usable.ravel(),
        "hours": hours.tolist(), "period": periods, "curves": curves, "durations": durations, "over_time": time, **limits,
    }  # fmt: skip
    controls["branch"].js_on_change("value", CustomJS(args=args, code=_BRANCH))
    choice = _choice(titles, ((time, [line for line, _ in drawn]), (of_year, [curve for _, curve in drawn])), range(min(2, len(titles))))
    return [choice, Row(time, of_year, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})]


def duration(values: np.ndarray, hours: np.ndarray) -> dict[str, np.ndarray]:
    """Hours of the year at or above a value: values in descending order, each from the hours at which it begins, the last one again at the end."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return {"hours": np.concatenate([[0.0], np.cumsum(hours[order])]), "loading": np.append(values[order], values[order][-1:])}


_NODE = """
const k = node.options.indexOf(node.value), n = prices.data.at.length;
for (const [source, all] of [[prices, all_prices], [exchange, all_exchange]])
  source.data = {...source.data, ...Object.fromEntries(all.map((v, i) => [`s${i}`, Array.prototype.slice.call(v, k * n, k * n + n)]))};
"""
"""Puts the chosen node into the figures of prices and exchange."""

_DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")


@dataclass(frozen=True)
class Series:
    """One line of a figure.

    Attributes:
        label: in the legend.
        values: dims (node, period).
        colour, dash: its look.
        visible: whether it is shown at first.
    """

    label: str
    values: np.ndarray
    colour: str
    dash: str
    visible: bool = True


def nodes_of_run(result: RunResult) -> Interactive | None:
    """Prices and exchange of every node of a run; None where the dataset has neither."""
    data = result.dataset
    if data is None or "node" not in data.dims or data.sizes["node"] == 0 or not has(data, "period_hours"):
        return None
    figures = node_figures(data, chosen_nodes(data)[0])
    caption = (
        "Prices of energy from above, and power drawn from there (negative: fed back), of the chosen node on all representative days. "
        "Point at a line for its values; the boxes hide or show lines."
    )
    return None if figures is None else Interactive(embedded(figures, "nodes", "Prices and exchange of a chosen node over time"), caption)


def node_figures(data: xr.Dataset, first: str) -> Column | None:
    """Prices and exchange of a chosen node over the representative days; None where the dataset has neither.

    Args:
        data: of one year.
        first: the node shown first.
    """
    from bokeh.models import Column, CustomJS, Select

    prices, exchange = price_series(data), exchange_series(data)
    if not prices and not exchange:
        return None
    names = [str(n) for n in data.node.values]
    node = Select(title="Node", value=first, options=names, width=320)
    shown, sources = [], []
    for series, y, unit in ((prices, "price [ct/kWh]", "ct/kWh"), (exchange, "power from above [kW]", "kW")):
        plot, source, lines = _lines(data, series, names.index(first), y, unit)
        sources.append(source)
        if series:
            shown += [_choice([s.label for s in series], ((plot, lines),), [i for i, s in enumerate(series) if s.visible]), plot]
    args = {
        "node": node, "prices": sources[0], "exchange": sources[1],
        "all_prices": [s.values.ravel() for s in prices], "all_exchange": [s.values.ravel() for s in exchange],
    }  # fmt: skip
    node.js_on_change("value", CustomJS(args=args, code=_NODE))
    return Column(node, *shown, sizing_mode="stretch_width")


def price_series(data: xr.Dataset) -> list[Series]:
    """Published prices of every node [ct/kWh]."""
    known = (("import", "import_price", COLOURS[0], "solid"), ("export", "export_price", COLOURS[1], "dashed"))
    return [Series(label, 100 * _by_node(data[name]), colour, dash) for label, name, colour, dash in known if has(data, name)]


def exchange_series(data: xr.Dataset) -> list[Series]:
    """Power that every node draws from above [kW]: in every scenario, in the integrated optimum, and as the level above expects it."""
    if not has(data, "exchange"):
        return []
    pair = compared_scenarios(data)
    names = list(dict.fromkeys([*(reversed(pair) if pair else ()), *scenario_names(data)]))
    found = [
        Series(scenario_title(data, name), _by_node(data.exchange.sel(scenario=name)), COLOURS[k % len(COLOURS)], _DASHES[k % len(_DASHES)], k < 2)
        for k, name in enumerate(names)
    ]
    further = (
        ("integrated optimum", "exchange_integrated", INTEGRATED, "dashed"),
        ("forecast of the level above", "exchange_forecast", FORECAST, "dotted"),
    )
    return found + [Series(label, _by_node(data[name]), colour, dash, False) for label, name, colour, dash in further if has(data, name)]


def _by_node(values: xr.DataArray) -> np.ndarray:
    return values.transpose("node", "period").values.astype(np.float32)


def _lines(data: xr.Dataset, series: Sequence[Series], node: int, y: str, unit: str) -> tuple[figure, ColumnDataSource, list[GlyphRenderer]]:
    """A figure of one node with a line for each series."""
    from bokeh.models import ColumnDataSource, HoverTool

    plot = _over_periods(data, y)
    columns: dict[str, Any] = {"at": np.arange(data.sizes["period"]), "period": [str(p) for p in data.period.values]}
    source = ColumnDataSource(columns | {f"s{i}": s.values[node] for i, s in enumerate(series)})
    lines: list[GlyphRenderer] = []
    for i, s in enumerate(series):
        lines.append(line := plot.step("at", f"s{i}", source=source, mode="center", line_color=s.colour, line_dash=s.dash, line_width=2))
        plot.add_tools(HoverTool(renderers=[line], tooltips=[("", s.label), ("step", "@period"), ("", f"@s{i}{{0,0.000}} {unit}")], visible=False))
    return plot, source, lines


def _figure(x: str, y: str) -> figure:
    from bokeh.models import ResetTool, WheelZoomTool, ZoomInTool, ZoomOutTool
    from bokeh.plotting import figure

    plot = figure(
        frame_height=200, min_width=300, sizing_mode="stretch_width", x_axis_label=x, y_axis_label=y, tools="xpan", toolbar_location="above"
    )
    wheel = WheelZoomTool(modifiers={"ctrl": True}, dimensions="width")
    plot.add_tools(ZoomInTool(dimensions="width"), ZoomOutTool(dimensions="width"), wheel, ResetTool())
    plot.toolbar.logo = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.outline_line_color = None
    return plot


def _over_periods(data: xr.Dataset, y: str) -> figure:
    """A figure over all representative steps, one day after the other."""
    from bokeh.models import FixedTicker

    plot = _figure("representative days", y)
    dates = [str(p)[:10] for p in data.period.values]
    starts = [i for i, d in enumerate(dates) if i == 0 or d != dates[i - 1]]
    plot.xaxis.ticker = FixedTicker(ticks=starts)
    plot.xaxis.major_label_overrides = {i: dates[i] for i in starts}
    plot.xaxis.major_label_orientation = 0.6
    return plot


def _choice(titles: Sequence[str], plots: Sequence[tuple[figure, Sequence[GlyphRenderer]]], first: Sequence[int]) -> CheckboxGroup:
    """Boxes that say which lines the figures show; a legend below the last of them names those."""
    from bokeh.models import CheckboxGroup, CustomJS, Legend, LegendItem

    items = [LegendItem(label=title, renderers=[line], visible=i in first) for i, (title, line) in enumerate(zip(titles, plots[0][1], strict=True))]
    plots[0][0].add_layout(Legend(items=items, border_line_color=None, padding=0, margin=4), "below")
    boxes = CheckboxGroup(labels=list(titles), active=list(first), inline=True, sizing_mode="stretch_width", stylesheets=[_WRAPPED])
    for _, lines in plots:
        for i, line in enumerate(lines):
            line.visible = i in first
    boxes.js_on_change("active", CustomJS(args={"lines": [list(lines) for _, lines in plots], "items": items}, code=_CHOSEN))
    return boxes
