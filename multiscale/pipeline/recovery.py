"""Charges that cannot recover the cost of the existing network, found before anything is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiscale.pipeline.plan import forecast, problem_of
from multiscale.planning.charge_range import implied_charge_range
from multiscale.planning.largest_revenue import SUSPECTED, revenue_without_response, too_little
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.regulated import allowed_range, allowed_with
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import Problem

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def unrecoverable(config: StudyConfig, case: StudyCase) -> list[Problem]:
    """DSOs whose charges recover the cost of the existing network at no permitted values, whatever is built and however prosumers respond.

    Proven by the bounds of ``implied_charge_range`` (one price) and ``largest_revenue`` (several); what is listed has no plan; what is not may have
    one. Given prices that earn count too.
    """
    decided = [name for name, component in config.tariff.items() if component.decided]
    if not isinstance(config.planning, DistributionPlanSettings) or not config.regime.recovers_cost or not decided:
        return []
    expected: MarketForecast | None = None
    found: list[Problem] = []
    for dso in case.system.at_level("dso"):
        hours = case.horizon.hours_per_year
        demand = float((case.system.passive(dso, case.horizon).demand.values * hours).sum())
        demand += sum(case.fleets[child].yearly_reference_demand() for child in case.system.children(dso))
        cost = allowed_with(config.regime, config.costs.existing_network_cost * demand, 0.0, config.costs.discount_rate)
        passive, tariff = case.system.passive(dso, case.horizon), case.economics.tariff
        amounts = {n: c.passive(passive.demand.values, passive.generation.values, case.horizon) for n, c in tariff.earning.items()}
        fleets = [case.fleets[child] for child in case.system.children(dso)]
        if not revenue_without_response(tariff, amounts, fleets) < SUSPECTED * cost:
            continue
        expected = expected or forecast(case)
        problem = problem_of(case, dso, expected, config.planning, config.market)
        lowest, highest = allowed_range(problem, config.regime)
        what = f"the {lowest:,.0f} EUR/a that are allowed for the existing network of {dso}"
        if problem.single_price is not None:
            price, (low, high) = problem.single_price, problem.price_range
            least, _ = implied_charge_range(problem.program, price, problem.passive_energy, lowest, highest - lowest, (low, high), 0.0, rounds=1)
            unit = problem.tariff.components[price].unit
            if least > high:
                message = f"recovers no more than a part of {what}, which takes at least {least:.4g} {unit}; allow a higher charge"
                found.append(Problem("tariff", price, "price_max", f"{high:g}", unit, f"{message}, or lower costs.existing_network_cost"))
            continue
        together = too_little(problem, config.regime)
        if together is not None:
            prices = {name: problem.tariff.components[name] for name in decided if name in problem.tariff.earning}
            ends = ", ".join(f"{component.price_max:g} {component.unit}" for component in prices.values())
            message = f"recover{'s' if len(prices) == 1 else ''} together with given prices at most {together[0]:,.0f} of {what}; allow higher prices"
            message = f"{message}, or lower costs.existing_network_cost"
            found.append(Problem("tariff", ", ".join(prices), "price_max", ends, "", message))
    return found
