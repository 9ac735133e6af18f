"""The map of the network: the peak loading of every branch in the baseline and with the plan, and what the plan builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import offset_copy

from multiscale.results.data.dataset import compared_scenarios, has, reinforced_branches, scenario_names, scenario_title
from multiscale.results.figures.layout import Layout, Window
from multiscale.results.figures.style import GROUND, RED, WIDTH, figure_style, svg, wrapped
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import reinforcements
from multiscale.results.words.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OPEN = "#9ca3af"
_SIDE = Line2D([], [], color=_OPEN, linewidth=2, linestyle=":", label="open")


@dataclass(frozen=True)
class _Look:
    """What one panel of the map shows.

    Attributes:
        peak: peak loading of every branch [%].
        colours: of a loading.
        built: branch -> its number in the answer.
        there: branches that are reinforced in the scenario.
    """

    peak: np.ndarray
    colours: mpl.cm.ScalarMappable
    built: Mapping[int, int]
    there: frozenset[int]


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
    colours = loading_colours(max(120.0, 10 * np.ceil(min(float(np.nanmax(data.loading.values)), 200.0) / 10)))
    at = {name: i for i, name in enumerate(data.branch.values.tolist())}
    built = {at[b.branch]: i + 1 for i, b in enumerate(reinforcements(result)) if b.branch in at and layout.draws(at[b.branch])}
    reinforced = {s: frozenset(at[b] for b in reinforced_branches(data, s) if b in at and layout.draws(at[b])) for s in scenarios}
    detail = layout.crowded()
    with figure_style():
        width = 0.94 * WIDTH / len(scenarios)
        heights = [float(np.clip(width * layout.aspect, 2.4, 5.6))] + [0.62 * width] * (detail is not None)
        figure = Figure(figsize=(WIDTH, sum(heights) + 1.5), layout="constrained")
        axes = figure.subplots(len(heights), len(scenarios), squeeze=False, height_ratios=heights)
        for column, scenario in enumerate(scenarios):
            peak = data.loading.sel(scenario=scenario).max("period").values.astype(float)
            look = _Look(peak, colours, built, reinforced[scenario])
            _draw(axes[0, column], layout, look, layout.frame, (width, heights[0]))
            axes[0, column].set_title(wrapped(scenario_title(data, scenario), width))
            if detail is not None:
                _mark_window(axes[0, column], detail)
                _draw(axes[1, column], layout, look, detail, (width, heights[1]))
                axes[1, column].set_title("Framed part", fontsize=10, fontweight="normal")
        bar = figure.colorbar(colours, ax=list(axes.ravel()), location="bottom", shrink=0.5, aspect=40, pad=0.02)
        bar.set_label("peak loading of the rating under AC power flow [%]  (wider line: higher loading)")
        bar.ax.axvline(100, color="black", linewidth=1.5)
        shown = np.stack([data.loading.sel(scenario=s).max("period").values for s in scenarios]).max(axis=0)
        figure.legend(handles=_legend(layout, shown, frozenset().union(*reinforced.values()), bool(built)), loc="outside lower center", ncols=3)
        if not layout.schematic:
            one_scale(figure, [(ax, window) for row, window in zip(axes, (layout.frame, detail), strict=False) if window for ax in row])
        return svg(figure, f"Two maps of the network with the peak loading of its branches; {len(built)} are reinforced")


def placed_words(layout: Layout) -> str:
    """How the positions on a map are to be read."""
    if layout.schematic:
        return "The data hold no coordinates: drawn as a tree from the feeding bus, left, to the ends of the feeders; lengths say nothing."
    return "Networks that lie far apart are drawn next to each other at one scale." if layout.apart else ""


def frame(ax: Axes, layout: Layout, window: Window) -> None:
    """An empty map of the window on light ground, with the names of networks that are drawn next to each other."""
    ax.set_xlim(window.left, window.right)
    ax.set_ylim(window.bottom, window.top)
    ax.set_facecolor(GROUND)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    for text, x, y in layout.labels:
        ax.annotate(text, (x, y), (0, 12), textcoords="offset points", ha="center", fontsize=9, color="#374151")


def one_scale(figure: Figure, panels: Sequence[tuple[Axes, Window]]) -> None:
    """The same scale up and across on every panel: its window is widened to the shape that the figure's layout leaves it.

    The boxes stay as they are, so that titles keep the room that the layout gives them.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    for ax, (left, right, bottom, top) in panels:
        box = ax.get_window_extent()
        scale = max((right - left) / box.width, (top - bottom) / box.height)
        across, up = (left + right) / 2, (bottom + top) / 2
        ax.set_xlim(across - scale * box.width / 2, across + scale * box.width / 2)
        ax.set_ylim(up - scale * box.height / 2, up + scale * box.height / 2)


def substations(ax: Axes, layout: Layout, colours: np.ndarray | str = "#374151") -> None:
    """Two rings, as in a circuit diagram, where the network is fed from a higher voltage; one symbol for each bus."""
    fed = np.flatnonzero(layout.substations)
    buses, first = np.unique(layout.site_bus[fed], return_index=True)
    edges = [colours] * len(buses) if isinstance(colours, str) else [tuple(c) for c in colours[fed[first]].tolist()]
    for shift in (0.0, 7.0):
        transform = offset_copy(ax.transData, fig=ax.get_figure(root=True), x=0, y=shift, units="points")
        inside = "none" if shift else "white"
        ax.scatter(layout.x[buses], layout.y[buses], s=95, zorder=4, transform=transform, facecolors=inside, edgecolors=edges, linewidths=2.2)


def loading_colours(top: float) -> mpl.cm.ScalarMappable:
    """Grey to dark blue up to the rating, orange to brown above it: distinguished by colour-blind readers, and darker where higher in grey print."""
    at = 100.0 / top
    steps = [(0.0, "#c9d1da"), (0.5 * at, "#5a9bd0"), (at, "#08306b"), (at, RED), (1.0, "#7a2d00")]
    return mpl.cm.ScalarMappable(Normalize(0.0, top), LinearSegmentedColormap.from_list("loading", steps, N=512))


def _draw(ax: Axes, layout: Layout, look: _Look, window: Window, size: tuple[float, float]) -> None:
    """One panel; ``size`` is its width and height [inch]."""
    chosen = np.flatnonzero(layout.branches)
    peak = np.nan_to_num(look.peak)
    widths = 1.6 + 3.2 * np.clip(peak / 120.0, 0, 1.2)
    ax.add_collection(LineCollection(list(layout.segments(layout.open)), colors=_OPEN, linewidths=0.9, linestyles=":", zorder=0))
    parallel = np.array([b for b in sorted(look.there) if layout.branches[b]], dtype=int)
    if len(parallel):
        for more, colour in ((5.2, "black"), (3.0, "white")):
            ax.add_collection(LineCollection(list(layout.segments(parallel)), colors=colour, linewidths=widths[parallel] + more, zorder=1.5))
    colours = look.colours.to_rgba(peak)
    # What the power flow does not know is no loading of zero.
    colours[~np.isfinite(look.peak)] = mpl.colors.to_rgba(_OPEN)
    ax.add_collection(LineCollection(list(layout.segments(chosen)), colors=colours[chosen], linewidths=widths[chosen], zorder=2, capstyle="round"))
    sites = np.flatnonzero(layout.sites)
    if len(sites):
        at, strong = layout.site_bus[sites], np.isin(sites, list(look.there))
        x, y = layout.x[at[strong]], layout.y[at[strong]]
        ax.scatter(x, y, s=130, marker="s", zorder=3, facecolors="white", edgecolors="black", linewidths=1.8)
        ax.scatter(layout.x[at], layout.y[at], s=46, marker="s", c=colours[sites], edgecolors="black", linewidths=0.8, zorder=3.5)
    substations(ax, layout, colours)
    inside = {b: n for b, n in look.built.items() if _within(layout.point(b), window)}
    frame(ax, layout, window)
    _number(ax, layout, inside, window, (66 * size[0], 66 * size[1]), look.there)


def _within(point: tuple[float, float], window: Window) -> bool:
    return window.left <= point[0] <= window.right and window.bottom <= point[1] <= window.top


def _mark_window(ax: Axes, window: Window) -> None:
    corner = (window.left, window.bottom)
    ax.add_patch(Rectangle(corner, window.right - window.left, window.top - window.bottom, fill=False, edgecolor="#374151", linewidth=0.9, zorder=5))


def _legend(layout: Layout, peak: np.ndarray, reinforced: frozenset[int], numbered: bool) -> list[Line2D]:
    """Only what is on the map."""

    def point(marker: str, label: str, size: float = 8, face: str = "white", edge: str = "black") -> Line2D:
        return Line2D([], [], color="none", marker=marker, markerfacecolor=face, markeredgecolor=edge, markersize=size, label=label)

    drawn = layout.branches | layout.sites | layout.substations
    handles = []
    if (peak[drawn] > 100).any():
        handles.append(Line2D([], [], color=RED, linewidth=4, label="above the rating"))
    if layout.sites.any():
        handles.append(point("s", "low-voltage site (transformer)", 7, "#d9dee5"))
    if layout.substations.any():
        handles.append(point("o", "fed from a higher voltage (two rings)", 9, "none", "#374151"))
    if layout.open.any():
        handles.append(_SIDE)
    if any(layout.branches[b] for b in reinforced):
        handles.append(Line2D([], [], color="black", linewidth=7, label="line reinforced (cased)"))
    if any(not layout.branches[b] for b in reinforced):
        handles.append(point("s", "transformer reinforced (framed)", 10))
    if numbered:
        handles.append(point("o", "number: place in the list of the answer (filled: reinforced here)", 9, "black"))
    return handles


def _number(ax: Axes, layout: Layout, numbers: Mapping[int, int], window: Window, size: tuple[float, float], filled: frozenset[int]) -> None:
    """Number branches: each label goes to the nearest place around its branch that is free of other labels and of sites, inside the window."""
    across, up = window.right - window.left, window.top - window.bottom
    scale = np.array([size[0] / across, size[1] / up]) if layout.schematic else np.full(2, min(size[0] / across, size[1] / up))
    points = {branch: scale * np.array(layout.point(branch)) for branch in numbers}
    sites = scale * np.stack([layout.x[layout.site_bus[layout.sites]], layout.y[layout.site_bus[layout.sites]]], axis=1)
    around = [r * np.array([np.cos(a), np.sin(a)]) for r in (20, 30, 42, 56) for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)]
    low, high = scale * (window.left, window.bottom), scale * (window.right, window.top)
    placed: list[np.ndarray] = []
    for branch, label in numbers.items():
        others = np.array([*placed, *[p for b, p in points.items() if b != branch]]).reshape(-1, 2)

        def crowding(offset: np.ndarray, point: np.ndarray = points[branch], others: np.ndarray = others) -> float:
            place = point + offset
            near_labels = np.maximum(0.0, 21 - np.hypot(*(others - place).T)).sum() if len(others) else 0.0
            near_sites = np.maximum(0.0, 13 - np.hypot(*(sites - place).T)).sum() if len(sites) else 0.0
            outside = np.maximum(0.0, low + 9 - place).sum() + np.maximum(0.0, place - high + 9).sum()
            return float(20 * near_labels + 3 * near_sites + 20 * outside + 0.4 * np.hypot(*offset))

        offset = min(around, key=crowding)
        placed.append(points[branch] + offset)
        face, colour = ("black", "white") if branch in filled else ("white", "black")
        ax.annotate(
            number(label), layout.point(branch), (float(offset[0]), float(offset[1])), textcoords="offset points",
            ha="center", va="center", fontsize=9, fontweight="bold", color=colour, zorder=6,
            bbox={"boxstyle": "circle,pad=0.2", "fc": face, "ec": "black", "lw": 1.0},
            arrowprops={"arrowstyle": "-", "color": "black", "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
