"""The days on which mechanisms are compared: those of a study under its plan, or others under the same plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multiscale.coordination.common.prepared import PreparedDay, prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.operation import Design
from multiscale.pipeline.case import adoption_limits, case_of
from multiscale.pipeline.plan import forecast, planned
from multiscale.timeline import Horizon

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def prepared_case(config: StudyConfig, span: Sequence[pd.Timestamp] = (), error_margin: float = 0.0) -> list[PreparedDay]:
    """The days of a study under its plan, or a span of other days under the same plan, ready for any mechanism.

    ``error_margin``: forecast errors that the networks must have room for, see ``operating_tree``.
    """
    case = case_of(config)
    expected = forecast(case)
    plans = planned(config, case, expected)
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    # Where nothing is planned, every kWh pays its part of the existing network.
    unplanned = {case.economics.tariff.recovering: np.asarray(case.economics.existing_network_cost)}
    prices = dict.fromkeys(case.system.at_level("dso"), unplanned) | {d: plan.prices for d, plan in plans.items()}
    horizon = Horizon(tuple(span), (1.0,) * len(span), case.horizon.step_hours) if span else case.horizon
    fleets = {}
    for p in case.system.at_level("platform"):
        fleet = case.system.fleet(p, horizon)
        bought: Mapping[str, np.ndarray] = next((plan.bought[p] for plan in plans.values() if p in plan.bought), {})
        if any(sizes.sum() > 1e-6 for sizes in bought.values()):
            fleet = fleet.with_more(bought, adoption_limits(fleet, horizon, case.system))
        fleets[p] = fleet
    known = None if span else expected.transmission(case.system, horizon, case.economics)
    design = Design(built, prices)
    return prepare_days(
        case.system,
        horizon,
        case.economics,
        fleets,
        design,
        config.market,
        SerialEngine(),
        limits=case.limits,
        known=known,
        error_margin=error_margin,
    )
