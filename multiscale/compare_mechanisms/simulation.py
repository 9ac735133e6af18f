"""Consecutive days played forward under every mechanism."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from multiscale.assessment import settle_day
from multiscale.compare_mechanisms.mechanisms import playable
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.settlement import impact_charges, marginal_charges
from multiscale.coordination.common.simulation import PlayedDay, play_days
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections


def simulation_table(days: Sequence[PreparedDay], error: ErrorModel, history: int) -> pd.DataFrame:
    """Consecutive days under every mechanism: cost, imbalance, settlement, AC violations and welfare, in sums over the span."""
    rows = {}
    for name, mechanism in playable(days, error, history):
        played = play_days(days, mechanism, error)
        row = {"cost [EUR]": sum(p.outcome.cost for p in played), "bound [EUR]": sum(p.outcome.bound for p in played)}
        hours = days[0].tree.horizon.hours_per_year
        row["imbalance day ahead [MWh]"] = sum(p.imbalance(hours) for p in played) / 1e3
        row["imbalance a step ahead [MWh]"] = sum(p.imbalance(hours, before=True) for p in played) / 1e3
        row["messages"] = sum(p.outcome.traffic.messages for p in played)
        for rule, charges in (("marginal prices", marginal_charges), ("impact", impact_charges)):
            row[f"settled by {rule} [EUR]"] = sum(sum(charges(day.tree, p.outcome).values()) for day, p in zip(days, played, strict=True))
        row |= _violations(days, played)
        for day, p in zip(days, played, strict=True):
            welfare = settle_day(day.tree, p.outcome).arrays().welfare
            for who in welfare.stakeholder.values.tolist():
                row[f"welfare of {who} [EUR]"] = row.get(f"welfare of {who} [EUR]", 0.0) + float(welfare.sel(stakeholder=who))
        rows[name] = row
        print(f"{name}: {row['cost [EUR]']:.0f} EUR", file=sys.stderr)
    return pd.DataFrame(rows).T.rename_axis("mechanism").reset_index()


def _violations(days: Sequence[PreparedDay], played: Sequence[PlayedDay]) -> dict[str, float]:
    """AC power flow of every period of every day: periods with a violation, largest overload [%] and voltage violation [pu]."""
    periods, overload, voltage = 0, 0.0, 0.0
    for day, p in zip(days, played, strict=True):
        built = day.tree.design.options(day.tree.system.options)
        hit: set[str] = set()
        for dso in day.tree.distribution:
            nodes = [dso, *day.tree.system.children(dso)]
            own = day.tree.system.branches.branch.values[np.isin(day.tree.system.branches.node.values, nodes)]
            theirs = built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
            checked = ac_verify(day.tree.system, nodes, day.tree.horizon, bus_injections(day.tree, p.outcome, [dso]), theirs)
            hit |= set(checked.violations["period"].tolist())
            overload, voltage = max(overload, checked.max_line_overload), max(voltage, checked.max_voltage_violation)
        periods += len(hit)
    return {"periods with an AC violation": periods, "largest overload [%]": overload, "largest voltage violation [pu]": voltage}
