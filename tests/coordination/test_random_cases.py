"""Random small systems under every mechanism, see ``tests.fuzz_coordination``: cases in which something was wrong once."""

import pytest

from tests.fuzz_coordination.draw import draw
from tests.fuzz_coordination.run import operated

ONCE_WRONG = {
    5: "an honest platform left its band at prices beyond the value of lost load, and was excluded",
    12: "flows of the transmission network did not count what was refused at a boundary: a flat price cost less than the optimum",
}
ONCE_WRONG_TOO = {
    8: "as 5",
    21: "a DSO paid for curtailing nothing proved more than its operation confirms",
    25: "the same: a negotiation agreed on a cost below the optimum",
    1054: "generators that cost nearly the same: a bound above the optimum by tolerance of the solver times their size",
    1082: "the same",
    1154: "the same",
}


@pytest.mark.parametrize("number", [*ONCE_WRONG, *(pytest.param(n, marks=pytest.mark.slow) for n in ONCE_WRONG_TOO)])
def test_bounds_costs_prices_energy_and_money_of_every_mechanism(number):
    found = operated(draw(number), number)
    assert found.problems == []
    assert {"integrated", "flat", "pricing", "bidirectional"} <= found.outcomes.keys()
