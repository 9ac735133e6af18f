"""Consecutive days played forward in a row under every mechanism."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from multiscale.assessment import settle_day
from multiscale.compare_mechanisms.mechanisms import playable
from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.settlement import impact_charges, marginal_charges
from multiscale.coordination.common.simulation import PlayedDay, play_day
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections


def simulation_table(span: PreparedDay, error: ErrorModel, history: int) -> pd.DataFrame:
    """Consecutive days under every mechanism: cost, imbalance, settlement, AC violations and welfare, in sums over the span."""
    rows = {}
    for name, mechanism in playable(span, error, history):
        played = play_day(span, mechanism, day_errors(error, span.tree, span.name))
        row = {"cost [EUR]": played.outcome.cost, "bound [EUR]": played.outcome.bound}
        hours = span.tree.horizon.hours_per_year
        row["imbalance day ahead [MWh]"] = played.imbalance(hours) / 1e3
        row["imbalance a step ahead [MWh]"] = played.imbalance(hours, before=True) / 1e3
        row["messages"] = played.outcome.traffic.messages
        for rule, charges in (("marginal prices", marginal_charges), ("impact", impact_charges)):
            row[f"settled by {rule} [EUR]"] = sum(charges(span.tree, played.outcome).values())
        row |= _violations(span, played)
        welfare = settle_day(span.tree, played.outcome).arrays().welfare
        row |= {f"welfare of {who} [EUR]": float(welfare.sel(stakeholder=who)) for who in welfare.stakeholder.values.tolist()}
        rows[name] = row
        print(f"{name}: {row['cost [EUR]']:.0f} EUR", file=sys.stderr)
    return pd.DataFrame(rows).T.rename_axis("mechanism").reset_index()


def _violations(span: PreparedDay, played: PlayedDay) -> dict[str, float]:
    """AC power flow of every period: periods with a violation, largest overload [%] and voltage violation [pu]."""
    tree, hit, overload, voltage = span.tree, set[str](), 0.0, 0.0
    built = tree.design.options(tree.system.options)
    for dso in tree.distribution:
        nodes = [dso, *tree.system.children(dso)]
        own = tree.system.branches.branch.values[np.isin(tree.system.branches.node.values, nodes)]
        theirs = built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
        checked = ac_verify(tree.system, nodes, tree.horizon, bus_injections(tree, played.outcome, [dso]), theirs)
        hit |= set(checked.violations["period"].tolist())
        overload, voltage = max(overload, checked.max_line_overload), max(voltage, checked.max_voltage_violation)
    return {"periods with an AC violation": len(hit), "largest overload [%]": overload, "largest voltage violation [pu]": voltage}
