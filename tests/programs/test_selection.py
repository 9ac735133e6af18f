"""Of several optima the one with the smallest squares: also where there is one optimum only, or nothing to square."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import Block, CompiledProgram, Index, ParametricProgram
from multiscale.programs.selection import smallest_squares


def supply(costs):
    """4 kW from several sources of at most 3 kW each, and a source and a sink of any size that cost nothing and cancel."""
    n = len(costs)
    sides = np.zeros((2, n + 2))
    sides[0, :n], sides[1, n:] = 1.0, (1.0, -1.0)
    program = ParametricProgram(
        name="supply",
        columns=Index((Block("x", {"column": np.arange(n + 2)}, "kW", 0),)),
        rows=Index((Block("balance", {"row": np.arange(2)}, "kW", 0),)),
        parameters=Index(()),
        A=sparse.csr_matrix(sides),
        b0=np.array([4.0, 0.0]),
        B=sparse.csr_matrix((2, 0)),
        equality=np.ones(2, dtype=bool),
        c0=np.array([*costs, 0.0, 0.0]),
        C=sparse.csr_matrix((n + 2, 0)),
        lower=np.zeros(n + 2),
        upper=np.array([*[3.0] * n, np.inf, np.inf]),
    )
    return CompiledProgram(program).solve_optimal(np.zeros(0))


def test_equal_sources_share_evenly():
    x = smallest_squares(supply([1.0, 1.0, 2.0]), sparse.identity(5, format="csr")[:3], np.ones(3))
    assert x[:3] == pytest.approx([2.0, 2.0, 0.0], abs=1e-7)


@pytest.mark.parametrize("quantities", [0, 3])
def test_where_no_quantity_can_change_the_optimum_is_the_answer(quantities):
    """One source is the cheapest and one the next; source and sink of no cost are free, and in no quantity."""
    solution = supply([1.0, 1.5, 2.0])
    x = smallest_squares(solution, sparse.identity(5, format="csr")[:quantities], np.ones(quantities))
    np.testing.assert_allclose(x, solution.x, atol=1e-9)
    assert x[:3] == pytest.approx([3.0, 1.0, 0.0])
