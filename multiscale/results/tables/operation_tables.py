"""Tables of operation: mechanisms, energy, what is disclosed, conflicts between levels, reserves for forecast errors."""

from __future__ import annotations

import pandas as pd

from multiscale.results.data.dataset import has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table, settled
from multiscale.results.words.mechanism_words import words
from multiscale.results.words.numbers import number

SHOWN = 25
"""Conflicts shown in the report; all are in the dataset."""


def mechanisms_table(result: RunResult) -> Table | None:
    """Cost of operation under every mechanism alongside the integrated optimum."""
    data = result.dataset
    if data is None or not has(data, "cost_of"):
        return None
    cost = data.cost_of
    frame = pd.DataFrame({"mechanism": [words(str(m)).name for m in data.mechanism.values], "cost": cost.values.astype(float)})
    if "integrated" in data.mechanism.values:
        best = float(cost.sel(mechanism="integrated"))
        frame["above the integrated optimum"] = frame["cost"] - best
        worth = float(cost.sel(mechanism="flat")) - best if "flat" in data.mechanism.values else 0.0
        if worth > 1.0:
            # Of what coordination can save: the cost itself may be near zero where generation earns as much as demand costs.
            frame["saving reached"] = 100 * (1.0 - (frame["cost"] - best) / worth)
    excluded = result.value("coordination.excluded_nodes")
    if excluded:
        frame = frame.dropna()
        note = f"The mechanism of the run is not among them: its cost is not known with {excluded} excluded."
        return Table("mechanisms", "Cost of operation by mechanism", frame, {"cost": "EUR/a", "above the integrated optimum": "EUR/a"}, note)
    frame = settled(frame, 0.005)
    bound = result.value("coordination.bound")
    note = f"Certified lower bound of any mechanism: {number(bound)} EUR/a." if bound is not None else ""
    if "saving reached" in frame:
        note += " Saving reached: share of what the integrated optimum saves against the flat tariff."
    return Table(
        "mechanisms", "Cost of operation by mechanism", frame, {"cost": "EUR/a", "above the integrated optimum": "EUR/a", "saving reached": "%"}, note
    )


def energy_table(result: RunResult) -> Table | None:
    """Energy of all nodes over the year, by scenario."""
    data = result.dataset
    if data is None or not has(data, "energy"):
        return None
    total = data.energy.sum("node")
    frame = pd.DataFrame({"term": [str(t).replace("_", " ") for t in data.term.values]})
    for scenario in data.scenario.values.tolist():
        frame[scenario_title(data, scenario)] = total.sel(scenario=scenario).values / 1000
    frame = settled(frame)
    excluded = result.value("coordination.excluded_nodes")
    note = f"Without {excluded}, which were excluded from the operation: what they use is not known." if excluded else ""
    return Table("energy", "Energy of the platforms over the year", frame, dict.fromkeys(map(str, frame.columns[1:]), "MWh/a"), note)


def disclosed_table(result: RunResult) -> Table | None:
    """What was disclosed to whom under the mechanism of the run: every field that left a boundary."""
    data = result.dataset
    if data is None or not has(data, "disclosed_direction"):
        return None
    frame = pd.DataFrame({"field": data.disclosed.values.astype(str), "direction": data.disclosed_direction.values.astype(str)})
    messages, size = result.value("coordination.messages"), result.value("coordination.bytes")
    count = f"{messages:,.0f} messages, {size:,.0f} bytes in all. " if messages is not None and size is not None else ""
    note = f"{count}What is not listed stayed where it was."
    return Table("disclosed", "What left which boundary", frame, {}, note)


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
