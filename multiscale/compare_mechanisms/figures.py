"""Comparisons as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MARKS = "os^vD<>Pp*X"


def draw(tables: dict[str, pd.DataFrame], what: str, path: Path) -> None:
    """The tables of one comparison as a picture."""
    figure = Figure(figsize=(12.0, 4.6) if what == "curves" else (7.0, 4.6), layout="constrained")
    axes = figure.subplots(1, 3 if what == "curves" else 1, squeeze=False)[0]
    if what == "signals":
        _signals(axes[0], tables["signals"])
    if what == "curves":
        _rounds(axes[0], tables["rounds"])
        _errors(axes[1], tables["curves"])
        _messages(axes[2], tables["curves"])
    if what == "simulation":
        table = tables["simulation"]
        axes[0].barh(table["mechanism"], table["cost [EUR]"] - table["bound [EUR]"])
        axes[0].set(xlabel="cost above the bound [EUR]")
    if what == "prediction":
        table = tables["prediction"]
        for (name, part), mark in zip(table.groupby("mechanism", sort=False), MARKS, strict=False):
            axes[0].plot(range(len(part)), part["cost [EUR]"] - part["bound [EUR]"], marker=mark, label=name)
        axes[0].set(xlabel="span of days", ylabel="cost above the bound [EUR]")
        axes[0].legend()
    if what == "feeder":
        for (name, part), mark in zip(tables["feeder"].groupby("DSO", sort=False), MARKS, strict=False):
            axes[0].plot(100 * part["forecast error"], 100 * part["mean gap [EUR/kWh]"], marker=mark, label=name)
        axes[0].set(xlabel="forecast error [%]", ylabel="import price less export price [ct/kWh]")
        axes[0].legend()
    if what == "uncertainty":
        table = tables["uncertainty"]
        axes[0].plot(table["correlation"], table["more by agreement"], marker="o", label="by agreement")
        axes[0].plot(table["correlation"], table["more alone"], marker="s", label="every level alone")
        axes[0].set(xlabel="correlation of forecast errors", ylabel="what the day costs more for them [EUR/d]", yscale="log")
        axes[0].legend()
    figure.savefig(path, dpi=110)


def _signals(axes: Axes, table: pd.DataFrame) -> None:
    """Value reached in every draw, from the worst to the best; of the day with the largest value."""
    day = table.loc[table["value of coordination"].idxmax(), "day"]
    here = table[(table["day"] == day) & (table["forecast error"] == table["forecast error"].max())]
    for (name, part), mark in zip(here.groupby("signal", sort=False), MARKS, strict=False):
        reached = 100 * np.sort(part["value reached"].to_numpy())
        axes.plot(np.arange(1, len(reached) + 1), reached, marker=mark, markersize=4, label=name)
    axes.axhline(95, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="draw, from the worst to the best", ylabel="value of coordination reached [%]")
    axes.set_title(f"{day}, forecast error {100 * here['forecast error'].max():g} %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)


def _rounds(axes: Axes, table: pd.DataFrame) -> None:
    """Gap by round, one line for each number of DSOs."""
    for (count, part), mark in zip(table.groupby("DSOs"), MARKS, strict=False):
        axes.semilogy(part["round"], 100 * np.maximum(part["gap"], 1e-8), marker=mark, markersize=4, label=f"{count}")
    axes.axhline(0.1, color="grey", linestyle=":", linewidth=1)
    axes.axhline(0.01, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="round of the negotiation", ylabel="certified gap [%]", title="bidirectional, by number of DSOs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(title="DSOs", fontsize=8)


def _errors(axes: Axes, table: pd.DataFrame) -> None:
    """Value by forecast error, mean and spread of the draws."""
    for (name, part), mark in zip(table[table["mechanism"] != "flat"].groupby("mechanism", sort=False), MARKS, strict=False):
        by = 100 * part.groupby("forecast error")["value reached"].agg(["mean", "min", "max"])
        apart = [by["mean"] - by["min"], by["max"] - by["mean"]]
        axes.errorbar(100 * by.index, by["mean"], yerr=apart, marker=mark, markersize=5, capsize=3, label=name)
    axes.set(xlabel="forecast error [%]", ylabel="value of coordination reached [%]", title="value by forecast error")


def _messages(axes: Axes, table: pd.DataFrame) -> None:
    """Value by messages at the largest forecast error, mean and spread of the draws."""
    last = table[table["forecast error"] == table["forecast error"].max()]
    for (name, part), mark in zip(last[last["mechanism"] != "flat"].groupby("mechanism", sort=False), MARKS, strict=False):
        mean = 100 * part["value reached"].mean()
        apart = [[mean - 100 * part["value reached"].min()], [100 * part["value reached"].max() - mean]]
        axes.errorbar(part["messages a day"].mean(), mean, yerr=apart, marker=mark, capsize=3, linestyle="none", label=name)
    axes.set_xscale("symlog", linthresh=10)
    axes.set(xlim=(-1, None), xlabel="messages a day", ylabel="value of coordination reached [%]")
    axes.set_title(f"value by messages at {100 * table['forecast error'].max():g} % error")
    axes.legend(fontsize=8)
