"""Programs with whole numbers: against enumeration, in any unit, with a bound that holds where the search ends early."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from multiscale.programs import CompiledProgram, ProgramBuilder, ProgramError, mixed_integer, solve
from multiscale.programs.mixed_integer import solve_mixed, with_decided


def warehouses(seed, unit=1.0):
    """Which of six warehouses to open so that demand is met at least cost; powers in multiples of ``unit``."""
    random, builder = np.random.default_rng(seed), ProgramBuilder("warehouses")
    sites, customers = {"site": np.arange(6)}, {"customer": np.arange(4)}
    open_ = builder.add_columns("open", sites, unit="1", upper=1.0, cost=random.uniform(50, 90, 6) * unit)
    sent = builder.add_columns("sent", sites | customers, unit="kW", upper=40.0 * unit, cost=random.uniform(1, 3, (6, 4)))
    builder.add_rows("capacity", sites, [(1.0, sent), (-40.0 * unit, open_)], "<=", 0.0, unit="kW")
    builder.add_rows("demand", customers, [(1.0, sent.T)], "==", random.uniform(10, 25, 4) * unit, unit="kW")
    return builder.build(), open_


@pytest.mark.parametrize("unit", [1.0, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_the_least_of_all_choices_is_found(seed, unit):
    program, whole = warehouses(seed, unit)
    costs = []
    for choice in itertools.product([0.0, 1.0], repeat=6):
        if 40.0 * sum(choice) * unit >= program.b0.sum():
            lower, upper = program.lower.copy(), program.upper.copy()
            lower[whole] = upper[whole] = choice
            costs.append(solve(type(program)(**{**vars(program), "lower": lower, "upper": upper})).objective)
    found = solve_mixed(program, whole)
    assert found.objective == pytest.approx(min(costs), rel=1e-9)
    assert found.bound == pytest.approx(found.objective, rel=1e-8)
    assert found.closed
    assert program.violation(found.x, np.zeros(0)) <= 1e-6 * unit


def test_what_cannot_be_chosen_is_named():
    program, whole = warehouses(0)
    upper = program.upper.copy()
    upper[whole] = 0.0
    with pytest.raises(ProgramError, match=r"'warehouses' with 6 whole numbers ended without an answer"):
        solve_mixed(type(program)(**{**vars(program), "upper": upper}), whole)


def test_a_bound_above_the_cost_of_an_answer_is_an_error(monkeypatch):
    program, whole = warehouses(0)
    monkeypatch.setattr(mixed_integer, "CompiledProgram", lambda fixed: CompiledProgram(replace(fixed, c0=0.9 * fixed.c0)))
    with pytest.raises(ProgramError, match=r"branch and cut proved a bound of .* above an answer of"):
        solve_mixed(program, whole)


def test_a_parameter_that_is_decided_is_a_column():
    builder = ProgramBuilder("wire")
    built = builder.add_parameters("built", {"option": np.array(["a", "b"])}, unit="1")
    flow = builder.add_columns("flow", {}, unit="kW", upper=10.0, cost=-2.0)
    builder.add_rows("limit", {}, [(1.0, flow)], "<=", 1.0, unit="kW", parameters=[(np.array([3.0, 4.0]), built)])
    program = with_decided(builder.build(), "built", cost=np.array([5.0, 9.0]), lower=np.zeros(2), upper=np.ones(2))
    found = solve_mixed(program, program.columns["built"].positions)
    assert found.x[program.columns["built"].positions].tolist() == [1.0, 0.0]
    assert found.objective == pytest.approx(-2.0 * 4.0 + 5.0)
    with pytest.raises(ValueError, match="has parameters"):
        solve_mixed(builder.build(), np.zeros(0, dtype=int))
