"""Indices of inequality are what they are defined to be, of values of either sign."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiscale.assessment.distribution import gini, income_group, jain, why_undefined

VALUES = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=12).filter(lambda x: sum(map(abs, x)) > 1.0)


def pairs(values: np.ndarray) -> float:
    """The definition: sum over all pairs, relative to that of the magnitudes."""
    return float(np.abs(values[:, None] - values[None, :]).sum() / (2 * len(values) * np.abs(values).sum()))


@pytest.mark.parametrize("n", [2, 5, 1000])
def test_the_indices_of_equal_shares_and_of_one_who_has_everything(n: int):
    equal, one = np.full(n, 7.0), np.eye(n)[0] * 3.0
    assert gini(equal) == pytest.approx(0.0, abs=1e-12)
    assert jain(equal) == pytest.approx(1.0)
    assert gini(one) == pytest.approx((n - 1) / n)
    assert jain(one) == pytest.approx(1 / n)


def test_indices_by_hand():
    assert gini(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 9)
    assert jain(np.array([1.0, 2.0, 3.0])) == pytest.approx(36 / 42)
    # One earns what another pays: pairs differ by 2, 1 and 1, magnitudes sum to 2.
    assert gini(np.array([-1.0, 0.0, 1.0])) == pytest.approx(2 * 4 / (2 * 3 * 2))


@given(VALUES)
def test_gini_is_the_sum_over_pairs_and_stays_within_its_range(values: list[float]):
    x = np.array(values)
    assert gini(x) == pytest.approx(pairs(x), abs=1e-9)
    assert -1e-12 <= gini(x) <= (x.size - 1) / x.size + 1e-12
    assert gini(x) == pytest.approx(gini(100.0 * x[::-1]), abs=1e-9)


@given(st.lists(st.floats(0.0, 1e4), min_size=2, max_size=12).filter(lambda x: max(x) - min(x) > 1.0))
def test_a_transfer_from_the_largest_to_the_smallest_evens(values: list[float]):
    x = np.sort(np.array(values))
    evened = x.copy()
    evened[[0, -1]] += np.array([1.0, -1.0]) * (x[-1] - x[0]) / 4
    assert gini(evened) < gini(x)
    assert jain(evened) > jain(x)


def test_what_is_not_defined_has_no_value_and_a_reason():
    some, zero = np.array([-1.0, 2.0, 3.0]), np.zeros(3)
    assert np.isnan(jain(some))
    assert np.isfinite(gini(some))
    assert why_undefined("jain", some, "gains") == "1 of 3 gains are below zero"
    assert why_undefined("gini", some, "gains") == ""
    for index, function in (("gini", gini), ("jain", jain)):
        assert np.isnan(function(zero))
        assert why_undefined(index, zero, "bills") == "all bills are zero"
        assert np.isnan(function(np.zeros(0)))
        assert why_undefined(index, np.zeros(0), "bills") == "no bills are known"


def test_income_groups_are_of_equal_size_and_in_the_order_of_incomes():
    incomes = np.array([50.0, np.nan, 10.0, 30.0, 20.0, 40.0, np.nan, 60.0])
    group = income_group(incomes, 3)
    assert group.tolist() == [2, -1, 0, 1, 0, 1, -1, 2]
    assert income_group(np.array([5.0, 3.0]), 5).tolist() == [1, 0]
    assert income_group(np.array([np.nan]), 5).tolist() == [-1]
