"""Planning by decomposition: CPU seconds, gap and sizes on the main study, for every view of the members of a platform.

OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.planning_decomposition [--days 2] [--options 16] [--view platform] [--gap-eur 1]
"""

from __future__ import annotations

import argparse
import time

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.plan import forecast
from multiscale.planning import planning_problem, solve_plan
from multiscale.planning.participants import VIEWS


def main() -> None:
    """Print one line for every distribution system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--options", type=int, default=16)
    parser.add_argument("--view", choices=VIEWS[1:], default="platform")
    parser.add_argument("--gap-eur", type=float, default=1.0)
    parser.add_argument("--method", default="decomposition")
    given = parser.parse_args()
    config = load_config([f"horizon.days={given.days}", f"planning.candidates={given.options}"])
    case = case_of(config)
    for dso, price in forecast(case).energy_price.items():
        problem = planning_problem(
            case.system, dso, case.horizon, case.economics, case.fleets, case.system.options, price, config.market,
            limits=case.limits, adoption=case.adoption, view=given.view,
        )  # fmt: skip
        started = time.process_time()
        plan = solve_plan(problem, config.regime, gap_eur=given.gap_eur, method=given.method)
        spent = time.process_time() - started
        size, seen = problem.program, sum(p.fleet.size for p in problem.participants.values())
        print(
            f"{dso}: {given.days} days, {len(problem.annuity)} options, {seen} participants of {len(problem.participants)} platforms, "
            f"{size.columns.size:,} columns, {size.rows.size:,} rows: {spent:.1f} CPU s, {plan.status}, {plan.objective:,.1f} EUR/a, "
            f"gap {plan.gap_eur:.2f} EUR/a of {plan.decision_range or 0.0:,.0f}, charge {plan.prices[str(problem.single_price)]:.6f}, {plan.message}"
        )
        print("  " + ", ".join(option for option, built in plan.built.items() if built))


if __name__ == "__main__":
    main()
