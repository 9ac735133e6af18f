"""Customers: quantiles of bills, participants against others, how evenly bills and gains are distributed, and what bills weigh against incomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.accounts import STAKEHOLDERS, account
from multiscale.assessment.distribution import QUANTILES, gini, income_group, jain
from multiscale.results.data.parts.money import bills
from multiscale.results.data.parts.named import named

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import YearAnswer

PARTICIPATION = ("members with devices", "members without devices", "passive customers")
"""Groups of customers: members of platforms that own or buy devices in the headline scenario, other members, and customers outside platforms."""

EVERYBODY = "all prosumers"


def customers_dataset(answer: YearAnswer) -> xr.Dataset:
    """Bills of groups in every scenario, indices, and energy burdens; members of platforms that were excluded are in none of them."""
    found, members = bills(answer), answer.case.system.prosumers
    scenarios, known = list(answer.scenarios), np.isfinite(found.bill.values).all(axis=0)
    bill, category = found.bill.values[:, known], members.category.values.astype(str)[known]
    kinds = [EVERYBODY, *dict.fromkeys(category.tolist())]
    inside = [np.ones(known.sum(), dtype=bool), *(category == kind for kind in kinds[1:])]
    quantiles = np.array([[np.quantile(one[group], QUANTILES) if group.any() else [np.nan] * 3 for group in inside] for one in bill])
    gains = bill[scenarios.index(answer.baseline)] - bill
    paid, tariff = _payments(answer, found, known)
    incomes = known_incomes(answer)
    burden = 100.0 * found.bill.values / incomes
    variables = {
        "bill_quantile": named(("scenario", "customer_kind", "customer_share"), quantiles, "EUR/a", "bill that a share of customers does not exceed"),
        "group_payment": named(("scenario", "customer_group"), paid, "EUR/a", "what a group of customers pays in all"),
        "group_tariff": named(("scenario", "customer_group"), tariff, "EUR/a", "what a group of customers pays under the tariff"),
        "gini_of_bills": named("scenario", [gini(one) for one in bill], "1", "Gini index of bills"),
        "jain_of_bills": named("scenario", [jain(one) for one in bill], "1", "Jain index of bills; NaN where one is below zero"),
        "gini_of_gains": named("scenario", [gini(one) for one in gains], "1", "Gini index of what prosumers pay less than in the baseline"),
        "jain_of_gains": named("scenario", [jain(one) for one in gains], "1", "Jain index of the same; NaN where some pay more"),
        "prosumer_income": named("prosumer", incomes, "EUR/a", "yearly income of the household; NaN where not known"),
        "income_group": named("prosumer", income_group(incomes, answer.incomes.groups), "1", "group by income, 0 the lowest; -1 where not known"),
        "energy_burden": named(("scenario", "prosumer"), burden, "%", "bill as a share of the income; NaN where not known"),
        "burden_limit": named((), 100.0 * answer.incomes.limit, "%", "share of the income above which the energy burden is high"),
        "prosumer_group": named("prosumer", _groups(answer), "", "whether the prosumer owns or buys devices in the headline scenario"),
    }
    coords = {
        "scenario": scenarios,
        "customer_kind": kinds,
        "customer_share": list(QUANTILES),
        "customer_group": list(PARTICIPATION),
        "prosumer": members.prosumer.values,
    }
    return xr.Dataset(variables, coords=coords)


def customers_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """``assess.cost_shift`` and the indices of the headline scenario; what is not defined is omitted."""
    data = customers_dataset(answer)
    before, after = (data.group_tariff.sel(scenario=name, customer_group=list(PARTICIPATION[1:])) for name in (answer.baseline, answer.headline))
    out: dict[str, tuple[Any, str]] = {"assess.cost_shift": (float((after - before).sum(skipna=False)), "EUR/a")}
    for name in ("gini_of_bills", "jain_of_bills", "gini_of_gains", "jain_of_gains"):
        out[f"assess.{name}"] = (float(data[name].sel(scenario=answer.headline)), "1")
    burden = data.energy_burden.sel(scenario=[answer.baseline, answer.headline]).values
    burden = burden[:, np.isfinite(burden).all(axis=0)]
    if burden.size:
        high = (burden > float(data.burden_limit)).mean(axis=1)
        out |= {"assess.high_burden_baseline": (float(high[0]), "1"), "assess.high_burden": (float(high[1]), "1")}
    return {key: value for key, value in out.items() if np.isfinite(value[0])}


def known_incomes(answer: YearAnswer) -> np.ndarray:
    """Yearly income of every prosumer [EUR/a], (prosumer,); NaN where not known."""
    return np.array([answer.incomes.yearly.get(p, np.nan) for p in answer.case.system.prosumers.prosumer.values.tolist()], dtype=float)


def burdened(bill: np.ndarray, income: np.ndarray, limit: float) -> np.ndarray:
    """Whether a bill is above so large a share of the income, (household,)."""
    return np.asarray(bill > limit * income)


def _groups(answer: YearAnswer) -> np.ndarray:
    """Group of every prosumer, of the first two of ``PARTICIPATION``."""
    members = answer.case.system.prosumers.prosumer.values.tolist()
    place, owns = {p: i for i, p in enumerate(members)}, np.zeros(len(members), dtype=bool)
    for platform, fleet in answer.case.fleets.items():
        where = [place[p] for p in fleet.data.prosumer.values.tolist()]
        for device in fleet.devices.values():
            owns[where] |= device.owners(fleet)
        for sizes in answer.bought.get(platform, {}).values():
            owns[where] |= np.asarray(sizes) > SMALLEST
    return np.where(owns, *PARTICIPATION[:2])


SMALLEST = 1e-6
"""Capacity [unit of the device] below which a purchase is rounding of the solver."""


def _payments(answer: YearAnswer, found: xr.Dataset, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each group pays in all, and under the tariff [EUR/a], (scenario, group)."""
    group, passive = _groups(answer), STAKEHOLDERS.index("passive customers")
    flows = {account(name) for name in answer.case.economics.tariff.components}
    tariff = found.bill_part.sel(part_of_bill="tariff").values
    paid, under = np.zeros((2, len(answer.scenarios), len(PARTICIPATION)))
    for s, scenario in enumerate(answer.scenarios.values()):
        for g, name in enumerate(PARTICIPATION[:2]):
            paid[s, g], under[s, g] = (float(values[s, known & (group == name)].sum()) for values in (found.bill.values, tariff))
        money = {flow: -float(booked[passive]) for flow, booked in scenario.ledger.money.items()}
        paid[s, 2], under[s, 2] = sum(money.values()), sum(amount for flow, amount in money.items() if flow in flows)
    return paid, under
