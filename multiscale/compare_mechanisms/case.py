"""The days on which mechanisms are compared: those of a study under its plan, or others under the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from multiscale.coordination.common.prepared import PreparedDay, prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.operation import Design
from multiscale.study import adoption_limits, build_case, forecast_prices, make_plans
from multiscale.timeline import Horizon

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def prepared_case(config: StudyConfig, span: Sequence[pd.Timestamp] = (), reach: float = 0.0) -> list[PreparedDay]:
    """The days of a study under its plan, or a span of other days under the same plan, ready for any mechanism.

    ``reach``: forecast errors that the networks must have room for, see ``operating_tree``.
    """
    case = build_case(config)
    energy_price, transmission = forecast_prices(case)
    plans = make_plans(config, case, energy_price)
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    # Where nothing is planned, every kWh pays its part of the existing network.
    charges = dict.fromkeys(case.system.at_level("dso"), case.economics.existing_network_cost) | {d: plan.charge for d, plan in plans.items()}
    horizon = Horizon(tuple(span), (1.0,) * len(span), case.horizon.step_hours) if span else case.horizon
    fleets = {}
    for p in case.system.at_level("platform"):
        fleet = case.system.fleet(p, horizon)
        pv, battery = next((plan.bought[p] for plan in plans.values() if p in plan.bought), (0.0, 0.0))
        if pv > 1e-6 or battery > 1e-6:
            fleet = fleet.with_more(pv, battery, adoption_limits(fleet, horizon, case.system).pv_yield)
        fleets[p] = fleet
    known = None if span else transmission
    design = Design(built, charges)
    return prepare_days(case.system, horizon, case.economics, fleets, design, SerialEngine(), limits=case.limits, known=known, reach=reach)
