"""Every regime on the radial feeder of ``tests/planning/regulated_feeder.py``: CPU seconds to a proven 0.1 %, and what comes out.

OMP_NUM_THREADS=1 python -m tests.benchmarks.planning_regimes [--nodes 8] [--methods auto,strong_duality,branch_and_cut] [--growth 0.9,1.0,1.1]

CPU seconds are those of this process and of the SCIP processes it started.
"""

from __future__ import annotations

import argparse
import itertools

from multiscale.planning import Social, solve_plan
from tests.benchmarks.bilevel_feeder import cpu_seconds
from tests.planning.regulated_feeder import regulated_feeder
from tests.planning.test_regulated_feeder import COLLAR, REGIMES


def main() -> None:
    """Print one line for every regime and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--methods", default="auto")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--growth", default="1.0", help="factors on demand, one scenario each")
    given = parser.parse_args()
    cases = {"social": (Social(), 1.0), "collar": (COLLAR, 1.0)} | {name: (regime, share) for name, (regime, share, *_) in REGIMES.items()}
    solve_plan(regulated_feeder(3, 4), Social(), method="branch_and_cut", time_limit=given.seconds)  # imports are no part of the figures
    start, scenarios = cpu_seconds(), [float(factor) for factor in given.growth.split(",")]
    for name, (regime, share) in cases.items():
        for method, growth in itertools.product(given.methods.split(","), scenarios):
            began, problem = cpu_seconds(), regulated_feeder(given.nodes, 24, cost_share=share, growth=growth)
            plan = solve_plan(problem, regime, method=method, gap=1e-3, tolerance=2e-3, time_limit=given.seconds)
            spent, built = cpu_seconds() - began, sum(plan.built.values())
            print(
                f"{given.nodes} nodes, demand x {growth:g}, {name}, {method}: {spent:.1f} CPU s, {plan.status}, objective {plan.objective:.5f}, "
                f"bound {plan.bound:.5f}, {built} lines built, charge {float(plan.prices['network_charge']):.4f}",
                flush=True,
            )
    print(f"{len(cases)} regimes x {len(scenarios)} scenarios: {cpu_seconds() - start:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
