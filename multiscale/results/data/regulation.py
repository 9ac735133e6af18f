"""What the regime leaves the operators with, and what it costs society: the regulatory account as planned and as operated, and the social optimum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.regulation import operated_account, operated_years
from multiscale.planning.regimes import Account, ComparingRegime, YearlyAccount
from multiscale.planning.stage_weights import stage_lengths
from multiscale.results.data.parts.named import named

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import YearAnswer

UNITS = {"asset_base": "EUR", "rate": "1/a"}
"""Units of the entries of an account that are not EUR/a."""

ENTRIES = tuple(f.name for f in fields(Account) if f.name != "rate")
"""Entries of the account in dataset and summary."""


def accounts(answer: YearAnswer) -> dict[str, Account]:
    """The account of all operators together, ``planned`` and ``operated``; nothing without planning."""
    plans = answer.plans
    if not plans:
        return {}
    planned = reduce(add, (plan.account for plan in plans.values()))
    return {"planned": planned, "operated": operated_account(answer.regime, answer.plan.ledger, plans, answer.case.economics)}


def regulation_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """``regulation.<planned|operated>.<entry>``, and the comparison with the social optimum where there is one; what is not known is omitted."""
    found: dict[str, tuple[Any, str]] = {}
    for when, account in accounts(answer).items():
        values = {name: getattr(account, name) for name in (*ENTRIES, "return_on_asset_base", "residual")}
        values["return_on_equity"] = answer.regime.return_on_equity(account.return_on_asset_base)
        units = UNITS | {"return_on_asset_base": "1/a", "return_on_equity": "1/a"}
        found |= {f"regulation.{when}.{name}": (v, units.get(name, "EUR/a")) for name, v in values.items() if math.isfinite(v)}
    plans = list(answer.plans.values())
    found |= _compared_summary(answer)
    references = [plan.social for plan in plans if plan.social is not None]
    missing = [one.missing for one in references if one.missing]
    if missing:
        found["regulation.social.missing"] = ("; ".join(missing), "")
    if not references or missing:
        return found
    cost, built = sum(plan.social_cost for plan in plans), sum(plan.costs["reinforcement"] for plan in plans)
    least, bound, wanted = (sum(getattr(one, name) for one in references) for name in ("cost", "bound", "annuity"))
    found |= {
        "regulation.social.planned_cost": (cost, "EUR/a"),
        "regulation.social.least_cost": (least, "EUR/a"),
        "regulation.social.welfare_loss": (cost - least, "EUR/a"),
        "regulation.social.welfare_loss_at_most": (cost - bound, "EUR/a"),
        "regulation.social.reinforcements": (sum(one.built for one in references), "1"),
        "regulation.social.excess_annuity": (built - wanted, "EUR/a"),
    }
    if wanted > 0:
        found["regulation.social.capex_bias"] = (built / wanted - 1.0, "1")
    return found


def _compared_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Operators that a regime compares: cost, yardstick and profit of each, and the most that each can gain while the others keep their plans."""
    if not isinstance(answer.regime, ComparingRegime):
        return {}
    found: dict[str, tuple[Any, str]] = {"regulation.yardstick.rounds": (max(plan.rounds for plan in answer.plans.values()), "1")}
    found |= {
        "regulation.yardstick.cost_moved": (max(plan.moved for plan in answer.plans.values()), "EUR/a"),
        "regulation.yardstick.at_rest": (not any(plan.cycle for plan in answer.plans.values()), "1"),
    }
    for dso, plan in answer.plans.items():
        values = {"cost": plan.network_cost, "yardstick": plan.yardstick, "allowed": plan.allowed_revenue, "profit": plan.account.profit}
        values |= {"largest_gain": max(plan.gap_eur, 0.0)}
        found |= {f"regulation.yardstick.{name}.{dso}": (value, "EUR/a") for name, value in values.items()}
    return found


def regulation_dataset(answer: YearAnswer) -> xr.Dataset:
    """The entries of the account that are EUR/a, and the asset base; NaN where a regime sets no limit."""
    known = accounts(answer)
    if not known:
        return xr.Dataset()
    yearly = [name for name in ENTRIES if name not in UNITS]
    values = np.array([[getattr(account, name) for name in yearly] for account in known.values()])
    bases = [account.asset_base for account in known.values()]
    return xr.Dataset(
        {
            "regulatory_account": named(("account", "account_entry"), values, "EUR/a", "regulatory account of all operators"),
            "asset_base": named("account", bases, "EUR", "asset base of all operators, even over the years"),
        },
        coords={"account": list(known), "account_entry": yearly},
    )


YEARLY = tuple(f.name for f in fields(YearlyAccount) if f.name not in ("year", "studied"))
"""Entries of a calendar year of the regulatory account in the dataset."""


def yearly_account_dataset(answers: Sequence[YearAnswer]) -> xr.Dataset:
    """The regulatory account of every calendar year; nothing without planning."""
    if not all(answer.plans for answer in answers):
        return xr.Dataset()
    years = {answer.case.year: (answer.plan.ledger, answer.plans) for answer in answers}
    found = operated_years(answers[0].regime, years, stage_lengths(list(years)), answers[0].case.economics)
    values = np.array([[getattr(one, name) for name in YEARLY] for one in found])
    words = "regulatory account of all operators by calendar year, recomputed from the ledger; NaN where the regime sets no limit"
    return xr.Dataset(
        {
            "yearly_account": named(("calendar_year", "yearly_entry"), values, "EUR", words),
            "studied_year": named("calendar_year", [one.studied for one in found], "1", "studied year whose revenue and payment a calendar year has"),
        },
        coords={"calendar_year": [one.year for one in found], "yearly_entry": list(YEARLY)},
    )
