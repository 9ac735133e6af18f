"""Invariants of platforms at whatever prices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.devices import Photovoltaics
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.operation.tree import BEYOND, exchange_bounds
from multiscale.programs import CompiledProgram

PERIODS = 12
PRICES = st.lists(st.floats(0.0, 0.6), min_size=PERIODS, max_size=PERIODS)
NONE = {"import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0, "deviation_price": 0.0}


@pytest.fixture(scope="module")
def platform(system, winter, economics):
    fleet = system.fleet("south 2", winter)
    program = platform_program(fleet, economics, Community(), network=system.network("south 2"))
    return fleet, program, CompiledProgram(program)


def answer(platform, price, gap=0.0, charge=0.05):
    price = np.array(price)
    return platform[2].solve_optimal({"import_price": price + gap / 2, "export_price": price - gap / 2, "network_charge": charge, **NONE})


@settings(max_examples=25, deadline=None, derandomize=True)
@given(price=PRICES, gap=st.floats(0.0, 0.1), charge=st.floats(0.0, 0.3))
def test_price_of_a_prosumer_lies_between_curtailment_and_the_value_of_lost_load(platform, economics, price, gap, charge):
    solution = answer(platform, price, gap, charge)
    dual = solution.dual("prosumer_balance").values / platform[0].horizon.hours_per_year
    least = min(-Photovoltaics().curtailment_cost, min(price) - gap / 2 - economics.tariff.components["export_deduction"].price)
    assert dual.min() >= least - 1e-9
    assert dual.max() <= economics.value_of_lost_load + 1e-9
    assert solution.gap <= 1e-7


@settings(max_examples=25, deadline=None, derandomize=True)
@given(one=PRICES, other=PRICES)
def test_a_platform_draws_less_where_it_is_dearer(platform, one, other):
    """(price - price')'(exchange - exchange') <= 0: the response is monotone."""
    first, second = answer(platform, one), answer(platform, other)
    hours = platform[0].horizon.hours_per_year
    change = (first.output("exchange").values - second.output("exchange").values) * hours
    assert float((np.array(one) - np.array(other)) @ change) <= 1e-5 * np.abs(change).sum() + 1e-6


@settings(max_examples=25, deadline=None, derandomize=True)
@given(one=PRICES, other=PRICES)
def test_an_answer_is_never_better_at_another_price_than_the_answer_to_it(platform, one, other):
    program, there = platform[1], answer(platform, other)
    x = answer(platform, one).x
    assert program.objective(x, there.parameters) >= there.objective - 1e-6 * abs(there.objective)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(price=PRICES)
def test_the_exchange_stays_within_its_bounds(platform, price):
    low, high = exchange_bounds(platform[0])
    exchange = answer(platform, price).output("exchange").values
    assert (exchange >= low - 1e-6).all()
    assert (exchange <= high + 1e-6).all()
