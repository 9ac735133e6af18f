"""Planning by decomposition: CPU seconds, gap and sizes on the main study, and with platforms of several participants.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.planning_decomposition [--days 2] [--options 16] [--participants 1] [--by-devices] [--gap-eur 1]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from multiscale import study
from multiscale.config import load_config
from multiscale.config.models import StudyConfig
from multiscale.devices.fleet import Fleet
from multiscale.planning import PlanningProblem, planning_problem, solve_plan


def groups_of(fleet: Fleet, participants: int, by_devices: bool) -> np.ndarray:
    """Participant of every prosumer: so many of like size, or one for every set of devices that somebody owns."""
    if by_devices:
        owned = np.array([device.owners(fleet) for device in fleet.devices.values()])
        return np.array(["".join("01"[int(b)] for b in column) for column in owned.T])
    return np.array([f"{fleet.node} {k % participants}" for k in range(fleet.size)])


def problem_of(config: StudyConfig, case: study.StudyCase, dso: str, price: np.ndarray, participants: int, by_devices: bool) -> PlanningProblem:
    """The planning problem with every platform split into participants."""
    together = Fleet.aggregate
    groups = {c: groups_of(f, participants, by_devices) for c, f in case.fleets.items()}

    def split(fleet: Fleet, one: np.ndarray) -> Fleet:
        return together(fleet, groups[str(one[0])])

    adoption = {}
    for c, offers in case.adoption.items():
        share = np.unique(groups[c], return_counts=True)[1] / case.fleets[c].size
        adoption[c] = {key: replace(offer, largest=offer.largest.sum() * share) for key, offer in offers.items()}
    with patch.object(Fleet, "aggregate", split):
        return planning_problem(
            case.system, dso, case.horizon, case.economics, case.fleets, case.system.options, price, config.market, limits=case.limits, adoption=adoption
        )


def main() -> None:
    """Print one line for every distribution system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--options", type=int, default=16)
    parser.add_argument("--participants", type=int, default=1)
    parser.add_argument("--by-devices", action="store_true")
    parser.add_argument("--gap-eur", type=float, default=1.0)
    parser.add_argument("--method", default="decomposition")
    given = parser.parse_args()
    config = load_config([f"horizon.days={given.days}", f"planning.candidates={given.options}"])
    case = study.build_case(config)
    price, _ = study.forecast_prices(case)
    for dso in case.system.at_level("dso"):
        problem = problem_of(config, case, dso, price[dso], given.participants, given.by_devices)
        started = time.process_time()
        plan = solve_plan(problem, config.regime, tolerance=1e-5, gap_eur=given.gap_eur, method=given.method)
        spent = time.process_time() - started
        size = problem.program
        members = sum(len(np.unique(groups_of(f, given.participants, given.by_devices))) for c, f in case.fleets.items() if c in problem.fleets)
        print(
            f"{dso}: {given.days} days, {len(problem.annuity)} options, {members / len(problem.fleets):.1f} participants a platform, "
            f"{size.columns.size:,} columns, {size.rows.size:,} rows: {spent:.1f} CPU s, {plan.status}, {plan.objective:,.1f} EUR/a, "
            f"gap {plan.gap_eur:.2f} EUR/a of {plan.decision_range or 0.0:,.0f}, charge {plan.prices[str(problem.single_price)]:.6f}, {plan.message}"
        )
        print("  " + ", ".join(option for option, built in plan.built.items() if built))


if __name__ == "__main__":
    main()
