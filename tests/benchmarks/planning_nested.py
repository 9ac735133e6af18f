"""Nested planning of the built-in system against the joint plan by one model: cost, bound, CPU seconds.

python -m tests.benchmarks.planning_nested [overrides of the configuration]
"""

from __future__ import annotations

import sys
import time

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.transmission_plan import nested_problem_of
from multiscale.planning.nested.problem import joint_plan
from multiscale.planning.nested.search import nested_plan


def main(overrides: list[str]) -> None:
    """Print both answers."""
    config = load_config(["study=tiny", "planning=nested", *overrides])
    case = case_of(config)
    problem = nested_problem_of(case, config.planning, config.market)
    print(f"{problem.whole.columns.size:,} columns, {problem.whole.rows.size:,} rows, options: { {k: len(v) for k, v in problem.names.items()} }")
    started = time.process_time()
    nested = nested_plan(problem, gap_eur=config.planning.gap_eur)
    spent, started = time.process_time() - started, time.process_time()
    print(
        f"nested: {nested.best.cost:,.2f}, bound {nested.bound:,.2f} EUR/a, decisions move {nested.decision_range:,.0f}; {sorted(nested.best.built)}"
    )
    print(f"        {nested.message}, {spent:.2f} CPU s")
    built, joint = joint_plan(problem, gap_eur=config.planning.gap_eur)
    print(f"joint:  {joint.objective:,.2f}, bound {joint.bound:,.2f} EUR/a; {sorted(built)}, {time.process_time() - started:.2f} CPU s")


if __name__ == "__main__":
    main(sys.argv[1:])
