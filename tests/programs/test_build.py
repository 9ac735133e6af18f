import numpy as np
import pytest
from scipy.optimize import linprog

from multiscale.programs import ProgramBuilder, solve


def diet():
    """Two foods over three days: cost, a lower limit each day, a common upper limit, one price as parameter."""
    builder = ProgramBuilder("diet")
    price = builder.add_parameters("price", {"day": [1, 2, 3]}, unit="EUR/kg")
    axes = {"food": ["bread", "milk"], "day": [1, 2, 3]}
    eaten = builder.add_columns("eaten", axes, unit="kg", upper=[[4.0], [3.0]], cost=[[2.0, 2.5, 3.0], [1.0, 1.5, 4.0]])
    builder.add_rows("need", {"day": [1, 2, 3]}, [(np.array([2.0, 1.0]), eaten.T)], ">=", [5.0, 4.0, 3.0], unit="kcal")
    builder.add_rows("shop", {}, [(1.0, eaten.ravel())], "<=", 9.0, unit="kg")
    builder.add_cost_parameter(eaten[0], price)
    return builder.build()


def test_matrices_are_those_written_by_hand():
    program = diet()
    np.testing.assert_array_equal(
        program.A.toarray(),
        [
            [-2, 0, 0, -1, 0, 0],
            [0, -2, 0, 0, -1, 0],
            [0, 0, -2, 0, 0, -1],
            [1, 1, 1, 1, 1, 1],
        ],
    )
    np.testing.assert_array_equal(program.b0, [-5, -4, -3, 9])
    np.testing.assert_array_equal(program.c0, [2, 2.5, 3, 1, 1.5, 4])
    np.testing.assert_array_equal(program.upper, [4, 4, 4, 3, 3, 3])
    np.testing.assert_array_equal(program.C.toarray(), np.vstack([np.eye(3), np.zeros((3, 3))]))
    assert not program.equality.any()


def test_optimum_is_that_of_another_solver_on_the_hand_written_problem():
    price = np.array([0.5, -0.25, 1.0])
    ours = solve(diet(), {"price": price})
    cost = [2.5, 2.25, 4.0, 1.0, 1.5, 4.0]
    rows = [[-2, 0, 0, -1, 0, 0], [0, -2, 0, 0, -1, 0], [0, 0, -2, 0, 0, -1], [1] * 6]
    other = linprog(cost, A_ub=rows, b_ub=[-5, -4, -3, 9], bounds=[(0, 4)] * 3 + [(0, 3)] * 3)
    assert ours.objective == pytest.approx(other.fun, rel=1e-9)
    np.testing.assert_allclose(ours.y, other.ineqlin.marginals, atol=1e-9)


def test_answers_carry_labels_and_units():
    solution = solve(diet(), {"price": 0.0})
    eaten = solution.primal("eaten")
    assert eaten.dims == ("food", "day")
    assert eaten.attrs["units"] == "kg"
    assert solution.dual("need").attrs["units"] == "EUR/(kcal)"
    assert float(2 * eaten.sel(food="bread", day=1) + eaten.sel(food="milk", day=1)) >= 5 - 1e-9


def test_a_position_of_minus_one_is_an_absent_term():
    builder = ProgramBuilder("gaps")
    x = builder.add_columns("x", {"j": [0, 1]}, unit="kW")
    builder.add_rows("row", {"i": [0, 1]}, [(1.0, np.array([x[0], -1])), (2.0, np.array([[-1, x[1]], [x[0], -1]]))], "==", 1.0, unit="kW")
    np.testing.assert_array_equal(builder.build().A.toarray(), [[1, 2], [2, 0]])


def test_terms_of_the_same_position_add_up():
    builder = ProgramBuilder("sums")
    x = builder.add_columns("x", {}, unit="kW")
    row = builder.add_rows("row", {}, [(1.0, x), (2.0, x)], "==", 6.0, unit="kW")
    builder.add_to_rows(row, x, 3.0)
    assert builder.build().A.toarray() == [[6.0]]


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("upper", np.ones(4), "diet: upper bound of 'eaten' has shape (4,), it must fit (3,)"),
        ("cost", np.array([1.0, np.nan, 1.0]), "diet: cost of 'eaten' holds a value that is not a number"),
        ("lower", np.ones((2, 3)), "diet: lower bound of 'eaten' has shape (2, 3), it must fit (3,)"),
    ],
)
def test_a_wrong_shape_or_nan_is_refused_with_the_blocks_name(argument, value, message):
    builder = ProgramBuilder("diet")
    with pytest.raises(ValueError, match="eaten") as caught:
        builder.add_columns("eaten", {"day": [1, 2, 3]}, unit="kg", **{argument: value})
    assert str(caught.value) == message


def test_a_right_hand_side_that_is_not_a_number_is_refused():
    builder = ProgramBuilder("diet")
    x = builder.add_columns("eaten", {"day": [1, 2]}, unit="kg")
    with pytest.raises(ValueError, match="right-hand side of 'need' holds a value that is not a number"):
        builder.add_rows("need", {"day": [1, 2]}, [(1.0, x)], ">=", [np.nan, 1.0], unit="kg")


def test_an_unknown_sense_is_refused():
    builder = ProgramBuilder("diet")
    x = builder.add_columns("eaten", {}, unit="kg")
    with pytest.raises(ValueError, match="row 'need' has sense '>'"):
        builder.add_rows("need", {}, [(1.0, x)], ">", 0.0, unit="kg")


def test_two_blocks_of_one_name_are_refused():
    builder = ProgramBuilder("diet")
    builder.add_columns("eaten", {}, unit="kg")
    builder.add_columns("eaten", {}, unit="kg")
    with pytest.raises(ValueError, match="block 'eaten' is declared twice"):
        builder.build()


def test_bounds_that_cross_are_refused_with_the_columns_label():
    builder = ProgramBuilder("diet")
    builder.add_columns("eaten", {"day": [1, 2]}, unit="kg", lower=[0.0, 2.0], upper=1.0)
    with pytest.raises(ValueError, match=r"column eaten\[2\] has lower bound 2 above upper bound 1"):
        builder.build()


def test_an_infinite_coefficient_is_refused():
    builder = ProgramBuilder("diet")
    x = builder.add_columns("eaten", {}, unit="kg")
    builder.add_rows("need", {}, [(np.inf, x)], ">=", 1.0, unit="kg")
    with pytest.raises(ValueError, match="A holds a value that is not a finite number"):
        builder.build()


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"price": [1.0, 2.0]}, ValueError, r"'price' has shape \(2,\); it must be \(3,\)"),
        ({"price": [1.0, np.nan, 2.0]}, ValueError, r"price\[2\] has no value"),
        ({}, KeyError, r"price\[1\] has no value"),
        ({"prise": 1.0}, KeyError, "unknown blocks"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(values, kind, message):
    with pytest.raises(kind, match=message):
        diet().parameters.vector(values)
