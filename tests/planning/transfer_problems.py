"""Small planning problems with transfers on exports and peer trade, drawn at random: one DSO, two feeders, platforms of several members."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from multiscale.devices import Offer, device_settings
from multiscale.markets import Community
from multiscale.planning import PlanningProblem, planning_problem
from multiscale.system import Economics, System
from multiscale.tariffs import Component, Export, Peer, Tariff, Volumetric, standard_components
from multiscale.timeline import Horizon
from tests.variants import changed, with_options

PLATFORMS = ("north 1", "north 2")
LINES = tuple(f"north line {k}" for k in (1, 2, 3, 4))
TRANSFORMERS = ("north 1 MV/LV transformer", "north 2 MV/LV transformer")


def transfer_problem(
    system: System, seed: int, *, deduction: float | None = None, members: int | None = None, support: Mapping[str, Component] | None = None
) -> PlanningProblem:
    """The problem of a seed.

    Three or four options; a deduction of up to 10 ct/kWh on exports and a fee of up to 5 ct/kWh on peer trade, so that exports, trade and what is
    bought react to the charge; one to three members a platform; existing networks so dear that the charge is of the size of these transfers.
    """
    rng = np.random.default_rng(seed)
    horizon = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (120.0, 246.0), 4.0)
    cut = system.cut(list(PLATFORMS))
    town, park = rng.uniform(20, 60), rng.uniform(10, 60)
    rating = {b: rng.uniform(14, 45) for b in (*TRANSFORMERS, LINES[1], LINES[3])}
    rating |= {LINES[0]: (0.75 * town + 25.0) * rng.uniform(0.7, 1.3), LINES[2]: (0.8 * park + 20.0) * rng.uniform(0.5, 1.3)}
    here = changed(cut, "branches", "rating_kva", rating)
    here = changed(here, "devices", "p_kw", {"north town": town, "north solar park": park})
    choice = rng.permutation([*LINES, *TRANSFORMERS])[: rng.integers(3, 5)]
    here = with_options(here, {b: (float(rating[b] * rng.uniform(0.2, 1.0)), float(10 ** rng.uniform(2.5, 5.0))) for b in choice})
    costs = {"photovoltaics": {"investment": rng.uniform(800, 2500)}, "battery": {"investment": rng.uniform(50, 300)}}
    here = here.replace(device_settings=device_settings(**costs))
    count = int(rng.integers(1, 4)) if members is None else members
    whole = {p: here.fleet(p, horizon) for p in PLATFORMS}
    fleets = {p: f.aggregate(np.array([f"{p} {k % count}" for k in range(f.size)])) for p, f in whole.items()}
    profile = horizon.sample(here.profiles, np.array(["pv"]))[0][0]
    sizes = {p: (rng.uniform(5, 40, 1), rng.uniform(0, 40, 1)) for p in PLATFORMS}
    more = {p: {"photovoltaics": Offer(pv, profile), "battery": Offer(kwh, 0 * profile)} for p, (pv, kwh) in sizes.items()}
    components = dict(standard_components()) | {
        "network_charge": Volumetric(price_max=0.4),
        "levy": Volumetric(price=float(rng.choice([0.0, 0.05, 0.1])), receiver="supplier and state"),
        "export_deduction": Export(price=float(rng.uniform(0.0, 0.1)) if deduction is None else deduction, receiver="supplier and state"),
        "trading_fee": Peer(price=float(rng.uniform(0.0, 0.05)), receiver="platform operators"),
    }
    economics = Economics(rng.uniform(1.0, 10.0), 0.05, rng.uniform(0.02, 0.12), Tariff(components | dict(support or {})))
    price = rng.uniform(-0.04 if rng.random() < 0.35 else 0.0, 0.2, horizon.periods)
    return planning_problem(here, "north", horizon, economics, fleets, here.options, price, Community(), adoption=more, view="members")
