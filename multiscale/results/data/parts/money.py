"""Money and energy of the scenarios: the ledger, bills of prosumers, energy of platforms."""

from __future__ import annotations

import numpy as np
import xarray as xr

from multiscale.assessment import ENERGY_TERMS
from multiscale.assessment.bills import BILL_PARTS
from multiscale.assessment.construction import equipment_payments, grants
from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.parts.named import named


def ledgers(answer: YearAnswer) -> xr.Dataset:
    """Payments, real costs and welfare of every stakeholder."""
    booked = [scenario.ledger for scenario in answer.scenarios.values()]
    flows = list(dict.fromkeys(flow for ledger in booked for flow in ledger.money))
    arrays = [ledger.arrays(flows) for ledger in booked]
    joined = xr.concat(arrays, dim="scenario").assign_coords(scenario=list(answer.scenarios))
    for name in joined.data_vars:
        joined[name].attrs = arrays[0][name].attrs
    return joined


def prosumers(answer: YearAnswer) -> xr.Dataset:
    """Who the prosumers are."""
    members = answer.case.system.prosumers
    return xr.Dataset(
        {
            "prosumer_node": named("prosumer", members.node.values, "", "platform"),
            "prosumer_category": named("prosumer", members.category.values, "", "kind of customer"),
        },
        coords={"prosumer": members.prosumer.values},
    )


def bills(answer: YearAnswer) -> xr.Dataset:
    """Bill of every prosumer; NaN where its platform was excluded on some day of the headline scenario."""
    members = answer.case.system.prosumers.prosumer.values.tolist()
    place = {p: i for i, p in enumerate(members)}
    amounts, missing = np.zeros((len(answer.scenarios), len(members), len(BILL_PARTS))), answer.plan.operation.ever_excluded
    for s, scenario in enumerate(answer.scenarios.values()):
        for platform, fleet in answer.case.fleets.items():
            where = [place[p] for p in fleet.data.prosumer.values.tolist()]
            known = platform not in missing | scenario.operation.ever_excluded
            amounts[s, where] += sum(day.bills[platform] for day in scenario.operation.days) if known else np.nan
    operator_of = {platform: dso for dso in answer.case.system.at_level("dso") for platform in answer.case.system.children(dso)}
    for platform, bought in answer.bought.items():
        fleet, s = answer.case.fleets[platform], list(answer.scenarios).index(answer.headline)
        where = [place[p] for p in fleet.data.prosumer.values.tolist()]
        in_force = answer.plan.design.prices.get(operator_of[platform], {})
        granted = grants(fleet, bought, answer.case.economics, in_force)
        paid = equipment_payments(fleet, bought, answer.case.economics) - sum(granted.values(), np.zeros(fleet.size))
        amounts[s, where, BILL_PARTS.index("equipment")] += paid
    return xr.Dataset(
        {
            "bill": named(
                ("scenario", "prosumer"), amounts.sum(axis=-1), "EUR/a", "yearly bill: energy, tariff, and equipment bought less grants for it"
            ),
            "bill_part": named(("scenario", "prosumer", "part_of_bill"), amounts, "EUR/a", "yearly bill by what it is for"),
        },
        coords={"scenario": list(answer.scenarios), "prosumer": members, "part_of_bill": list(BILL_PARTS)},
    )


def energy(answer: YearAnswer) -> xr.Dataset:
    """Energy of every platform over the year; NaN where it was excluded on some day of the headline scenario."""
    platforms, missing = list(answer.case.fleets), answer.plan.operation.ever_excluded
    total = np.zeros((len(answer.scenarios), len(platforms), len(ENERGY_TERMS)))
    for s, scenario in enumerate(answer.scenarios.values()):
        for i, platform in enumerate(platforms):
            known = platform not in missing | scenario.operation.ever_excluded
            total[s, i] = sum(day.energy[platform] for day in scenario.operation.days) if known else np.nan
    return xr.Dataset(
        {"energy": named(("scenario", "node", "term"), total, "kWh/a", "energy of the platform over the year")},
        coords={"scenario": list(answer.scenarios), "node": platforms, "term": list(ENERGY_TERMS)},
    )
