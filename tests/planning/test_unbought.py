"""Capacity that is omitted from a program: the smaller program costs the same where its worth is not below zero, and bounds the whole anyway."""

from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning.decomposition.unbought import DUALS, Restriction, capacities
from multiscale.programs import CompiledProgram, solve


@pytest.fixture(scope="module")
def program(problem_with_adoption):
    return problem_with_adoption.program


def test_batteries_on_offer_are_the_capacity_with_rows_of_its_own(program):
    found = capacities(program)
    labels = {program.columns.label(int(j)).split("/")[-1].split("[")[0] for j in found.size}
    assert labels == {"new_battery"}
    blocks = [b for b in program.columns if b.name.split("/")[-1] in ("new_charge", "new_discharge", "new_stored")]
    assert np.array_equal(np.sort(found.members), np.sort(np.concatenate([b.positions.ravel() for b in blocks])))


@pytest.mark.parametrize("charge", [0.0, 0.1, 0.3])
@pytest.mark.parametrize(("price", "bought"), [(1.0, True), (1e5, False)])
def test_worth_tells_whether_anything_is_lost(program, problem_with_adoption, charge, price, bought):
    known = capacities(program)
    costs = program.c0.copy()
    costs[known.size] *= price
    program = replace(program, c0=costs)
    small = Restriction(program, known, np.zeros(known.size.size, dtype=bool), np.zeros((DUALS, program.rows.size)))
    p = program.parameters.vector({"built": 0.0, str(problem_with_adoption.single_price): charge})
    whole, smaller = solve(program, p), CompiledProgram(small.program).solve_optimal(p)
    worth = small.worth(p, np.where(small.program.equality, smaller.y, np.minimum(smaller.y, 0.0)))
    bound = smaller.bound + float(np.minimum(worth, 0.0) @ program.upper[known.size])
    assert bound <= whole.objective + 1e-7 * abs(whole.objective)
    assert program.violation(small.whole_point(smaller.x), p) <= 1e-6
    assert (worth < 0).any() == (whole.x[known.size].max() > 1e-6) == bought
    assert (smaller.objective == pytest.approx(whole.objective, rel=1e-9)) != bought


def test_the_basis_of_the_smaller_program_is_one_of_the_whole(program, problem_with_adoption):
    known = capacities(program)
    small = Restriction(program, known, np.zeros(known.size.size, dtype=bool), np.zeros((DUALS, program.rows.size)))
    p = program.parameters.vector({"built": 0.0, str(problem_with_adoption.single_price): 0.0})
    smaller = CompiledProgram(small.program)
    solution = smaller.solve_optimal(p)
    small.worth(p, solution.y)
    small.settle()
    columns, rows = small.widened(smaller.basis)
    assert (columns == 1).sum() + (rows == 1).sum() == program.rows.size
