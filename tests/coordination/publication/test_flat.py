"""Under one price for all hours many schedules cost the same: which of them is operated is a rule, not an accident of the solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.coordination.common.answer import answer_signals, most_even
from multiscale.coordination.common.messages import Signal
from multiscale.coordination.engine import SerialEngine
from multiscale.devices import device_settings
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import bought_and_sold, platform_program
from multiscale.operation.tree import BEYOND
from multiscale.programs import CompiledProgram
from tests.operated import coordinate_days
from tests.variants import charged, with_options

PLATFORMS = ("north 1", "north 2")


def flat_price(horizon, price=0.06):
    profile, none = np.full(horizon.periods, price), np.full(horizon.periods, BEYOND)
    return Signal(profile, profile, {"network_charge": np.asarray(0.05)}, none, none, np.zeros(horizon.periods), even=True)


@pytest.fixture(scope="module")
def indifferent(system):
    """Shifting costs no comfort: under a flat price vehicles and heat pumps may run at any hour."""
    return system.replace(device_settings=device_settings(electric_vehicle={"discomfort": 0.0}, heat_pump={"discomfort": 0.0}))


@pytest.fixture(scope="module")
def members(indifferent, winter):
    return indifferent.fleet("north 1", winter)


@pytest.fixture(scope="module", params=[Community(), TimeOfUse()], ids=lambda m: m.kind)
def market(request):
    return request.param


def test_the_answer_costs_least_and_is_more_even_than_what_the_solver_returns(members, winter, economics, market):
    program = platform_program(members, economics, market)
    solution = CompiledProgram(program).solve_optimal(flat_price(winter).parameters())
    x = most_even(solution)
    assert program.objective(x, solution.parameters) == pytest.approx(solution.objective, rel=1e-9)
    squares = [float(((np.subtract(*bought_and_sold(program, z))) ** 2).sum()) for z in (x, solution.x)]
    assert squares[0] < 0.999 * squares[1]
    assert np.abs(program.A @ x - program.rhs(solution.parameters))[program.equality].max() < 1e-6
    assert (x >= program.lower - 1e-9).all()
    assert (x <= program.upper + 1e-9).all()


@pytest.mark.parametrize("weight", [366.0, 1.0, 1e-3])
def test_the_weight_of_a_day_changes_nothing(indifferent, winter, economics, market, weight):
    """A day that stands for itself alone costs little: the same schedule is selected, and it costs the optimum to what feasibility explains."""
    day = replace(winter, weights=(weight,))
    program = platform_program(indifferent.fleet("north 1", day), economics, market)
    whole = platform_program(indifferent.fleet("north 1", winter), economics, market)
    chosen = [most_even(CompiledProgram(p).solve_optimal(flat_price(winter).parameters())) for p in (program, whole)]
    net = [np.subtract(*bought_and_sold(p, x)) for p, x in zip((program, whole), chosen, strict=True)]
    np.testing.assert_allclose(*net, atol=1e-3)


def test_nothing_else_that_costs_least_is_more_even(members, winter, economics, market):
    """Other optima, found by tiny costs drawn at random, have a larger sum of squares."""
    program = platform_program(members, economics, market)
    p = program.parameters.vector(flat_price(winter).parameters())
    solution = CompiledProgram(program).solve_optimal(p)
    best = float((np.subtract(*bought_and_sold(program, most_even(solution))) ** 2).sum())
    rng, others = np.random.default_rng(0), []
    for _ in range(5):
        moved = replace(program, c0=program.c0 + 1e-4 * rng.random(program.columns.size))
        x = CompiledProgram(moved).solve_optimal(p).x
        assert program.objective(x, p) == pytest.approx(solution.objective, abs=1.0)
        others.append(float((np.subtract(*bought_and_sold(program, x)) ** 2).sum()))
    assert min(others) > best


def test_the_order_of_prosumers_and_devices_changes_nothing(indifferent, winter, economics, market):
    """Tables in another order: the same exchange in every period."""
    rng = np.random.default_rng(3)
    shuffled = indifferent.replace(
        prosumers=indifferent.prosumers.isel(prosumer=rng.permutation(indifferent.prosumers.sizes["prosumer"])),
        devices=indifferent.devices.isel(device=rng.permutation(indifferent.devices.sizes["device"])),
    )
    exchange = []
    for one in (indifferent, shuffled):
        program = platform_program(one.fleet("north 1", winter), economics, market, network=one.network("north 1"))
        exchange.append(answer_signals(program, [flat_price(winter)])[0].exchange)
    np.testing.assert_allclose(exchange[0], exchange[1], atol=1e-4)
    assert np.ptp(exchange[0]) > 1.0


def test_what_is_known_before_changes_nothing(members, winter, economics, market):
    """The same question after others, from another basis, has the same answer."""
    program = platform_program(members, economics, market)
    first = answer_signals(program, [flat_price(winter)])[0]
    later = answer_signals(program, [flat_price(winter, 0.2), flat_price(winter, -0.02), flat_price(winter)])[-1]
    np.testing.assert_allclose(first.exchange, later.exchange, atol=1e-4)
    assert first.own_cost == pytest.approx(later.own_cost, rel=1e-9)


def test_an_option_that_does_not_bind_changes_no_worth_of_coordination(indifferent, winter, economics):
    here = indifferent.cut(list(PLATFORMS))
    fleets = {p: here.fleet(p, winter) for p in PLATFORMS}
    transformers = {f"{p} MV/LV transformer": (400.0, 30000.0) for p in PLATFORMS}
    worth = []
    for options in ({}, {"north HV/MV transformer": (5000.0, 1.0)}, transformers):
        case = with_options(here, options) if options else here
        design = charged(["north"], 0.05)
        built = {f"reinforce {branch}": True for branch in options}
        (day,) = coordinate_days(case, winter, economics, fleets, type(design)(built, design.prices), Community(), SerialEngine())
        worth.append(day.outcomes["flat"].cost - day.outcomes["integrated"].cost)
    assert worth[0] > 1.0
    np.testing.assert_allclose(worth, worth[0], atol=0.05)
