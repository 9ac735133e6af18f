"""From the cost of the plan and of operation to the social cost, and what of the gains is saved and what only changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.assessment.accounts import STAKEHOLDERS
from multiscale.assessment.glossary import GLOSSARY
from multiscale.assessment.reconciliation import Reconciliation, reconcile_operation, reconcile_plan
from multiscale.assessment.transfers import welfare_change
from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table, settled

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import YearAnswer


_CENT = 0.005
"""Half a cent a year [EUR/a]."""


def reconciliations(answer: YearAnswer) -> list[Reconciliation]:
    """From the cost of the plan, where there is one, and from the cost of operation to the social cost of the headline scenario."""
    plan = answer.plan
    found = [reconcile_plan(answer.plans, plan.operation, plan.ledger)] if answer.plans else []
    return [*found, reconcile_operation(plan.operation, plan.ledger)]


def costs_dataset(answer: YearAnswer) -> xr.Dataset:
    """The steps of every reconciliation."""
    rows = [(one.start, step.name, step.amount, step.meaning) for one in reconciliations(answer) for step in one.steps]
    start, name, amount, meaning = (list(column) for column in zip(*rows, strict=True))
    return xr.Dataset(
        {
            "reconciled_from": ("reconciliation_step", start, {"long_name": "cost from which the steps lead to the social cost"}),
            "reconciled_by": ("reconciliation_step", np.array(amount), {"units": "EUR/a", "long_name": "term of the difference to the social cost"}),
            "reconciled_meaning": ("reconciliation_step", meaning, {"long_name": "how the difference comes about"}),
        },
        coords={"reconciliation_step": [f"{s}: {n}" for s, n in zip(start, name, strict=True)]},
    )


def costs_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Residuals of the reconciliations; savings and transfers against the baseline."""
    change = welfare_change(answer.reference.ledger, answer.plan.ledger)
    under = change.under(answer.case.economics.tariff)
    out: dict[str, tuple[Any, str]] = {f"reconciliation.{_key(one.start)}.residual": (one.residual, "EUR/a") for one in reconciliations(answer)}
    out["assess.saving"] = (change.saving, "EUR/a")
    out |= {f"assess.saving.{_key(cost)}": (amount, "EUR/a") for cost, amount in change.saved_by_cost.items()}
    for who, net, tariff in zip(STAKEHOLDERS, change.net_transfers.tolist(), under.tolist(), strict=True):
        out[f"assess.transfer.{_key(who)}"] = (net, "EUR/a")
        out[f"assess.transfer_under_tariff.{_key(who)}"] = (tariff, "EUR/a")
    return out


def _key(name: str) -> str:
    return name.replace(" ", "_")


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
        rows.append({"from": start, "term": start, "amount": float(result.summary[costs[start]][0]), "meaning": ""})
        for k in np.flatnonzero(data.reconciled_from.values == start).tolist():
            if abs(float(data.reconciled_by.values[k])) < _CENT:
                continue
            name, why = str(data.reconciliation_step.values[k]).removeprefix(f"{start}: "), str(data.reconciled_meaning.values[k])
            rows.append({"from": start, "term": name, "amount": float(data.reconciled_by.values[k]), "meaning": why})
        marked += [len(rows)]
        rows.append({"from": start, "term": "social cost", "amount": social, "meaning": ""})
    note = "Terms of less than a cent a year are omitted."
    return Table("reconciliation", "From what was minimised to the social cost", pd.DataFrame(rows), {"amount": "EUR/a"}, note, tuple(marked))


def transfers_table(result: RunResult) -> Table | None:
    """Gain of every stakeholder: real costs saved, transfers under the tariff and other transfers."""
    data = result.dataset
    pair = compared_scenarios(data) if data is not None else None
    if data is None or pair is None or not has(data, "money", "real_cost"):
        return None
    before, after = (data.sel(scenario=name) for name in pair)
    saved = before.real_cost.sum("cost") - after.real_cost.sum("cost")
    moved = (after.money - before.money).sum("flow")
    tariff = [float(result.summary[f"assess.transfer_under_tariff.{_key(str(who))}"][0]) for who in data.stakeholder.values]
    frame = pd.DataFrame({"stakeholder": data.stakeholder.values.astype(str), "real cost saved": saved.values, "transfers under the tariff": tariff})
    frame["other transfers"] = moved.values - frame["transfers under the tariff"]
    frame["gain"] = frame["real cost saved"] + moved.values
    together = frame.drop(columns="stakeholder").sum()
    frame.loc[len(frame)] = ["everybody together", *together.tolist()]
    frame = settled(frame, _CENT)
    note = f'Against "{scenario_title(data, pair[0])}". Transfers sum to zero: together everybody gains the real cost that is saved.'
    return Table("transfers", "What is saved and what changes hands", frame, dict.fromkeys(frame.columns[1:], "EUR/a"), note, (len(frame) - 1,))


def glossary(result: RunResult) -> Table:
    """What costs are called."""
    del result
    rows = [{"name": one.name, "unit": one.unit, "in the summary": ", ".join(one.keys), "meaning": one.meaning} for one in GLOSSARY]
    return Table("glossary", "What costs are called", pd.DataFrame(rows))
