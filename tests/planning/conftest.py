"""One DSO with two platforms and three options, small enough to enumerate; its transformers are too small for the winter day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multiscale.devices import Offer, device_settings
from multiscale.markets import Community
from multiscale.planning import PlanningProblem, planning_problem
from multiscale.system import Economics
from multiscale.timeline import Horizon
from tests.variants import changed, with_options

ONE, TWO, UP = "north 1 MV/LV transformer", "north 2 MV/LV transformer", "north HV/MV transformer"
RANGE = (0.0, 0.3)
TOLERANCE = 1e-3


@pytest.fixture(scope="session")
def problem(system) -> PlanningProblem:
    return small_problem(system)


@pytest.fixture(scope="session")
def problem_with_adoption(system) -> PlanningProblem:
    return small_problem(system, adoption=True)


def small_problem(system, *, adoption: bool = False) -> PlanningProblem:
    horizon = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 4.0)
    cut = system.cut(["north 1", "north 2"])
    tight = changed(cut, "branches", "rating_kva", {ONE: 24.0, TWO: 36.0, UP: 1900.0})
    here = with_options(tight, {ONE: (30.0, 6000.0), TWO: (30.0, 90000.0), UP: (2000.0, 400000.0)})
    settings = {"photovoltaics": {"investment": 2205.0, "upkeep": 0.0}, "battery": {"investment": 100.0}} if adoption else {}
    here = here.replace(device_settings=device_settings(**settings))
    fleets = {p: here.fleet(p, horizon) for p in ("north 1", "north 2")}
    more = {}
    if adoption:
        profile = horizon.sample(here.profiles, np.array(["pv"]))[0][0]
        more = {p: {"photovoltaics": Offer(np.array([40.0]), profile), "battery": Offer(np.array([20.0]), 0 * profile)} for p in fleets}
    price = 0.08 + 0.03 * np.sin(np.arange(horizon.periods))
    return planning_problem(here, "north", horizon, Economics(), fleets, here.options, price, Community(), adoption=more)
