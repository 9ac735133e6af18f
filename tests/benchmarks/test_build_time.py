"""Building and compiling the operation programs of the main study takes less time than solving them.

Run with: pytest tests/benchmarks/test_build_time.py -m benchmark -s
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.coordination.common.messages import Signal
from multiscale.markets import Community
from multiscale.operation import dso_branch_program, operating_tree
from multiscale.operation.tree import BEYOND
from multiscale.pipeline.case import case_of
from multiscale.programs import CompiledProgram
from tests.variants import charged


@pytest.mark.benchmark
def test_building_takes_less_time_than_solving() -> None:
    case = case_of(load_config([]))
    day = case.horizon.day(0)
    fleets = {p: f.day(0) for p, f in case.fleets.items()}
    dso = case.system.at_level("dso")[0]
    begun = time.process_time()
    tree = operating_tree(case.system, day, case.economics, fleets, charged([dso], 0.045), Community(), limits=case.limits)
    branch = dso_branch_program(tree, dso)
    compiled = [CompiledProgram(program) for program in tree.platforms.values()]
    whole = CompiledProgram(branch)
    build = time.process_time() - begun
    price = 0.035 + 0.01 * np.sin(np.arange(day.periods))
    free = np.full(day.periods, BEYOND)
    signal = Signal(price, price, {"network_charge": np.asarray(0.045)}, free, free, np.zeros(day.periods)).parameters()
    begun = time.process_time()
    for program in compiled:
        program.solve_optimal(signal)
    whole.solve_optimal({"energy_price": price})
    solve = time.process_time() - begun
    sizes = sum(p.columns.size for p in tree.platforms.values()), branch.columns.size
    print(f"\nbuild and compile {build:.2f} s, solve {solve:.2f} s (CPU; {sizes[0]:,} columns in platforms, {sizes[1]:,} in the whole branch)")
    assert build < solve
