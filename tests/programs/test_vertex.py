"""The vertex of a basis is an optimum exactly where it is feasible; elsewhere it gives no answer."""

import numpy as np
import pytest

from multiscale.programs import Basis, CompiledProgram, ParametricProgram, ProgramBuilder, Vertex


def dispatch(seed: int) -> ParametricProgram:
    """Least-cost supply of a demand through lines of limited size; parameter ``demand`` (site) [kW]."""
    rng = np.random.default_rng(seed)
    builder = ProgramBuilder(f"dispatch {seed}")
    unit, line, site = (np.arange(n) for n in (8, 5, 2))
    demand = builder.add_parameters("demand", {"site": site}, unit="kW")
    power = builder.add_columns("power", {"unit": unit}, unit="kW", upper=rng.uniform(2, 9, 8), cost=rng.uniform(1, 9, 8))
    missing = builder.add_columns("missing", {"site": site}, unit="kW", cost=50.0)
    builder.add_rows("balance", {}, [(1.0, power), (1.0, missing)], "==", 0.0, unit="kW", parameters=[(1.0, demand)])
    factors = rng.uniform(-1, 1, (5, 8))
    effect = rng.uniform(-0.1, 0.1, (5, 2))
    builder.add_rows(
        "limit", {"line": line}, [(factors, np.broadcast_to(power, (5, 8)))], "<=", rng.uniform(3, 8, 5), unit="kW",
        parameters=[(effect, np.broadcast_to(demand, (5, 2)))],
    )  # fmt: skip
    return builder.build()


@pytest.mark.parametrize("seed", range(6))
def test_it_costs_what_the_solver_finds_wherever_it_is_feasible(seed):
    """And gives no answer only where its duals are below the optimum."""
    program, rng = dispatch(seed), np.random.default_rng(seed)
    compiled = CompiledProgram(program)
    first = compiled.solve_optimal(np.array([8.0, 9.0]))
    vertex = Vertex.of(program, compiled.basis)
    assert vertex is not None
    answered = 0
    for demand in rng.uniform(5.0, 15.0, (60, 2)):
        found, solved = vertex.solution(demand), compiled.solve_optimal(demand)
        if found is None:
            assert program.dual_bound(first.y, demand) < solved.objective - 1e-9
            continue
        answered += 1
        assert found.objective == pytest.approx(solved.objective, rel=1e-9)
        assert found.bound == pytest.approx(found.objective, rel=1e-9)
        assert program.violation(found.x, demand) < 1e-8
    assert 0 < answered < 60


def test_a_basis_whose_duals_are_those_of_no_optimum_has_none():
    program = dispatch(0)
    compiled = CompiledProgram(program)
    compiled.solve_optimal(np.array([8.0, 9.0]))
    columns, rows = (status.copy() for status in compiled.basis.statuses)
    basic, idle = np.flatnonzero(columns == 1)[0], np.flatnonzero(columns == 0)[-1]
    columns[basic], columns[idle] = 0, 1
    assert Vertex.of(program, Basis.of_statuses(columns, rows)) is None


def test_what_is_no_basis_has_none():
    """As many basic columns and rows as there are rows, but singular; too few of them; of another program."""
    program = dispatch(1)
    columns, rows = np.zeros(10, dtype=np.int8), np.ones(6, dtype=np.int8)
    columns[8:], rows[:2] = 1, 0  # both columns of what is missing are the same in all rows
    assert Vertex.of(program, Basis.of_statuses(columns, rows)) is None
    assert Vertex.of(program, Basis.of_statuses(columns, np.zeros(6, dtype=np.int8))) is None
    assert Vertex.of(program, Basis.of_statuses(np.zeros(9, dtype=np.int8), np.ones(6, dtype=np.int8))) is None
