"""CPU seconds with and without rewriting price times quantity terms, on a producer with market power in a three-bus network.

Run: ``pytest tests/benchmarks/bilevel_prices.py -m benchmark -s``. The limit of 30 s for each solve bounds the plain side's figure.
"""

from __future__ import annotations

import numpy as np
import pytest

from multiscale import bilevel
from tests.benchmarks.bilevel_feeder import cpu_seconds
from tests.bilevel.test_price_quantity import nodal_market

pytestmark = pytest.mark.benchmark

CASES = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 3)]
"""Hours and seed."""


def test_rewriting_is_faster_and_exact():
    seconds, nodes = {True: [], False: []}, {True: [], False: []}
    for hours, seed in CASES:
        found = {}
        for rewrite in (True, False):
            m = nodal_market(seed, hours=hours)
            used = cpu_seconds()
            found[rewrite] = bilevel.solve(m, [m.low], gap=1e-6, time_limit=30, rewrite_prices=rewrite)
            seconds[rewrite].append(cpu_seconds() - used)
            nodes[rewrite].append(found[rewrite].nodes)
        solved = all(solution.status == "optimal" for solution in found.values())
        print(f"\n{hours} h, seed {seed}: {[(s.status.value, s.objective, s.gap) for s in found.values()]}")
        if solved:
            assert found[True].objective == pytest.approx(found[False].objective, rel=1e-6, abs=1e-6)
    means = {k: float(np.exp(np.log(np.array(v) + 1).mean()) - 1) for k, v in seconds.items()}
    print(f"with {means[True]:.2f} CPU s and {sum(nodes[True])} nodes, without {means[False]:.2f} CPU s and {sum(nodes[False])} nodes")
    assert means[True] < means[False]
