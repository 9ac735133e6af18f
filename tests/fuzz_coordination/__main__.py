"""Random small systems under every mechanism, held against the whole as one linear program that is solved apart.

    python -m tests.fuzz_coordination --first 0 --number 300

Of every case: bounds are at most the optimum, costs at least, up to rounding and what the solver's tolerances leave at the prices of the case;
prices are what one kWh more costs, by finite differences of the independent program; energy and money balance. Every twentieth case is operated by
two workers too, to the same bits. A case is known by its number; whatever is wrong with it is printed, and the exit code is 1.

    python -m tests.fuzz_coordination --hostile --first 0 --number 50

The same systems with children, DSOs or a TSO that say what is not true, see ``hostile``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import nullcontext

from multiscale.coordination.engine import DaskEngine
from tests.fuzz_coordination.draw import draw
from tests.fuzz_coordination.hostile import tried
from tests.fuzz_coordination.run import differences, operated


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; 1 where one of them is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_coordination")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--number", type=int, default=100, help="how many cases")
    parser.add_argument("--two-workers", type=int, default=20, metavar="N", help="every how many cases two workers do it too; 0: none")
    parser.add_argument("--hostile", action="store_true", help="with nodes that say what is not true")
    parser.add_argument("--all", action="store_true", help="with --hostile: print how every one ended")
    given = parser.parse_args(arguments)
    if given.hostile:
        return _hostile(given.first, given.number, every=given.all)
    wrong: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    started = time.process_time()
    with DaskEngine(2) if given.two_workers else nullcontext() as engine:
        for number in range(given.first, given.first + given.number):
            case = draw(number)
            found = operated(case, number)
            problems = list(found.problems)
            if engine is not None and number % given.two_workers == 0:
                problems += differences(found, operated(case, number, engine))
            counted.update(found.outcomes)
            for problem in problems:
                wrong[problem.split(":")[0]] += 1
                print(f"case {number} ({case.words}): {problem}", flush=True)
            if (number + 1) % 25 == 0:
                print(f"{number + 1 - given.first} cases, {time.process_time() - started:.0f} CPU s, {sum(wrong.values())} problems", flush=True)
    print(f"outcomes: {dict(counted)}")
    print(f"problems: {dict(wrong) or 'none'}")
    return 1 if wrong else 0


def _hostile(first: int, number: int, *, every: bool) -> int:
    ended: Counter[str] = Counter()
    wrong = 0
    started = time.process_time()
    for case in range(first, first + number):
        for k, found in enumerate(tried(draw(case), case)):
            ended[found.ended] += 1
            wrong += bool(found.problems)
            if every:
                print(f"{found.ended:9} {case}.{k} {found.words}", flush=True)
            for problem in found.problems:
                print(f"case {case}.{k} ({found.words}): {problem}", flush=True)
    print(f"{ended.total()} mechanisms with untrue nodes, {time.process_time() - started:.0f} CPU s: {dict(ended)}; wrong: {wrong or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
