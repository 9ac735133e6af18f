"""Figures of voltages: on the map in the baseline and with the plan, and of all buses in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.figures.layout import HIGH_VOLTAGE_KV, LOW_VOLTAGE_KV, Layout
from multiscale.results.figures.maps import frame, one_scale, substations
from multiscale.results.figures.style import AFTER, BEFORE, BLUE, NARROW, RED, WIDE, WIDTH, figure_style, svg, wrapped
from multiscale.results.run.run_result import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AROUND_NOMINAL = LinearSegmentedColormap.from_list("voltage", [RED, "#f3c7a3", "#eceff2", "#9ecae1", BLUE])


def voltage_figure(result: RunResult) -> str | None:
    """Voltage furthest from nominal on the map, and all buses in order of their voltage, both in the baseline and with the plan."""
    data = result.dataset
    if data is None or not has(data, "voltage", "bus_x", "bus_y", "bus_vn_kv", "branch_from", "branch_to"):
        return None
    layout, bands = Layout(data), _bands(data)
    shown = compared_scenarios(data) or tuple(scenario_names(data)[-2:])
    worst = {name: furthest(data.voltage.sel(scenario=name)) for name in shown}
    with figure_style():
        tall = float(np.clip(0.47 * WIDTH * layout.aspect, 2.2, 4.2)) if layout.drawable else 0.0
        rows = [tall] * bool(tall) + [2.4]
        figure = Figure(figsize=(WIDTH, sum(rows) + 1.2), layout="constrained")
        grid = figure.add_gridspec(len(rows), 2, height_ratios=rows)
        maps: list[Axes] = []
        if tall:
            span = max(float(np.nanmax(np.abs(values[layout.buses] - 1.0))) for values in worst.values())
            colours = mpl.cm.ScalarMappable(Normalize(1.0 - max(span, 0.005), 1.0 + max(span, 0.005)), _AROUND_NOMINAL)
            maps = [figure.add_subplot(grid[0, column]) for column in range(len(shown))]
            for ax, (name, values) in zip(maps, worst.items(), strict=True):
                _map(ax, layout, values, colours)
                ax.set_title(wrapped(scenario_title(data, name), 0.47 * WIDTH))
            figure.colorbar(colours, ax=maps, location="bottom", shrink=0.5, aspect=40, pad=0.02, label="voltage furthest from nominal [pu]")
        curves = grid[-1, :].subgridspec(1, max(len(bands), 1))
        axes = []
        for column, (title, buses, limits) in enumerate(bands):
            axes.append(figure.add_subplot(curves[0, column]))
            _curves(axes[-1], data, shown, buses, limits)
            axes[-1].set_title(title)
        if axes:
            axes[0].set_ylabel("voltage [pu]")
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        if maps and not layout.schematic:
            one_scale(figure, [(ax, layout.frame) for ax in maps])
        return svg(figure, "Maps of the voltages furthest from nominal, and the range of voltages of all buses, in the baseline and with the plan")


def furthest(voltage: xr.DataArray) -> np.ndarray:
    """Lowest or highest voltage of every bus, whichever is further from nominal [pu]; NaN where no step is known."""
    low, high = voltage.min("period").values.astype(float), voltage.max("period").values.astype(float)
    return np.where(1.0 - low >= high - 1.0, low, high)


def _map(ax: Axes, layout: Layout, values: np.ndarray, colours: mpl.cm.ScalarMappable) -> None:
    chosen = np.flatnonzero(layout.branches)
    ax.add_collection(LineCollection(list(layout.segments(chosen)), colors="#9ca3af", linewidths=1.2, zorder=1))
    buses = np.flatnonzero(layout.buses)
    substations(ax, layout)
    ax.scatter(layout.x[buses], layout.y[buses], c=colours.to_rgba(values[buses]), s=24, edgecolors="#374151", linewidths=0.5, zorder=5)
    frame(ax, layout, layout.frame)
    if not np.isfinite(values[buses]).any():
        return
    worst = buses[int(np.nanargmax(np.abs(values[buses] - 1.0)))]
    ax.scatter(layout.x[[worst]], layout.y[[worst]], s=90, facecolors="none", edgecolors="black", linewidths=1.6, zorder=6)
    right = layout.x[worst] > (layout.frame.left + layout.frame.right) / 2
    ax.annotate(
        f"{values[worst]:.3f} pu", (layout.x[worst], layout.y[worst]), (-9 if right else 9, 9), textcoords="offset points",
        ha="right" if right else "left", fontsize=9, fontweight="bold", bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "#9ca3af", "lw": 0.6},
        zorder=7,
    )  # fmt: skip


def _curves(ax: Axes, data: xr.Dataset, shown: tuple[str, ...], buses: np.ndarray, limits: list[float]) -> None:
    low, high = data.voltage.min("period"), data.voltage.max("period")
    for name, colour, width in zip(shown, (BEFORE, AFTER), (WIDE, NARROW), strict=False):
        for values, part, dash in ((low, "lowest", "solid"), (high, "highest", (0, (4, 2)))):
            ordered = np.sort(values.sel(scenario=name).values.astype(float)[buses])
            share = 100 * np.arange(len(ordered) + 1) / max(len(ordered), 1)
            label = f"{part}: {scenario_title(data, name)}"
            ax.step(share, np.append(ordered[:1], ordered), where="pre", color=colour, linestyle=dash, linewidth=width, label=label)
    for limit in limits:
        below = limit == max(limits)
        ax.axhline(limit, color=RED, linewidth=1.1, linestyle=(0, (2, 2)))
        ax.annotate(
            f"limit {limit:g} pu", (100, limit), (0, -3 if below else 3), textcoords="offset points",
            ha="right", va="top" if below else "bottom", fontsize=9, color="#9a3412",
        )  # fmt: skip
    ax.set_xlim(0, 100)
    ax.set_xlabel(f"share of the {len(buses)} buses, by voltage [%]" if len(buses) > 1 else "one bus")


def _bands(data: xr.Dataset) -> list[tuple[str, np.ndarray, list[float]]]:
    """Title, buses and limits of the medium- and the low-voltage buses."""
    vn = data.bus_vn_kv.values
    found = []
    for title, buses in (
        ("Medium voltage: all buses", (vn >= LOW_VOLTAGE_KV) & (vn < HIGH_VOLTAGE_KV)),
        ("Low voltage: all buses", vn < LOW_VOLTAGE_KV),
    ):
        chosen = np.flatnonzero(buses)
        if chosen.size == 0:
            continue
        limits = {0.9, 1.1}
        if has(data, "bus_v_min", "bus_v_max"):
            limits = {*np.round(data.bus_v_min.values[chosen], 4).tolist(), *np.round(data.bus_v_max.values[chosen], 4).tolist()}
        found.append((title, chosen, sorted(limits)))
    return found
