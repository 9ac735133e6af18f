"""The command: four types of SimBench network in three scenarios, planned without response, with response alone, and with trading."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from multiscale.assessment.cost_benefit import deferral_value
from studies.swept import missing, rows, swept, written

NETWORKS = {"MV1.101": "rural", "MV2.101": "semi-urban", "MV3.101": "urban", "MV4.101": "commercial"}
SHARES = "0.4,0.6,0.8"
VARIANTS = {"time_of_use": "with response", "community": "with trading"}
RATE, YEARS = 0.05, 10
"""Discount rate [1/a] and years by which the worth of building later is stated."""
VALUES = {
    "without response [EUR]": "plan.conventional_investment",
    "planned [EUR]": "plan.investment",
    "social cost [EUR/a]": "plan.objective",
    "gap [EUR/a]": "plan.gap_eur",
    "unserved, without response [EUR/a]": "assess.unserved_demand_conventional",
    "unserved [EUR/a]": "assess.unserved_demand_plan",
    "AC violations, without response": "ac.conventional.violations",
    "AC violations": "ac.violations",
    "repairs": "plan.repair_rounds",
}
SERVED = 1.0
"""Unserved demand at the value of lost load up to which everything counts as served [EUR/a]: 1 Wh at 1,000 EUR/kWh."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep, or read one, and write the comparison."""
    parser = argparse.ArgumentParser(prog="python -m studies.deferral", description="Reinforcement without response, with response, with trading.")
    parser.add_argument("overrides", nargs="*", metavar="group.key=value", help="what differs from the study")
    parser.add_argument("--sweep", type=Path, default=None, metavar="FOLDER", help="a sweep that has been run, in place of running one")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="default: all four")
    parser.add_argument("--scenarios", default=SHARES, help="shares of connections with an electric vehicle (system.growth.ev_share)")
    parser.add_argument("--jobs", type=int, default=None, help="at the same time")
    parser.add_argument("--output", type=Path, default=Path("deferral"), metavar="FOLDER", help="folder for runs and comparison")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    networks = ",".join(f"[{name}]" for name in given.networks)
    axes = [
        "study=deferral",
        f"system.growth.ev_share={given.scenarios}",
        f"system.dsos={networks}",
        f"market={','.join(VARIANTS)}",
        *given.overrides,
    ]
    table, without = rows(given.sweep or swept(axes, given.output, given.jobs), VALUES)
    missing(without)
    if table.empty:
        return 1
    written("All plans", table, given.output / "plans.csv")
    compared = deferred(table)
    written("What is deferred", compared, given.output / "deferral.csv")
    if not compared.empty:
        draw(compared, given.output / "deferral.png")
        sys.stdout.write(f"{given.output / 'deferral.png'}\n")
    return 0 if not without else 1


def deferred(table: pd.DataFrame) -> pd.DataFrame:
    """Network and scenario, one row each: what each variant invests, what response and trading defer, and whether that counts.

    It counts where every variant serves all demand and none violates a limit under AC power flow: a plan that cuts demand off or overloads a line has
    deferred nothing. What response at tariffs defers is the investment without response less that with it; what trading defers is what
    it invests less beyond that.

    Args:
        table: one row for each plan: ``ev_share``, ``dsos``, ``market`` and the columns of ``VALUES``.
    """
    found = []
    for (share, network), pair in table.groupby(["ev_share", "dsos"], sort=False):
        by = {row["market"]: row for _, row in pair.iterrows()}
        if set(by) != set(VARIANTS):
            continue
        response, trading = by["time_of_use"], by["community"]
        name = str(network).strip("[]")
        plain = float(response["without response [EUR]"])
        whole = float(np.max([float(row[c]) for row in (response, trading) for c in VALUES if c.startswith("unserved")]))
        broken = float(np.max([float(row[c]) for row in (response, trading) for c in VALUES if c.startswith("AC")]))
        beyond = float(response["planned [EUR]"] - trading["planned [EUR]"])
        reasons = ["demand is cut off"] * (not whole <= SERVED) + ["limits are violated under AC power flow"] * (broken != 0)
        found.append(
            {
                "network": f"{name} ({NETWORKS.get(name, '')})",
                "vehicles": share,
                "without response [EUR]": plain,
                "with response [EUR]": float(response["planned [EUR]"]),
                "with trading [EUR]": float(trading["planned [EUR]"]),
                "deferred by response [EUR]": plain - float(response["planned [EUR]"]),
                "deferred by trading beyond it [EUR]": beyond,
                f"worth of trading, {YEARS} years later [EUR]": float(np.sign(beyond)) * deferral_value(abs(beyond), YEARS, RATE),
                "counts": "yes" if not reasons else "no: " + ", ".join(reasons),
            }
        )
    return pd.DataFrame(found)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Investment of the three variants; hatched where the comparison does not count."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.6 + 0.55 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    at = np.arange(len(table))
    counts = table["counts"] == "yes"
    for k, (column, colour) in enumerate({"without response": "#999999", "with response": "#56b4e9", "with trading": "#009e73"}.items()):
        bars = axes.barh(at + 0.27 * (k - 1), table[f"{column} [EUR]"] / 1000, 0.25, color=colour, label=column)
        for bar, whole in zip(bars, counts, strict=True):
            bar.set_hatch("" if whole else "///")
    axes.set_yticks(at, [f"{n}, vehicles at {v:.0%}" for n, v in zip(table["network"], table["vehicles"], strict=True)])
    axes.invert_yaxis()
    axes.set(xlabel="Investment in reinforcement [1,000 EUR]")
    axes.set_title(
        "Reinforcement by variant; hatched: some variant cuts demand off or violates a limit under AC power flow, nothing is counted", fontsize=9
    )
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
