"""What a community values beyond money: penalties on what crosses its boundary, on what members buy, and the cost of a transaction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram
from multiscale.system import Economics, Growth, LoadingLimits, grow
from tests.operation.linear_distflow import platform_model


@pytest.fixture(scope="module")
def fleet(system, summer):
    grown = grow(system, Growth(heat_pump_share=0.6, ev_share=0.5, pv_share=0.8, battery_share=0.4)).fleet("south 1", summer)
    return replace(grown, data=grown.data.assign(pv=4.0 * grown.data.pv))


@pytest.fixture(scope="module")
def mixed(system, summer):
    """Members some of whom always buy."""
    return grow(system, Growth(heat_pump_share=0.6, ev_share=0.5, pv_share=0.6, battery_share=0.4)).fleet("south 1", summer)


def solved(fleet, market, price=0.08):
    program = platform_program(fleet, Economics(), market)
    n = fleet.horizon.periods
    shape = price * (1.0 + 0.5 * np.sin(np.arange(n)))
    given = {"import_price": shape, "export_price": 0.5 * shape, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    return CompiledProgram(program).solve_optimal(given | {"planned": np.zeros(n), "deviation_price": 0.0})


def energy(solution, name):
    return float(solution.program.columns.values(name, solution.x).sum())


def test_without_settings_nothing_is_added(fleet):
    plain, preferred = (platform_program(fleet, Economics(), Community(preference=p)) for p in ("cost", "low_carbon"))
    assert "traded" not in plain.columns
    assert (plain.c0 != preferred.c0).sum() == fleet.horizon.periods


@pytest.mark.parametrize(
    ("settings", "column"),
    [
        ({"import_penalty": 0.2}, "import"),
        ({"export_penalty": 0.2}, "export"),
        ({"autonomy_penalty": 0.2}, "buy"),
        ({"preference": "low_carbon", "preference_weight": 0.2}, "import"),
    ],
)
def test_a_penalty_lowers_what_it_stands_on(fleet, settings, column):
    before, after = solved(fleet, Community()), solved(fleet, Community(**settings))
    assert energy(after, column) < energy(before, column) - 1e-3
    assert after.objective >= before.objective


def test_export_stays_possible_and_earns(fleet):
    """As printed in Chronis et al. (+beta with beta >= 0) nothing could be exported."""
    assert energy(solved(fleet, Community(import_penalty=0.05)), "export") > 1.0


def test_a_transaction_costs_both_sides(fleet):
    """The cost of the optimum grows by 2 c per kWh traded, for a small c."""
    before, after = solved(fleet, Community()), solved(fleet, Community(transaction_cost=1e-6))
    hours = fleet.horizon.hours_per_year
    traded = before.program.columns.values("buy", before.x).sum(axis=0) - before.program.columns.values("import", before.x)
    assert traded.min() >= -1e-6
    assert (after.objective - before.objective) / 1e-6 == pytest.approx(2.0 * float(hours @ traded), rel=1e-3)
    much = solved(fleet, Community(transaction_cost=0.5))
    assert energy(much, "traded") < 1e-6


@pytest.mark.parametrize("settings", [{"import_penalty": 0.1}, {"transaction_cost": 0.01, "autonomy_penalty": 0.02}, {"preference": "social"}])
def test_the_reduced_fleet_answers_as_the_members_do(mixed, settings):
    """What the planner sees is exactly the market that is operated, preferences included."""
    market = Community(**settings)
    reduced = market.reduced(mixed, Economics().tariff)
    assert reduced.size < mixed.size
    for price in (0.02, 0.1, 0.3):
        assert solved(reduced, market, price).objective == pytest.approx(solved(mixed, market, price).objective, rel=1e-9, abs=1e-6)


def test_a_single_member_prefers_as_well(fleet):
    """One participant that stands for a platform pays the penalty on its own import."""
    one = fleet.aggregate(np.full(fleet.size, "all"))
    program, plain = (platform_program(one, Economics(), m) for m in (Community(import_penalty=0.1), Community()))
    np.testing.assert_allclose((program.c0 - plain.c0)[program.columns["import"].positions], 0.1 * fleet.horizon.hours_per_year)


def test_it_is_the_energy_collective_written_out(system, winter, economics):
    """Chronis et al., eqs. 1b-1g, 3, 4 member by member (exports with the sign that permits them), on top of the platform written out in Pyomo."""
    fleet, network = system.fleet("north 1", winter), system.network("north 1")
    wave = 0.08 * (1.0 + 0.5 * np.sin(np.arange(winter.periods)))
    prices = {"import_price": wave, "export_price": 0.5 * wave, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    of_own, of_all, of_trade = 0.03, 0.04, 0.004
    market = Community(import_penalty=of_own + of_all, export_penalty=of_own, transaction_cost=of_trade)
    program = platform_program(fleet, economics, market, network=network)
    ours = CompiledProgram(program).solve_optimal(prices | {"planned": np.zeros(winter.periods), "deviation_price": 0.0})
    m = platform_model(fleet, network, economics, LoadingLimits(), prices)
    for name in ("alpha", "beta", "traded"):
        m.add_component(name, pyo.Var(m.I, m.T, bounds=(0, None)))
    more = 0.0
    for t in m.T:
        m.rows.add(sum(m.alpha[i, t] for i in m.I) == m.imported[t])
        m.rows.add(sum(m.beta[i, t] for i in m.I) == m.exported[t])
        for i in m.I:
            with_peers = m.buy[i, t] - m.sell[i, t] - m.alpha[i, t] + m.beta[i, t]
            m.rows.add(with_peers <= m.traded[i, t])
            m.rows.add(-with_peers <= m.traded[i, t])
            more += float(winter.hours_per_year[t]) * (of_trade * m.traded[i, t] + of_own * (m.alpha[i, t] + m.beta[i, t]))
        more += float(winter.hours_per_year[t]) * of_all * m.imported[t]
    m.cost.set_value(m.cost.expr + more)
    pyo.SolverFactory("appsi_highs").solve(m)
    assert ours.objective == pytest.approx(pyo.value(m.cost), rel=1e-7)
