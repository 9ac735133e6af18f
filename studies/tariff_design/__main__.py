"""The command: fixed and nodal customers, then every design of a tariff, on the network of 5 or 33 buses."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil

from multiscale import bilevel

from .customers import KINDS
from .designs import Outcome, designs, efficient, outcome
from .figure import draw
from .network import feeder
from .nodal import NodalAnswer, enumerated, plan

PROVEN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write them with the picture."""
    parser = argparse.ArgumentParser(prog="python -m studies.tariff_design", description="Designs of a network tariff: efficiency and who pays.")
    parser.add_argument("--buses", nargs="+", type=int, choices=(5, 33), default=[5, 33], help="networks (default: both)")
    parser.add_argument("--options", type=int, default=None, help="lines that may be reinforced (default: 3 of the 5-bus, 6 of the 33-bus network)")
    parser.add_argument("--bases", nargs="+", choices=("volumetric", "capacity", "time of use"), default=None, help="designs (default: all)")
    parser.add_argument("--gap", type=float, default=1e-4, help="relative gap to which a plan is proven")
    parser.add_argument("--nodes", type=int, default=200, help="nodes of the search for one design; where they end it, the gap is stated")
    parser.add_argument("--output", type=Path, default=Path("tariff_design"), metavar="FOLDER", help="folder for tables and pictures")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    for buses in given.buses:
        options = given.options or {5: 3, 33: 6}[buses]
        case = feeder(buses, options)
        # Three options are proven by the bilevel engine in 15 CPU s; six are enumerated, and the distance to the bound is stated.
        table = nodal_table(plan(case) if options <= PROVEN else enumerated(case))
        _written(f"{buses} buses: fixed and nodal customers", table, given.output / f"nodal_{buses}.csv")
        found: list[Outcome] = []
        for design in designs(*([tuple(given.bases)] if given.bases else [])):
            sys.stderr.write(f"{buses} buses: {design.name}\n")
            try:
                found.append(outcome(case, design, gap=given.gap, nodes=given.nodes))
            except bilevel.BilevelError as error:
                sys.stdout.write(f"{design.name}: no answer ({error})\n")
        if not found:
            return 3
        _written(f"{buses} buses: designs", design_table(found), given.output / f"designs_{buses}.csv")
        draw(found, buses, given.output / f"frontier_{buses}.png")
        sys.stdout.write(f"{given.output / f'frontier_{buses}.png'}\n")
    # The solver works in a process of its own, which is still there.
    here = psutil.Process()
    used = sum(sum(process.cpu_times()[:4]) for process in (here, *here.children(recursive=True)))
    sys.stdout.write(f"\n{used:.0f} CPU s\n")
    return 0


def nodal_table(a: NodalAnswer) -> pd.DataFrame:
    """Quantities of an answer."""
    rows = {
        "social cost above bound [EUR/a]": a.social_cost - a.bound,
        "lines reinforced": ", ".join(str(k + 1) for k in a.built) or "-",
        "tariff [ct/kWh]": 100 * a.tariff,
        "existing network [EUR/a]": a.existing,
        "annuity of reinforcement [EUR/a]": a.annuity,
        "recovered by the tariff [EUR/a]": a.tariff_revenue,
        "recovered by congestion rent [EUR/a]": a.rent,
        "price of fixed customers, without tariff [ct/kWh]": 100 * a.fixed_price,
        "price of flexible customers, mean [ct/kWh]": 100 * a.flexible_paid / a.flexible_energy,
        "nodal prices, lowest [ct/kWh]": 100 * a.nodal.min(),
        "nodal prices, highest [ct/kWh]": 100 * a.nodal.max(),
        "unserved [kWh/a]": a.unserved,
    }
    return pd.DataFrame({"quantity": list(rows), "value": list(rows.values())})


def design_table(found: Sequence[Outcome]) -> pd.DataFrame:
    """Designs, one row each; costs above the least."""
    least = min(o.social_cost for o in found)
    rows = []
    for o, good in zip(found, efficient(found), strict=True):
        row: dict[str, object] = {"design": o.design.name, "proven": o.status, "gap [EUR/a]": o.gap * abs(o.social_cost)}
        row |= {"social cost above least [EUR/a]": o.social_cost - least, "lines reinforced": len(o.built), "annuity [EUR/a]": o.annuity}
        row |= {"pv [kW]": o.pv, "storage [kWh]": o.storage, "unserved [kWh/a]": o.unserved}
        row |= {f"bill of a {kind.name} [EUR/a]": bill for kind, bill in zip(KINDS, o.bills, strict=True)}
        row |= {f"network payment of a {kind.name} [EUR/a]": paid for kind, paid in zip(KINDS, o.network, strict=True)}
        rows.append(row | {"Gini of payment per kWh": o.uneven, "on the frontier": "yes" if good else ""})
    return pd.DataFrame(rows)


def _written(title: str, table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)
    with pd.option_context("display.width", 250, "display.max_columns", None):
        sys.stdout.write(f"\n{title}\n{table.to_string(index=False, float_format=lambda v: f'{v:,.3f}' if abs(v) < 10 else f'{v:,.0f}')}\n{path}\n")


if __name__ == "__main__":
    sys.exit(main())
