"""SimBench's whole four-level tree negotiated at prosumer resolution: 1 TSO, 28 DSOs, 412 platforms with their networks, one day.

    python -m tests.benchmarks.whole_tree --workers 2                        24 hours, as the data are (scenario 2)
    python -m tests.benchmarks.whole_tree --workers 2 --grown                with many more heat pumps, vehicles, PV and batteries
    python -m tests.benchmarks.whole_tree --workers 2 --step 0.25 --gap 5e-3 quarter-hours below, hours above
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import threading
import time
from pathlib import Path

import psutil

from multiscale.coordination.bidirectional import Options
from multiscale.coordination.checkpoint import keep, take_up
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.hierarchy import negotiation_of, outcome_of
from multiscale.operation import Transmission
from multiscale.sources.selection import study_system
from multiscale.system import Economics, Growth
from tests.benchmarks.coordination_cases import CODE, one_day, tree_of

GROWN = Growth(heat_pump_share=0.5, ev_share=0.4, pv_share=0.5, battery_share=0.4)


class Meter(threading.Thread):
    """Peak resident memory [GB] of this process and its children, and the CPU seconds of all."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.cpu, self._own = 0.0, {}, psutil.Process(os.getpid())
        self.start()

    def run(self) -> None:
        """Look once a second."""
        while True:
            total = 0
            for process in (self._own, *self._own.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                    self.cpu[process.pid] = sum(process.cpu_times()[:2])
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total / 1e9)
            time.sleep(1.0)

    def __str__(self) -> str:
        return f"CPU {sum(self.cpu.values()):.0f} s, memory {self.peak:.1f} GB"


def main() -> None:
    """Negotiate and say what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2, help="0: this process")
    parser.add_argument("--address", default="", help="of a running scheduler")
    parser.add_argument("--date", default="2016-01-20")
    parser.add_argument("--step", type=float, default=1.0, help="of the platforms and DSOs [h]")
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--method", default="hybrid")
    parser.add_argument("--grown", action="store_true")
    parser.add_argument("--dsos", nargs="*", default=None)
    parser.add_argument("--negotiate-only", action="store_true", help="leave out the schedules of all prosumers")
    parser.add_argument("--checkpoint", type=Path, default=None)
    given = parser.parse_args()
    meter, started = Meter(), time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s  {text}; {meter} (driver {time.process_time():.0f} s)", flush=True)

    system = study_system("simbench", code=CODE, growth=GROWN if given.grown else None, dsos=given.dsos or "all")
    tree = tree_of(system, Economics(), one_day(given.date, given.step), aggregated=False)
    if given.step < 1.0:
        hours = one_day(given.date)
        tree = dataclasses.replace(tree, transmission=Transmission(system.restricted(hours), hours, tree.economics))
    people = sum(f.size for f in tree.fleets.values())
    say(f"built: {len(tree.distribution)} DSOs, {len(tree.platforms)} platforms, {people:,} prosumers, {tree.horizon.periods} periods")
    with SerialEngine() if given.workers == 0 else DaskEngine(given.workers, given.address) as engine:
        begun = time.perf_counter()
        negotiated = negotiation_of(tree, engine, Options(method=given.method, gap=given.gap))
        if given.checkpoint is not None and given.checkpoint.exists():
            take_up(negotiated, given.checkpoint)
        say("first prices")
        agreement = negotiated.run(
            lambda step: say(f"{step} ({negotiated.traffic().messages:,} in all)"),
            lambda _: keep(negotiated, given.checkpoint) if given.checkpoint is not None else None,
        )
        say(f"{agreement.status} in {time.perf_counter() - begun:.1f} s")
        if given.negotiate_only:
            return
        outcome = outcome_of(negotiated, agreement)
        below = sum(b.negotiation.state.cost - b.negotiation.state.bound for b in negotiated.branches.values())
        say(
            f"cost {outcome.cost:.6e}, bound {outcome.bound:.6e} EUR/a, gap {outcome.gap:.2e} (gaps of the DSOs {below:.3g} EUR/a), "
            f"{outcome.rounds} rounds, {outcome.traffic.messages:,} messages, {outcome.traffic.bytes / 1e6:.2f} MB; "
            f"negotiated and operated in {time.perf_counter() - begun:.1f} s"
        )


if __name__ == "__main__":
    main()
