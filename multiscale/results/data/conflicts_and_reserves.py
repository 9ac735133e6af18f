"""Conflicts between levels, and the reserves for forecast errors: in the dataset, the summary, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.results.data.dataset import has
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table

if TYPE_CHECKING:
    from multiscale.coordination.uncertainty.day_reserves import DayReserves
    from multiscale.results.data.answer_data import YearAnswer

SHOWN = 25
"""Conflicts shown in the report; all are in the dataset."""


def conflicts_and_reserves_dataset(answer: YearAnswer) -> xr.Dataset:
    """Conflicts of all days, one by one, and the reserves for forecast errors by period and node (where forecasts err)."""

    def named(dims: str | tuple[str, ...], values: Any, unit: str, meaning: str) -> tuple[Any, ...]:
        return dims, values, {"long_name": meaning} | ({"units": unit} if unit else {})

    found = [c for day in answer.plan.operation.days for c in day.conflicts]
    hours = dict(zip(answer.case.horizon.labels.tolist(), answer.case.horizon.hours_per_year.tolist(), strict=True))
    out = xr.Dataset()
    if found:

        def text(values: list[str]) -> np.ndarray:
            return np.array(values, dtype=object)

        out = out.assign(
            conflict_asking=named("conflict", text([c.asking for c in found]), "", "who asks"),
            conflict_limiting=named("conflict", text([c.limiting for c in found]), "", "node whose limit it is"),
            conflict_limits=named("conflict", text([", ".join(c.limits) for c in found]), "", "limits that bind"),
            conflict_resolved=named("conflict", text([c.resolved for c in found]), "", "what became of the rest"),
            conflict_period=named("conflict", text([c.period for c in found]), "", "period"),
            conflict_asked=named("conflict", np.array([c.asked for c in found]), "kW", "power asked for, drawn from above"),
            conflict_granted=named("conflict", np.array([c.granted for c in found]), "kW", "power granted"),
            conflict_price=named("conflict", np.array([c.price for c in found]), "EUR/kWh", "what one kWh more would be worth"),
            conflict_cost=named(
                "conflict", np.array([hours[c.period] * abs(c.refused) * abs(c.price) for c in found]), "EUR/a", "value of what was refused"
            ),
        )
    held = _reserves(answer)
    if held:
        nodes = list(held[0].deviation)

        def by_period(name: str) -> np.ndarray:
            return np.concatenate([getattr(day, name) for day in held])

        def by_node(name: str) -> np.ndarray:
            return np.concatenate([[getattr(day, name)[n] for n in nodes] for day in held], axis=1)

        both = ("node", "period")
        out = out.assign(
            reserves_cost=named("period", by_period("cost"), "EUR/a", "cost of reserves for forecast errors by agreement"),
            reserves_bound=named("period", by_period("bound"), "EUR/a", "proven lower bound of that cost"),
            reserves_alone=named(both, by_node("alone_of"), "EUR/a", "cost of reserves for its own forecast error alone"),
            reserves_deviation=named(both, by_node("deviation"), "kW", "standard deviation of the own forecast error"),
            reserves_handed=named(both, by_node("handed"), "kW", "standard deviation handed to the level above"),
            reserves_price=named(both, by_node("price"), "EUR/kWh", "price of handing over one kW of standard deviation for an hour"),
        ).assign_coords(node=nodes, period=answer.case.horizon.labels)
    return out


def _reserves(answer: YearAnswer) -> list[DayReserves]:
    """Reserves of all days; empty where forecasts do not err."""
    return [day.reserves for day in answer.plan.operation.days if day.reserves is not None]


def conflicts_and_reserves_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Number and value of what was refused, and the cost of reserves for forecast errors."""
    hours = dict(zip(answer.case.horizon.labels.tolist(), answer.case.horizon.hours_per_year.tolist(), strict=True))
    found = [c for day in answer.plan.operation.days for c in day.conflicts]
    summary: dict[str, tuple[Any, str]] = {
        "coordination.conflicts": (len(found), "1"),
        "coordination.refused_energy": (sum(hours[c.period] * abs(c.refused) for c in found), "kWh/a"),
        "coordination.refused_value": (sum(hours[c.period] * abs(c.refused) * abs(c.price) for c in found), "EUR/a"),
    }
    held = _reserves(answer)
    if held:
        for name in ("cost", "bound", "alone"):
            summary[f"uncertainty.{name}"] = (float(sum(getattr(day, name).sum() for day in held)), "EUR/a")
        top, first = answer.case.system.top, held[0]
        summary["uncertainty.coverage"] = (first.coverage, "1")
        summary["uncertainty.negotiated_with_energy"] = (first.together, "")
        summary["uncertainty.alone_top"] = (float(sum(day.alone_of[top].sum() for day in held)), "EUR/a")
        summary["uncertainty.messages"] = (sum(day.traffic.messages for day in held), "1")
        summary["uncertainty.bytes"] = (sum(day.traffic.bytes for day in held), "B")
    return summary


def conflicts_table(result: RunResult) -> Table | None:
    """What one level asked for and a limit of another did not allow, the most expensive first."""
    data = result.dataset
    if data is None or not has(data, "conflict_asking"):
        return None
    given = data[[str(v) for v in data.data_vars if str(v).startswith("conflict_")]].to_dataframe().sort_values("conflict_cost", ascending=False)
    frame = pd.DataFrame(
        {
            "period": given["conflict_period"].astype(str),
            "who asks": given["conflict_asking"].astype(str),
            "limit of": given["conflict_limiting"].astype(str),
            "what binds": [_shortened(str(v)) for v in given["conflict_limits"]],
            "asked": given["conflict_asked"],
            "granted": given["conflict_granted"],
            "rest": given["conflict_resolved"].astype(str),
            "worth": given["conflict_price"],
            "cost": given["conflict_cost"],
        }
    )
    units = {"asked": "kW", "granted": "kW", "worth": "EUR/kWh", "cost": "EUR/a"}
    total = float(frame["cost"].sum())
    note = (
        f"{len(frame)} in all, together worth {total:,.0f} EUR/a; in the cost of operation above. Power is drawn from above; negative: fed in. "
        "Worth: what one kWh more would be worth to who asks."
    )
    if len(frame) > SHOWN:
        note += f" The {SHOWN} most expensive are shown, all are in result.nc."
    return Table("conflicts", "Conflicts between levels and how they were resolved", frame.head(SHOWN), units, note)


def _shortened(limits: str, most: int = 2) -> str:
    parts = limits.split(", ")
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def reserves_table(result: RunResult) -> Table | None:
    """Who has which forecast error, hands over how much, and what the reserves cost alone and by agreement."""
    data = result.dataset
    if data is None or not has(data, "reserves_cost", "reserves_alone"):
        return None
    there = data.reserves_alone.notnull().all("period").values
    nodes = data.node.values[there]
    level = dict(zip(data.node.values.tolist(), data.node_level.values.astype(str).tolist(), strict=True))
    rows = []
    for name, meaning in (("tso", "transmission operator"), ("dso", "distribution operators"), ("platform", "platforms")):
        own = [n for n in nodes.tolist() if level[n] == name]
        if own:
            here = data.sel(node=own)
            rows.append(
                {
                    "level": meaning,
                    "nodes": len(own),
                    "own error of each": float(here.reserves_deviation.mean()),
                    "handed upward by each": float(here.reserves_handed.mean()) if name != "tso" else 0.0,
                    "price of handing over": 100 * float(here.reserves_price.mean()) if name != "tso" else 0.0,
                    "cost if held alone": float(here.reserves_alone.sum()),
                }
            )
    frame = pd.DataFrame(rows)
    units = {"own error of each": "kW", "handed upward by each": "kW", "price of handing over": "ct/kWh", "cost if held alone": "EUR/a"}
    cost, alone = float(data.reserves_cost.sum()), float(frame["cost if held alone"].sum())
    top = float(frame["cost if held alone"].iloc[0])
    least = float(data.reserves_bound.sum())
    if result.value("uncertainty.negotiated_with_energy"):
        note = (
            f"Negotiated together with energy: flexibility held back costs {cost:,.0f} EUR/a (at least {least:,.0f} EUR/a by proof, at this cost of "
            f"energy), every level alone {alone:,.0f} EUR/a; the transmission operator's own error is there without these networks and not counted. "
        )
    else:
        note = (
            f"By agreement all errors together cost {cost:,.0f} EUR/a (at least {least:,.0f} EUR/a by proof), with every level alone {alone:,.0f} "
            f"EUR/a. Beyond the transmission operator's own error: {cost - top:,.0f} against {alone - top:,.0f} EUR/a. "
        )
    note += (
        f"{result.value('uncertainty.coverage'):g} standard deviations are covered; nodes without flexibility could only shed load. Errors "
        "and amounts are standard deviations, means over the periods."
    )
    return Table("reserves", "Reserves for forecast errors", frame, units, note)
