"""HiGHS is refused more memory than a solve may take: the message names the setting, and the process goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from multiscale.programs import memory

FULL = """
import numpy as np
from multiscale.programs import CompiledProgram, ProgramBuilder, SolverSettings, limits_in_force, memory

def program(n):
    rng = np.random.default_rng(0)
    builder = ProgramBuilder("large")
    x = builder.add_columns("x", {"k": np.arange(n)}, unit="kW", upper=1e3, cost=rng.uniform(1, 2, n))
    terms = [(rng.uniform(0.1, 1, n), x[rng.permutation(n)]) for _ in range(5)]
    builder.add_rows("r", {"k": np.arange(n)}, terms, ">=", rng.uniform(0, 1, n), unit="kW")
    return builder.build()

with limits_in_force(SolverSettings.model_construct(memory_limit_mb=4.0)):
    compiled = CompiledProgram(program(20000))
    try:
        compiled.solve_optimal()
    except memory.SolverMemoryError as error:
        print(error)
print("and then", CompiledProgram(program(10)).solve_optimal().termination.value)
"""


@pytest.mark.skipif(not memory.LIMITED, reason="the memory of HiGHS can be limited on Linux only")
def test_a_solve_that_takes_more_memory_than_it_may_is_named_and_the_process_goes_on():
    run = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=120, check=True)
    assert "program 'large' takes more memory to solve than 4 MB; raise solver.memory_limit_mb" in run.stdout
    assert "and then optimal" in run.stdout


@pytest.mark.skipif(not memory.LIMITED, reason="the memory of HiGHS can be limited on Linux only")
def test_the_limit_of_the_process_is_as_before_a_solve():
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    seen = []
    with memory._limited(), memory._limited():
        seen.append(resource.getrlimit(resource.RLIMIT_DATA))
    assert seen[0][0] != before[0]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
