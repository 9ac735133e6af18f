"""Every regime on the radial feeder of ``tests/planning/regulated_feeder.py``: CPU seconds to a proven 0.1 %, and what comes out.

OMP_NUM_THREADS=1 python -m tests.benchmarks.planning_regimes [--nodes 8] [--methods auto,strong_duality,branch_and_cut] [--seconds 300]

CPU seconds are those of this process and of the SCIP processes it started.
"""

from __future__ import annotations

import argparse

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
    given = parser.parse_args()
    cases = {"social": (Social(), 1.0), "collar": (COLLAR, 1.0)} | {name: (regime, share) for name, (regime, share, *_) in REGIMES.items()}
    solve_plan(regulated_feeder(3, 4), Social(), method="branch_and_cut", time_limit=given.seconds)  # imports are no part of the figures
    for name, (regime, share) in cases.items():
        for method in given.methods.split(","):
            began = cpu_seconds()
            plan = solve_plan(
                regulated_feeder(given.nodes, 24, cost_share=share), regime, method=method, gap=1e-3, tolerance=2e-3, time_limit=given.seconds
            )
            spent, built = cpu_seconds() - began, sum(plan.built.values())
            print(
                f"{given.nodes} nodes, {name}, {method}: {spent:.1f} CPU s, {plan.status}, objective {plan.objective:.5f}, bound {plan.bound:.5f}, "
                f"{built} lines built, charge {float(plan.prices['network_charge']):.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
