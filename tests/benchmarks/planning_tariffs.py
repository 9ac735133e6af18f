"""Plans under tariffs of three components at the size of a study: CPU seconds, and what of what decisions move is proven.

OMP_NUM_THREADS=1 python -m tests.benchmarks.planning_tariffs [--case feeder|simbench] [--tariff given|decided]

``feeder``: 33 nodes, four days of 24 hours, 32 options, adoption (``tests/planning/regulated_feeder.py``). ``simbench``: the medium-voltage
network of the main study with its low-voltage networks as platforms, 4 days, 20 options, adoption. ``given``: a network charge that is decided, with
a levy and a standing charge that are given; ``decided``: a network charge, a charge on peaks and a standing charge, all decided. What decisions move
is the more expensive of building nothing and building everything, less the plan: each planned for itself, or, by decomposition, as that finds it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.plan import forecast
from multiscale.planning import NoPlanError, Plan, PlanningProblem, Social, planning_problem, solve_plan
from multiscale.tariffs import Capacity, Component, Fixed, Tariff, Volumetric
from tests.benchmarks.bilevel_feeder import cpu_seconds
from tests.planning.regulated_feeder import CEILING, regulated_feeder

DAYS, OPTIONS = 4, 20


def feeder(decided: bool) -> PlanningProblem:
    """33 nodes over four days in steps of an hour."""
    components: dict[str, Component] = {"network_charge": Volumetric(price_max=CEILING)}
    if decided:
        components |= {"peak": Capacity(price_max=2.0), "standing": Fixed(price_max=5.0)}
    else:
        components |= {"levy": Volumetric(price=0.05, receiver="supplier and state"), "standing": Fixed(price=5.0)}
    return regulated_feeder(33, 24, components, days=DAYS)


def simbench(decided: bool) -> PlanningProblem:
    """The operator of the main study over four days."""
    config = load_config([f"horizon.days={DAYS}", f"planning.candidates={OPTIONS}"])
    case = case_of(config)
    days = float(case.horizon.hours_per_year.sum()) / 24.0
    own: dict[str, Component] = {"standing": Fixed(price=50.0 / days)}
    if decided:
        own = {"peak": Capacity(price_max=100.0), "standing": Fixed(price_max=100.0 / days)}
    economics = replace(case.economics, tariff=Tariff({**case.economics.tariff.components, **own}))
    (dso, price), *_ = forecast(case).energy_price.items()
    return planning_problem(
        case.system, dso, case.horizon, economics, case.fleets, case.system.options, price, config.market,
        limits=case.limits, adoption=case.adoption, view="platform",
    )  # fmt: skip


def main() -> None:
    """Print the plan, and how far it is proven."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["feeder", "simbench"], default="feeder")
    parser.add_argument("--tariff", choices=["given", "decided"], default="given")
    parser.add_argument("--gap", type=float, default=1e-6, help="relative gap asked for")
    parser.add_argument("--gap-eur", type=float, default=0.0, help="gap asked for [EUR/a]; whichever is reached first")
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    problem = (feeder if given.case == "feeder" else simbench)(given.tariff == "decided")
    size, names = problem.program, problem.options.option.values.tolist()
    print(f"{given.case}, {given.tariff}: {len(names)} options, {size.columns.size:,} columns, {size.rows.size:,} rows", flush=True)
    tolerance = 2e-3 if given.case == "feeder" else 1e-5

    def plan_of(what: PlanningProblem) -> float:
        began, clock = cpu_seconds(), time.perf_counter()
        plan = solve_plan(what, Social(), tolerance=tolerance, gap=given.gap, gap_eur=given.gap_eur, time_limit=given.seconds, solve_limit=10**7)
        prices = {name: np.round(price, 5).tolist() for name, price in plan.prices.items()}
        print(
            f"{cpu_seconds() - began:.1f} CPU s, {time.perf_counter() - clock:.0f} s: {plan.status}, {plan.objective:,.5f} EUR/a, "
            f"gap {plan.gap_eur:,.5f}, {sum(plan.built.values())} built, {prices}; {plan.message}",
            flush=True,
        )
        plans.append(plan)
        return plan.objective

    plans: list[Plan] = []
    best, extremes = plan_of(problem), []
    if (share := plans[0].gap_of_decisions) is not None:
        print(f"gap {share:.4%} of what decisions move ({plans[0].decision_range:,.4f} EUR/a)")
        return
    for required, excluded in (([], names), (names, [])):
        try:
            extremes.append(plan_of(problem.among(required, excluded)))
        except NoPlanError as error:
            print(error)
    if extremes and max(extremes) > best:
        print(f"gap {plans[0].gap_eur / (max(extremes) - best):.4%} of what decisions move ({max(extremes) - best:,.4f} EUR/a)")


if __name__ == "__main__":
    main()
