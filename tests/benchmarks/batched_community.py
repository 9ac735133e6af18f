"""CPU seconds and memory of the batched solution of a community, to a certified 0.1 %, schedules of every member written and checked.

Run: ``pytest tests/benchmarks/batched_community.py -m benchmark -s``. Each case runs in a process of its own, compiled code being warm. The fleets:
half of the members have a battery (efficiencies, sizes and powers scattered, 40 % of them absent in the working day), 60 % photovoltaics; each has
its own fees and connection; in addition 30 % as many flexible loads, each with its own profile. Import is limited in the evening.

Limits are CPU seconds on two cores: twice the wall seconds that two quiet cores are to take.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from multiscale.coordination.negotiation.children.batched_child import as_batched
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild
from multiscale.coordination.negotiation.children.request import Request
from multiscale.devices.one_state import OneState
from multiscale.markets import Community
from multiscale.markets.batched.batch import Batch, Pool, one
from multiscale.markets.batched.community_clearing import clear_community
from multiscale.markets.batched.master import Boundary
from multiscale.markets.batched.pool_clearing import clear_pool
from multiscale.operation import platform_program
from multiscale.operation.platforms import PlatformData
from multiscale.programs import CompiledProgram
from multiscale.programs.solve import Termination
from multiscale.system import Economics
from multiscale.tariffs import Peer, Tariff, Volumetric
from tests.markets.random_fleets import prices, random_fleet

pytestmark = pytest.mark.benchmark

CASES = [
    # members, periods, whether levels at midnight are free, CPU seconds, memory [GB]
    (10_000, 24, False, 1.0, 2.0),
    (10_000, 24, True, 2.0, 2.0),
    (10_000, 96, False, 8.0, 2.0),
    (100_000, 24, False, 4.0, 2.0),
    (1_000_000, 24, False, 30.0, 2.0),
]


def community(members, periods, *, free, seed=0):
    random, step = np.random.default_rng(seed), 24 / periods
    hour, owners, loads = (np.arange(periods) + 0.5) * step, members // 2, int(0.3 * members)
    shape = 0.3 + 0.2 * np.exp(-(((hour - 8) / 2) ** 2)) + 0.6 * np.exp(-(((hour - 19) / 2.5) ** 2))
    demand = shape * random.uniform(0.5, 1.5, (members, 1)) * random.uniform(0.7, 1.3, (members, periods))
    sun = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * (np.abs(hour - 12) < 6)
    pv = sun * random.uniform(2, 5, (members, 1)) * (random.random((members, 1)) < 0.6)
    energy = random.uniform(3, 9, (owners, 1))
    power, eta = energy * random.uniform(0.25, 0.8, (owners, 1)), random.uniform(0.9, 0.97, (owners, 1))
    away = np.where((hour > 8) & (hour < 17), 0.0, 1.0)[None, :]
    none, all_ = one(0.0), one(1.0)

    def battery(rows, presence):
        p, e = power[rows], eta[rows]
        return OneState(np.arange(owners)[rows], p, p, presence, e, 1 / e, all_, none, none, energy[rows], 0.01)

    fees = random.uniform(0.01, 0.05, (members, 1)), random.uniform(0, 0.02, (members, 1))
    caps = random.uniform(3, 8, (members, 1)), random.uniform(2, 4, (members, 1))
    profile = random.uniform(0, 1, (loads, 1)) * np.exp(-(((hour - 18) / 2) ** 2)) * random.uniform(0.5, 1.5, (loads, periods))
    late = sum(step * np.roll(profile, k, axis=1) for k in range(round(6 / step)))
    flexible = OneState(
        np.arange(loads), np.full((loads, 1), 3.7), none, all_, all_, all_, all_, -step * profile, -late, none, cost_below=0.005, cost_above=0.005
    )
    names = np.arange(members)

    def of(rows):
        return [v[rows] for v in (demand, pv, *fees, *caps)]

    batches = [
        *(
            Batch(names[rows], *of(rows), (battery(rows, presence),), None if free else energy[rows, 0] / 2, "battery")
            for rows, presence in ((slice(int(0.4 * owners)), away), (slice(int(0.4 * owners), owners), all_))
        ),
        Batch(names[owners:], *of(slice(owners, None))),
        Batch(np.arange(loads), none, none, devices=(flexible,), kind="flexible load"),
    ]
    imports, exports = prices(periods)
    evening = np.where((hour > 17) & (hour < 22), 0.45 * members, np.inf)
    boundary = Boundary(imports, exports, evening, np.full(periods, np.inf), np.zeros(periods))
    return Pool(np.full(periods, step), step, 4.0, 0.001), batches, boundary


def measured(members, periods, free):
    import resource

    for size in (60, 300):
        clear_pool(*community(size, periods, free=free))
    case = community(members, periods, free=free)
    began, wall = time.process_time(), time.perf_counter()
    found = clear_pool(*case)
    seconds, wall = time.process_time() - began, time.perf_counter() - wall
    limited = np.isfinite(case[2].import_limit)
    assert (found.imported[limited] <= case[2].import_limit[limited] * (1 + 1e-9)).all()
    memory, binds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, bool((found.imported > 0.999 * case[2].import_limit).any())
    return {"seconds": seconds, "wall": wall, "gap": found.gap, "rounds": found.rounds, "binds": binds, "memory": memory}


@pytest.mark.parametrize(("members", "periods", "free", "limit", "memory"), CASES)
def test_a_community_of_many_is_cleared(members, periods, free, limit, memory):
    code = f"import json; from tests.benchmarks.batched_community import measured; print(json.dumps(measured({members}, {periods}, {free})))"
    found = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    print(f"\n{members:,} members x {periods}{', free levels' if free else ''}: {found['seconds']:.2f} CPU s ({found['wall']:.2f} s), "
          f"gap {found['gap']:.2e}, {found['rounds']} rounds, {found['memory']:.2f} GB, limit binds: {found['binds']}")  # fmt: skip
    assert found["gap"] <= 1e-3
    assert found["memory"] <= memory
    assert found["seconds"] <= limit


def test_it_needs_a_hundredth_of_interior_point():
    """10,000 prosumers of the project's devices, 24 h, one fee for all; HiGHS's interior point without crossover on the ordinary program.

    Interior point is ended after as much time as decides the question; where it ends by itself, costs are compared.
    """
    fleet = random_fleet(10_000, 24, seed=0, owning=["battery", "electric_vehicle"])
    economics = Economics(tariff=Tariff({"network_charge": Volumetric(price=0.05), "trading_fee": Peer(price=0.01, receiver="platform operators")}))
    clear_community(random_fleet(300, 24, seed=0), economics, Community(), *prices(24))
    began = time.process_time()
    found = clear_community(fleet, economics, Community(), *prices(24))
    batched = time.process_time() - began
    program = platform_program(fleet, economics, Community(), agreements=False)
    imports, exports = prices(24)
    compiled = CompiledProgram(program, method="ipm", time_limit=500.0)
    began = time.process_time()
    exact = compiled.solve({"import_price": imports, "export_price": exports})
    seconds = time.process_time() - began
    print(
        f"\nbatched {batched:.2f} CPU s, gap {found.gap:.2e}; interior point {seconds:.1f} CPU s, {exact.termination} ({seconds / batched:.0f} times)"
    )
    assert found.gap <= 1e-3
    assert seconds >= 100 * batched
    if exact.termination is Termination.OPTIMAL:
        assert found.bound <= exact.objective * (1 + 1e-6)
        assert found.cost == pytest.approx(exact.objective, rel=1e-3)


@pytest.mark.parametrize(
    ("members", "several", "fee", "times"),
    [
        (60, False, True, 1.0),
        (728, False, True, 3.0),
        (728, True, False, 1.5),
        (728, True, True, 1.5),
        (3000, False, True, 3.0),
        (3000, True, False, 3.0),
        (3000, True, True, 3.0),
    ],
)
def test_a_platform_in_negotiation_answers_and_operates_in_less_time_than_its_program(members, several, fee, times):
    """The first answer, with what the platform is made into, five further prices, and an offer that is kept; 728 is 300,000 over 412."""
    tariff = Tariff({"network_charge": Volumetric(price=0.05)} | ({"fee": Peer(price=0.01, receiver="platform operators")} if fee else {}))
    # What is compiled is loaded first.
    _negotiated(random_fleet(40, 24, seed=0, several=several), tariff, batched=True)
    fleet = random_fleet(members, 24, seed=1, several=several)
    spent, values, engine = _negotiated(fleet, tariff, batched=True)
    by_program, same, _ = _negotiated(fleet, tariff, batched=False)
    both = (f"{name} {a:.3f} ({b:.3f})" for name, a, b in zip(("first answer", "further", "operated"), spent, by_program, strict=True))
    what = f"{members} prosumers{', several devices each' if several else ''}{', a fee' if fee else ''}"
    print(f"\n{what}: CPU s (by program): {', '.join(both)}; operated by: {engine}")
    np.testing.assert_allclose(values, same, rtol=1e-5)
    assert by_program[1] >= times * spent[1]


def _negotiated(fleet, tariff, batched):
    """CPU seconds of the first answer, of each further one and of keeping an offer; what was proven, and what operated."""
    data, hours, random = PlatformData(fleet, Economics(tariff=tariff), Community()), fleet.horizon.hours_per_year, np.random.default_rng(0)
    asked = np.clip(prices(24)[0] + random.normal(0, 0.02, (6, 24)), 0.02, 1.0)
    source, marks = PlatformSource(data, {}), [time.process_time()]
    child = as_batched(data, {}, source.whole) if batched else ProgramChild(source.reduced(), hours)
    first = child.answer(Request(1, asked[:1]), asked[0])
    marks.append(time.process_time())
    further = child.answer(Request(2, asked[1:]), asked[0])
    marks.append(time.process_time())
    kept = Kept(first.profiles[0], asked[0], asked[0], asked=asked[:1])
    # Every single prosumer is operated: where some were merged, by a program of its own.
    settled = child.settle(kept, asked[0]) if batched else ProgramChild(source.whole(), hours).settle(kept)
    marks.append(time.process_time())
    return np.diff(marks) / [1, 5, 1], np.concatenate([first.values, further.values]), settled.engine
