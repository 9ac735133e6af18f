"""The comparison of strategies as a picture: what is regretted in every future, and what is built when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from multiscale.results.figures.style import COLOURS

MARKS = ("o", "s", "^", "D", "v", "P")

BEGIN, END, MOST = "regret in ", " (EUR)", " at most (EUR)"


def draw(tables: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write the picture.

    Left: regret against foresight in every future (bar: as found; line: at most, as far as is proven). Right: first year in which every option is
    built, by strategy; one mark for each future in which it is.

    Args:
        tables: those of ``planned_futures``.
        path: file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    regret, built = tables["futures"], tables["built"]
    futures = [name.removeprefix(BEGIN).removesuffix(END) for name in regret.columns if name.startswith(BEGIN) and not name.endswith(MOST)]
    rows = [(row["strategy"], str(row["option"]).removeprefix("reinforce ")) for _, row in built.iterrows()]
    figure = Figure(figsize=(11, max(3.6, 1.4 + 0.28 * len(rows))), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    width, places = 0.8 / len(regret), np.arange(len(futures))
    for k, (_, row) in enumerate(regret.iterrows()):
        found = np.array([float(row[f"{BEGIN}{f}{END}"]) for f in futures])
        most = np.array([float(row[f"{BEGIN}{f}{MOST}"]) for f in futures])
        at = places + (k - 0.5 * (len(regret) - 1)) * width
        left.bar(at, found, width, color=COLOURS[k], label=row["strategy"])
        left.vlines(at, found, np.maximum(found, most), color="black", linewidth=1)
        for x, value, highest in zip(at.tolist(), found.tolist(), np.maximum(found, most).tolist(), strict=True):
            left.annotate(f"{np.round(value) + 0.0:,.0f}", (x, max(highest, 0.0)), textcoords="offset points", xytext=(0, 3), ha="center", fontsize=7)
    left.set_xticks(places, futures)
    left.set(xlabel="future", ylabel="regret against foresight [EUR]")
    left.set_title("Regret (bar and number: as found; line: up to the proven maximum)", fontsize=9)
    left.yaxis.set_major_formatter("{x:,.0f}")
    left.margins(y=0.12)
    left.legend(fontsize=8)
    shift = 0.24
    for j, future in enumerate(futures):
        years = pd.to_numeric(built.get(f"built in {future}", pd.Series(dtype=float)), errors="coerce")
        shown = [(float(year), i) for i, year in enumerate(years) if pd.notna(year)]
        heights = [i + (j - 0.5 * (len(futures) - 1)) * shift for _, i in shown]
        look = {"color": COLOURS[3 + j % (len(COLOURS) - 3)], "markersize": 6, "label": future}
        right.plot([year for year, _ in shown], heights, MARKS[j % len(MARKS)], **look)
    right.set_yticks(range(len(rows)), [f"{strategy}: {option}" for strategy, option in rows], fontsize=7)
    right.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    numbers = pd.to_numeric(built.filter(like="built in ").stack(), errors="coerce").dropna() if len(built) else pd.Series(dtype=float)
    right.set_xticks(sorted({int(year) for year in numbers}))
    right.set_xlim(*((numbers.min() - 2.5, numbers.max() + 2.5) if len(numbers) else (0.0, 1.0)))
    right.set_xlabel("first year in which it is built")
    right.set_title("First year of each reinforcement, by strategy" if rows else "Nothing is built under any strategy", fontsize=9)
    right.grid(axis="y", alpha=0.3)
    if rows:
        right.legend(title="in future", fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=130)
