"""SimBench's whole four-level tree negotiated at prosumer resolution: 1 TSO, 28 DSOs, 412 platforms with their networks, one day.

    python -m tests.benchmarks.whole_tree --workers 2                        24 hours, as the data are (scenario 2)
    python -m tests.benchmarks.whole_tree --workers 2 --customers            every plain load a prosumer: 32,511 of them
    python -m tests.benchmarks.whole_tree --workers 2 --grown                with many more heat pumps, vehicles, PV and batteries
    python -m tests.benchmarks.whole_tree --workers 2 --step 0.25 --gap 5e-3 quarter-hours below, hours above
    python -m tests.benchmarks.whole_tree --workers 2 --forecast-error 0.1   and the reserves for the errors of all forecasts
    python -m tests.benchmarks.whole_tree --compare                          one worker, then two; the ratio of both

Reading the cached system, the imports of all processes and the start of the workers count. What the first thread of the driver computes is
serial; all else is done by the workers, or in parallel: with S and P CPU seconds of both, two workers should be (S + P) / (S + P / 2) times as fast.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from multiscale.compare_mechanisms.enlarged import CODE, one_day, tree_of
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.engine import AddressSettings, DaskEngine, RunningWorkers, SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.checkpoint import keep, take_up
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.day_reserves import forecast_errors
from multiscale.operation import Transmission
from multiscale.sources import SimbenchSettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics, Growth

GROWN = Growth(heat_pump_share=0.5, ev_share=0.4, pv_share=0.5, battery_share=0.4)


class Meter(threading.Thread):
    """Peak resident memory [GB] of this process and its children, CPU seconds of all, and a table of stages.

    Its own work (a look at the processes once a second) is in the figures.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.cpu, self._own = 0.0, {}, psutil.Process(os.getpid())
        self.stages: list[tuple[str, np.ndarray]] = []
        self.born = self._own.create_time()
        self._last = np.zeros(4)
        self.start()

    def look(self) -> None:
        """Read memory and CPU seconds of all processes."""
        total = 0
        for process in (self._own, *self._own.children(recursive=True)):
            try:
                total += process.memory_info().rss
                self.cpu[process.pid] = sum(process.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        self.peak = max(self.peak, total / 1e9)

    def run(self) -> None:
        """Look once a second."""
        while True:
            self.look()
            time.sleep(1.0)

    def stage(self, name: str) -> None:
        """A stage has ended; called in the first thread."""
        self.look()
        now = np.array([time.time() - self.born, time.thread_time(), time.process_time(), sum(self.cpu.values())])
        self.stages.append((name, now - self._last))
        self._last = now

    def table(self) -> str:
        """Stages in rows: wall time, CPU seconds of the driver's first thread, of the driver, of all processes."""
        rows = [*self.stages, ("together", self._last)]
        head = f"{'stage':<34}{'wall s':>8}{'serial CPU s':>14}{'driver CPU s':>14}{'all CPU s':>11}"
        lines = [f"{name:<34}{v[0]:>8.1f}{v[1]:>14.1f}{v[2]:>14.1f}{v[3]:>11.1f}" for name, v in rows]
        serial, other = self._last[1], self._last[3] - self._last[1]
        ratio = (serial + other) / (serial + other / 2)
        return "\n".join([head, *lines, f"memory at most {self.peak:.1f} GB; S = {serial:.1f}, P = {other:.1f}: two workers {ratio:.2f} times one"])


def compare() -> None:
    """One worker, then two, each in a process of its own with the other arguments as given; the ratio of the wall times."""
    rest = [a for a in sys.argv[1:] if a != "--compare"]
    walls, costs = [], []
    for workers in (1, 2):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "tests.benchmarks.whole_tree", *rest, "--workers", str(workers)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                print(f"{workers} worker{'s' if workers > 1 else ' '} | {line}", end="", flush=True)
                lines.append(line)
        if process.returncode:
            raise SystemExit(process.returncode)
        walls.append(time.perf_counter() - begun)
        costs.append(next((line.split()[1] for line in lines if line.startswith("exactly")), ""))
    print(f"wall {walls[0]:.1f} s with one worker, {walls[1]:.1f} s with two: ratio {walls[0] / walls[1]:.2f}")
    print(f"cost and bound {'the same to the last bit' if costs[0] == costs[1] else f'DIFFER: {costs}'}")


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
    parser.add_argument("--customers", action="store_true", help="every plain load a prosumer, in place of every connection point")
    parser.add_argument("--dsos", nargs="*", default=None)
    parser.add_argument("--forecast-error", type=float, default=0.0, help="standard deviation of relative errors whose reserves are negotiated too")
    parser.add_argument("--negotiate-only", action="store_true", help="leave out the schedules of all prosumers")
    parser.add_argument("--checkpoint", type=Path, default=None)
    parser.add_argument("--compare", action="store_true", help="one worker, then two")
    given = parser.parse_args()
    if given.compare:
        compare()
        return
    meter = Meter()
    meter.stage("start and imports")

    def say(text: str) -> None:
        print(f"{time.time() - meter.born:7.1f} s  {text}", flush=True)

    running = RunningWorkers(AddressSettings(address=given.address), given.address) if given.address else given.workers
    with SerialEngine() if given.workers == 0 else DaskEngine(running) as engine:
        meter.stage("start the scheduler")
        prosumers = "customers" if given.customers else "connection_points"
        chosen = {"growth": GROWN if given.grown else Growth(), "dsos": tuple(given.dsos or ()) or "all", "prosumers": prosumers}
        system = study_system(SimbenchSettings(code=CODE, **chosen), co2_price=25.0)
        meter.stage("read and check the system")
        tree = tree_of(system, Economics(), one_day(given.date, given.step), aggregated=False, error_margin=2.0 * given.forecast_error)
        if given.step < 1.0:
            hours = one_day(given.date)
            tree = dataclasses.replace(tree, transmission=Transmission(system.restricted(hours), hours, tree.economics))
        people = sum(f.size for f in tree.fleets.values())
        meter.stage("fleets, networks, DSOs")
        say(f"{len(tree.distribution)} DSOs, {len(tree.platforms)} platforms, {people:,} prosumers, {tree.horizon.periods} periods")
        errors = forecast_errors(tree, ErrorModel(given.forecast_error)) if given.forecast_error > 0 else None
        negotiated = negotiation_of(tree, engine, NegotiationOptions(method=given.method, gap=given.gap), errors=errors)
        if given.checkpoint is not None and given.checkpoint.exists():
            take_up(negotiated, given.checkpoint)
        meter.stage("first prices of the TSO")
        agreement = negotiated.run(
            lambda step: say(f"{step} ({negotiated.traffic().messages:,} in all)"),
            lambda _: keep(negotiated, given.checkpoint) if given.checkpoint is not None else None,
        )
        meter.stage("platforms' programs, negotiate")
        say(agreement.status)
        if not given.negotiate_only:
            outcome = outcome_of(negotiated, agreement)
            meter.stage("operate")
            below = sum(b.negotiation.state.cost - b.negotiation.state.bound for b in negotiated.branches.values())
            say(
                f"cost {outcome.cost:.6e}, bound {outcome.bound:.6e} EUR/a, gap {outcome.gap:.2e} (gaps of the DSOs {below:.3g} EUR/a), "
                f"{outcome.rounds} rounds, {outcome.traffic.messages:,} messages, {outcome.traffic.bytes / 1e6:.2f} MB"
            )
            print(f"exactly {outcome.cost.hex()}/{outcome.bound.hex()}")
    meter.stage("end the workers")
    print(meter.table(), flush=True)


if __name__ == "__main__":
    main()
