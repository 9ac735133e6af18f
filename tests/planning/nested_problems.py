"""The built-in system with options on transmission and in distribution networks that are too small, small enough to enumerate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.markets import Community
from multiscale.operation import Transmission
from multiscale.planning import planning_problem
from multiscale.planning.nested.problem import NestedProblem
from multiscale.system import Economics, System
from multiscale.timeline import Horizon
from tests.variants import changed, with_options

ONE, SOUTH = "north 1 MV/LV transformer", "south HV/MV transformer"
ABOVE = {"line A-E": (95e3, 2e5), "line D-E": (95e3, 9e5)}
BELOW = {ONE: (30.0, 20e3), SOUTH: (2000.0, 400e3)}


def short_of_rating(system: System, random: np.random.Generator | None = None) -> System:
    """Transformers too small for the winter day, and options; costs and ratings drawn at random where asked for."""

    def drawn(low: float, high: float) -> float:
        return 1.0 if random is None else float(random.uniform(low, high))

    tight = changed(
        system, "branches", "rating_kva", {ONE: 20.0 * drawn(0.6, 1.5), SOUTH: 2500.0 * drawn(0.8, 1.4), "line D-E": 24e3 * drawn(0.5, 1.5)}
    )
    return with_options(tight, {branch: (added, cost * drawn(0.05, 4.0)) for branch, (added, cost) in (ABOVE | BELOW).items()})


def nested_problem(here: System) -> NestedProblem:
    """All three operators over a winter day."""
    horizon, economics = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 4.0), Economics()
    fleets = {p: here.fleet(p, horizon) for p in here.at_level("platform")}
    top = np.isin(here.options.branch.values, here.network(here.top).branches.branch.values)
    above, below = here.options.isel(option=np.flatnonzero(top)), here.options.isel(option=np.flatnonzero(~top))
    zero = np.zeros(horizon.periods)
    operators = {d: planning_problem(here, d, horizon, economics, fleets, below, zero, Community()) for d in here.at_level("dso")}
    annuity = above.cost_eur.values * np.array([economics.annuity(n) for n in above.lifetime_years.values.tolist()])
    return NestedProblem(Transmission(here, horizon, economics), above, annuity, operators)


def rival_parks(system: System, cost: float) -> System:
    """Three feeders with large solar parks behind small transformers: what each builds lowers the price at which the others sell."""
    dsos = ("north", "east", "south")
    parks = {f"{d} solar park": 20e3 for d in dsos} | {f"{d} town": 100.0 for d in dsos} | {f"city {b}": 4e3 for b in "BCD"}
    small = changed(changed(system, "devices", "p_kw", parks), "branches", "rating_kva", {f"{d} HV/MV transformer": 1200.0 for d in dsos})
    return with_options(small, {f"{d} HV/MV transformer": (3000.0, cost * (1.0 + 0.01 * k)) for k, d in enumerate(dsos)})
