"""Targets of the plan: what was demanded, what the plan reaches, and what operation comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.accounts import STAKEHOLDERS, account
from multiscale.assessment.reached_targets import operated_target
from multiscale.planning.targets import OPERATED, Reached
from multiscale.results.data.parts.named import named

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import YearAnswer


@dataclass(frozen=True)
class PlannedAndOperated:
    """A target of one operator, as planned and as operated."""

    planned: Reached
    operated: Reached


def targets_of(answer: YearAnswer) -> dict[tuple[str, str], PlannedAndOperated]:
    """(DSO, name) -> target; nothing without any."""
    if not answer.targets:
        return {}
    system, operation, paid = answer.case.system, answer.plan.operation, _paid_under_policies(answer)
    return {
        (dso, name): PlannedAndOperated(one, operated_target(answer.targets[name], system, dso, operation, paid))
        for dso, plan in answer.plans.items()
        for name, one in plan.targets.items()
    }


def _paid_under_policies(answer: YearAnswer) -> dict[str, float]:
    """Policy mechanism -> what prosumers pay under it [EUR/a]; NaN with several operators, which the ledger does not tell apart."""
    money, alone = answer.plan.ledger.money, len(answer.plans) == 1
    places = [STAKEHOLDERS.index(who) for who in ("prosumers", "platform operators")]
    found = {}
    for name in answer.case.economics.tariff.policies:
        booked = money.get(account(name))
        found[name] = 0.0 if booked is None else -float(booked[places].sum())
    return found if alone else dict.fromkeys(found, float("nan"))


def targets_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """``targets.<name>.<limit|planned|operated>`` [unit of the target], of the operator that is worst off: see ``_worst``."""
    found = targets_of(answer)
    summary: dict[str, tuple[Any, str]] = {}
    for name in answer.targets:
        mine = {dso: both for (dso, known), both in found.items() if known == name}
        if not mine:
            continue
        dso, both = _worst(mine)
        one, key = both.planned, f"targets.{name}"
        summary |= {
            f"{key}.kind": (one.kind, ""),
            f"{key}.at_least": (one.at_least, ""),
            f"{key}.limit": (one.limit, one.unit),
            f"{key}.planned": (one.value, one.unit),
        }
        if both.operated.known:
            summary[f"{key}.operated"] = (both.operated.value, one.unit)
        if len(mine) > 1:
            summary[f"{key}.operator"] = (dso, "")
    return summary


def _worst(mine: Mapping[str, PlannedAndOperated]) -> tuple[str, PlannedAndOperated]:
    """The operator that misses a target by most in operation; where none does, one of which it is not known; else the nearest to the limit."""
    known = {dso: both for dso, both in mine.items() if both.operated.known}
    missing = {dso: both for dso, both in known.items() if both.operated.missed(OPERATED)}
    unknown = {dso: both for dso, both in mine.items() if dso not in known}
    if missing or not unknown:
        return max((missing or known).items(), key=lambda item: item[1].operated.short)
    return max(unknown.items(), key=lambda item: item[1].planned.short)


def targets_dataset(answer: YearAnswer) -> xr.Dataset:
    """Limit, value of the plan and of its operation, by operator and target; the unit of each target is a variable of its own."""
    found = targets_of(answer)
    if not found:
        return xr.Dataset()
    dsos, names = list(answer.plans), list(answer.targets)
    values = np.full((3, len(dsos), len(names)), np.nan)
    for (dso, name), both in found.items():
        values[:, dsos.index(dso), names.index(name)] = both.planned.limit, both.planned.value, both.operated.value
    axes, unit = ("dso", "target"), "see target_unit"
    return xr.Dataset(
        {
            "target_limit": named(axes, values[0], unit, "limit of the target"),
            "target_planned": named(axes, values[1], unit, "what the plan reaches of the target"),
            "target_operated": named(axes, values[2], unit, "what the target comes to in operation"),
            "target_unit": named("target", [answer.targets[name].unit for name in names], "", "unit of the target"),
            "target_kind": named("target", [answer.targets[name].kind for name in names], "", "kind of the target"),
        },
        coords={"dso": dsos, "target": names},
    )
