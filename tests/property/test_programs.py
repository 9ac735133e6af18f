"""Invariants of parametric programs at whatever parameters, among those at which they are known to have an optimum."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from multiscale.programs import CompiledProgram, Termination
from tests.programs.random_programs import random_program

PROGRAMS = {
    (seed, quadratic): (program, CompiledProgram(program))
    for seed in range(4)
    for quadratic in (False, True)
    for program in [random_program(seed, quadratic=quadratic)]
}
ANY = st.floats(-20, 20, allow_nan=False)


@pytest.mark.parametrize("key", sorted(PROGRAMS))
def test_the_programs_have_an_optimum_in_the_whole_box_of_parameters(key):
    """Parameters with a feasible point are a convex set, and the columns are bounded: the corners of the box are enough."""
    for corner in itertools.product((-0.2, 0.2), repeat=3):
        assert PROGRAMS[key][1].solve(np.array(corner)).termination is Termination.OPTIMAL


@settings(max_examples=150, deadline=None, derandomize=True)
@given(key=st.sampled_from(sorted(PROGRAMS)), y=st.lists(ANY, min_size=6, max_size=6), theta=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3))
def test_dual_bound_is_below_the_optimum_for_any_dual(key, y, theta):
    program, compiled = PROGRAMS[key]
    p = np.array(theta)
    solution = compiled.solve_optimal(p)
    anywhere = np.resize(np.array(y), program.columns.size)
    assert program.dual_bound(np.array(y), p, anywhere) <= solution.objective + 1e-7


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 3), a=st.lists(st.floats(-0.15, 0.15), min_size=3, max_size=3), b=st.lists(st.floats(-0.15, 0.15), min_size=3, max_size=3))
def test_optimum_is_convex_in_right_hand_sides(seed, a, b):
    """The optimum of a linear program is a convex function of its right-hand sides (costs held)."""
    program = PROGRAMS[seed, False][0]
    only_rhs = CompiledProgram(dataclasses.replace(program, C=sparse.csr_matrix(program.C.shape)))
    values = [only_rhs.solve_optimal(p).objective for p in (np.array(a), np.array(b), (np.array(a) + np.array(b)) / 2)]
    assert values[2] <= (values[0] + values[1]) / 2 + 1e-7


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 3), p=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3), q=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3))
def test_a_solution_gives_a_bound_at_other_parameters(seed, p, q):
    """Duals found at one parameter bound the optimum at another: what makes cuts valid."""
    program, compiled = PROGRAMS[seed, False]
    here, there = compiled.solve_optimal(np.array(p)), compiled.solve_optimal(np.array(q))
    assert program.dual_bound(here.y, np.array(q)) <= there.objective + 1e-7
