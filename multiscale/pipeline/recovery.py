"""Charges that cannot recover the cost of the existing network, found before anything is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiscale.pipeline.plan import forecast, problem_of
from multiscale.planning.charge_range import implied_charge_range
from multiscale.planning.market_forecast import MarketForecast
from multiscale.planning.regulated import allowed_range, allowed_with
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.results.data.answer_data import StudyCase
from multiscale.system import Problem

if TYPE_CHECKING:
    from multiscale.config import StudyConfig

SUSPECTED = 1.5
"""A charge is looked at where the largest permitted one, on all demand without response, earns less than this multiple of the cost."""


def unrecoverable(config: StudyConfig, case: StudyCase) -> list[Problem]:
    """DSOs whose single charge recovers the cost of the existing network at no permitted value, whatever is built and however prosumers respond.

    Proven by the bounds of ``implied_charge_range``: what is listed has no plan; what is not may have one.
    """
    decided = [component for component in config.tariff.values() if component.decided]
    if not isinstance(config.planning, DistributionPlanSettings) or not config.regime.recovers_cost or len(decided) != 1:
        return []
    expected: MarketForecast | None = None
    found: list[Problem] = []
    for dso in case.system.at_level("dso"):
        hours = case.horizon.hours_per_year
        demand = float((case.system.passive(dso, case.horizon).demand.values * hours).sum())
        demand += sum(case.fleets[child].yearly_reference_demand() for child in case.system.children(dso))
        cost = allowed_with(config.regime, config.costs.existing_network_cost * demand, 0.0, config.costs.discount_rate)
        if decided[0].unit != "EUR/kWh" or decided[0].price_max * demand >= SUSPECTED * cost:
            continue
        expected = expected or forecast(case)
        problem = problem_of(case, dso, expected, config.planning, config.market)
        if problem.single_price is None:
            continue
        price = problem.single_price
        lowest, highest = allowed_range(problem, config.regime)
        least, _ = implied_charge_range(problem.program, price, problem.passive_energy, lowest, highest - lowest, problem.price_range, 0.0, rounds=1)
        if least > problem.price_range[1]:
            unit = problem.tariff.components[price].unit
            message = (
                f"recovers no more than a part of the {lowest:,.0f} EUR/a that are allowed for the existing network of {dso}, which takes at least "
                f"{least:.4g} {unit}; allow a higher charge, or lower costs.existing_network_cost"
            )
            found.append(Problem("tariff", price, "price_max", f"{problem.price_range[1]:g}", unit, message))
    return found
