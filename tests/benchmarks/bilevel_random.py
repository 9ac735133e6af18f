"""Random small bilevel problems in all methods: who disagrees, who leaves a gap, who is slow.

Run: ``python -m tests.benchmarks.bilevel_random 40000 40400``. Problems: ``random_problem`` of ``tests/property/test_bilevel.py`` (a continuous and
a binary leader variable; one or two followers, linear or quadratic, minimising or maximising, with ties), seeds from the first up to the second.
"""

from __future__ import annotations

import argparse
import collections
import time

from multiscale import bilevel
from tests.bilevel.every_method import METHODS
from tests.property.test_bilevel import random_problem

LIMIT, SLOW = 20.0, 5.0
"""Seconds for each solve, and from when on one is named."""


def main() -> None:
    """Name what disagrees, is open or slow; count what every method said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    given = parser.parse_args()
    said: dict[str, collections.Counter[str]] = {method: collections.Counter() for method in METHODS}
    disagree = 0
    for seed in range(given.first, given.last):
        proven = {}
        for method in METHODS:
            model, followers = random_problem(seed)
            begun = time.perf_counter()
            try:
                solution = bilevel.solve(model, followers, method=method, gap=1e-5, time_limit=LIMIT)
            except bilevel.BilevelError:
                said[method]["refused"] += 1
                continue
            seconds, status = time.perf_counter() - begun, str(solution.status)
            said[method][status] += 1
            if status in ("optimal", "infeasible", "unbounded"):
                proven[method] = (status, solution.objective if status == "optimal" else 0.0)
            if status in ("feasible", "error", "time_limit") or seconds > SLOW:
                print(f"seed {seed}, {method}: {status}, {seconds:.1f} s, {solution.message}", flush=True)
        values = [value for _, value in proven.values()]
        if len({status for status, _ in proven.values()}) > 1 or (values and max(values) - min(values) > 1e-4 * max(1.0, abs(values[0]))):
            disagree += 1
            print(f"seed {seed}: {proven}", flush=True)
    print(f"{given.last - given.first} problems, {disagree} on which two methods disagree")
    for method, counts in said.items():
        print(f"  {method}: {dict(counts)}")


if __name__ == "__main__":
    main()
