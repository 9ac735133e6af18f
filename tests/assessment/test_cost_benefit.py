"""Net present values, deferral values, break-even prices and stranded shares by hand."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.assessment.cost_benefit import Asset, PlanOption, annuity_factor, break_even_price, deferral_value, net_present_value, present_value
from multiscale.assessment.stranded import stranded_share
from multiscale.system import Economics


def test_a_net_present_value_by_hand():
    """A cable for 1,000 EUR against 100 EUR/a of flexibility: at 10 %, 100/1.1 + 100/1.21 = 173.55 EUR over two years."""
    cable, flexibility = PlanOption([Asset(1000.0, 40.0)], 0.0), PlanOption([], 100.0)
    assert net_present_value(flexibility, cable, 2, 0.1) == pytest.approx(1000.0 - 173.553719, abs=1e-6)
    assert net_present_value(cable, cable, 2, 0.1) == 0.0
    assert net_present_value(cable, flexibility, 2, 0.1) == -net_present_value(flexibility, cable, 2, 0.1)


def test_a_battery_is_bought_again_when_it_is_worn_out():
    battery = PlanOption([Asset(500.0, 10.0)], 0.0)
    assert present_value(battery, 10, 0.05) == pytest.approx(500.0)
    assert present_value(battery, 11, 0.05) == pytest.approx(500.0 * (1 + 1.05**-10))
    assert present_value(battery, 45, 0.0) == pytest.approx(5 * 500.0)


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_over_whole_lives_it_is_the_yearly_difference_with_annuities(rate: float):
    annuity = Economics(discount_rate=rate).annuity
    option, baseline = PlanOption([Asset(800.0, 20.0), Asset(300.0, 10.0)], 50.0), PlanOption([Asset(2000.0, 40.0)], 20.0)
    yearly = 2000 * annuity(40) + 20.0 - 800 * annuity(20) - 300 * annuity(10) - 50.0
    assert net_present_value(option, baseline, 40, rate) == pytest.approx(yearly * annuity_factor(40, rate), abs=1e-8)


def test_deferral_and_break_even_by_hand():
    assert deferral_value(1000.0, 1, 0.25) == pytest.approx(200.0)
    assert deferral_value(1000.0, 0, 0.05) == 0.0
    # Flexibility bought at the break-even price costs what the annuity is.
    assert break_even_price(600.0, 3000.0) == pytest.approx(0.2)
    assert np.isnan(break_even_price(600.0, 0.0))


def test_a_rating_that_the_peak_does_not_need_is_stranded():
    """Branch a: 100 + 100 kVA at 40 % carries 80 kVA, within 90 % of what was there before; branch b carries 140 kVA."""
    cost, branch, added = np.array([3.0, 1.0]), np.array(["a", "b"]), np.array([100.0, 100.0])
    before, usable = np.array([100.0, 100.0]), np.array([90.0, 90.0])
    assert stranded_share(cost, branch, added, before, usable, np.array([40.0, 70.0])) == pytest.approx(0.75)
    assert stranded_share(cost, branch, added, before, usable, np.array([70.0, 70.0])) == 0.0
    # Two options on one branch are judged by what both lead to.
    both = np.array(["a", "a"])
    assert stranded_share(cost, both, added, before, usable, np.array([25.0, 25.0])) == 1.0
    assert stranded_share(cost, both, added, before, usable, np.array([31.0, 31.0])) == 0.0
    assert np.isnan(stranded_share(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)))
