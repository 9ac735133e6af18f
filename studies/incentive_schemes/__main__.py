"""The command: all regimes in three scenarios as one sweep, and one comparison of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from multiscale.planning import REGIMES

from ..swept import missing, rows, swept, written  # noqa: TID252 - studies are installed as multiscale.studies

STUDY = "incentive_schemes_simbench"
SCENARIOS = "1.0,1.2,1.4"
REGIMES_OF_ONE = [name for name in REGIMES if name != "yardstick"]
"""Regimes that one operator can be under; a yardstick takes several to compare."""
PARAMETERS = ("tuning", "collar", "sharing", "spread")
"""Settings of regimes over which a curve is drawn where one is swept alone."""
VALUES = {
    "built": "plan.reinforcements",
    "annuity [EUR/a]": "plan.reinforcement_annuity",
    "charge [EUR/kWh]": "plan.price.network_charge",
    "profit [EUR/a]": "regulation.planned.profit",
    "return [1/a]": "regulation.planned.return_on_asset_base",
    "capex bias [1]": "regulation.social.capex_bias",
    "welfare loss [EUR/a]": "regulation.social.welfare_loss",
    "unserved demand [EUR/a]": "assess.unserved_demand_plan",
    "payment to the operator [EUR/a]": "regulation.planned.payment",
    "account does not close by [EUR/a]": "regulation.operated.residual",
    "AC violations": "ac.violations",
    "gap [EUR/a]": "plan.gap_eur",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep, or read one, and write the comparison."""
    parser = argparse.ArgumentParser(prog="python -m studies.incentive_schemes", description="All regimes in three scenarios, side by side.")
    parser.add_argument("overrides", nargs="*", metavar="group.key=value", help="what differs from the study; several values are swept too")
    parser.add_argument("--sweep", type=Path, default=None, metavar="FOLDER", help="a sweep that has been run, in place of running one")
    parser.add_argument("--study", default=STUDY, help=f"default: {STUDY}; incentive_schemes is the built-in case")
    parser.add_argument("--scenarios", default=SCENARIOS, help="factors on demand of the three scenarios (system.growth.load_factor)")
    parser.add_argument("--regimes", default=",".join(REGIMES_OF_ONE), help="default: all but yardstick, which takes several operators")
    parser.add_argument("--jobs", type=int, default=None, help="at the same time")
    parser.add_argument("--output", type=Path, default=Path("incentive_schemes"), metavar="FOLDER", help="folder for runs and comparison")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    axes = [f"study={given.study}", f"system.growth.load_factor={given.scenarios}", f"regime={given.regimes}", *given.overrides]
    folder = given.sweep or swept(axes, given.output, given.jobs)
    table, without = rows(folder, VALUES)
    missing(without)
    if table.empty:
        return 1
    written("Regimes side by side", table, given.output / "comparison.csv")
    if {"regime", "load_factor"} <= set(table):
        draw(table, given.output / "comparison.png")
        sys.stdout.write(f"{given.output / 'comparison.png'}\n")
    parameters = [name for name in table if str(name) in PARAMETERS]
    if len(parameters) == 1:
        curve(table, str(parameters[0]), given.output / f"curve_{parameters[0]}.png")
        sys.stdout.write(f"{given.output / f'curve_{parameters[0]}.png'}\n")
    return 0 if not without else 1


def curve(table: pd.DataFrame, parameter: str, path: Path) -> None:
    """What follows from one parameter of a regime: annuity, profit, welfare loss and unserved demand against it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    shown = ("annuity [EUR/a]", "profit [EUR/a]", "welfare loss [EUR/a]", "unserved demand [EUR/a]")
    known = table.sort_values(parameter)
    for axes, column in zip(figure.subplots(1, len(shown)), shown, strict=True):
        axes.plot(known[parameter], known[column], "o-", color="#084594")
        axes.set(xlabel=f"{parameter} [1]", title=column)
        axes.grid(alpha=0.3)
        axes.set_ylim(min(0.0, 1.1 * known[column].min()), max(1.0, 1.1 * known[column].max()))
    figure.savefig(path, dpi=120)


def draw(table: pd.DataFrame, path: Path) -> None:
    """What is built, demand that is not served, welfare loss, profit, payment and charge by regime and scenario.

    What a job does not tell is called not known: an empty place is a zero. What is not served stands next to what is built, since who builds less
    may serve less.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = {
        "annuity [EUR/a]": "Annuity of what is built [EUR/a]",
        "unserved demand [EUR/a]": "Demand not served, at its value [EUR/a]",
        "welfare loss [EUR/a]": "Welfare loss against least social cost [EUR/a]",
        "profit [EUR/a]": "Profit of the operator [EUR/a], logarithmic above 100,000",
        "payment to the operator [EUR/a]": "Incentives paid, less penalties [EUR/a]",
        "charge [EUR/kWh]": "Network charge [EUR/kWh], logarithmic above 0.05",
    }
    figure = Figure(figsize=(16, 8), layout="constrained")
    FigureCanvasAgg(figure)
    regimes = list(dict.fromkeys(table.regime))
    scenarios = sorted(set(table.load_factor))
    for axes, (column, title) in zip(figure.subplots(2, 3).ravel(), shown.items(), strict=True):
        for i, scenario in enumerate(scenarios):
            part = table[table.load_factor == scenario].set_index("regime")
            values = part[column].reindex(regimes)
            if column == "welfare loss [EUR/a]":
                # Least social cost has no loss against itself, where it was found.
                values = values.mask((values.index == "social") & part["annuity [EUR/a]"].reindex(regimes).notna(), 0.0)
            places = np.arange(len(regimes)) + 0.27 * (i - 1)
            axes.barh(places, values, 0.25, label=f"demand x {scenario:g}", color=("#9ecae1", "#4292c6", "#084594")[i % 3])
            for place in places[values.isna()]:
                axes.annotate("not known", (0.0, place), (2, 0), textcoords="offset points", va="center", fontsize=7)
        axes.set_yticks(np.arange(len(regimes)), [str(r).replace("_", " ") for r in regimes])
        axes.invert_yaxis()
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        if column == "profit [EUR/a]" or column == "charge [EUR/kWh]":
            axes.set_xscale("symlog", linthresh=1e5 if column.startswith("profit") else 0.05)
        else:
            axes.locator_params(axis="x", nbins=5)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
