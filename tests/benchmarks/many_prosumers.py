"""SimBench's tree with 300,000 prosumers negotiated: 1 TSO, 28 DSOs with their networks, 412 platforms of 728 prosumers each, one day in hours.

    python -m tests.benchmarks.many_prosumers --workers 2               one flexible device each, a fee on trade
    python -m tests.benchmarks.many_prosumers --workers 2 --several     no fee, each device on a third of all
    python -m tests.benchmarks.many_prosumers --dso MV4.101             79 platforms of one DSO, in this process
    python -m tests.benchmarks.many_prosumers --dso MV4.101 --programs  by their programs, in place of the batched solution

Every platform draws in the year what SimBench's does, so the medium-voltage networks carry what they were built for; devices, sizes, efficiencies and
profiles are random (``tests/markets/random_fleets.py``). Low-voltage networks, built for a seventh of the prosumers, are omitted. CPU seconds of the
platforms are those of the tasks that answer for them and operate them, and of the workers.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter

import numpy as np

from multiscale.compare_mechanisms.enlarged import CODE, one_day
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children import batched_child
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.devices.fleet import fleet_variables
from multiscale.markets import Community
from multiscale.operation import Design, operating_tree
from multiscale.sources import SimbenchSettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics
from multiscale.tariffs import Export, Peer, Tariff, Volumetric
from tests.benchmarks.whole_tree import Meter
from tests.markets.random_fleets import random_fleet

CHARGED = {
    "network_charge": Volumetric(),
    "levy": Volumetric(price=0.10, receiver="supplier and state"),
    "export_deduction": Export(price=0.01, receiver="supplier and state"),
}
FEE = {"trading_fee": Peer(price=0.01, receiver="platform operators")}


class TimedEngine(SerialEngine):
    """This process, with the CPU seconds of all tasks."""

    seconds = 0.0

    def map(self, *arguments, **options):
        """See ``Engine``."""
        began = time.process_time()
        try:
            return super().map(*arguments, **options)
        finally:
            TimedEngine.seconds += time.process_time() - began


def fleet_like(before, size, seed, *, several):
    """Random prosumers that draw in the day what a fleet does."""
    made = random_fleet(size, before.horizon.periods, seed, several=several)
    share = before.reference_demand.sum() / made.reference_demand.sum()
    sizes = {n: v.values * share for n, v in made.data.items() if n in (d := fleet_variables(made.devices)) and not d[n].weight and n != "customers"}
    sizes["heat_cop"] = made.data.heat_cop.values
    made = made.changed(sizes)
    return dataclasses.replace(made, node=before.node, horizon=before.horizon, data=made.data.assign_coords(period=before.data.period))


def tree(size, several, dso):
    settings = SimbenchSettings(code=CODE) if dso is None else SimbenchSettings(code=CODE, dsos=(dso,))
    system, horizon = study_system(settings, co2_price=25.0), one_day("2016-06-15")
    day = system.restricted(horizon)
    fleets = {p: fleet_like(day.fleet(p, horizon), size, k, several=several) for k, p in enumerate(day.at_level("platform"))}
    design = Design({}, {key: {"network_charge": np.asarray(0.05)} for key in day.at_level("dso")})
    economics = Economics(tariff=Tariff(CHARGED if several else CHARGED | FEE))
    return operating_tree(day, horizon, economics, fleets, design, Community(), networks=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0, help="0: this process")
    parser.add_argument("--prosumers", type=int, default=728, help="of a platform")
    parser.add_argument("--dso", default=None, help="this one and its platforms alone")
    parser.add_argument("--several", action="store_true", help="several devices each, and no fee on trade")
    parser.add_argument("--programs", action="store_true", help="by programs")
    parser.add_argument("--gap", type=float, default=1e-3)
    given = parser.parse_args()
    if given.programs:
        batched_child.MANY = 10**9
        assert not given.workers, "workers do not know of it; use this process"
    meter = Meter()
    made = tree(given.prosumers, given.several, given.dso)
    meter.stage("system and fleets")
    print(f"{len(made.platforms)} platforms, {sum(f.size for f in made.fleets.values()):,} prosumers", flush=True)
    with TimedEngine() if given.workers == 0 else DaskEngine(given.workers) as engine:
        negotiated = negotiation_of(made, engine, NegotiationOptions(gap=given.gap))
        meter.stage("start")
        agreement = negotiated.run(lambda step: print(f"{time.time() - meter.born:7.1f} s  {step}", flush=True))
        meter.stage("negotiate and operate")
        outcome = outcome_of(negotiated, agreement)
        meter.stage("outcome")
    print(f"{agreement.status}; cost {outcome.cost:.9e}, bound {outcome.bound:.9e} EUR/a, gap {outcome.gap:.2e}; excluded {len(outcome.excluded)}")
    print("operated by:", dict(Counter(getattr(s, "engine", "program")[:60] for s in negotiated.settled.values())))
    print(meter.table())
    if given.workers == 0:
        print(f"tasks of platforms and DSOs: {TimedEngine.seconds:.1f} CPU s")


if __name__ == "__main__":
    main()
