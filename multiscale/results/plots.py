"""Figures over time, money and people: prices, exchanges, duration curves, flows of money, bills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from multiscale.results.answer import reinforcements
from multiscale.results.dataset import compared_scenarios, has, scenario_title
from multiscale.results.mechanism_words import chosen, words
from multiscale.results.run_result import RunResult
from multiscale.results.style import BLUE, COLOURS, DASHES, GREY, HATCHES, ORANGE, RED, WIDTH, figure_style, svg

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
                    label=f"import, {node}",
                )
                if has(data, "export_price"):
                    ax.step(
                        *_closed(hours, 100 * data.export_price.sel(node=node).values[where]),
                        where="post",
                        color=COLOURS[k],
                        linestyle=DASHES[1],
                        label=f"export, {node}",
                    )
            _clock(ax, title)
        axes[0].set_ylabel("price of energy [ct/kWh]")
        _legend_below(figure, axes[0], 3)
        return svg(figure, "Published import and export prices over the representative days")


def exchange_figure(result: RunResult) -> str | None:
    """Exchange with the parent: under pricing, in the integrated optimum, and as the planner expected it."""
    data = result.dataset
    if data is None or not has(data, "exchange"):
        return None
    days = _days(data)[:4]
    nodes = chosen_nodes(data)
    pair = compared_scenarios(data)
    under_prices = data.exchange.isel(scenario=-1) if pair is None else data.exchange.sel(scenario=pair[1])
    kinds: list[tuple[str, xr.DataArray, str, Any, str]] = [(f"with {words(chosen(result)).name}", under_prices, BLUE, DASHES[0], "o")]
    kinds += [("integrated optimum", data.exchange_integrated, ORANGE, DASHES[1], "s")] if has(data, "exchange_integrated") else []
    kinds += [("planner's forecast", data.exchange_forecast, GREY, DASHES[2], "^")] if has(data, "exchange_forecast") else []
    with figure_style():
        figure = Figure(figsize=(WIDTH, 2.1 * len(nodes) + 0.6), layout="constrained")
        axes = figure.subplots(len(nodes), len(days), sharex=True, sharey="row", squeeze=False)
        for i, node in enumerate(nodes):
            for j, (title, where, hours) in enumerate(days):
                ax = axes[i, j]
                for k, (label, values, colour, dash, marker) in enumerate(kinds):
                    if np.isfinite(values.sel(node=node).values).any():
                        series = values.sel(node=node).values[where]
                        ax.step(
                            *_closed(hours, series),
                            where="post",
                            color=colour,
                            linestyle=dash,
                            marker=marker,
                            markersize=4,
                            markevery=(k, 5),
                            label=label,
                        )
                ax.axhline(0, color="black", linewidth=0.8)
                _clock(ax, title if i == 0 else "", label=i == len(nodes) - 1)
            axes[i, 0].set_ylabel(f"{node}\n[kW]")
        _legend_below(figure, axes[0, 0], 3)
        return svg(figure, "Power drawn from the parent over the representative days: as operated, in the integrated optimum and as forecast")


def duration_figure(result: RunResult, count: int = 6) -> str | None:
    """Loading duration curves of the reinforced branches, or of the most loaded ones if nothing is built."""
    data = result.dataset
    if data is None or not has(data, "loading", "period_hours"):
        return None
    pair = compared_scenarios(data)
    shown = [(s, scenario_title(data, s), c, d) for s, c, d in zip(pair, (GREY, BLUE), (DASHES[1], DASHES[0]), strict=True)] if pair else []
    names = [b.branch for b in reinforcements(result) if b.branch in data.branch.values][:count]
    if not names:
        peak = np.nan_to_num(data.loading.max(("scenario", "period")).values)
        names = [str(data.branch.values[i]) for i in np.argsort(-peak)[: min(3, len(peak))]]
    hours = data.period_hours.values.astype(float)
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 2.6 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            for scenario, label, colour, dash in shown:
                values = data.loading.sel(branch=name, scenario=scenario).values.astype(float)
                order = np.argsort(-values)
                ax.step(
                    np.concatenate([[0.0], np.cumsum(hours[order])]),
                    np.concatenate([values[order], values[order][-1:]]),
                    where="post",
                    color=colour,
                    linestyle=dash,
                    label=label,
                )
            ax.axhline(100, color=RED, linewidth=1.0, linestyle=(0, (2, 2)))
            ax.set_title(_short(name, 34), fontsize=10)
            ax.set_ylim(bottom=0)
            ax.margins(x=0.01)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        for ax in axes[max(len(names) - columns, 0) : len(names)]:
            ax.set_xlabel("hours of the year [h/a]")
        for ax in axes[::columns]:
            ax.set_ylabel("loading [%]")
        _legend_below(figure, axes[0], 2)
        return svg(figure, "Loading duration curves of the reinforced branches in the baseline and with the plan")


def money_figure(result: RunResult) -> str | None:
    """Change of every flow of money for every stakeholder, plan against the baseline, stacked; the diamond is the sum."""
    data = result.dataset
    if data is None or not has(data, "money") or (pair := compared_scenarios(data)) is None:
        return None
    before, after = pair
    change = (data.money.sel(scenario=after) - data.money.sel(scenario=before)).transpose("stakeholder", "flow")
    values = np.nan_to_num(change.values.astype(float)) / 1000
    who = np.abs(values).max(axis=1) + np.abs(_change_of_real_cost(data, before, after)) > 1e-6
    flows = [k for k in range(values.shape[1]) if np.abs(values[:, k]).max() > 1e-6]
    own = _change_of_real_cost(data, before, after)[who]
    values, names = values[who], [str(s) for s in data.stakeholder.values[who]]
    places = np.arange(len(names))[::-1]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.55 * len(places) + 1.7), layout="constrained")
        ax = figure.subplots()
        up, down = np.zeros(len(places)), np.zeros(len(places))
        parts = [(values[:, k], COLOURS[i % 10], HATCHES[i % 10], str(data.flow.values[k])) for i, k in enumerate(flows)]
        parts += [(-own, "#374151", "||", "real costs borne")] if np.abs(own).max(initial=0.0) > 1e-6 else []
        for part, colour, hatch, label in parts:
            left = np.where(part >= 0, up, down)
            ax.barh(places, part, left=left, height=0.6, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5, label=label)
            up, down = up + np.maximum(part, 0), down + np.minimum(part, 0)
        total = values.sum(axis=1) - own
        ax.plot(total, places, "D", color="black", markersize=7, markeredgecolor="white", linestyle="none", label="gain in all")
        for place, value in zip(places, total, strict=True):
            text = f"{value:+.1f}".replace("+0.0", "0").replace("-0.0", "0")
            ax.annotate(text, (value, place), (0, 13), textcoords="offset points", ha="center", fontsize=9.5, fontweight="bold")
        ax.axvline(0, color="black", linewidth=0.9)
        ax.set_yticks(places, names)
        ax.set_xlabel(f"change against: {scenario_title(data, before)} [thousand EUR/a]   (right: gains, left: pays more)")
        ax.grid(visible=False, axis="y")
        ax.margins(x=0.04, y=0.12)
        _legend_below(figure, ax, 4)
        return svg(figure, "Change of yearly payments of every stakeholder between the baseline and the plan, by kind of payment")


def _change_of_real_cost(data: xr.Dataset, before: str, after: str) -> np.ndarray:
    """Real costs (production, wear, construction) that every stakeholder bears in one scenario beyond those of another [kEUR/a]."""
    if not has(data, "real_cost"):
        return np.zeros(data.sizes["stakeholder"])
    change = (data.real_cost.sel(scenario=after) - data.real_cost.sel(scenario=before)).sum("cost")
    return np.asarray(np.nan_to_num(change.values.astype(float)) / 1000)


def bills_figure(result: RunResult) -> str | None:
    """Distribution of yearly bills and of their change, by kind of customer."""
    data = result.dataset
    if data is None or not has(data, "bill", "prosumer_category") or (pair := compared_scenarios(data)) is None:
        return None
    before, after = pair
    # Bills of platforms that were excluded are not known.
    data = data.isel(prosumer=np.flatnonzero(np.isfinite(data.bill.values).all(axis=data.bill.get_axis_num("scenario"))))
    old, new = (data.bill.sel(scenario=s).values.astype(float) for s in pair)
    categories, counts = np.unique(data.prosumer_category.values.astype(str), return_counts=True)
    categories, counts = categories[np.argsort(-counts)][:6], np.sort(counts)[::-1][:6]
    members = [data.prosumer_category.values.astype(str) == c for c in categories]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        look = {"showfliers": False, "patch_artist": True, "widths": 0.32, "medianprops": {"color": "black", "linewidth": 1.6}}
        for shift, values, colour, hatch, label in (
            (-0.19, old, "#d1d5db", "///", scenario_title(data, before)),
            (0.19, new, "#8cc5e3", "", scenario_title(data, after)),
        ):
            boxes = left.boxplot([values[m] for m in members], positions=np.arange(len(categories)) + shift, **look)
            for box in boxes["boxes"]:
                box.set(facecolor=colour, hatch=hatch, edgecolor="#374151")
            left.plot([], [], marker="s", linestyle="none", markersize=9, color=colour, markeredgecolor="#374151", label=label)
        left.set_xticks(np.arange(len(categories)), [f"{c}\n({n})" for c, n in zip(categories, counts, strict=True)])
        left.set_ylabel("yearly bill [EUR/a]")
        left.set_title("Bills (box: middle half, line: median)")
        left.axhline(0, color="black", linewidth=0.8)
        left.legend(loc="best")
        for k, m in enumerate(members):
            ordered = np.sort(new[m] - old[m])
            right.plot(
                100 * np.arange(1, len(ordered) + 1) / len(ordered), ordered, color=COLOURS[k], linestyle=DASHES[k % 4], label=str(categories[k])
            )
        right.axhline(0, color="black", linewidth=0.8)
        right.set_xlabel("share of customers of the kind [%]")
        right.set_ylabel("change of bill [EUR/a]")
        right.set_title("Change of bill (below 0: pays less)")
        right.legend(loc="best")
        return svg(figure, "Yearly bills of prosumers by kind of customer in the baseline and with the plan, and the change of every bill in order")


def _distinct(values: xr.DataArray, nodes: list[str]) -> list[str]:
    kept: list[str] = []
    for node in nodes:
        series = values.sel(node=node).values
        if np.isfinite(series).any() and not any(np.allclose(series, values.sel(node=k).values, equal_nan=True, atol=1e-7) for k in kept):
            kept.append(node)
    return kept or nodes[:1]


def _closed(hours: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A course in steps that reaches the end of the day."""
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
