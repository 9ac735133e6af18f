"""Random small problems of several followers and integers against the enumeration of vertices (``tests/bilevel/price_blocks.py``).

Run: ``python -m tests.benchmarks.bilevel_prices_of_blocks 0 250`` (``--methods`` for others than decomposition, branch and cut and ``auto``).
"""

from __future__ import annotations

import argparse
import collections

from multiscale import bilevel
from tests.bilevel.price_blocks import optimum, random_priced
from tests.bilevel.small import agrees

LIMIT = 30.0
"""Seconds for each solve."""


def verdict(problem, method: str) -> tuple[str, str]:
    """Whether an answer is that of the enumeration, and what there is to say of it."""
    model, followers = problem.model()
    try:
        solution = bilevel.solve(model, followers, method=method, gap=1e-6, time_limit=LIMIT, load=False)
    except bilevel.BilevelError as refusal:
        return "refused", str(refusal)
    expected = optimum(problem)
    said = f"{solution.status} {solution.objective} (bound {solution.bound}), expected {expected}; {solution.message}"
    # A bound is proven whatever the status: it may not exclude the optimum.
    if not solution.bound <= expected + 1e-4 * max(1.0, abs(expected)):
        return "wrong", said
    if agrees("infeasible" if expected == float("inf") else expected, str(solution.status), solution.objective):
        return "right", said
    return "open" if solution.status in ("feasible", "error", "time_limit") else "wrong", said


def main() -> None:
    """Solve, compare, count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--methods", default="decomposition,branch_and_cut,auto")
    given = parser.parse_args()
    found: collections.Counter[str] = collections.Counter()
    for seed in range(given.first, given.last):
        for method in given.methods.split(","):
            answer, said = verdict(random_priced(seed), method)
            found[f"{method}: {answer}"] += 1
            if answer != "right":
                print(f"seed {seed}, {method}: {answer}, {said}", flush=True)
    for name, count in sorted(found.items()):
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
