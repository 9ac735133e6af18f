"""Losses in dispatch: nodal prices are slopes of the cost, their losses are those of an AC power flow, and nothing is lost twice or unpaid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from multiscale.assessment import ENERGY_TERMS, energy_account
from multiscale.assessment.bills import prosumer_bills
from multiscale.assessment.payments import platform_payments
from multiscale.assessment.trading import LOSSES, NOT_NETTED, pool_prices, trade_book
from multiscale.coordination.common.conflicts import refused_by_distribution
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.loss_points import with_loss_points
from multiscale.coordination.common.simulation import _RollingPlatform
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Dispatch
from multiscale.markets.nodal_prices import PRICE_PARTS, price_parts
from multiscale.operation import operating_tree
from multiscale.operation.clearing import BEYOND_DEVICES
from multiscale.operation.losses import LOWEST_VOLTAGE, Losses, NegativeResistanceError, largest_losses, loss_factor
from multiscale.operation.platform import located, most_lost
from multiscale.operation.platforms import PlatformData
from multiscale.operation.radial import RadialTree
from multiscale.programs import CompiledProgram
from multiscale.system import Economics, Growth, LoadingLimits, grow
from multiscale.verification.ac import ac_power_flow
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.pandapower_flow import pandapower_power_flow
from tests.operated import coordinate_days
from tests.variants import changed, charged

PLATFORM = "south 1"
ENERGY, LOST, CONGESTION, VOLTAGE = range(len(PRICE_PARTS))


@pytest.fixture(scope="module")
def grown(system):
    return grow(system, Growth(heat_pump_share=0.6, ev_share=0.5, pv_share=0.6, battery_share=0.3))


def given(periods):
    """Prices of energy from above; nothing is agreed."""
    price = 0.12 * (1.0 + 0.5 * np.sin(np.arange(periods)))
    free = {"network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7, "planned": np.zeros(periods), "deviation_price": 0.0}
    return {"import_price": price, "export_price": 0.8 * price} | free


def weak(system, rating=None, band=None, parallel=False):
    """The platform with thin cables, so that much is lost; one of them of two parallel ones, that is a loop."""
    mine = system.branches.branch.values[system.branches.node.values == PLATFORM].tolist()
    system = changed(system, "branches", "r_ohm", {b: 0.12 + 0.02 * k for k, b in enumerate(mine)})
    if rating is not None:
        system = changed(system, "branches", "rating_kva", {mine[-1]: rating})
    buses = system.buses.bus.values[system.buses.node.values == PLATFORM].tolist()
    system = changed(system, "buses", "v_min_pu", dict.fromkeys(buses, 0.8 if band is None else 1.0 - band))
    if parallel:
        names = system.branches.branch.values.astype(object)
        twin = system.branches.isel(branch=[int(np.flatnonzero(names == mine[0])[0])]).assign_coords(branch=[f"{mine[0]} twin"])
        twin["r_ohm"] = twin.r_ohm * 3.0
        both = {name: (("branch",), np.concatenate([system.branches[name].values, twin[name].values]), system.branches[name].attrs) for name in twin}
        system = system.replace(branches=xr.Dataset(both, coords={"branch": np.concatenate([names, twin.branch.values])}))
    return system


def solved(system, horizon, accuracy=1e-4, rounds=25):
    data = PlatformData(system.fleet(PLATFORM, horizon), Economics(), Dispatch(), system.network(PLATFORM), losses=Losses(accuracy, rounds))
    data = with_loss_points(data, given(horizon.periods))
    found = CompiledProgram(data.program()).solve_optimal(given(horizon.periods))
    return data, found, data.loss_state(found.program, found.x)


CASES = {"a cable binds": {"rating": 6.0}, "a voltage binds": {"band": 0.03}, "parallel cables": {"parallel": True}}


@pytest.mark.parametrize("case", CASES)
def test_a_nodal_price_is_the_slope_of_the_cost_and_the_sum_of_its_parts(grown, winter, case):
    _, found, _ = solved(weak(grown, **CASES[case]), winter, accuracy=1e-2, rounds=8)
    hours, price = winter.hours_per_year, pool_prices(found.program, found.y)
    parts = price_parts(found.program, found.y)
    np.testing.assert_allclose(parts.sum(axis=0) / hours, price / hours, atol=1e-9)
    assert np.abs(parts[LOST] / hours).max() > 1e-3
    binding = {"a cable binds": CONGESTION, "a voltage binds": VOLTAGE}.get(case)
    assert all((np.abs(parts[k] / hours).max() > 1e-3) == (k == binding) for k in (CONGESTION, VOLTAGE))
    # A price is the slope of the cost on either side, or between both where the cost has a corner.
    rng, rows = np.random.default_rng(0), found.program.rows["prosumer_balance"].positions
    for member, period in zip(rng.integers(rows.shape[0], size=3), rng.integers(rows.shape[1], size=3), strict=True):
        slopes, step = [], 1e-3
        for sign in (1.0, -1.0):
            b0 = found.program.b0.copy()
            b0[rows[member, period]] += sign * step
            moved = CompiledProgram(replace(found.program, b0=b0)).solve_optimal(given(winter.periods))
            slopes.append(sign * (moved.objective - found.objective) / step)
        scale = 1e-6 * max(np.abs(slopes))
        assert min(slopes) - scale <= price[member, period] <= max(slopes) + scale


@pytest.mark.parametrize("parallel", [pytest.param(False, marks=pytest.mark.slow), True])
def test_losses_and_their_slopes_are_those_of_an_ac_power_flow(grown, winter, parallel):
    """pandapower's losses of the same injections, and the difference that one kWh more makes to them, as a share of the price."""
    system = weak(grown, parallel=parallel)
    data, found, state = solved(system, winter)
    fleet, columns = data.fleet, found.program.columns
    net = columns.values("buy", found.x) - columns.values("sell", found.x)
    buses, place = np.unique(fleet.data.bus.values.astype(str), return_inverse=True)

    def lost(extra, compute):
        p, q = np.zeros((2, len(buses), winter.periods))
        np.add.at(p, place, net + extra)
        np.add.at(q, place, fleet.data.reactive.values)
        drawn = xr.Dataset({"p": (("bus", "period"), p), "q": (("bus", "period"), q)}, coords={"bus": buses, "period": winter.labels})
        return ac_power_flow(system, [PLATFORM], winter, drawn, slack_voltage_pu=1.0, compute=compute).losses.values

    alone = lost(0.0, pandapower_power_flow)
    assert alone.sum() / np.abs(net).sum() > 0.01
    np.testing.assert_allclose(state.counted.sum(axis=0), alone, rtol=0.03, atol=1e-3)
    assert state.counted.sum() == pytest.approx(alone.sum(), rel=0.02)
    hours = winter.hours_per_year
    parts = price_parts(found.program, found.y) / hours
    for member in range(0, fleet.size, 2):
        extra, step = np.zeros(net.shape), 0.01
        extra[member] = step
        slope = (lost(extra, batch_power_flow) - lost(-extra, batch_power_flow)) / (2 * step)
        # What is lost of one kWh that arrives is drawn at the root's price.
        np.testing.assert_allclose(parts[LOST, member] / parts[ENERGY, member], slope, atol=0.1 * np.abs(slope).max() + 2e-3)


def test_tangents_end_at_the_quadratic_losses_and_bound_their_cost_from_below(grown, winter):
    system, costs, short = weak(grown), [], []
    for rounds in (0, 2, 15):
        _, found, state = solved(system, winter, rounds=rounds)
        costs.append(found.objective)
        short.append(float(state.missing.sum() / state.quadratic.sum()))
        assert state.excess.max() <= 1e-9
    assert costs[0] < costs[1] <= costs[2] * (1 + 1e-9)
    assert short[0] > 0.05
    assert short[2] <= 1e-4


def test_where_nothing_is_lost_it_is_the_dispatch_without_losses(grown, winter):
    mine = grown.branches.branch.values[grown.branches.node.values == PLATFORM].tolist()
    system = changed(grown, "branches", "r_ohm", dict.fromkeys(mine, 0.0))
    _, found, state = solved(system, winter)
    plain = PlatformData(system.fleet(PLATFORM, winter), Economics(), Dispatch(losses=False), system.network(PLATFORM))
    assert state is None
    assert found.objective == pytest.approx(CompiledProgram(plain.program()).solve_optimal(given(winter.periods)).objective, rel=1e-9)


def test_a_resistance_below_zero_is_named(grown, winter):
    mine = grown.branches.branch.values[grown.branches.node.values == PLATFORM].tolist()
    system = changed(grown, "branches", "r_ohm", {mine[0]: -0.01})
    own = located(system.fleet(PLATFORM, winter), system.network(PLATFORM), LoadingLimits(), 1.0)
    with pytest.raises(NegativeResistanceError, match=r"r_ohm is -0.01 ohm.*market.losses=false"):
        loss_factor(own.tree)


def chain(resistance, rating):
    """A cable of several sections of 0.4 kV, fed at one end."""
    n = len(resistance)
    bus, ones = np.arange(n), np.ones(n)
    none = 0.0 * ones
    return RadialTree(
        node="cable", buses=bus, feeder=bus - 1, rating=np.array([np.inf, *rating[1:]]), load_share=ones, feed_in_share=ones,
        resistance=resistance, reactance=none, vn_kv=0.4 * ones, v_min=none, v_max=2.0 * ones, charging=none, boost=none,
        reference=bus == 0, held=ones, v_reference=ones[:, None], members=tuple((str(i),) for i in bus.tolist()),
    )  # fmt: skip


def lost_at(tree, drawn, reactive):
    """Losses at which the flows are those of the quadratic function at the lowest voltage, found from no losses upwards; infinite where none are."""
    factor = (tree.resistance / (1000.0 * tree.vn_kv**2 * LOWEST_VOLTAGE**2))[:, None]
    losses = np.zeros(drawn.shape)
    for _ in range(20_000):
        flow = tree.below(drawn + losses)
        new = factor * (flow**2 + tree.below(reactive) ** 2)
        new[0] = 0.0
        if not np.isfinite(new).all() or new.max() > 1e6:
            return np.full(drawn.shape, np.inf), flow
        if np.abs(new - losses).max() <= 1e-12 * (1.0 + new.max()):
            return new, tree.below(drawn + new)
        losses = new
    return np.full(drawn.shape, np.inf), flow


def test_no_schedule_within_the_ratings_loses_more_than_the_largest_losses():
    rng, near_the_end, limited = np.random.default_rng(5), 0, 0
    for _ in range(60):
        tree = chain(rng.uniform(0.05, 0.6, 4), rng.uniform(20.0, 400.0, 4))
        low, high, reactive = -rng.uniform(0.0, 40.0, (4, 1)), rng.uniform(0.0, 60.0, (4, 1)), rng.uniform(-5.0, 5.0, (4, 1))
        most = largest_losses(tree, low, high, reactive)
        limit = np.maximum(*tree.usable(tree.below(reactive)))
        for share in [*rng.uniform(size=(15, 4, 1)), *(k * np.ones((4, 1)) for k in np.linspace(0.0, 1.0, 15))]:
            losses, flow = lost_at(tree, low + share * (high - low), reactive)
            if not np.isfinite(losses).all() or (np.abs(flow[1:]) > limit[1:]).any():
                continue
            assert (losses <= most * (1 + 1e-9) + 1e-12).all()
            # Where more than a third of the power sent is lost, half as much again as what arrives is not enough.
            near_the_end += bool((losses[1:] > flow[1:] / 3.0).any())
        limited += bool((most[1:] > 0.25 * 1000.0 * 0.16 * LOWEST_VOLTAGE**2 / tree.resistance[1:, None]).any())
    assert near_the_end > 0
    assert limited > 0


def test_the_largest_losses_are_those_of_the_largest_demand():
    tree, reactive = chain(np.full(4, 0.1), np.full(4, 1e6)), np.full((4, 1), 2.0)
    low, high = np.zeros((4, 1)), np.full((4, 1), 7.0)
    losses, _ = lost_at(tree, high, reactive)
    np.testing.assert_allclose(largest_losses(tree, low, high, reactive), losses, rtol=1e-9)


def test_where_energy_has_a_price_below_zero_losses_and_exchange_stay_within_what_is_declared(grown, winter):
    """Losses are a use of energy that is paid for there: no more of it than redundant ratings, parents and the DSO's network count on."""
    system = weak(grown)
    data = PlatformData(system.fleet(PLATFORM, winter), Economics(), Dispatch(), system.network(PLATFORM), losses=Losses(0.01, 12))
    network = located(data.fleet, data.network, LoadingLimits(), 1.0)
    paid = given(winter.periods) | {"import_price": np.full(winter.periods, -0.3), "export_price": np.full(winter.periods, -0.35)}
    found = CompiledProgram(data.program()).solve_optimal(paid)
    state = data.loss_state(found.program, found.x)
    assert state.excess.max() > 0.0
    low, high = network.at_buses(-data.fleet.largest_supply(), data.fleet.largest_consumption())
    most = largest_losses(network.tree, low, high, network.reactive)
    assert (state.counted <= most[state.branches] * (1 + 1e-9) + 1e-9).all()
    assert (state.flow <= network.tree.usable(network.tree.below(network.reactive))[0][state.branches] + 1e-6).all()
    exchange = found.program.outputs["exchange"].matrix @ found.x
    declared = data.fleet.largest_consumption().sum(axis=0) + most_lost(data.fleet, data.network, data.limits)
    assert (exchange <= declared + BEYOND_DEVICES * data.fleet.size).all()


def test_what_is_lost_belongs_to_what_a_platform_may_draw(system, winter, economics):
    """Customers without devices draw their demand, and their platform the losses beyond it."""
    here = changed(weak(system), "branches", "rating_kva", {f"{PLATFORM} MV/LV transformer": 250.0}).cut([PLATFORM])
    fleet = here.fleet(PLATFORM, winter)
    for name in ("pv", "battery_power", "battery_energy", "ev", "ev_power", "heat_pump", "heat_pump_power", "heat_need"):
        fleet.data[name][:] = 0.0
    fleet.data["demand"][:] = 4.0 * fleet.data["demand"]
    tree = operating_tree(here, winter, economics, {PLATFORM: fleet}, charged(["south"], 0.05), Dispatch())
    found = CompiledProgram(tree.platforms[PLATFORM]).solve_optimal(given(winter.periods))
    exchange = found.program.outputs["exchange"].matrix @ found.x
    assert (exchange - fleet.largest_consumption().sum(axis=0)).max() > BEYOND_DEVICES * fleet.size
    assert (exchange <= _RollingPlatform(tree.platforms[PLATFORM], fleet).bounds()[1]).all()
    assert refused_by_distribution(tree, "south", {PLATFORM: exchange}) == []


def test_in_the_hierarchy_losses_are_drawn_and_paid_for_once(grown, winter, economics):
    platforms = [PLATFORM, "south 2"]
    here = weak(grown).cut(platforms)
    fleets = {p: here.fleet(p, winter) for p in platforms}
    day, other = (
        coordinate_days(here, winter, economics, fleets, charged(["south"], 0.05), market, SerialEngine(), references=False)[0]
        for market in (Dispatch(), Dispatch(losses=False))
    )
    (outcome,), (without,) = day.outcomes.values(), other.outcomes.values()
    for platform in platforms:
        book, owed = trade_book(day.tree, platform, outcome), platform_payments(day.tree, platform, outcome)
        assert prosumer_bills(day.tree, platform, outcome).sum() == pytest.approx(sum(owed.values()), rel=1e-9)
        assert max(book.money_residual, book.energy_residual) <= 1e-9
        assert abs(book.owed[NOT_NETTED]) <= 1e-6
        account, residual = energy_account(day.tree, platform, outcome)
        account = dict(zip(ENERGY_TERMS, account, strict=True))
        assert residual <= 1e-9
        assert account["network losses"] == pytest.approx(float((winter.hours_per_year * day.tree.platforms.data[platform].loss_state(
            day.tree.platforms[platform], outcome.platform_x[platform]).counted.sum(axis=0)).sum()))  # fmt: skip
        paid = book.owed[LOSSES] / account["network losses"] if account["network losses"] > 1e-6 else 0.0
        price = outcome.platform_price[platform]
        assert price.min() <= paid <= price.max() or paid == 0.0
        assert LOSSES not in trade_book(other.tree, platform, without).owed
    assert outcome.exchange[PLATFORM].sum() > without.exchange[PLATFORM].sum()
    tree = day.tree
    assert integrated_optimum(tree).cost <= outcome.cost * (1 + 1e-9)
