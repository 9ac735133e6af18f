"""Random small systems under every mechanism, see ``tests.fuzz_coordination``: cases in which something was wrong once."""

from itertools import islice

import numpy as np
import pytest

from multiscale.coordination.common.prepared import prepare_days
from multiscale.coordination.engine import SerialEngine
from tests.fuzz_coordination.draw import draw
from tests.fuzz_coordination.hostile import TRIES, tried
from tests.fuzz_coordination.run import HISTORY, mechanisms, operated

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


UNTRUE_ONCE_WRONG = {
    102: "a DSO that reports a lower cost of its operation was not named",
    116: "at prices of the value of lost load the dual simplex gave no answer, and the negotiation of the others ended",
    130: "an honest DSO was named for its platform's untruth: it had proven less when it was asked again at the same price",
}


@pytest.mark.parametrize(("number", "tries"), [(17, 2), *(pytest.param(n, TRIES, marks=pytest.mark.slow) for n in UNTRUE_ONCE_WRONG)])
def test_whoever_is_untrue_is_named_or_the_bound_stays_below_the_optimum_and_the_cost_above_it(number, tries):
    found = list(islice(tried(draw(number), number), tries))
    assert [problem for each in found for problem in each.problems] == []
    assert {"excluded", "named"} >= {each.ended for each in found} - {"held"}


@pytest.mark.parametrize("number", [325, pytest.param(260, marks=pytest.mark.slow)])
def test_a_mechanism_ends_to_the_same_bits_whatever_was_computed_before_it(number):
    case, rules = draw(number), dict(mechanisms(number))
    (day, *_) = prepare_days(
        case.system, case.horizon, case.economics, case.fleets, case.design, case.market, SerialEngine(),
        limits=case.limits, history=HISTORY, fleets_on=case.fleets_on,
    )  # fmt: skip
    assert {"flat", "hybrid"} < rules.keys()
    first = {name: m.operate([day], SerialEngine())[0][m.name] for name, m in rules.items()}
    for name, mechanism in reversed(rules.items()):
        again = mechanism.operate([day], SerialEngine())[0][mechanism.name]
        assert (again.cost, again.bound) == (first[name].cost, first[name].bound), name
        for node, drawn in first[name].exchange.items():
            np.testing.assert_array_equal(again.exchange[node], drawn, err_msg=f"{name}: {node}")
