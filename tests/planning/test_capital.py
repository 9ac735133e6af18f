"""The asset base: even yearly costs split into depreciation and a return, with the present values of straight-line depreciation."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.planning.regimes.capital import Capital
from multiscale.system import Economics


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.12])
@pytest.mark.parametrize("life", [1, 7, 40])
def test_depreciation_and_the_return_at_the_true_rate_are_the_whole_cost(rate: float, life: int):
    capital = Capital(rate, life)
    assert capital.depreciation + rate * capital.base == pytest.approx(1.0, abs=1e-12)


def test_without_interest_the_base_is_the_mean_of_the_opening_values():
    """An investment of 10 EUR over 4 years, 2.5 EUR/a: 10, 7.5, 5, 2.5."""
    assert Capital(0.0, 4).base * 2.5 == pytest.approx(6.25)


@pytest.mark.parametrize(("rate", "allowed"), [(0.03, 0.05), (0.05, 0.08)])
def test_an_allowed_rate_is_worth_the_same_evenly_as_year_by_year(rate: float, allowed: float):
    """1000 EUR over 20 years: depreciation and the allowed return on the opening value of every year, and the even sum, have one present value."""
    life, investment = 20, 1000.0
    opening = investment * (1 - np.arange(life) / life)
    discount = (1 + rate) ** -np.arange(1, life + 1)
    by_year = float(((investment / life + allowed * opening) * discount).sum())
    annuity = Economics(discount_rate=rate).annuity(life) * investment
    even = annuity + (allowed - rate) * Capital(rate, life).base * annuity
    assert even * discount.sum() == pytest.approx(by_year, rel=1e-12)
