"""The stage ``assess``: who pays and who gains in a scenario, and what keeps the answer from being optimal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.assessment import Ledger
from multiscale.assessment.construction import Bought, book_construction, book_transmission_relief
from multiscale.assessment.operated import Operation
from multiscale.assessment.regulation import book_incentives
from multiscale.assessment.served import unserved_words
from multiscale.planning.targets import OPERATED
from multiscale.results.data.answer_data import StudyCase, YearAnswer
from multiscale.results.data.targets import targets_of

BALANCED_WITHIN = 1e-6
"""Relative residual of energy and money [1] that is rounding."""

ANSWERED_WITHIN = 1e-6
"""Relative difference of the platforms' cost [1] when they are solved again at the plan that is rounding of the solver."""

CONTRADICTED_BY = 1e-6
"""Share of a cost [1] by which its proven lower bound may be above it: rounding of the solvers."""

SERVED_WITHIN = 1.0
"""Unserved energy [kWh/a] that is rounding of the solver."""


def settled(
    case: StudyCase, operation: Operation, bought: Bought, excluded: Mapping[int, frozenset[str]], paid: float = 0.0, relief: float = 0.0
) -> Ledger:
    """The ledger of a scenario over the year: operation, networks, and what prosumers bought.

    Args:
        case: what was operated.
        operation: of all days.
        bought: new capacity of prosumers.
        paid: incentives of the regime less penalties, of all operators [EUR/a].
        relief: change of the cost of supplying customers on the transmission level by what is built there [EUR/a].
        excluded: day -> platforms that were excluded in the headline scenario: of them only what crosses the boundary is booked, in every scenario.
    """
    ledger = operation.ledger(excluded)
    book_construction(ledger, case.system, case.horizon, case.economics, case.fleets, operation.design.built, [bought], operation.design.prices)
    book_incentives(ledger, paid)
    book_transmission_relief(ledger, relief)
    return ledger


class CertificateError(RuntimeError):
    """A proven bound contradicts a cost: one of the two is wrong."""


def check_certificates(answer: YearAnswer) -> None:
    """No plan may cost less than the proven bound of all plans, and no operation less than that of all operations.

    Raises:
        CertificateError: one does.
    """
    found = [(f"plan of {dso}", plan.objective, plan.bound) for dso, plan in answer.plans.items()]
    if (above := answer.transmission) is not None:
        found.append((f"plan of {answer.case.system.top}", above.cost, above.bound))
    for scenario in answer.scenarios.values():
        for day in scenario.operation.days:
            whole = {n: m for n, m in day.mechanisms.items() if not m.excluded}
            energy = float(np.max([m.bound for m in whole.values() if m.cost == m.energy_cost], initial=-np.inf))
            for name, one in whole.items():
                # With reserves, cost and bound are those of both together.
                bound = energy if one.cost == one.energy_cost else one.bound
                found.append((f"{scenario.title}, {day.horizon.title}, {name}", one.cost, bound))
    for what, cost, bound in found:
        if not bound <= cost + CONTRADICTED_BY * max(abs(cost), abs(bound) if np.isfinite(bound) else 0.0, 1.0):
            raise CertificateError(f"{what}: costs {cost:,.2f} EUR/a, less than its proven lower bound {bound:,.2f} EUR/a; one of the two is wrong")


def _largest_energy_residual(answer: YearAnswer) -> float:
    return float(np.max([day.energy_residual for scenario in answer.scenarios.values() for day in scenario.operation.days]))


def reservations(answer: YearAnswer) -> list[str]:
    """Why the answer of a year is not ``optimal``: checks of the headline scenario that failed, and what is not proven; empty where all hold."""
    reasons, scenario = [], answer.plan
    unserved = scenario.operation.unserved
    if not sum(unserved.values()) <= SERVED_WITHIN:
        reasons.append(unserved_words(unserved, answer.case.limits, planned=bool(answer.plans) or answer.transmission is not None))
    for dso, check in scenario.verification.items():
        if len(check.violations):
            reasons.append(f"AC power flow of {dso}: {len(check.violations)} violations of limits")
    reasons += [f"repair of the plan: {why}" for why in answer.repair.stopped if scenario.verification and answer.plans]
    for dso, outages in answer.outages.items():
        if len(failed := outages.failed):
            worst = failed.iloc[0]
            where = f"{worst['branch']} is loaded to {worst['loading']:.1f} % of its rating"
            where = f"{where if worst['periods_overloaded'] else 'the power flow has no solution'} after an outage of {worst['line']}"
            reasons.append(f"AC power flow under single outages in {dso}: {len(failed)} not survived (worst: {where})")
    if not answer.year_check.unserved <= SERVED_WITHIN:
        days = len(answer.year_check.dispatched)
        reasons.append(f"AC power flow of the year: {answer.year_check.unserved:,.0f} kWh are not served on {days} days dispatched individually")
    for dso, year in answer.year_check.by_dso.items():
        if year.diverged:
            reasons.append(f"AC power flow of the year in {dso}: diverged in {len(year.diverged)} hours")
        if len(year.overloaded) or len(year.voltage_violations):
            reasons.append(
                f"AC power flow of the year in {dso}: {len(year.overloaded)} branches above the rating, "
                f"{len(year.voltage_violations)} buses outside the voltage band"
            )
    reasons += [f"AC power flow of the year: {why}" for why in answer.year_check.left]
    residuals = {"energy accounts": _largest_energy_residual(answer), "ledger": float(np.max([s.ledger.residual for s in answer.scenarios.values()]))}
    books = [book for operated in answer.scenarios.values() for day in operated.operation.days for book in day.trades.values()]
    residuals["trades and meter readings"] = float(np.max([book.energy_residual for book in books], initial=0.0))
    residuals["trades and payments"] = float(np.max([book.money_residual for book in books], initial=0.0))
    reasons += [f"{name}: residual {residual:.2g} instead of zero" for name, residual in residuals.items() if not residual <= BALANCED_WITHIN]
    for dso, plan in answer.plans.items():
        if not abs(plan.follower_gap) <= ANSWERED_WITHIN:
            reasons.append(f"plan of {dso}: platforms solved again at the plan differ by {plan.follower_gap:.2g} of their cost")
    for (dso, name), both in targets_of(answer).items():
        if both.operated.known and both.operated.missed(OPERATED):
            of, unit = both.operated, both.operated.unit_words
            demanded = f"{'at least' if of.at_least else 'at most'} {of.limit:,.6g} {unit}".strip()
            reasons.append(f"target '{name}' of {dso}: {of.value:,.6g} {unit}".strip() + f" in operation, where {demanded} is demanded")
    if answer.transmission is not None and not answer.transmission.closed:
        reasons.append(f"plan of {answer.case.system.top}: {answer.transmission.message}")
    for day in scenario.operation.days:
        reasons += [f"{day.horizon.title}: excluded {name} ({why})" for name, why in day.excluded.items()]
        reasons += [f"{day.horizon.title}: {day.shortfall}"] if day.shortfall else []
    return reasons + [f"plan of {dso}: {plan.message or plan.status}" for dso, plan in answer.plans.items() if plan.status != "optimal"]
