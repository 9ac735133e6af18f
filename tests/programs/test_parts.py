"""A program that falls into parts costs what it costs in one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import Block, Index, ParametricProgram, ProgramError, solve, solve_in_parts


def several_days(days: int, seed: int) -> ParametricProgram:
    """Days of one pattern that nothing ties, and a column that no row holds: random costs at random needs, with one parameter, the price."""
    rng = np.random.default_rng(seed)
    rows, columns = 4, 7
    day = sparse.csr_matrix(rng.uniform(0.5, 2.0, (rows, columns)))
    n = days * columns + 1
    matrix = sparse.hstack([sparse.block_diag([day] * days), sparse.csr_matrix((days * rows, 1))], format="csr")
    return ParametricProgram(
        name="days",
        columns=Index((Block("x", {"column": np.arange(n)}, "", 0),)),
        rows=Index((Block("need", {"row": np.arange(days * rows)}, "", 0),)),
        parameters=Index((Block("price", {}, "", 0),)),
        A=-matrix,
        b0=-rng.uniform(1.0, 5.0, days * rows),
        B=sparse.csr_matrix((days * rows, 1)),
        equality=np.zeros(days * rows, dtype=bool),
        c0=np.append(rng.uniform(0.1, 1.0, n - 1), -1.0),
        C=sparse.csr_matrix(rng.uniform(0.0, 1.0, (n, 1))),
        lower=np.zeros(n),
        upper=np.full(n, 10.0),
    )


@pytest.mark.parametrize("seed", range(5))
def test_parts_cost_what_the_whole_costs(seed):
    program = several_days(3, seed)
    x = solve_in_parts(program, {"price": 0.3})
    p = np.array([0.3])
    assert program.violation(x, p) <= 1e-7
    assert program.objective(x, p) == pytest.approx(solve(program, p).objective, rel=1e-9)


def test_a_part_without_optimum_is_refused_by_the_name_of_its_row():
    program = several_days(2, 0)
    with pytest.raises(ProgramError, match=r"infeasible: need\[7\] misses by"):
        solve_in_parts(replace(program, b0=np.append(program.b0[:-1], -1e6)), {"price": 0.0})
