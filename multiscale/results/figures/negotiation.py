"""How a negotiation converged."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from multiscale.results.data.dataset import has
from multiscale.results.figures.style import BLUE, DASHES, GREY, ORANGE, WIDTH, figure_style, svg
from multiscale.results.run.run_result import RunResult


def convergence_figure(result: RunResult) -> str | None:
    """Cost of the best agreement so far and proven bound, step by step, for every representative day; below it the gap."""
    data = result.dataset
    if data is None or not has(data, "negotiation_cost"):
        return None
    days = [str(d) for d in data.episode.values][:4]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes = figure.subplots(2, len(days), sharex="col", squeeze=False)
        for k, day in enumerate(days):
            steps = data.isel(episode=k)
            cost, bound = steps.negotiation_cost.values, steps.negotiation_bound.values
            there = np.isfinite(cost)
            step = steps.negotiation_step.values[there]
            top, below = axes[0, k], axes[1, k]
            # Only what happens near the end can be distinguished: the first bound may be far away.
            span = max(np.nanmax(cost) - np.nanmin(cost), 1e-3 * max(1.0, abs(float(np.nanmin(cost)))))
            top.plot(step, cost[there], color=BLUE, linestyle=DASHES[0], marker="o", markersize=4, label="cost of the best agreement")
            top.plot(step, bound[there], color=ORANGE, linestyle=DASHES[1], marker="s", markersize=4, label="proven lower bound")
            top.set_ylim(np.nanmin(cost) - 1.5 * span, np.nanmax(cost) + 0.3 * span)
            top.set_title(day)
            gap = (cost - bound)[there] / np.maximum(np.abs(cost[there]), 1.0)
            below.semilogy(step, np.maximum(100 * gap, 1e-9), color=GREY, marker="^", markersize=4)
            below.set_xlabel("step")
            below.set_xlim(0.5, step[-1] + 0.5)
            below.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0, 0].set_ylabel("cost [EUR/a]")
        axes[1, 0].set_ylabel("gap [%]")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return svg(figure, "Cost of the best agreement and proven lower bound of the negotiation, step by step, and the gap between them")
