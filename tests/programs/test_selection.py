"""Of several optima the one with the smallest squares: also where there is one optimum only, or nothing to square."""

from __future__ import annotations

import dataclasses

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


@pytest.mark.parametrize("lost", [1e2, 1e6, 1e9])
def test_a_large_cost_of_what_is_not_used_makes_no_two_prices_equal(lost):
    """Sources at 1 and 1.0002 differ, also next to lost load of a million: 365 hours at 1,000 EUR/kWh is 365,000 EUR/kW."""
    x = smallest_squares(supply([1.0, 1.0002, lost]), sparse.identity(5, format="csr")[:3], np.ones(3))
    assert x[:3] == pytest.approx([3.0, 1.0, 0.0], abs=1e-7)


def test_where_demand_just_fits_the_price_of_lost_load_is_no_difference_of_cost():
    """Sources of 3 kW serve 9 kW exactly, so one kW more costs the value of lost load: the last digits of the schedule at that price are rounding."""
    lost = 1e6
    program = supply([1.0, 1.0, 1.0, lost]).program
    solution = CompiledProgram(dataclasses.replace(program, b0=np.array([9.0, 0.0]))).solve_optimal(np.zeros(0))
    x = smallest_squares(solution, sparse.identity(6, format="csr")[:4], np.ones(4))
    assert x[:4] == pytest.approx([3.0, 3.0, 3.0, 0.0], abs=1e-7)
