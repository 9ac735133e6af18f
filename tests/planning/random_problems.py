"""Small planning problems drawn at random: one DSO, two feeders, two platforms, every kind of limit that may bind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.devices import Offer, device_settings
from multiscale.markets import Community
from multiscale.planning import PlanningProblem, planning_problem
from multiscale.system import Economics, System
from multiscale.timeline import Horizon
from tests.variants import changed, priced, with_options

PLATFORMS = ("north 1", "north 2")
LINES = tuple(f"north line {k}" for k in (1, 2, 3, 4))
TRANSFORMERS = ("north 1 MV/LV transformer", "north 2 MV/LV transformer")
TOP = "north HV/MV transformer"


def random_problem(system: System, seed: int, *, deduction: float = 0.0) -> PlanningProblem:
    """The problem of a seed.

    Three to five options among the lines of two feeders (in series: 1-2, 3-4), the transformers below them and the HV/MV transformer above all;
    ratings around what customers draw and feed in, so that some options are needed, some help and some are idle; lines so long in a third of
    the cases that voltages bind; prices that fall below zero in a third; adoption of PV and batteries, at costs near what the charge saves.
    """
    rng = np.random.default_rng(seed)
    horizon = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (120.0, 246.0), 4.0)
    cut = system.cut(list(PLATFORMS))
    # Passive customers between a third of all energy and nearly all of it.
    town, park = (rng.uniform(20, 60), rng.uniform(10, 60)) if rng.random() < 0.6 else (900.0, 400.0)
    peak = 0.75 * town + 50.0
    rating = {TOP: peak * rng.uniform(0.7, 1.2) if rng.random() < 0.4 else 5000.0}
    rating |= {b: rng.uniform(14, 45) for b in (*TRANSFORMERS, LINES[1], LINES[3])}
    rating |= {LINES[0]: (0.75 * town + 25.0) * rng.uniform(0.7, 1.3), LINES[2]: (0.8 * park + 20.0) * rng.uniform(0.5, 1.3)}
    here = changed(cut, "branches", "rating_kva", rating)
    here = changed(here, "devices", "p_kw", {"north town": town, "north solar park": park})
    if rng.random() < 0.35:
        # A drop of the squared voltage around the 0.1 that is permitted, at the peak: 2 r P / (1000 Vn^2).
        ohm = {b: rng.uniform(0.8, 2.5) * 0.1 * 1000.0 * 20.0**2 / (2.0 * p) for b, p in ((LINES[0], peak), (LINES[2], 0.8 * park + 25.0))}
        here = changed(here, "branches", "r_ohm", ohm)
    choice = rng.permutation([*LINES, *TRANSFORMERS, TOP])[: rng.integers(3, 6)]
    costs = {b: float(10 ** rng.uniform(2.5, 5.5)) for b in choice}
    here = with_options(here, {b: (float(rating[b] * rng.uniform(0.2, 1.0)), costs[b]) for b in choice})
    more = {}
    if rng.random() < 0.7:
        profile = horizon.sample(here.profiles, np.array(["pv"]))[0][0]
        more = {
            p: {"photovoltaics": Offer(np.array([rng.uniform(5, 40)]), profile), "battery": Offer(np.array([rng.uniform(0, 40)]), 0 * profile)}
            for p in PLATFORMS
        }
    # Drawn in this order, so that a seed stays the same problem.
    tariff = priced(levy=float(rng.choice([0.0, 0.05, 0.1])), export_deduction=deduction)
    devices = device_settings(photovoltaics={"investment": rng.uniform(800, 2500)}, battery={"investment": rng.uniform(50, 300)})
    here = here.replace(device_settings=devices)
    fleets = {p: here.fleet(p, horizon) for p in PLATFORMS}
    economics = Economics(
        tariff=tariff,
        value_of_lost_load=rng.uniform(1.0, 10.0),
        existing_network_cost=rng.uniform(0.02, 0.08),
    )
    price = rng.uniform(-0.04 if rng.random() < 0.35 else 0.0, 0.2, horizon.periods)
    return planning_problem(here, "north", horizon, economics, fleets, here.options, price, Community(), adoption=more)
