"""The command: four types of SimBench network in three scenarios, planned without response, with response alone, and with trading."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from multiscale.assessment.cost_benefit import deferral_value

from ..swept import missing, rows, swept, written  # noqa: TID252 - studies are installed as multiscale.studies

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
LOST_LOAD = 1000.0
"""Value of lost load of the study [EUR/kWh]."""
SERVED = 1.0
"""Unserved demand at the value of lost load up to which everything counts as served [EUR/a]: 1 Wh."""


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

    What response at tariffs defers is the investment without response less that with it; what trading defers is what it invests less beyond that. A
    difference counts where both of its sides serve all demand and violate no limit under AC power flow: a plan that cuts demand off or overloads a
    line has deferred nothing.

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
        plain, alone, together = (float(v) for v in (response["without response [EUR]"], response["planned [EUR]"], trading["planned [EUR]"]))
        faults = {
            "without response": _faults(response, ", without response"),
            "with response": _faults(response),
            "with trading": _faults(trading),
        }
        found.append(
            {
                "network": f"{name} ({NETWORKS.get(name, '')})",
                "vehicles": share,
                "without response [EUR]": plain,
                "with response [EUR]": alone,
                "with trading [EUR]": together,
                "deferred by response [EUR]": plain - alone,
                "counts: response": _counts(faults, "without response", "with response"),
                "deferred by trading beyond it [EUR]": alone - together,
                f"worth of trading, {YEARS} years later [EUR]": float(np.sign(alone - together)) * deferral_value(abs(alone - together), YEARS, RATE),
                "counts: trading": _counts(faults, "with response", "with trading"),
            }
        )
    return pd.DataFrame(found)


def _faults(row: pd.Series, variant: str = "") -> list[str]:
    """What a variant does not keep; a value that is missing is not kept."""
    unserved = float(row["unserved, without response [EUR/a]" if variant else "unserved [EUR/a]"])
    violations = float(row[f"AC violations{variant}"])
    # Comparisons with a value that is not a number are false, so these are written from what is asked for.
    found = [] if unserved <= SERVED else [f"{unserved / LOST_LOAD:,.3g} kWh/a cut off"]
    return found if violations == 0 else [*found, f"{violations:.0f} AC violations"]


def _counts(faults: Mapping[str, list[str]], *sides: str) -> str:
    """Whether a difference of two variants counts, and if not, why."""
    why = [f"{side}: {', '.join(faults[side])}" for side in sides if faults[side]]
    return "no: " + "; ".join(why) if why else "yes"


def draw(table: pd.DataFrame, path: Path) -> None:
    """Investment of the three variants; hatched where the comparison does not count."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.6 + 0.55 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    at = np.arange(len(table))
    response, trading = table["counts: response"], table["counts: trading"]
    kept = {"without response": ~response.str.contains("without"), "with trading": ~trading.str.contains("with trading")}
    kept["with response"] = ~trading.str.contains("with response")
    for k, (column, colour) in enumerate({"without response": "#999999", "with response": "#56b4e9", "with trading": "#009e73"}.items()):
        bars = axes.barh(at + 0.27 * (k - 1), table[f"{column} [EUR]"] / 1000, 0.25, color=colour, label=column)
        for bar, whole in zip(bars, kept[column], strict=True):
            bar.set_hatch("" if whole else "///")
    axes.set_yticks(at, [f"{n}, vehicles at {v:.0%}" for n, v in zip(table["network"], table["vehicles"], strict=True)])
    axes.invert_yaxis()
    axes.set(xlabel="Investment in reinforcement [1,000 EUR]")
    axes.set_title("Reinforcement by variant; hatched: this variant cuts demand off or violates a limit under AC power flow", fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
