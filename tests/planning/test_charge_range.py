import numpy as np
import pytest

from multiscale.planning.charge_range import implied_charge_range
from multiscale.programs import CompiledProgram
from tests.planning.conftest import RANGE, TOLERANCE


@pytest.fixture(scope="module", params=["problem", "problem_with_adoption"])
def case(request):
    return request.getfixturevalue(request.param)


def implied_range(case, given):
    passive = float(case.passive["network_charge"])
    return implied_charge_range(case.program, "network_charge", passive, case.existing_cost, float(case.annuity.sum()), given, TOLERANCE)


@pytest.fixture(scope="module")
def implied(case):
    return implied_range(case, RANGE)


def test_no_charge_that_recovers_the_cost_is_excluded(case, implied):
    """Every sampled decision that recovers its cost within the tolerance has a charge inside the implied range."""
    compiled = CompiledProgram(case.program)
    energy = case.program.outputs["billed network_charge"].matrix
    inside, passive = 0, float(case.passive["network_charge"])
    for built in (np.zeros(3), np.ones(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 1.0])):
        allowed = case.existing_cost + case.annuity @ built
        charge = 0.05
        for _ in range(40):
            # The charge that recovers the cost of today's energy: a fixed point is a decision that recovers its cost.
            sold = float((energy @ compiled.solve_optimal({"built": built, "network_charge": charge}).x)[0]) + passive
            if 0 <= charge * sold - allowed <= TOLERANCE * allowed:
                assert implied[0] <= charge <= implied[1]
                inside += 1
                for edge in (1, 1 + TOLERANCE):
                    there = edge * allowed / sold
                    again = float((energy @ compiled.solve_optimal({"built": built, "network_charge": there}).x)[0]) + passive
                    if -1e-9 * allowed <= there * again - allowed <= TOLERANCE * allowed * (1 + 1e-9):
                        assert implied[0] <= there <= implied[1]
                break
            charge = (1 + 0.5 * TOLERANCE) * allowed / sold
    assert inside >= 2


def test_the_range_is_narrower_than_what_was_allowed(implied):
    assert RANGE[0] < implied[0] < implied[1] < RANGE[1]


def test_a_range_too_low_comes_out_empty(case):
    low, high = implied_range(case, (0.0, 0.01))
    assert low > high
