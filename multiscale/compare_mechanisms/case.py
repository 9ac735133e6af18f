"""The days on which mechanisms are compared: those of a study under its plan, or others under the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multiscale.coordination.common.prepared import PreparedDay, prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.operation import Design
from multiscale.pipeline.case import case_of
from multiscale.pipeline.operation import fleets_on, real_purchases
from multiscale.pipeline.plan import forecast, planned
from multiscale.timeline import Horizon

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def prepared_case(
    config: StudyConfig,
    span: Sequence[pd.Timestamp] = (),
    error_margin: float = 0.0,
    *,
    history: int = 0,
    in_a_row: int = 1,
) -> list[PreparedDay]:
    """The days of a study under its plan, or other days under the same plan, ready for any mechanism.

    Args:
        config: of the study.
        span: other days.
        error_margin: forecast errors that the networks must have room for, see ``operating_tree``.
        history: calendar days before each that are to be learned from.
        in_a_row: days that follow each of the other days and are prepared with it as one span, itself included.
    """
    case = case_of(config)
    expected = forecast(case)
    plans = planned(config, case, expected)
    built = {option: yes for plan in plans.values() for option, yes in plan.built.items()}
    # Where nothing is planned, every kWh pays its part of the existing network.
    unplanned = {case.economics.tariff.recovering: np.asarray(case.economics.existing_network_cost)}
    prices = dict.fromkeys(case.system.at_level("dso"), unplanned) | {d: plan.prices for d, plan in plans.items()}
    fleets = partial(fleets_on, real_purchases({p: sizes for plan in plans.values() for p, sizes in plan.bought.items()}))

    def prepared(horizon: Horizon) -> list[PreparedDay]:
        known = None if span else expected.transmission(case.system, horizon, case.economics)
        return prepare_days(
            case.system,
            horizon,
            case.economics,
            fleets(case.system, horizon),
            Design(built, prices),
            config.market,
            SerialEngine(),
            limits=case.limits,
            known=known,
            error_margin=error_margin,
            history=history,
            fleets_on=fleets,
        )

    step = case.horizon.step_hours
    if not span:
        return prepared(case.horizon)
    if in_a_row == 1:
        return prepared(Horizon(tuple(span), (1.0,) * len(span), step))
    rows = [tuple(first + pd.Timedelta(days=k) for k in range(in_a_row)) for first in span]
    return [day for days in rows for day in prepared(Horizon(days, (1.0,) * in_a_row, step, consecutive=True))]
