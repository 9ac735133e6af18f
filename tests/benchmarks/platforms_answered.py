"""CPU seconds of SimBench's own platforms in a negotiation, by their programs and with the batched solution where it is exact, in one process.

    python -m tests.benchmarks.platforms_answered                              all 412 platforms, one day in hours
    python -m tests.benchmarks.platforms_answered --dsos MV4.101               79 of them
    python -m tests.benchmarks.platforms_answered --dsos MV4.101 --grown       with many more heat pumps, vehicles, PV and batteries
    python -m tests.benchmarks.platforms_answered --dsos MV4.101 --step 0.25   in quarter-hours

Counted are the tasks of the platforms: making what answers, answering, and operating what was agreed. The tariff is the standard one, with its fee
on trade. What is compiled is loaded before.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter, defaultdict

from multiscale.compare_mechanisms.enlarged import CODE, one_day, tree_of
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children import batched_child, remote_children
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.sources import SimbenchSettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics, Growth
from multiscale.tariffs import Peer, Tariff, Volumetric
from tests.benchmarks.batched_community import _negotiated
from tests.benchmarks.whole_tree import GROWN
from tests.markets.random_fleets import random_fleet


class TimedTasks(SerialEngine):
    """This process, with the CPU seconds of every child."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)

    def map(self, function, tasks, homes=None, patience=None):
        """See ``Engine``."""
        done = {}
        for key, arguments in tasks.items():
            began = time.process_time()
            done |= super().map(function, {key: arguments}, homes, patience)
            self.seconds[key] += time.process_time() - began
        return done


def negotiated(tree, gap, *, programs):
    """CPU seconds of every platform, what operated it, and the cost."""
    many = batched_child.MANY
    remote_children._CACHE.clear()
    batched_child.MANY = 10**9 if programs else many
    try:
        with TimedTasks() as engine:
            made = negotiation_of(tree, engine, NegotiationOptions(gap=gap))
            outcome = outcome_of(made, made.run(lambda step: print(f"   {step}", flush=True)))
    finally:
        batched_child.MANY = many
    return {p: engine.seconds[p] for p in tree.platforms}, {p: made.settled[p].engine for p in tree.platforms}, outcome


def main() -> None:
    """Negotiate twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsos", nargs="*", default=None)
    parser.add_argument("--date", default="2016-01-20")
    parser.add_argument("--step", type=float, default=1.0, help="[h]")
    parser.add_argument("--grown", action="store_true")
    parser.add_argument("--gap", type=float, default=1e-3)
    given = parser.parse_args()
    fee = Tariff({"network_charge": Volumetric(price=0.05), "fee": Peer(price=0.01, receiver="platform operators")})
    for batched in (True, False):
        _negotiated(random_fleet(40, 24, seed=0, several=True), fee, batched=batched)
    chosen = {"growth": GROWN if given.grown else Growth(), "dsos": tuple(given.dsos or ()) or "all"}

    def tree():
        # Made anew for each, as parts of it are computed when they are first looked at.
        system = study_system(SimbenchSettings(code=CODE, **chosen), co2_price=25.0)
        return tree_of(system, Economics(), one_day(given.date, given.step), aggregated=False)

    before, _, exact = negotiated(tree(), given.gap, programs=True)
    made = tree()
    print(f"{len(made.platforms)} platforms, {sum(f.size for f in made.fleets.values()):,} prosumers, {made.horizon.periods} periods", flush=True)
    after, engines, found = negotiated(made, given.gap, programs=False)
    assert abs(found.cost - exact.cost) <= 2 * given.gap * abs(exact.cost), (found.cost, exact.cost)
    groups: dict[str, list[str]] = defaultdict(list)
    for platform, engine in engines.items():
        groups[re.sub(r"'[^']*'|[0-9][0-9.e+-]*", "..", engine).split(";")[0]].append(platform)
    for name, members in [*sorted(groups.items()), ("all", list(engines))]:
        a, b = sum(after[p] for p in members), sum(before[p] for p in members)
        print(f"{len(members):4d} platforms, {name[:70]}: {b:.1f} CPU s by programs, {a:.1f} now: {b / a:.1f} times fewer")
    print(f"cost {found.cost:.9e} (by programs {exact.cost:.9e}); operated by {dict(Counter(e.split(' ')[0] for e in engines.values()))}")


if __name__ == "__main__":
    main()
