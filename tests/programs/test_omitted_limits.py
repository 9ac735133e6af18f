"""A program of parts that limits tie costs, solved part by part, what it costs in one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from multiscale.programs import Block, Index, ParametricProgram, ProgramError, States, solve, solve_with_omitted_limits

PERIODS = 4


def network(seed: int, rating: float) -> tuple[ParametricProgram, States]:
    """Consumers at the ends of a feeder of three branches, each with its energy at random prices, who may go without, and the flows of the branches.

    Columns: consumption (consumer, period), unserved energy (consumer), a source that may feed in anywhere (free), flow (branch, period).
    """
    rng = np.random.default_rng(seed)
    consumers, branches = 6, 3
    drawn = np.arange(consumers * PERIODS).reshape(consumers, PERIODS)
    unserved = drawn.size + np.arange(consumers)
    source = drawn.size + consumers + np.arange(PERIODS)
    flow = source[-1] + 1 + np.arange(branches * PERIODS).reshape(branches, PERIODS)
    n, m = int(flow.max()) + 1, consumers + branches * PERIODS
    matrix, rhs = np.zeros((m, n)), np.zeros(m)
    for i in range(consumers):
        matrix[i, drawn[i]], matrix[i, unserved[i]], rhs[i] = 1.0, 1.0, rng.uniform(1.0, 3.0)
    # flow_b = what the consumers 2b, 2b + 1 draw + flow_(b + 1), less the source at the end of the feeder
    for b in range(branches):
        for t in range(PERIODS):
            row = consumers + b * PERIODS + t
            matrix[row, flow[b, t]], matrix[row, drawn[2 * b : 2 * b + 2, t]] = 1.0, -1.0
            if b + 1 < branches:
                matrix[row, flow[b + 1, t]] = -1.0
            else:
                matrix[row, source[t]] = 1.0
    cost, lower, upper = np.zeros(n), np.zeros(n), np.full(n, 2.0)
    cost[drawn], cost[unserved], cost[source], cost[flow[0]] = rng.uniform(0.0, 0.2, drawn.shape), 10.0, 0.5, rng.uniform(0.5, 1.0, PERIODS)
    lower[flow], upper[flow], upper[source] = -rating, rating, 0.3
    program = ParametricProgram(
        name="feeder",
        columns=Index((Block("x", {"column": np.arange(n)}, "kW", 0),)),
        rows=Index((Block("row", {"row": np.arange(m)}, "kW", 0),)),
        parameters=Index(),
        A=sparse.csr_matrix(matrix),
        b0=rhs,
        B=sparse.csr_matrix((m, 0)),
        equality=np.ones(m, dtype=bool),
        c0=cost,
        C=sparse.csr_matrix((n, 0)),
        lower=lower,
        upper=upper,
    )
    return program, States(flow, np.arange(consumers, m), np.repeat([0, 1], PERIODS // 2))


@pytest.mark.parametrize("rating", [0.5, 2.0, 2.7, 4.0])
@pytest.mark.parametrize("seed", range(6))
def test_parts_and_the_limits_they_violate_cost_what_the_whole_costs(seed, rating):
    program, states = network(seed, rating)
    found = solve_with_omitted_limits(program, states)
    assert program.violation(found.x, np.zeros(0)) <= 1e-7
    assert found.objective == pytest.approx(solve(program).objective, rel=1e-9)
    assert found.bound == pytest.approx(found.objective, rel=1e-9)


@pytest.mark.parametrize("rounding", [-3e-16, 0.0, 3e-16])
def test_a_source_that_is_worth_what_it_costs_stays_at_its_lower_bound_whatever_rounding_says(rounding):
    program, states = network(1, 100.0)
    source, cost = np.flatnonzero(program.upper == 0.3), program.c0.copy()
    cost[source] = cost[states.columns[0]] * (1.0 + rounding)
    found = solve_with_omitted_limits(replace(program, c0=cost), states)
    np.testing.assert_array_equal(found.x[source], 0.0)
    cost[source] *= 1.0 - 1e-6
    assert (solve_with_omitted_limits(replace(program, c0=cost), states).x[source] == 0.3).all()


def test_limits_are_retained_only_where_they_are_violated():
    wide, tight = (solve_with_omitted_limits(*network(1, rating)) for rating in (100.0, 2.0))
    assert (wide.retained, wide.joint) == (0, 0)
    assert 0 < tight.retained < 24
    assert tight.joint > 0


def test_what_cannot_be_solved_part_by_part_is_refused():
    program, states = network(0, 2.0)
    with pytest.raises(ValueError, match="has parameters or curvature"):
        solve_with_omitted_limits(replace(program, Q=sparse.identity(program.columns.size, format="csr")), states)
    with pytest.raises(ValueError, match="12 states need as many equations, not 11 rows"):
        solve_with_omitted_limits(program, replace(states, rows=states.rows[1:]))
    with pytest.raises(ValueError, match="do not determine the states"):
        solve_with_omitted_limits(program, replace(states, rows=np.append(states.rows[1:], 0)))
    with pytest.raises(ProgramError, match="infeasible"):
        solve_with_omitted_limits(replace(program, upper=np.where(program.upper == 2.0, 0.1, program.upper)), states)
