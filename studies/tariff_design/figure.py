"""The frontier as a picture: social cost of every design against the bill of customers who can buy nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .customers import KINDS
from .designs import BASES, Outcome, efficient

COLOURS = {"volumetric": "#0072b2", "capacity": "#d55e00", "time of use": "#009e73"}
MARKS = {"volumetric": "o", "capacity": "s", "time of use": "^"}


def draw(outcomes: Sequence[Outcome], buses: int, path: Path) -> None:
    """Write the picture.

    Args:
        outcomes: designs that have an answer.
        buses: of the network, for the title.
        path: file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    least = min(o.social_cost for o in outcomes)
    best = efficient(list(outcomes))
    for base in BASES:
        mine = [(o, good) for o, good in zip(outcomes, best, strict=True) if o.design.base == base]
        if not mine:
            continue
        x, y = [(o.social_cost - least) / 1000 for o, _ in mine], [o.bills[0] for o, _ in mine]
        left.plot(x, y, "-", color=COLOURS[base], linewidth=1, alpha=0.6)
        for (o, good), a, b in zip(mine, x, y, strict=True):
            left.plot(a, b, MARKS[base], color=COLOURS[base], markersize=8, markerfacecolor=COLOURS[base] if good else "white")
            left.annotate(f"{o.design.fixed_share:.0%}", (a, b), textcoords="offset points", xytext=(6, 4), fontsize=8, color=COLOURS[base])
        left.plot([], [], MARKS[base] + "-", color=COLOURS[base], label=base)
        share = [100 * o.design.fixed_share for o, _ in mine]
        for kind, style in zip(range(len(KINDS)), ("-", "--", ":"), strict=True):
            right.plot(share, [o.network[kind] for o, _ in mine], style, color=COLOURS[base], marker=MARKS[base], markersize=4)
    left.set(xlabel="Social cost above the least of all designs [1,000 EUR/a]", ylabel=f"Bill of a {KINDS[0].name} [EUR/a]")
    left.set_title(f"{buses} buses; labels: share of the existing cost in the fixed charge;\nfilled: no design is better in both", fontsize=9)
    left.legend(title="Rest recovered by", fontsize=8)
    right.set(xlabel="Share of the existing cost in the fixed charge [%]", ylabel="Network payment of one customer [EUR/a]")
    right.set_title(
        "Who pays: " + ", ".join(f"{kind.name} ({line})" for kind, line in zip(KINDS, ("solid", "dashed", "dotted"), strict=True)), fontsize=9
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
