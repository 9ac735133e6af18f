"""Planning by decomposition: CPU seconds, gap and sizes on the main study, and with platforms of several participants.

OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.planning_decomposition [--days 2] [--options 16] [--participants 1] [--gap-eur 1]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from multiscale import study
from multiscale.config import load_config
from multiscale.planning import PlanningProblem, planning_problem, solve_plan
from multiscale.system import Fleet


def problem_of(case: study.StudyCase, dso: str, price: np.ndarray, participants: int) -> PlanningProblem:
    """The planning problem with every platform split into so many participants of like size."""
    together = Fleet.aggregate

    def split(fleet: Fleet, groups: np.ndarray) -> Fleet:
        return together(fleet, np.array([f"{g} {k % participants}" for k, g in enumerate(groups.tolist())]))

    share = {c: np.bincount(np.arange(f.size) % participants, minlength=participants) / f.size for c, f in case.fleets.items()}
    adoption = {c: replace(a, pv_kw=a.pv_kw.sum() * share[c], battery_kwh=a.battery_kwh.sum() * share[c]) for c, a in case.adoption.items()}
    with patch.object(Fleet, "aggregate", split):
        return planning_problem(
            case.system, dso, case.horizon, case.economics, case.fleets, case.system.options, price, limits=case.limits, adoption=adoption
        )


def main() -> None:
    """Print one line for every distribution system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--options", type=int, default=16)
    parser.add_argument("--participants", type=int, default=1)
    parser.add_argument("--gap-eur", type=float, default=1.0)
    parser.add_argument("--method", default="decomposition")
    given = parser.parse_args()
    config = load_config([f"horizon.days={given.days}", f"planning.candidates={given.options}"])
    case = study.build_case(config)
    price, _ = study.forecast_prices(case)
    for dso in case.system.at_level("dso"):
        problem = problem_of(case, dso, price[dso], given.participants)
        started = time.process_time()
        plan = solve_plan(
            problem,
            charge_range=(config.tariff.charge_min, config.tariff.charge_max),
            tolerance=config.planning.recovery_tolerance,
            gap_eur=given.gap_eur,
            method=given.method,
        )
        spent = time.process_time() - started
        size = problem.program
        print(
            f"{dso}: {given.days} days, {len(problem.annuity)} options, {given.participants} participants, {size.columns.size:,} columns, "
            f"{size.rows.size:,} rows: {spent:.1f} CPU s, {plan.status}, {plan.objective:,.1f} EUR/a, gap {plan.gap_eur:.2f} EUR/a of "
            f"{plan.decision_range or 0.0:,.0f}, charge {plan.charge:.6f}, {plan.message}"
        )
        print("  " + ", ".join(option for option, built in plan.built.items() if built))


if __name__ == "__main__":
    main()
