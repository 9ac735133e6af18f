"""The stage ``assess``: who pays and who gains in a scenario, and what keeps the answer from being optimal."""

from __future__ import annotations

from collections.abc import Mapping

from multiscale.assessment import Ledger
from multiscale.assessment.construction import Bought, book_construction
from multiscale.assessment.operated import Operation
from multiscale.assessment.served import unserved_words
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
    book_construction(ledger, case.system, case.horizon, case.economics, case.fleets, operation.design.built, [bought])
    return ledger


def reservations(answer: YearAnswer) -> list[str]:
    """Why the answer of a year is not ``optimal``: checks of the headline scenario that failed, and what is not proven; empty where all hold."""
    reasons, scenario = [], answer.plan
    unserved = scenario.operation.unserved
    if not sum(unserved.values()) <= SERVED_WITHIN:
        reasons.append(unserved_words(unserved, answer.case.limits, planned=bool(answer.plans)))
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
