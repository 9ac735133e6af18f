import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from scipy.optimize import linprog

from multiscale.operation import Transmission
from multiscale.operation.direct_current import direct_current_model
from multiscale.operation.transmission_program import Monitored, at_period, period_program
from multiscale.timeline import Horizon
from tests.made_once import empty_network
from tests.variants import changed


@pytest.fixture(scope="module")
def transmission(system, winter, economics):
    return Transmission(system, winter, economics)


def drawn(transmission, kw=2000.0):
    return np.full((len(transmission.children), transmission.horizon.periods), kw)


def test_flows_equal_those_of_pandapower(system):
    """DC power flow of random balanced injections on the meshed five-bus network."""
    network = system.network("transmission")
    model = direct_current_model(network)
    injection = np.random.default_rng(0).normal(scale=2e4, size=len(model.buses))
    injection -= injection.mean()
    net = empty_network()
    bus = {str(b): pp.create_bus(net, vn_kv=110.0) for b in model.buses}
    pp.create_ext_grid(net, bus[str(model.buses[0])])
    for name, power in zip(model.buses[1:].tolist(), injection[1:].tolist(), strict=True):
        pp.create_sgen(net, bus[name], p_mw=power / 1e3)
    for k in range(network.active.sizes["branch"]):
        b = network.active.isel(branch=k)
        per_km = {"r_ohm_per_km": 0.0, "x_ohm_per_km": float(b.x_ohm), "c_nf_per_km": 0.0}
        pp.create_line_from_parameters(net, bus[b.from_bus.item()], bus[b.to_bus.item()], length_km=1.0, max_i_ka=1.0, **per_km)
    pp.rundcpp(net)
    np.testing.assert_allclose(model.flows(injection), 1e3 * net.res_line.p_from_mw.values, rtol=1e-8, atol=1e-6)


def test_transfer_factors_give_the_flows(system):
    model = direct_current_model(system.network("transmission"))
    injection = np.array([3.0, -1.0, 2.0, -5.0, 1.0])
    factors = model.transfer_factors(np.arange(len(model.branches)))
    np.testing.assert_allclose(factors @ injection, model.flows(injection), atol=1e-10)


def full_problem(transmission, t, exchange):
    """Dispatch of one period with voltage angles and every branch limit, for another solver: cost [EUR/h] and nodal prices."""
    model, economics, generators = transmission.model, transmission.economics, transmission.system.generators
    g, n, p, c = len(transmission.generator_bus), len(model.buses), len(transmission.passive_bus), len(transmission.child_bus)
    incidence = np.zeros((len(model.branches), n))
    rows = np.arange(len(model.branches))
    incidence[rows, model.start], incidence[rows, model.end] = 1.0, -1.0
    flow = model.susceptance[:, None] * incidence
    inject = np.zeros((n, g + 2 * p + 2 * c))
    inject[transmission.generator_bus, np.arange(g)] = 1.0
    inject[transmission.passive_bus, g + np.arange(p)] = 1.0
    inject[transmission.passive_bus, g + p + np.arange(p)] = -1.0
    inject[transmission.child_bus, g + 2 * p + np.arange(c)] = 1.0
    inject[transmission.child_bus, g + 2 * p + c + np.arange(c)] = -1.0
    need = np.zeros(n)
    np.add.at(need, transmission.passive_bus, transmission.demand[:, t] - transmission.renewable[:, t])
    np.add.at(need, transmission.child_bus, exchange)
    voll = economics.value_of_lost_load
    spill, running = transmission.system.curtailment_cost, generators.cost_eur_per_kwh.values
    cost = np.concatenate([running, np.full(p, voll), np.full(p, spill), np.full(2 * c, voll), np.zeros(n)])
    upper = [*transmission.largest_output[:, t], *transmission.demand[:, t], *transmission.renewable[:, t], *[None] * (2 * c)]
    bounds = [(0, u) for u in upper] + [(0, 0)] + [(None, None)] * (n - 1)
    wide = np.hstack([np.zeros((len(rows), inject.shape[1])), flow])
    found = linprog(
        cost,
        A_ub=np.vstack([wide, -wide]),
        b_ub=np.concatenate([model.limit, model.limit]),
        A_eq=np.hstack([inject, -incidence.T @ flow]),
        b_eq=need,
        bounds=bounds,
    )
    return found.fun, found.eqlin.marginals[transmission.child_bus]


def test_limits_added_on_demand_give_the_optimum_with_all_limits(system, winter, economics):
    transmission = Transmission(system, winter, economics)
    exchange = drawn(transmission) + np.arange(winter.periods) * 150.0
    dispatch = transmission.dispatch(exchange)
    hours = winter.hours_per_year
    for t in range(winter.periods):
        cost, price = full_problem(transmission, t, exchange[:, t])
        assert dispatch.cost[t] == pytest.approx(cost * hours[t], rel=1e-9)
        np.testing.assert_allclose(dispatch.price[:, t], price, rtol=1e-6)
    assert (np.abs(dispatch.flow) <= transmission.model.limit[:, None] * (1 + 1e-6)).all()


@pytest.mark.parametrize("kw", [60_000.0, -80_000.0])
def test_what_is_refused_at_a_boundary_flows_nowhere(system, winter, economics, kw):
    """Supply that is refused, and feed-in, unload the lines to the node: their limits are found as for anything else."""
    transmission = Transmission(system, winter, economics)
    one = np.zeros((len(transmission.children), winter.periods))
    one[0] = kw
    dispatch = transmission.dispatch(one)
    for t in range(0, winter.periods, 4):
        cost, _ = full_problem(transmission, t, one[:, t])
        assert dispatch.cost[t] == pytest.approx(cost * winter.hours_per_year[t], rel=1e-9)
    assert (np.abs(dispatch.flow) <= transmission.model.limit[:, None] * (1 + 1e-9)).all()


def test_a_dispatch_proves_no_more_than_the_best_one_costs(system, winter, economics):
    """Two large generators whose costs differ by less than the tolerance of a solver: the bound counts on the cheaper one at every exchange."""
    near = {u: {"cost_eur_per_kwh": 0.03, "p_max_kw": 3e7} for u in ("alta", "park city")}
    near["park city"]["cost_eur_per_kwh"] += 1e-11
    tied = system
    for column in ("cost_eur_per_kwh", "p_max_kw"):
        tied = changed(tied, "generators", column, {u: values[column] for u, values in near.items()})
    transmission = Transmission(tied, winter, economics)
    dispatch = transmission.dispatch(drawn(transmission))
    assert (dispatch.bound <= dispatch.cost * (1 + 1e-13)).all()
    other = drawn(transmission, 500.0)
    tangent = dispatch.bound + winter.hours_per_year * (dispatch.price * (other - drawn(transmission))).sum(axis=0)
    for t in range(0, winter.periods, 4):
        cost, _ = full_problem(transmission, t, other[:, t])
        assert tangent[t] <= cost * winter.hours_per_year[t] * (1 + 1e-12)


def test_prices_differ_across_a_congested_line(transmission):
    dispatch = transmission.dispatch(drawn(transmission))
    line = transmission.model.branches.tolist().index("line D-E")
    congested = np.abs(dispatch.flow[line]) > transmission.model.limit[line] * (1 - 1e-6)
    assert congested.any()
    spread = dispatch.price.max(axis=0) - dispatch.price.min(axis=0)
    assert (spread[congested] > 1e-3).all()


def test_without_congestion_there_is_one_price_that_of_the_last_unit_in_merit_order(system, winter, economics):
    wide = changed(system, "branches", "rating_kva", {"line D-E": 1e6, "line A-B": 1e6})
    transmission = Transmission(wide, winter, economics)
    dispatch = transmission.dispatch(drawn(transmission))
    np.testing.assert_allclose(dispatch.price, dispatch.price[:1].repeat(3, axis=0), rtol=1e-9)
    units = wide.generators
    order = np.argsort(units.cost_eur_per_kwh.values)
    total = dispatch.generation.sum(axis=0)
    for t in range(winter.periods):
        left = total[t]
        for k in order:
            power = min(left, float(units.p_max_kw[k]))
            assert dispatch.generation[k, t] == pytest.approx(power, abs=1e-5)
            if 1e-6 < power < float(units.p_max_kw[k]) - 1e-6:
                assert dispatch.price[0, t] == pytest.approx(float(units.cost_eur_per_kwh[k]), rel=1e-9)
            left -= power


def test_price_is_the_cost_of_one_kw_more(transmission):
    exchange = drawn(transmission)
    base, hours = transmission.dispatch(exchange), transmission.horizon.hours_per_year
    for node in range(3):
        more = exchange.copy()
        more[node] += 1.0
        np.testing.assert_allclose((transmission.dispatch(more).cost - base.cost) / hours, base.price[node], rtol=1e-5)


def test_power_is_balanced(transmission):
    exchange = drawn(transmission)
    dispatch = transmission.dispatch(exchange)
    supply = dispatch.generation.sum(axis=0) + transmission.renewable.sum(axis=0) - dispatch.curtailed + dispatch.unserved
    np.testing.assert_allclose(supply, transmission.demand.sum(axis=0) + exchange.sum(axis=0), rtol=1e-9)


def test_scarcity_is_priced_at_the_value_of_lost_load(transmission, economics):
    np.testing.assert_allclose(transmission.dispatch(drawn(transmission, 60e3)).price.max(axis=0), economics.value_of_lost_load, rtol=1e-6)


def test_prices_are_those_of_the_dispatch(system, winter, economics):
    """Each from an object that has solved nothing, and with limits that bind."""
    one, other = (Transmission(system, winter, economics) for _ in range(2))
    for power in (2000.0, 15e3):
        np.testing.assert_array_equal(one.prices(drawn(one, power)), other.dispatch(drawn(other, power)).price)


def test_surplus_is_refused_at_the_boundary(transmission):
    dispatch = transmission.dispatch(drawn(transmission, -80e3))
    assert (dispatch.price <= 0).all()
    assert np.isfinite(dispatch.cost).all()


def test_learned_limits_change_nothing_but_the_way(system, winter, economics, transmission):
    other = Transmission(system, winter, economics)
    transmission.dispatch(drawn(transmission))
    other.learn(transmission)
    one, two = (t.dispatch(drawn(t)) for t in (transmission, other))
    np.testing.assert_allclose(one.cost, two.cost, rtol=1e-12)
    np.testing.assert_allclose(one.price, two.price, rtol=1e-9)


def test_other_limits_learned_after_own_work_are_kept(system, winter, economics):
    """As many limits as before, but of another line: programs made for the old ones must not be taken for those of the new."""
    elsewhere = changed(system, "branches", "rating_kva", {"line D-E": 1e6, "line A-B": 5e3})
    pushed = np.zeros((3, winter.periods))
    pushed[0] = 15e3
    own, other, fresh = (Transmission(s, winter, economics) for s in (system, elsewhere, system))
    for _ in range(2):  # the second time every period has its program with the limit
        own.dispatch(drawn(own))
    other.dispatch(pushed)
    names = [t.model.branches[np.concatenate(t._monitored.branches)].tolist() for t in (own, other)]
    assert names == [["line D-E"], ["line A-B"]]
    own.learn(other)
    dispatch = own.dispatch(pushed)
    assert (np.abs(dispatch.flow) <= own.model.limit[:, None] * (1 + 1e-6)).all()
    np.testing.assert_allclose(dispatch.cost, fresh.dispatch(pushed).cost, rtol=1e-9)


def test_the_program_of_another_period_is_that_made_for_it(system, winter, economics):
    """The same numbers and, row by row, the same matrix, whichever period the program was made for."""
    network = Transmission(system, winter, economics)
    monitored = Monitored.of(network.model, np.arange(3), np.arange(1, 3))
    first = period_program(network, 0, monitored)
    for t in range(1, winter.periods):
        made, taken = period_program(network, t, monitored), at_period(first, network, t, monitored)
        assert abs(made.A - taken.A).sum() == 0
        for name in ("lower", "upper", "c0", "b0", "equality"):
            np.testing.assert_array_equal(getattr(made, name), getattr(taken, name))


def test_the_dispatch_without_nodes_below_is_taken_over_where_nothing_else_differs(system, economics):
    """For one day of two; not for a day that counts otherwise."""
    days = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-20")), (100.0, 266.0), 4.0)
    both = Transmission(system, days, economics)
    one, alone = (Transmission(system.restricted(days.day(1)), days.day(1), economics) for _ in range(2))
    one.learn(both)
    np.testing.assert_allclose(one.idle_cost, alone.idle_cost, rtol=1e-9)
    other = Transmission(system, Horizon((days.days[1],), (99.0,), 4.0), economics)
    other.learn(both)
    np.testing.assert_allclose(other.idle_cost, alone.idle_cost * 99.0 / 266.0, rtol=1e-9)


def test_a_branch_without_reactance_is_named(system):
    short = changed(system, "branches", "x_ohm", {"line A-E": 0.0})
    with pytest.raises(ValueError, match="branch 'line A-E': reactance 0 ohm"):
        direct_current_model(short.network("transmission"))


def test_a_network_in_two_parts_is_balanced_in_each(system, winter, economics):
    """Bus B alone: its town has no supply, and its price is the value of lost load; all other buses are unaffected."""
    apart = changed(system, "branches", "in_service", {"line A-B": False, "line B-C": False})
    transmission = Transmission(apart, winter, economics)
    dispatch = transmission.dispatch(drawn(transmission, 1000.0))
    at = transmission.children.index("north")
    np.testing.assert_allclose(dispatch.price[at], economics.value_of_lost_load, rtol=1e-9)
    assert (np.delete(dispatch.price, at, axis=0) < 1.0).all()
    city = transmission.demand[transmission.passive_bus == transmission.model.buses.tolist().index("bus B")].sum(axis=0)
    rest = transmission.dispatch(drawn(transmission, 1000.0) * np.array([[0.0], [1.0], [1.0]])).cost
    np.testing.assert_allclose(dispatch.cost - rest, economics.value_of_lost_load * 1000.0 * winter.hours_per_year, rtol=1e-9)
    assert (rest > economics.value_of_lost_load * city * winter.hours_per_year * (1 - 1e-9)).all()


def test_what_nodes_below_draw_moves_the_dispatch_along_its_vertex(system, winter, economics):
    """From the dispatch without them, as another object found it: the cost and prices of a solve, and only where the vertex ends a solve."""
    known = Transmission(system, winter, economics)
    basis = known.idle_basis
    assert basis.shape[1] == winter.periods
    solved = []
    for kw in (0.0, 50.0, 2000.0, 20000.0):
        near, anew = Transmission(system, winter, economics), Transmission(system, winter, economics)
        near.learn(known)
        one, other = near.dispatch(drawn(near, kw)), anew.dispatch(drawn(anew, kw))
        np.testing.assert_allclose(one.cost, other.cost, rtol=1e-9)
        np.testing.assert_allclose(one.price, other.price, rtol=1e-9)
        solved.append(near._compiled is not None)
    assert not solved[0]
    assert solved[-1]
    again = near.dispatch(drawn(near, 20000.0))
    np.testing.assert_array_equal(again.cost, near.dispatch(drawn(near, 20000.0)).cost)


def test_bases_of_other_limits_are_not_taken(system, winter, economics):
    """They know limits by number only."""
    known = Transmission(system, winter, economics)
    assert known.idle_basis is not None
    elsewhere = Transmission(changed(system, "branches", "rating_kva", {"line D-E": 1e6, "line A-B": 5e3}), winter, economics)
    pushed = np.zeros((3, winter.periods))
    pushed[0] = 15e3
    elsewhere.dispatch(pushed)
    known.learn(elsewhere)
    fresh = Transmission(system, winter, economics)
    np.testing.assert_allclose(known.dispatch(drawn(known)).cost, fresh.dispatch(drawn(fresh)).cost, rtol=1e-9)
