"""The stage ``assess``: who pays and who gains in a scenario, and what keeps the answer from being optimal."""

from __future__ import annotations

from collections.abc import Mapping

from multiscale.assessment import REAL_COSTS, Ledger
from multiscale.assessment.operated import Operation
from multiscale.devices.fleet import purchasable
from multiscale.pipeline.operation import Bought, existing_network_cost
from multiscale.results.answer_data import StudyCase, YearAnswer

SERVED_WITHIN = 1.0
"""Unserved energy [kWh/a] that is rounding of the solver."""


def settled(case: StudyCase, operation: Operation, bought: Bought, excluded: Mapping[int, frozenset[str]]) -> Ledger:
    """The ledger of a scenario over the year: operation, networks, and what prosumers bought.

    Args:
        case: what was operated.
        operation: of all days.
        bought: new capacity of prosumers.
        excluded: day -> platforms that were excluded in the headline scenario: of them only what crosses the boundary is booked, in every scenario.
    """
    ledger = operation.ledger(excluded)
    options, annuity = case.system.options, case.economics.annuity
    for dso in case.system.at_level("dso"):
        ledger.pay("distribution operators", "network builders", "existing network", existing_network_cost(case, dso))
        ledger.bear("network builders", "construction", existing_network_cost(case, dso))
    for k, option in enumerate(options.option.values.tolist()):
        if operation.design.built.get(option, False):
            yearly = float(options.cost_eur[k]) * annuity(float(options.lifetime_years[k]))
            ledger.pay("distribution operators", "network builders", "investment", yearly)
            ledger.bear("network builders", "construction", yearly)
    for platform, sizes in bought.items():
        devices = purchasable(case.fleets[platform].devices)
        yearly = sum(float(size.sum()) * devices[key].yearly_cost(annuity) for key, size in sizes.items())
        ledger.pay("prosumers", "equipment suppliers", "equipment", yearly)
        ledger.bear("equipment suppliers", "construction", yearly)
    return ledger


def reservations(answer: YearAnswer) -> list[str]:
    """Why the answer of a year is not ``optimal``: checks of the headline scenario that failed, and what is not proven; empty where all hold."""
    reasons, scenario = [], answer.plan
    unserved = float(scenario.ledger.real[:, REAL_COSTS.index("unserved demand")].sum()) / answer.case.economics.value_of_lost_load
    if not unserved <= SERVED_WITHIN:
        reasons.append(f"{unserved:,.0f} kWh/a of demand are not served")
    for dso, check in scenario.verification.items():
        if len(check.violations):
            reasons.append(f"AC power flow of {dso}: {len(check.violations)} violations of limits")
    for dso, year in answer.year_check.items():
        if year.diverged:
            reasons.append(f"AC power flow of the year in {dso}: diverged in {len(year.diverged)} hours")
        if len(year.overloaded) or len(year.voltage_violations):
            reasons.append(
                f"AC power flow of the year in {dso}: {len(year.overloaded)} branches above the rating, "
                f"{len(year.voltage_violations)} buses outside the voltage band"
            )
    for day in scenario.operation.days:
        reasons += [f"{day.horizon.title}: excluded {name} ({why})" for name, why in day.excluded.items()]
    return reasons + [f"plan of {dso}: {plan.message or plan.status}" for dso, plan in answer.plans.items() if plan.status != "optimal"]
