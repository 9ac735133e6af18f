"""Capacity that is omitted from a program: the smaller program costs the same where its worth is not below zero, and bounds the whole anyway."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.network_state import NetworkState, Retained
from multiscale.planning.decomposition.split import Split
from multiscale.planning.decomposition.structure import structure
from multiscale.planning.decomposition.unbought import DUALS, Restriction, capacities
from multiscale.programs import Block, CompiledProgram, Index, ParametricProgram, solve
from tests.planning.transfer_problems import transfer_problem


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


def program_of_a_seed(rng: np.random.Generator) -> ParametricProgram:
    """Four columns and one to three capacities of two to four members each, all in five shared rows; some members are bounded twice.

    Rows of their own are equations and inequalities; one parameter moves all costs.
    """
    plain, number, each = 4, int(rng.integers(1, 4)), int(rng.integers(2, 5))
    n = plain + number + number * each
    rows = [np.where(rng.random(n) < 0.6, rng.uniform(-1, 1, n), 0.0) for _ in range(5)]
    for row in rows:
        row[plain : plain + number] = 0.0
    rhs, equality = [*rng.uniform(0, 2, 5)], [False] * 5

    def add(columns: list[int], values: np.ndarray, equation: bool = False) -> None:
        rows.append(np.bincount(columns, values, minlength=n))
        rhs.append(0.0)
        equality.append(equation)

    for k in range(number):
        members = [plain + number + k * each + j for j in range(each)]
        for j in members:
            add([j, plain + k], np.array([rng.uniform(0.5, 2.0), -rng.uniform(0.5, 2.0)]))
        for _ in range(int(rng.integers(1, 3))):
            add(members, rng.uniform(-1, 1, each), equation=rng.random() < 0.5)
        if rng.random() < 0.3:
            add([members[0], plain + int(rng.integers(0, number))], np.array([1.0, -rng.uniform(0.1, 0.5)]))
    costs = rng.uniform(-1, 1, n)
    costs[plain : plain + number] = rng.uniform(-0.1, 1.0, number)
    return ParametricProgram(
        name="capacities",
        columns=Index((Block("x", {"column": np.arange(n)}, "", 0),)),
        rows=Index((Block("row", {"row": np.arange(len(rows))}, "", 0),)),
        parameters=Index((Block("price", {}, "", 0),)),
        A=sparse.csr_matrix(np.array(rows)),
        b0=np.array(rhs),
        B=sparse.csr_matrix((len(rows), 1)),
        equality=np.array(equality),
        c0=costs,
        C=sparse.csr_matrix(rng.uniform(0, 1, (n, 1))),
        lower=np.where(np.arange(n) < plain, -1.0, 0.0),
        upper=np.full(n, 3.0),
    )


def test_no_program_costs_less_than_its_bound_without_capacity():
    lost = {True: 0, False: 0}
    for seed in range(150):
        program = program_of_a_seed(np.random.default_rng(seed))
        known = capacities(program)
        small = Restriction(program, known, np.zeros(known.size.size, dtype=bool), np.zeros((DUALS, program.rows.size)))
        compiled = CompiledProgram(small.program)
        # A negative price last: the duals known by then are those of other prices.
        for p in np.array([[0.0], [0.3], [1.0], [-0.4]]):
            whole, smaller = solve(program, p), compiled.solve_optimal(p)
            worth = small.worth(p, np.where(small.program.equality, smaller.y, np.minimum(smaller.y, 0.0)))
            assert smaller.bound + np.minimum(worth, 0.0) @ program.upper[known.size[small.omitted]] <= whole.objective + 1e-7
            if (worth >= 0).all():
                assert smaller.objective == pytest.approx(whole.objective, abs=1e-7)
            lost[bool((worth < 0).any())] += 1
    assert min(lost.values()) > 100


def test_components_that_were_joined_and_took_capacity_in_cost_what_new_ones_cost(system):
    known = structure(transfer_problem(system, 4, members=2, deduction=0.0))
    costs = known.program.c0.copy()
    rng = np.random.default_rng(4)
    # So dear that of the batteries on offer some are bought at the highest charge only.
    costs[capacities(known.program).size] *= 3 ** rng.uniform(-1, 2)
    known = replace(known, program=replace(known.program, c0=costs))
    network, work = NetworkState(known), Work(np.inf)
    some, none = rng.random(known.limits.size) < 0.15, np.zeros(known.state.size, dtype=bool)
    more = some | (rng.random(known.limits.size) < 0.1)

    def cost(split: Split, charge: float) -> float:
        answers = [c.solve(np.ones(c.options.size, dtype=bool), charge, network.spread, work) for c in split.components]
        return split.constant + sum(a.cost for a in answers)

    first = Split(known, network, Retained(some, none))
    for charge in (0.0, 0.01):
        cost(first, charge)
    joined = Split(known, network, Retained(more, none), first)
    before = sum(c.bought.size for c in joined.components)
    # At the last charge a basis of the first split is the nearest.
    found = [cost(joined, charge) for charge in (1.5, 0.005)]
    assert sum(c.bought.size for c in joined.components) > before
    new = [cost(Split(known, network, Retained(more, none)), charge) for charge in (1.5, 0.005)]
    assert found == pytest.approx(new, rel=1e-9)
