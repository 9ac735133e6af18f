"""A chosen value of the summary in several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multiscale.results.figures.style import BLUE, GREY
from multiscale.results.report.embedding import embedded
from multiscale.results.report.exhibits import Interactive
from multiscale.results.report.pointed_at import said
from multiscale.results.tables.comparison_tables import Compared, value_of

_CHOSEN = """
const k = key.options.indexOf(key.value), n = source.data.name.length;
source.data = {...source.data, value: Array.prototype.slice.call(all, k * n, k * n + n)};
base.location = source.data.value[baseline];
axis.axis_label = labels[k];
"""
"""Puts the chosen value into the figure."""


def values_figure(runs: Sequence[Compared], keys: Mapping[str, str], baseline: int, first: str) -> Interactive | None:
    """One point for each run; the line is the value of the baseline run.

    Args:
        runs: in their order.
        keys: keys of the summary that may be chosen -> unit.
        baseline: position of the baseline run.
        first: key that is shown first, if it is among them.
    """
    from bokeh.models import Column, ColumnDataSource, CustomJS, FactorRange, HoverTool, NumeralTickFormatter, Select, Span
    from bokeh.plotting import figure

    if not keys:
        return None
    names = list(keys)
    shown = names.index(first) if first in keys else 0
    labels = [f"{key} [{unit}]" if unit else key for key, unit in keys.items()]
    values = np.array([[value_of(run, key) for run in runs] for key in names])
    source = ColumnDataSource({
        "label": [run.label for run in runs], "name": [run.name for run in runs], "status": [run.result.status for run in runs],
        "value": values[shown], "colour": [GREY if i == baseline else BLUE for i in range(len(runs))],
        "mark": ["square" if i == baseline else "circle" for i in range(len(runs))],
    })  # fmt: skip
    plot = figure(
        frame_height=260, sizing_mode="stretch_width", x_axis_label="run", x_range=FactorRange(*(run.label for run in runs)),
        tools="xpan,xzoom_in,xzoom_out,reset", toolbar_location="above",
    )  # fmt: skip
    plot.toolbar.logo = plot.outline_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0000]")
    plot.yaxis.axis_label = labels[shown]
    points = plot.scatter("label", "value", source=source, size=11, fill_color="colour", line_color="#111827", marker="mark")
    missing = {"@value": said("value", "", 6, "this run has none under this key", "no run has one under this key", (source,))}
    plot.add_tools(HoverTool(renderers=[points], tooltips=[("", "@label: @name (@status)"), ("value", "@value{custom}")], formatters=missing))
    base = Span(location=float(values[shown, baseline]), dimension="width", line_dash="dashed", line_color=GREY)
    plot.add_layout(base)
    key = Select(title="Value", value=names[shown], options=names, sizing_mode="stretch_width")
    args = {
        "source": source, "all": values.ravel(), "key": key, "base": base, "axis": plot.yaxis[0], "baseline": baseline, "labels": labels,
    }  # fmt: skip
    key.js_on_change("value", CustomJS(args=args, code=_CHOSEN))
    caption = "The chosen value in every run; square and dashed line: the baseline run. Point at a run for its settings."
    return Interactive(embedded(Column(key, plot, sizing_mode="stretch_width"), "values", "A chosen value of the summary in every run"), caption)
