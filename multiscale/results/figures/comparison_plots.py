"""Runs against a baseline run, for paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from multiscale.results.figures.style import BLUE, GREY, WIDTH, Remark, figure_style, svg, wrapped

MOST_RUNS = 40
"""Runs in the figure: the first ones."""


def cost_figure(names: Sequence[str], costs: np.ndarray, baseline: int) -> str | Remark:
    """Social cost of every run less that of the baseline run.

    Args:
        names: of the runs, with their labels.
        costs: social cost of each [EUR/a]; NaN where not known.
        baseline: position of the baseline run.
    """
    change = np.round((costs - costs[baseline])[:MOST_RUNS], 2) / 1000 + 0.0
    if not np.isfinite(change).any():
        return Remark("No figure of social cost: it is not known of the baseline run.")
    places = np.arange(len(change))[::-1]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.42 * len(change) + 1.2), layout="constrained")
        ax = figure.subplots()
        ax.barh(places, np.nan_to_num(change), height=0.6, color=[GREY if i == baseline else BLUE for i in range(len(change))])
        for place, value in zip(places, change, strict=True):
            text = f"{value:+.1f}" if np.isfinite(value) else "not known"
            shift, side = (4, "left") if not value < 0 else (-4, "right")
            ax.annotate(text, (np.nan_to_num(value), place), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=9.5)
        ax.axvline(0, color="black", linewidth=0.9)
        ax.set_yticks(places, [wrapped(name, 3.0, 9.5) for name in names[:MOST_RUNS]])
        ax.set_xlabel("social cost less that of the baseline run [thousand EUR/a]   (left: costs less)")
        ax.grid(visible=False, axis="y")
        ax.margins(x=0.15, y=0.02)
        return svg(figure, "Social cost of every run less that of the baseline run")
