"""Runs against a baseline run, for paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from multiscale.results.figures.style import BLUE, GREY, WIDTH, Remark, figure_style, svg, wrapped
from multiscale.results.words.numbers import signed

MOST_RUNS = 40
"""Runs in the figure: the baseline run and the first of the others."""


def cost_figure(names: Sequence[str], costs: np.ndarray, baseline: int) -> str | Remark:
    """Social cost of the runs less that of the baseline run; a cost that is not known has no bar.

    Args:
        names: of the runs, with their labels.
        costs: social cost of each [EUR/a]; NaN where not known.
        baseline: position of the baseline run.
    """
    if not np.isfinite(costs[baseline]):
        return Remark("No figure of social cost: it is not known of the baseline run.")
    shown = sorted([baseline, *(i for i in range(len(costs)) if i != baseline)][:MOST_RUNS])
    change = np.round((costs - costs[baseline])[shown], 2) / 1000 + 0.0
    known, places = np.isfinite(change), np.arange(len(shown))[::-1]
    colours = np.array([GREY if i == baseline else BLUE for i in shown])
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.42 * len(change) + 1.2), layout="constrained")
        ax = figure.subplots()
        ax.barh(places[known], change[known], height=0.6, color=colours[known])
        for place, value in zip(places, change, strict=True):
            text, end = (signed(1000 * value), value) if np.isfinite(value) else ("not known", 0.0)
            shift, side = (-4, "right") if end < 0 else (4, "left")
            ax.annotate(text, (end, place), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=9.5)
        ax.axvline(0, color="black", linewidth=0.9)
        ax.set_yticks(places, [wrapped(names[i], 3.0, 9.5) for i in shown])
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlabel("social cost less that of the baseline run [thousand EUR/a]   (left: costs less)")
        ax.grid(visible=False, axis="y")
        ax.margins(x=0.25, y=0.02)
        return svg(figure, "Social cost of the runs less that of the baseline run")
