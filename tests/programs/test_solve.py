import dataclasses

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import CompiledProgram, ParametricProgram, ProgramBuilder, ProgramError, Termination, explain_infeasibility, solve
from tests.programs.random_programs import random_program


def differences(value, at, step=1e-4):
    """Central differences of a function of a vector."""
    out = np.zeros(len(at))
    for k in range(len(at)):
        up, down = at.copy(), at.copy()
        up[k] += step
        down[k] -= step
        out[k] = (value(up) - value(down)) / (2 * step)
    return out


@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_sensitivity_is_the_finite_difference_of_the_optimum_by_parameters(seed, quadratic):
    program = random_program(seed, quadratic=quadratic)
    compiled, at = CompiledProgram(program), np.array([0.05, -0.03, 0.02])
    solution = compiled.solve_optimal(at)
    measured = differences(lambda p: compiled.solve_optimal(p).objective, at)
    np.testing.assert_allclose(program.sensitivity(solution.x, solution.y), measured, atol=2e-4 if quadratic else 1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_duals_are_finite_differences_by_right_hand_sides(seed):
    program = random_program(seed)
    solution = solve(program, {"theta": 0.0})
    measured = differences(lambda b: solve(dataclasses.replace(program, b0=b), {"theta": 0.0}).objective, program.b0.copy())
    np.testing.assert_allclose(solution.y, measured, atol=1e-6)
    assert (solution.y[~program.equality] <= 1e-12).all()


def test_reduced_costs_are_finite_differences_by_bounds():
    program = random_program(2)
    solution = solve(program, {"theta": 0.0})
    low = differences(lambda b: solve(dataclasses.replace(program, lower=b), {"theta": 0.0}).objective, program.lower.copy())
    high = differences(lambda b: solve(dataclasses.replace(program, upper=b), {"theta": 0.0}).objective, program.upper.copy())
    np.testing.assert_allclose(solution.reduced_costs, low + high, atol=1e-6)
    assert np.abs(low + high).max() > 0.01


@pytest.mark.parametrize("quadratic", [False, True])
def test_bound_meets_the_optimum_at_the_optimal_dual(quadratic):
    for seed in range(6):
        solution = solve(random_program(seed, quadratic=quadratic), {"theta": 0.0})
        assert solution.bound == pytest.approx(solution.objective, abs=1e-6)
        assert solution.bound <= solution.objective + 1e-9


def test_a_quadratic_program_has_the_closed_form_optimum():
    """min 1/2 w x^2 - c x on [0, 4], sum of x = b: water filling between two columns."""
    builder = ProgramBuilder("quadratic")
    x = builder.add_columns("x", {"j": [0, 1]}, unit="kW", upper=10.0, cost=[-3.0, -1.0])
    builder.add_rows("total", {}, [(1.0, x)], "==", 2.0, unit="kW")
    solution = solve(dataclasses.replace(builder.build(), Q=sparse.diags([2.0, 1.0], format="csr")))
    # 2 x0 - 3 = x1 - 1 = price and x0 + x1 = 2
    np.testing.assert_allclose(solution.x, [4 / 3, 2 / 3], atol=1e-8)
    assert float(solution.dual("total")) == pytest.approx(-1 / 3, abs=1e-8)
    assert solution.objective == pytest.approx((4 / 3) ** 2 - 4 + 0.5 * (2 / 3) ** 2 - 2 / 3, abs=1e-9)


@pytest.mark.parametrize("quadratic", [False, True])
def test_warm_and_cold_solves_agree(quadratic):
    program = random_program(7, quadratic=quadratic)
    warm, rng = CompiledProgram(program), np.random.default_rng(0)
    for _ in range(12):
        p = rng.normal(scale=0.15, size=3)
        cold, again = CompiledProgram(program).solve_optimal(p), warm.solve_optimal(p)
        assert again.objective == pytest.approx(cold.objective, rel=1e-8, abs=1e-8)


def test_a_program_exchanged_bounded_and_restarted_between_solves_costs_what_a_new_one_costs():
    program, rng = random_program(7), np.random.default_rng(1)
    warm = CompiledProgram(program)
    for step in range(40):
        now = warm.program
        if step % 4 == 0:
            now = dataclasses.replace(now, c0=now.c0 + rng.normal(scale=0.1, size=now.columns.size), b0=now.b0 + rng.uniform(0, 0.01, now.rows.size))
            warm.exchange(now)
        if step % 5 == 0:
            warm.bound(np.array([0, 3]), np.full(2, -5.0 - rng.random()), np.full(2, 5.0 + rng.random()))
        if step % 7 == 0:
            warm.start_from(None)
        if step % 6 == 0:
            # No point satisfies all rows that far away.
            assert warm.solve(np.full(3, 1e4)).termination is Termination.INFEASIBLE
        # Some parameters stay what they were.
        p = np.where(rng.random(3) < 0.5, 0.0, rng.normal(scale=0.15, size=3))
        again, cold = warm.solve_optimal(p, primal=step % 2 == 0), CompiledProgram(warm.program).solve_optimal(p)
        assert again.objective == pytest.approx(cold.objective, rel=1e-8, abs=1e-8)
        assert again.bound == pytest.approx(cold.objective, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match=r"program 'island': parameter demand\[south\] is (nan|inf); it must be a finite number"):
        CompiledProgram(supply([0, 0])[0]).solve(np.array([2.0, value]))


def test_interior_point_agrees_with_simplex():
    program = random_program(4, columns=30, rows=20)
    assert solve(program, {"theta": 0.0}, method="ipm").objective == pytest.approx(solve(program, {"theta": 0.0}).objective, rel=1e-6)
    assert solve(program, {"theta": 0.0}, method="crossover").objective == pytest.approx(solve(program, {"theta": 0.0}).objective, rel=1e-9)


def supply(demand):
    builder = ProgramBuilder("island")
    p = builder.add_columns("generation", {"unit": ["a", "b"]}, unit="kW", upper=[3.0, 4.0], cost=1.0)
    level = builder.add_parameters("demand", {"bus": ["north", "south"]}, unit="kW")
    builder.add_rows("balance", {"bus": ["north", "south"]}, [(1.0, p)], "==", 0.0, unit="kW", parameters=[(1.0, level)])
    return builder.build(), {"demand": np.asarray(demand)}


def test_infeasibility_names_the_row_and_the_amount():
    program, values = supply([2.0, 5.5])
    relaxed = explain_infeasibility(program, program.parameters.vector(values))
    assert [c.row for c in relaxed] == ["balance[south]"]
    assert relaxed[0].amount == pytest.approx(-1.5)
    assert relaxed[0].unit == "kW"
    with pytest.raises(ProgramError, match=r"program 'island' ended infeasible: balance\[south\] misses by 1.5 kW"):
        solve(program, values)


def test_a_feasible_program_needs_no_relaxation():
    program, values = supply([2.0, 3.5])
    assert explain_infeasibility(program, program.parameters.vector(values)) == []


def test_the_largest_relaxation_comes_first():
    program, values = supply([4.0, 9.0])
    assert [(c.row, round(c.amount, 6)) for c in explain_infeasibility(program, program.parameters.vector(values))] == [
        ("balance[south]", -5.0),
        ("balance[north]", -1.0),
    ]


def test_an_unbounded_program_says_so():
    builder = ProgramBuilder("unlimited")
    builder.add_columns("x", {}, unit="kW", cost=-1.0)
    program = builder.build()
    assert CompiledProgram(program).solve().termination is Termination.UNBOUNDED
    with pytest.raises(ProgramError, match="program 'unlimited' ended unbounded"):
        solve(program)


def test_feasibility_returns_after_an_infeasible_solve():
    program, values = supply([2.0, 3.0])
    compiled = CompiledProgram(program)
    assert compiled.solve({"demand": [9.0, 9.0]}).termination is Termination.INFEASIBLE
    assert compiled.solve(values).objective == pytest.approx(5.0)


def test_a_parameter_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"program 'island' takes 2 parameters, not \(3,\)"):
        CompiledProgram(supply([0, 0])[0]).solve(np.zeros(3))


def test_violation_is_that_of_the_worst_row_or_bound():
    program, values = supply([2.0, 3.0])
    p = program.parameters.vector(values)
    assert program.violation(np.array([2.0, 3.0]), p) == 0.0
    assert program.violation(np.array([2.0, 2.6]), p) == pytest.approx(0.4)
    assert program.violation(np.array([3.7, 3.0]), p) == pytest.approx(1.7)
    assert np.isnan(program.violation(np.array([2.0, np.nan]), p))


def test_a_value_that_is_no_number_in_a_column_without_rows_is_a_violation():
    builder = ProgramBuilder("idle")
    builder.add_columns("idle", {}, unit="kW")
    assert np.isnan(builder.build().violation(np.array([np.nan]), np.zeros(0)))


def tolerated(cost: float, largest: float) -> ParametricProgram:
    """Demand that two units cover; the second is cheaper by less than a solver tells apart. What is missing has no end."""
    builder = ProgramBuilder("two units")
    units = builder.add_columns("units", {"unit": np.arange(2)}, unit="kW", upper=largest, cost=np.array([cost, cost - 5e-8]))
    missing = builder.add_columns("missing", {}, unit="kW", cost=1000.0)
    builder.add_rows("balance", {}, [(1.0, units), (1.0, missing)], "==", 100.0, unit="kW")
    return builder.build()


def test_a_reduced_cost_within_tolerance_counts_with_the_range_of_its_column():
    """Proven by a price at which the cheaper unit would run to its end: the bound is below the optimum by 5e-8 EUR/kW of its 1e7 kW."""
    program = tolerated(50.0, 1e7)
    optimum = 100.0 * (50.0 - 5e-8)
    bound = program.dual_bound(np.array([50.0]), np.zeros(0))
    assert bound == pytest.approx(5000.0 - 0.5, abs=1e-6)
    assert bound < optimum


def test_a_price_beyond_the_cost_of_what_has_no_end_is_corrected():
    """Where nothing else runs the optimum is 100 kW missing; a price above 1000 by tolerance proves that, and no more."""
    program = tolerated(2000.0, 1e7)
    given = np.array([1000.0 + 1e-7])
    assert program.proper_duals(given, np.zeros(0))[0] == pytest.approx(1000.0, rel=1e-14)
    assert program.dual_bound(given, np.zeros(0)) <= 100_000.0
    assert program.dual_bound(np.array([1001.0]), np.zeros(0)) == -np.inf


@pytest.mark.parametrize("seed", range(5))
def test_no_point_is_cheaper_than_any_bound_once_what_it_lacks_is_bought(seed):
    rng, program = np.random.default_rng(seed), tolerated(50.0, 80.0)
    x, y = rng.normal(60.0, 60.0, 3), rng.normal(50.0, 20.0, 1)
    nothing = np.zeros(0)
    assert program.objective(x, nothing) + program.cost_of_violation(x, y, nothing) >= program.dual_bound(y, nothing)


def test_an_output_is_at_one_end_of_its_reach_where_all_its_columns_are_at_theirs():
    builder = ProgramBuilder("boundary")
    drawn = builder.add_columns("drawn", {"period": np.arange(2)}, unit="kW", upper=np.array([3.0, 5.0]))
    fed = builder.add_columns("fed", {"period": np.arange(2)}, unit="kW", lower=1.0, upper=np.inf)
    builder.add_output("exchange", {"period": np.arange(2)}, [(1.0, drawn), (-2.0, fed)], unit="kW")
    low, high = builder.build().reach("exchange")
    np.testing.assert_array_equal(low, [-np.inf, -np.inf])
    np.testing.assert_array_equal(high, [1.0, 3.0])
