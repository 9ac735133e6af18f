"""From the cost of the plan and of operation to the social cost, and what of the gains is saved and what only changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.accounts import STAKEHOLDERS
from multiscale.assessment.reconciliation import Reconciliation, reconcile_operation, reconcile_plan
from multiscale.assessment.transfers import welfare_change

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import YearAnswer


def reconciliations(answer: YearAnswer) -> list[Reconciliation]:
    """From the cost of the plan, where there is one, and from the cost of operation to the social cost of the headline scenario."""
    plan = answer.plan
    found = [reconcile_plan(answer.plans, plan.operation, plan.ledger, answer.relief)] if answer.plans else []
    return [*found, reconcile_operation(plan.operation, plan.ledger, answer.relief)]


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
    out: dict[str, tuple[Any, str]] = {f"reconciliation.{key_part(one.start)}.residual": (one.residual, "EUR/a") for one in reconciliations(answer)}
    out["assess.saving"] = (change.saving, "EUR/a")
    out |= {f"assess.saving.{key_part(cost)}": (amount, "EUR/a") for cost, amount in change.saved_by_cost.items()}
    for who, net, tariff in zip(STAKEHOLDERS, change.net_transfers.tolist(), under.tolist(), strict=True):
        out[f"assess.transfer.{key_part(who)}"] = (net, "EUR/a")
        out[f"assess.transfer_under_tariff.{key_part(who)}"] = (tariff, "EUR/a")
    return out


def key_part(name: str) -> str:
    """A stakeholder or a kind of cost as part of a key of the summary."""
    return name.replace(" ", "_")
