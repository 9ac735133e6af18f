"""Random small problems under ``auto`` against an oracle of its own: wrong answers, non-answers, the slowest.

Run: ``python -m tests.benchmarks.bilevel_small 0 250`` (followers of up to 12 columns together) or with ``--columns 40``. Problems and oracle:
``tests/bilevel/small.py`` (tolls with and without bounds, investment with binaries and integers, interdiction, supply at a price, arbitrary rows;
linear and quadratic followers, one to three of them). Where the oracle needs more than its nodes, another method has to agree.
"""

from __future__ import annotations

import argparse
import collections
import time

from multiscale import bilevel
from tests.benchmarks.bilevel_feeder import cpu_seconds
from tests.bilevel.small import agrees, oracle, random_small

LIMIT = 20.0
"""Seconds on the clock for each solve, unless ``--limit`` gives others: a loaded machine needs more of them."""

AIM = 10.0
"""CPU seconds within which a problem should be proven."""


def solved(small, method="auto", limit=LIMIT):
    """Status, objective and message."""
    model, followers = small.model()
    try:
        solution = bilevel.solve(model, followers, method=method, gap=1e-5, time_limit=limit)
    except bilevel.BilevelError as refusal:
        # Any other refusal is a wrong answer.
        return "refused" if "unbounded" in str(refusal) else f"refused ({refusal})", float("nan"), str(refusal)
    return str(solution.status), solution.objective, solution.message


def main() -> None:
    """Solve, compare, count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--limit", type=float, default=LIMIT)
    given = parser.parse_args()
    said: collections.Counter[str] = collections.Counter()
    times, wrong, silent, unchecked = [], 0, 0, 0
    for seed in range(given.first, given.last):
        small = random_small(seed, given.columns)
        begun, used = time.perf_counter(), cpu_seconds()
        status, objective, message = solved(small, limit=given.limit)
        times.append((cpu_seconds() - used, seed))
        said[f"{small.family}: {status}"] += 1
        expected = oracle(small)
        if expected is None:
            other = solved(small, "sos1" if "sos1" not in message else "indicator", given.limit)
            expected = other[1] if other[0] == "optimal" else other[0] if other[0] in ("infeasible", "unbounded") else None
            unchecked += expected is None
        if status in ("feasible", "error", "time_limit"):
            silent += 1
            print(f"seed {seed}, {small.family}: no proven answer, {status}, {time.perf_counter() - begun:.1f} s, {message}", flush=True)
        elif expected is not None and not agrees(expected, status, objective):
            wrong += 1
            print(f"seed {seed}, {small.family}: {status} {objective}, expected {expected}; {message}", flush=True)
    print(
        f"{given.last - given.first} problems: {wrong} wrong, {silent} without a proven answer, {unchecked} that could not be checked, "
        f"{sum(seconds > AIM for seconds, _ in times)} that took more than {AIM:g} CPU s"
    )
    print("slowest (CPU s, seed): " + ", ".join(f"{seconds:.1f} ({seed})" for seconds, seed in sorted(times, reverse=True)[:5]))
    for name, count in sorted(said.items()):
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
