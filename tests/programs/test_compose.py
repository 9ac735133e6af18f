import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from multiscale.programs import Link, ProgramBuilder, compose, solve
from tests.programs.random_programs import random_program


def parent(children=1):
    """Serves what its children draw from two units; a fee as parameter."""
    builder = ProgramBuilder("parent")
    drawn = builder.add_parameters("drawn", {"child": np.arange(children), "k": [0, 1]}, unit="kW")
    fee = builder.add_parameters("fee", {}, unit="EUR/kW")
    cheap = builder.add_columns("cheap", {"k": [0, 1]}, unit="kW", lower=-20.0, upper=1.5, cost=0.4)
    dear = builder.add_columns("dear", {"k": [0, 1]}, unit="kW", upper=20.0, cost=2.0)
    builder.add_rows("balance", {"k": [0, 1]}, [(1.0, cheap), (1.0, dear)], "==", 0.7, unit="kW", parameters=[(1.0, drawn.T)])
    builder.add_cost_parameter(dear, np.broadcast_to(fee, dear.shape))
    return builder.build()


def joint_optimum(top, programs, values):
    """The same problem as one matrix, written down without ``compose``."""
    n = [top.columns.size, *(p.columns.size for p in programs)]
    matrix = sparse.block_diag([top.A, *(p.A for p in programs)]).toarray()
    position = np.cumsum([0, *n])
    for k, program in enumerate(programs):
        taken = top.B[:, top.parameters["drawn"].positions[k]] @ program.outputs["total"].matrix
        matrix[: top.rows.size, position[k + 1] : position[k + 2]] -= taken.toarray()
    own = [q.parameters.vector({"theta": theta}) for q, theta in zip(programs, values["theta"], strict=True)]
    p = [top.parameters.vector({"fee": values["fee"], "drawn": 0.0}), *own]
    everyone = [top, *programs]
    rhs = np.concatenate([q.rhs(v) for q, v in zip(everyone, p, strict=True)])
    cost = np.concatenate([q.costs(v) for q, v in zip(everyone, p, strict=True)])
    equal = np.concatenate([q.equality for q in everyone])
    bounds = np.column_stack([np.concatenate([q.lower for q in everyone]), np.concatenate([q.upper for q in everyone])])
    found = linprog(cost, A_ub=matrix[~equal], b_ub=rhs[~equal], A_eq=matrix[equal], b_eq=rhs[equal], bounds=bounds)
    return found.fun + sum(q.constant(v) for q, v in zip(everyone, p, strict=True))


def links(top, keys):
    return [Link(key, "total", top.parameters["drawn"].positions[k]) for k, key in enumerate(keys)]


@pytest.mark.parametrize("seed", range(4))
def test_a_composed_program_has_the_optimum_of_the_joint_problem(seed):
    top, programs = parent(2), [random_program(seed), random_program(seed + 50)]
    joined = compose("both", top, {"a": programs[0], "b": programs[1]}, links(top, "ab"))
    theta = np.random.default_rng(seed).normal(scale=0.1, size=(2, 3))
    ours = solve(joined, {"fee": 0.3, "a/theta": theta[0], "b/theta": theta[1]})
    assert ours.objective == pytest.approx(joint_optimum(top, programs, {"fee": 0.3, "theta": theta}), rel=1e-8)
    assert ours.gap == pytest.approx(0, abs=1e-8)


def test_a_fixed_parameter_is_the_same_as_a_given_one():
    top, child = parent(), random_program(3)
    free = compose("one", top, {"a": child}, links(top, "a"))
    fixed = compose("one", top, {"a": child}, links(top, "a"), {"a": {"theta": [0.1, -0.2, 0.05]}})
    assert [b.name for b in fixed.parameters] == ["fee"]
    assert solve(fixed, {"fee": 0.0}).objective == pytest.approx(solve(free, {"fee": 0.0, "a/theta": [0.1, -0.2, 0.05]}).objective, rel=1e-9)


def test_a_shared_parameter_is_one_and_the_same_for_all_children():
    top, programs = parent(2), {"a": random_program(1), "b": random_program(2)}
    apart = compose("both", top, programs, links(top, "ab"))
    together = compose("both", top, programs, links(top, "ab"), shared=["theta"])
    theta = np.array([0.1, 0.0, -0.1])
    one = solve(together, {"fee": 0.1, "theta": theta})
    two = solve(apart, {"fee": 0.1, "a/theta": theta, "b/theta": theta})
    assert one.objective == pytest.approx(two.objective, rel=1e-9)
    position = {b.name: b.positions for b in apart.parameters}
    each = two.program.sensitivity(two.x, two.y)
    summed = each[position["a/theta"]] + each[position["b/theta"]]
    np.testing.assert_allclose(one.program.sensitivity(one.x, one.y)[together.parameters["theta"].positions], summed, atol=1e-7)


def test_a_linked_parameter_with_a_cost_is_refused():
    top = parent()
    wrong = [Link("a", "total", np.array([top.parameters["fee"].offset]))]
    with pytest.raises(ValueError, match="a parameter taken over by a child has a cost coefficient in 'parent'"):
        compose("both", top, {"a": random_program(1)}, wrong)


def test_a_block_linked_in_part_is_refused_by_name():
    top = parent(2)
    with pytest.raises(ValueError, match=r"only a part of the parameter blocks \['drawn'\] is linked"):
        compose("both", top, {"a": random_program(1)}, links(top, "a"))


def test_an_output_of_another_length_is_refused_by_name():
    top = parent()
    builder = ProgramBuilder("child")
    x = builder.add_columns("x", {"k": [0, 1, 2]}, unit="kW", upper=1.0)
    builder.add_output("total", {"k": [0, 1, 2]}, [(1.0, x)], unit="kW")
    with pytest.raises(ValueError, match="output 'total' of 'a' has 3 entries, its parameter 2"):
        compose("both", top, {"a": builder.build()}, links(top, "a"))


def test_fixed_parameters_move_into_the_numbers():
    program = random_program(5)
    theta = np.array([0.2, -0.1, 0.05])
    fixed = program.fix({"theta": theta})
    assert fixed.parameters.size == 0
    assert solve(fixed).objective == pytest.approx(solve(program, {"theta": theta}).objective, rel=1e-12)
    with pytest.raises(KeyError, match="no parameters"):
        program.fix({"teta": 0.0})
