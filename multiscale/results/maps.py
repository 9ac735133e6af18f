"""Maps: the loading of lines and the voltage of buses, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from multiscale.results.answer import reinforcements
from multiscale.results.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.run_result import RunResult
from multiscale.results.style import BLUE, GREY, RED, WIDTH, figure_style, svg
from multiscale.results.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOW_VOLTAGE_KV = 1.0
_HIGH_VOLTAGE_KV = 60.0


class Layout:
    """Where everything is drawn: the medium-voltage network with its low-voltage sites, or all of a network that has none.

    Args:
        data: the result.
    """

    def __init__(self, data: xr.Dataset) -> None:
        vn = data.bus_vn_kv.values
        at = {bus: i for i, bus in enumerate(data.bus.values.tolist())}
        start = np.array([at.get(b, -1) for b in data.branch_from.values.tolist()])
        end = np.array([at.get(b, -1) for b in data.branch_to.values.tolist()])
        here = (start >= 0) & (end >= 0)
        closed = data.branch_in_service.values > 0 if has(data, "branch_in_service") else np.ones(len(start), dtype=bool)
        medium = (vn >= _LOW_VOLTAGE_KV) & (vn < _HIGH_VOLTAGE_KV)
        self.buses = medium if medium.any() else np.ones(len(vn), dtype=bool)
        x, y = data.bus_x.values.astype(float), data.bus_y.values.astype(float)
        self.buses = self.buses & np.isfinite(x) & np.isfinite(y)
        between = here & self.buses[start] & self.buses[end]
        self.branches, self.open = between & closed, between & ~closed
        self.sites = here & ~between & (self.buses[start] != self.buses[end]) & (np.minimum(vn[start], vn[end]) < _LOW_VOLTAGE_KV)
        self.site_bus = np.where(self.buses[start], start, end)
        middle = np.nanmean(y[self.buses]) if self.buses.any() else 0.0
        geographic = np.nanmax(np.abs(y[self.buses]), initial=0.0) <= 90 and np.ptp(x[self.buses]) < 5 if self.buses.any() else False
        self.x, self.y = x * (np.cos(np.radians(middle)) if geographic else 1.0), y
        self.start, self.end = start, end

    @property
    def drawable(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.branches.sum() >= 1 and (np.ptp(self.x[self.buses]) > 0 or np.ptp(self.y[self.buses]) > 0))

    @property
    def aspect(self) -> float:
        """Height over width."""
        return float(np.ptp(self.y[self.buses]) / max(np.ptp(self.x[self.buses]), 1e-12))

    def segments(self, chosen: np.ndarray) -> np.ndarray:
        """Ends of the chosen branches, (branch, end, coordinate)."""
        first = np.stack([self.x[self.start[chosen]], self.y[self.start[chosen]]], axis=1)
        second = np.stack([self.x[self.end[chosen]], self.y[self.end[chosen]]], axis=1)
        return np.stack([first, second], axis=1)

    def point(self, branch: int) -> tuple[float, float]:
        """Where a branch is labelled: the middle of a line, the site of a transformer."""
        if self.branches[branch]:
            return float(self.x[[self.start[branch], self.end[branch]]].mean()), float(self.y[[self.start[branch], self.end[branch]]].mean())
        bus = self.site_bus[branch] if self.sites[branch] else self.start[branch]
        return float(self.x[bus]), float(self.y[bus])


def loading_map(result: RunResult) -> str | None:
    """Peak loading of every branch in the baseline and with the plan; reinforced branches are numbered."""
    data = result.dataset
    if data is None or not has(data, "loading", "branch_from", "branch_to", "bus_x", "bus_y", "bus_vn_kv"):
        return None
    layout = Layout(data)
    if not layout.drawable:
        return None
    pair = compared_scenarios(data)
    scenarios = [*pair] if pair is not None else scenario_names(data)
    top = max(120.0, 10 * np.ceil(min(float(np.nanmax(data.loading.values)), 200.0) / 10))
    norm, cmap = Normalize(0.0, top), mpl.colormaps["cividis_r"]
    built = {b.branch: i + 1 for i, b in enumerate(reinforcements(result))}
    at = {name: i for i, name in enumerate(data.branch.values.tolist())}
    with figure_style():
        width = 0.94 * WIDTH / len(scenarios)
        height = float(np.clip(width * layout.aspect, 2.8, 6.2))
        figure = Figure(figsize=(WIDTH, height + 1.4), layout="constrained")
        axes = figure.subplots(1, len(scenarios), squeeze=False)[0]
        for ax, scenario in zip(axes, scenarios, strict=True):
            peak = np.nan_to_num(data.loading.sel(scenario=scenario).max("period").values.astype(float))
            chosen = np.flatnonzero(layout.branches)
            over = chosen[peak[chosen] > 100.0]
            ax.add_collection(LineCollection(list(layout.segments(layout.open)), colors="#9ca3af", linewidths=0.8, linestyles=":", zorder=0))
            ax.add_collection(LineCollection(list(layout.segments(over)), colors=RED, linewidths=8.5, alpha=0.30, zorder=1, capstyle="round"))
            widths = 1.2 + 4.0 * np.clip(peak[chosen] / 120.0, 0, 1.2)
            ax.add_collection(
                LineCollection(list(layout.segments(chosen)), colors=cmap(norm(peak[chosen])), linewidths=widths, zorder=2, capstyle="round")
            )
            sites = np.flatnonzero(layout.sites)
            at_bus = layout.site_bus[sites]
            ax.scatter(
                layout.x[at_bus],
                layout.y[at_bus],
                s=46,
                marker="s",
                c=peak[sites],
                cmap=cmap,
                norm=norm,
                edgecolors="black",
                linewidths=0.8,
                zorder=3,
            )
            ax.scatter(
                layout.x[at_bus][peak[sites] > 100],
                layout.y[at_bus][peak[sites] > 100],
                s=130,
                marker="s",
                facecolors="none",
                edgecolors=RED,
                linewidths=1.6,
                zorder=3,
            )
            _label(ax, layout, {at[b]: n for b, n in built.items() if b in at}, (66 * width, 66 * height), filled=scenario == scenarios[-1])
            ax.set_title(scenario_title(data, scenario))
            _frame(ax, layout)
        bar = figure.colorbar(mpl.cm.ScalarMappable(norm, cmap), ax=list(axes), location="bottom", shrink=0.5, aspect=40, pad=0.02)
        bar.set_label("peak loading under AC power flow [%]  (wider line: higher loading)")
        bar.ax.axvline(100, color=RED, linewidth=2)
        handles = [
            Line2D([], [], color=RED, alpha=0.35, linewidth=8, label="above 100 %"),
            Line2D(
                [],
                [],
                color="none",
                marker="s",
                markerfacecolor="#d9d9d9",
                markeredgecolor="black",
                markersize=7,
                label="low-voltage site",
            ),
        ]
        if layout.open.any():
            handles.append(Line2D([], [], color="#9ca3af", linewidth=1, linestyle=":", label="open"))
        if built:
            handles.append(Line2D([], [], color="none", marker="o", markerfacecolor="black", markersize=9, label="reinforced (number: see table)"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        return svg(figure, f"Two maps of the network with the peak loading of its branches; {len(built)} are reinforced")


def voltage_figure(result: RunResult) -> str | None:
    """Lowest voltage on the map with the plan, and all buses in order of their voltage in the baseline and with the plan."""
    data = result.dataset
    if data is None or not has(data, "voltage", "bus_x", "bus_y", "bus_vn_kv", "branch_from", "branch_to"):
        return None
    layout = Layout(data)
    low, high = data.voltage.min("period"), data.voltage.max("period")
    bands = _voltage_bands(data)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
        grid = figure.add_gridspec(max(len(bands), 1), 2, width_ratios=(1.0, 1.15))
        shown = compared_scenarios(data) or tuple(scenario_names(data)[-2:])
        scenario = shown[-1]
        if layout.drawable:
            _voltage_map(figure, figure.add_subplot(grid[:, 0]), layout, low.sel(scenario=scenario).values.astype(float))
        for row, (title, buses, limits) in enumerate(bands):
            ax = figure.add_subplot(grid[row, 1])
            for name, colour, dash in zip(shown, (GREY, BLUE), ((0, (4, 2)), "solid"), strict=False):
                for values, part in ((low, "lowest"), (high, "highest")):
                    ordered = np.sort(values.sel(scenario=name).values.astype(float)[buses])
                    share = 100 * np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
                    ax.plot(
                        share,
                        ordered,
                        color=colour,
                        linestyle=dash,
                        linewidth=2.2 if part == "lowest" else 1.4,
                        label=f"{part}: {scenario_title(data, name)}",
                    )
            for limit in limits:
                ax.axhline(limit, color=RED, linewidth=1.1, linestyle=(0, (2, 2)))
                below = limit == max(limits)
                ax.annotate(
                    f"limit {limit:g} pu", (100, limit), (0, -3 if below else 3), textcoords="offset points",
                    ha="right", va="top" if below else "bottom", fontsize=9, color=RED,
                )  # fmt: skip
            ax.set_ylabel("voltage [pu]")
            ax.set_title(title)
            ax.margins(x=0.01)
            if row == len(bands) - 1:
                ax.set_xlabel("share of buses, in order of their voltage [%]")
                figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return svg(figure, "Map of the lowest bus voltages, and the range of voltages over all buses in the baseline and with the plan")


def _voltage_bands(data: xr.Dataset) -> list[tuple[str, np.ndarray, list[float]]]:
    """Title, buses and limits of the medium- and the low-voltage buses."""
    vn = data.bus_vn_kv.values
    found = []
    for title, buses in (
        ("Medium voltage: all buses", (vn >= _LOW_VOLTAGE_KV) & (vn < _HIGH_VOLTAGE_KV)),
        ("Low voltage: all buses", vn < _LOW_VOLTAGE_KV),
    ):
        chosen = np.flatnonzero(buses)
        if chosen.size == 0:
            continue
        limits = {0.9, 1.1}
        if has(data, "bus_v_min", "bus_v_max"):
            limits = {*np.round(data.bus_v_min.values[chosen], 4).tolist(), *np.round(data.bus_v_max.values[chosen], 4).tolist()}
        found.append((title, chosen, sorted(limits)))
    return found


def _voltage_map(figure: Figure, ax: Axes, layout: Layout, lowest: np.ndarray) -> None:
    chosen = np.flatnonzero(layout.branches)
    ax.add_collection(LineCollection(list(layout.segments(chosen)), colors="#9ca3af", linewidths=1.2, zorder=1))
    buses = np.flatnonzero(layout.buses)
    shown = ax.scatter(layout.x[buses], layout.y[buses], c=lowest[buses], s=26, cmap="cividis", edgecolors="black", linewidths=0.4, zorder=2)
    figure.colorbar(shown, ax=ax, location="bottom", shrink=0.8, aspect=35, pad=0.01, label="lowest voltage [pu]")
    worst = buses[int(np.nanargmin(lowest[buses]))]
    ax.annotate(
        f"{lowest[worst]:.3f} pu", (layout.x[worst], layout.y[worst]), (0, 12), textcoords="offset points",
        ha="center", fontsize=9, fontweight="bold", bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "#9ca3af", "lw": 0.6}, zorder=4,
    )  # fmt: skip
    ax.scatter(layout.x[[worst]], layout.y[[worst]], s=90, facecolors="none", edgecolors=RED, linewidths=1.6, zorder=3)
    ax.set_title("Lowest voltage with the plan")
    _frame(ax, layout)


def _label(ax: Axes, layout: Layout, numbers: dict[int, int], size: tuple[float, float], *, filled: bool) -> None:
    """Number branches: each label goes to the nearest place around its branch that is free of other labels and of sites."""
    x, y = layout.x[layout.buses], layout.y[layout.buses]
    scale = min(size[0] / max(np.ptp(x), 1e-12), size[1] / max(np.ptp(y), 1e-12))
    points = {branch: scale * np.array(layout.point(branch)) for branch in numbers}
    sites = scale * np.stack([layout.x[layout.site_bus[layout.sites]], layout.y[layout.site_bus[layout.sites]]], axis=1)
    around = [r * np.array([np.cos(a), np.sin(a)]) for r in (20, 30, 42, 56) for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)]
    placed: list[np.ndarray] = []
    for branch, label in numbers.items():
        others = np.array([*placed, *[p for b, p in points.items() if b != branch]]).reshape(-1, 2)

        def crowding(offset: np.ndarray, point: np.ndarray = points[branch], others: np.ndarray = others) -> float:
            place = point + offset
            near_labels = np.maximum(0.0, 21 - np.hypot(*(others - place).T)).sum() if len(others) else 0.0
            near_sites = np.maximum(0.0, 13 - np.hypot(*(sites - place).T)).sum() if len(sites) else 0.0
            return float(20 * near_labels + 3 * near_sites + 0.4 * np.hypot(*offset))

        offset = min(around, key=crowding)
        placed.append(points[branch] + offset)
        ax.annotate(
            number(label), layout.point(branch), (float(offset[0]), float(offset[1])), textcoords="offset points",
            ha="center", va="center", fontsize=9, fontweight="bold", color="white" if filled else "black", zorder=6,
            bbox={"boxstyle": "circle,pad=0.2", "fc": "black" if filled else "white", "ec": "black", "lw": 1.0},
            arrowprops={"arrowstyle": "-", "color": "black", "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _frame(ax: Axes, layout: Layout) -> None:
    x, y = layout.x[layout.buses], layout.y[layout.buses]
    pad = 0.06 * max(np.ptp(x), np.ptp(y), 1e-9)
    ax.set_xlim(x.min() - pad, x.max() + pad)
    ax.set_ylim(y.min() - pad, y.max() + pad)
    ax.set_aspect("equal", adjustable="box")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
