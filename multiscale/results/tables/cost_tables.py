"""Tables of costs: the steps from what was minimised to the social cost, savings and transfers, what costs are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.assessment.glossary import GLOSSARY
from multiscale.results.data.costs_and_transfers import key_part
from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import CENT, Table, settled
from multiscale.results.words.regime_words import regime_of


def reconciliation_table(result: RunResult) -> Table | None:
    """Every term between the cost of the plan, the cost of operation and the social cost."""
    data = result.dataset
    if data is None or not has(data, "reconciled_by", "real_cost"):
        return None
    costs = {"cost of the plan": "plan.objective", "cost of operation": "coordination.cost"}
    social = float(data.real_cost.sel(scenario=data.attrs["headline"]).sum())
    rows: list[dict[str, Any]] = []
    marked: list[int] = []
    for start in dict.fromkeys(data.reconciled_from.values.tolist()):
        marked += [len(rows)]
        called = regime_of(result).called if start == "cost of the plan" else start
        rows.append({"from": called, "term": called, "amount": float(result.summary[costs[start]][0]), "meaning": ""})
        for k in np.flatnonzero(data.reconciled_from.values == start).tolist():
            if abs(float(data.reconciled_by.values[k])) < CENT:
                continue
            name, why = str(data.reconciliation_step.values[k]).removeprefix(f"{start}: "), str(data.reconciled_meaning.values[k])
            rows.append({"from": called, "term": name, "amount": float(data.reconciled_by.values[k]), "meaning": why})
        marked += [len(rows)]
        rows.append({"from": called, "term": "social cost", "amount": social, "meaning": ""})
    note = "Terms of less than a cent a year are omitted."
    return Table("reconciliation", "From what was minimised to the social cost", pd.DataFrame(rows), {"amount": "EUR/a"}, note, tuple(marked))


def transfers_table(result: RunResult) -> Table | None:
    """Gain of every stakeholder: real costs saved, transfers under the tariff and other transfers."""
    data = result.dataset
    pair = compared_scenarios(data) if data is not None else None
    if data is None or pair is None or not has(data, "money", "real_cost", "reconciled_by"):
        return None
    before, after = (data.sel(scenario=name) for name in pair)
    saved = before.real_cost.sum("cost") - after.real_cost.sum("cost")
    moved = (after.money - before.money).sum("flow")
    tariff = [float(result.summary[f"assess.transfer_under_tariff.{key_part(str(who))}"][0]) for who in data.stakeholder.values]
    frame = pd.DataFrame({"stakeholder": data.stakeholder.values.astype(str), "real cost saved": saved.values, "transfers under the tariff": tariff})
    frame["other transfers"] = moved.values - frame["transfers under the tariff"]
    frame["gain"] = frame["real cost saved"] + moved.values
    together = frame.drop(columns="stakeholder").sum()
    frame.loc[len(frame)] = ["everybody together", *together.tolist()]
    frame = settled(frame, CENT)
    note = f'Against "{scenario_title(data, pair[0])}". Transfers sum to zero: together everybody gains the real cost that is saved.'
    return Table("transfers", "What is saved and what changes hands", frame, dict.fromkeys(frame.columns[1:], "EUR/a"), note, (len(frame) - 1,))


def glossary(result: RunResult) -> Table:
    """What costs are called."""
    del result
    rows = [{"name": one.name, "unit": one.unit, "in the summary": ", ".join(one.keys), "meaning": one.meaning} for one in GLOSSARY]
    return Table("glossary", "What costs are called", pd.DataFrame(rows))
