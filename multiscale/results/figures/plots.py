"""Figures over time: prices, exchanges, duration curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from multiscale.results.data.dataset import FLOW_DIRECTIONS, compared_scenarios, has, scenario_title
from multiscale.results.figures.style import (
    AFTER,
    BEFORE,
    COLOURS,
    DASHES,
    FORECAST,
    INTEGRATED,
    NARROW,
    OPERATED,
    RED,
    WIDE,
    WIDTH,
    figure_style,
    svg,
    wrapped,
)
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import reinforcements
from multiscale.results.words.mechanism_words import chosen, words
from multiscale.results.words.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _days(data: xr.Dataset) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Title, positions and hours of the periods of each representative day."""
    labels = [str(p) for p in data.period.values]
    dates = np.array([label[:10] for label in labels])
    hours = np.array([int(label[11:13] or 0) + int(label[14:16] or 0) / 60 if len(label) >= 16 else float(i) for i, label in enumerate(labels)])
    names = data.day.values.astype(str) if "day" in data.coords and data.day.dtype.kind in "OUS" else None
    out = []
    for date in dict.fromkeys(dates.tolist()):
        where = np.flatnonzero(dates == date)
        days = float(data.period_hours.values[where].sum() / 24) if has(data, "period_hours") else np.nan
        name = f"{names[where[0]]}, " if names is not None and names[where[0]] != date else ""
        out.append((f"{name}{date}" + (f" ({days:.0f} d/a)" if np.isfinite(days) else ""), where, hours[where]))
    return out


def chosen_nodes(data: xr.Dataset, count: int = 3) -> list[str]:
    """Nodes worth a picture: the operator with the largest exchange, and the platforms with the largest."""
    names = [str(n) for n in data.node.values]
    if not has(data, "exchange"):
        return names[:count]
    size = np.nan_to_num(np.abs(data.exchange.transpose("node", ...).values)).reshape(len(names), -1).max(axis=1)
    order = [names[i] for i in np.argsort(-size, kind="stable") if size[i] > 0]
    if not has(data, "node_level"):
        return order[:count]
    level = dict(zip(names, data.node_level.values.astype(str).tolist(), strict=True))
    operators = [n for n in order if level[n] == "dso"][:1]
    return [*operators, *[n for n in order if level[n] == "platform"][: count - len(operators)]]


def price_figure(result: RunResult) -> str | None:
    """Published prices over each representative day."""
    data = result.dataset
    if data is None or not has(data, "import_price"):
        return None
    days = _days(data)[:4]
    nodes = _distinct(data.import_price, chosen_nodes(data))
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        axes = figure.subplots(1, len(days), sharey=True, squeeze=False)[0]
        for ax, (title, where, hours) in zip(axes, days, strict=True):
            for k, node in enumerate(nodes):
                ax.step(
                    *_closed(hours, 100 * data.import_price.sel(node=node).values[where]),
                    where="post",
                    color=COLOURS[k],
                    linestyle="solid",
                    marker="os^"[k % 3],
                    markersize=4,
                    markevery=4,
                    label=_price_label(data, node),
                )
                constant = _constant_gap(data, node)
                if constant is None and has(data, "export_price"):
                    ax.step(
                        *_closed(hours, 100 * data.export_price.sel(node=node).values[where]),
                        where="post",
                        color=COLOURS[k],
                        linestyle=DASHES[1],
                        label=f"export, {node}",
                    )
            _clock(ax, wrapped(title, WIDTH / len(days), 10))
        axes[0].set_ylabel("price of energy [ct/kWh]")
        _legend_below(figure, axes[0], 2)
        return svg(figure, "Published import and export prices over the representative days")


def _constant_gap(data: xr.Dataset, node: str) -> float | None:
    """By how much a node's export price is below its import price [ct/kWh], where that is the same at all times."""
    if not has(data, "export_price"):
        return None
    gap = 100 * (data.import_price.sel(node=node) - data.export_price.sel(node=node)).values
    return float(gap[0]) if np.isfinite(gap).all() and np.ptp(gap) < 1e-6 else None


def _price_label(data: xr.Dataset, node: str) -> str:
    constant = _constant_gap(data, node)
    if constant is None:
        return f"import, {node}"
    return f"import and export, {node}" if abs(constant) < 1e-6 else f"import, {node} (export: {number(constant)} ct/kWh less)"


_SAME = 1e-3
"""Profiles that differ by less than this share of the largest exchange are one line to the eye."""


def exchange_figure(result: RunResult) -> str | None:
    """Exchange with the parent as operated, and by how much the integrated optimum and the parent's forecast differ from it."""
    data = result.dataset
    if data is None or not has(data, "exchange"):
        return None
    days, nodes, pair = _days(data)[:4], chosen_nodes(data), compared_scenarios(data)
    operated = data.exchange.isel(scenario=-1) if pair is None else data.exchange.sel(scenario=pair[1])
    others: list[tuple[str, xr.DataArray, str, Any]] = []
    for name, label, colour, dash in (
        ("exchange_integrated", "integrated optimum", INTEGRATED, DASHES[1]),
        ("exchange_forecast", "parent's forecast", FORECAST, DASHES[2]),
    ):
        if has(data, name):
            others.append((label, data[name] - operated, colour, dash))
    differing = {node: [o for o in others if _differs(o[1].sel(node=node).values, operated.sel(node=node).values)] for node in nodes}
    heights = [h for node in nodes for h in ([1.5, 0.9] if differing[node] else [1.5])]
    with figure_style():
        figure = Figure(figsize=(WIDTH, sum(heights) + 1.0), layout="constrained")
        axes = figure.subplots(len(heights), len(days), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
        row = 0
        for node in nodes:
            for j, (title, where, hours) in enumerate(days):
                top = axes[row, j]
                series = operated.sel(node=node).values[where]
                top.step(*_closed(hours, series), where="post", color=OPERATED, label=f"with {words(chosen(result)).name}")
                top.axhline(0, color="black", linewidth=0.8)
                _clock(top, wrapped(title, WIDTH / len(days), 10) if row == 0 else "", label=row + 1 == len(heights))
                for label, values, colour, dash in differing[node]:
                    below = axes[row + 1, j]
                    shown = _closed(hours, values.sel(node=node).values[where])
                    below.step(*shown, where="post", color=colour, linestyle=dash, label=f"{label} less that")
                    below.axhline(0, color="black", linewidth=0.8)
                    _clock(below, "", label=row + 2 == len(heights))
            axes[row, 0].set_ylabel(f"{_short(node, 18)}\n[kW]")
            same = [label for label, values, *_ in others if values.sel(node=node).notnull().any() and label not in [o[0] for o in differing[node]]]
            if same:
                text = f"{' and '.join(same)}: the same"
                axes[row, 0].annotate(text, (0.01, 0.5), xycoords="axes fraction", fontsize=9, color="#374151", va="center")
            if differing[node]:
                axes[row + 1, 0].set_ylabel("difference\n[kW]")
            row += 2 if differing[node] else 1
        handles = {label: handle for ax in axes[:, 0] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        figure.align_ylabels(axes[:, 0])
        return svg(figure, "Power drawn from the parent on the representative days as operated, and the differences of optimum and forecast from it")


def _differs(difference: np.ndarray, operated: np.ndarray) -> bool:
    """Whether there is a difference to be seen."""
    return bool(np.nanmax(np.abs(difference), initial=0.0) > _SAME * max(np.nanmax(np.abs(operated), initial=0.0), 1e-9))


def duration_figure(result: RunResult, count: int = 6) -> str | None:
    """Loading duration curves of the reinforced branches, or of the most loaded ones if nothing is built, against rating and usable rating."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "loading", "period_hours"):
        return None
    names = [b.branch for b in reinforcements(result) if b.branch in data.branch.values][:count]
    if not names:
        peak = np.nan_to_num(data.loading.max(("scenario", "period")).values)
        names = [str(data.branch.values[i]) for i in np.argsort(-peak)[: min(3, len(peak))]]
    hours = data.period_hours.values.astype(float)
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 2.5 * rows + 0.7), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            for scenario, colour, width in zip(pair, (BEFORE, AFTER), (WIDE, NARROW), strict=True):
                values = data.loading.sel(branch=name, scenario=scenario).values.astype(float)
                order = np.argsort(-values)
                reached, ordered = np.concatenate([[0.0], np.cumsum(hours[order])]), np.append(values[order], values[order][-1:])
                ax.step(reached, ordered, where="post", color=colour, linewidth=width, label=scenario_title(data, scenario))
            ax.axhline(100, color=RED, linewidth=1.2, linestyle=(0, (1, 1.5)), label="rating")
            _usable_lines(ax, data, name)
            ax.set_title(wrapped(name, WIDTH / columns, 10), fontsize=10)
            ax.set_ylim(bottom=0)
            ax.margins(x=0.01)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        for ax in axes[max(len(names) - columns, 0) : len(names)]:
            ax.set_xlabel("hours of the year [h/a]")
        for ax in axes[::columns]:
            ax.set_ylabel("loading of the rating [%]")
        _legend_below(figure, axes[0], 3)
        return svg(figure, "Loading duration curves of branches in the baseline and with the plan, with their ratings and usable ratings")


def _usable_lines(ax: Axes, data: xr.Dataset, branch: str) -> None:
    """The usable rating of a branch, towards customers and back where that is another."""
    if not has(data, "branch_usable"):
        return
    towards, back = (float(v) for v in data.branch_usable.sel(branch=branch, flow_direction=list(FLOW_DIRECTIONS)).values)
    ax.axhline(towards, color="#9a3412", linewidth=1.3, linestyle=(0, (5, 2)), label="usable rating towards customers")
    if abs(back - towards) > 0.05:
        ax.axhline(back, color="#9a3412", linewidth=0.9, linestyle=(0, (5, 2, 1, 2)), label="usable rating back")


def _distinct(values: xr.DataArray, nodes: list[str]) -> list[str]:
    kept: list[str] = []
    for node in nodes:
        series = values.sel(node=node).values
        if np.isfinite(series).any() and not any(np.allclose(series, values.sel(node=k).values, equal_nan=True, atol=1e-7) for k in kept):
            kept.append(node)
    return kept or nodes[:1]


def _closed(hours: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A profile in steps that reaches the end of the day."""
    return np.append(hours, 24.0), np.append(values, values[-1])


def _clock(ax: Axes, title: str, *, label: bool = True) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xlim(0, 24)
    ax.set_xticks(range(0, 25, 6))
    if label:
        ax.set_xlabel("hour of the day")


def _legend_below(figure: Figure, ax: Axes, columns: int) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length // 2 - 1]}…{text[-length // 2 :]}"
