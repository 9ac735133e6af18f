import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from multiscale.compare_mechanisms.feeder import feeder_table
from multiscale.coordination.publication.probabilistic import probabilistic_prices, violated_share
from multiscale.coordination.publication.relief import Relief, feeder_limits
from tests.coordination.feeders import feeder, net_load, scenarios

BUSES, PERIODS = 20, 6
UP = np.linspace(0.05, 0.20, PERIODS)


def publish(tree, drawn, *, spread=0.02, **more):
    """Prices of a feeder whose loads draw reactive power of a fifth of their forecast."""
    reactive = 0.2 * np.maximum(net_load(len(tree.buses), PERIODS), 0.0)
    return probabilistic_prices(tree, drawn, reactive, UP, UP - spread, value_of_lost_load=5.0, curtailment_cost=0.001, **more), reactive


@pytest.fixture(scope="module", params=list(itertools.product([0, 1], [0.6, 3.0])), ids=lambda p: f"seed {p[0]}, rating {p[1]}")
def case(request):
    seed, rating = request.param
    return feeder(BUSES, seed, rating), net_load(BUSES, PERIODS, seed)


def test_export_is_never_paid_more_than_import_costs(case):
    tree, mean = case
    for size in (0.0, 0.3):
        prices, _ = publish(tree, scenarios(mean, size, 30))
        assert (prices.export_price <= prices.import_price + 1e-12).all()


def test_under_certainty_the_gap_is_the_upstream_spread_and_losses(case):
    tree, mean = case
    prices, reactive = publish(tree, scenarios(mean, 0.0, 2), spread=0.03)
    np.testing.assert_allclose(prices.uncertainty, 0.0, atol=1e-12)
    np.testing.assert_allclose(prices.import_price - prices.export_price, 0.03 + 2 * prices.loss_price, atol=1e-12)
    # What the losses are priced at is what they cost: current squared times resistance in every branch.
    squared = tree.below(mean) ** 2 + tree.below(reactive) ** 2
    kw = (tree.resistance[:, None] * squared / (1000.0 * tree.vn_kv[:, None] ** 2))[1:].sum(axis=0)
    np.testing.assert_allclose((prices.loss_price * np.abs(mean)).sum(axis=0), UP * kw, rtol=1e-9)


def test_without_congestion_and_uncertainty_all_buses_see_the_upstream_price_and_losses():
    tree, mean = feeder(BUSES, rating=20.0), net_load(BUSES, PERIODS)
    prices, _ = publish(tree, scenarios(mean, 0.0, 2))
    np.testing.assert_allclose(prices.import_price - prices.loss_price, np.broadcast_to(UP, prices.import_price.shape), atol=1e-12)
    assert (prices.loss_price < 0.05 * UP).all()


def test_the_expected_surplus_of_the_operator_is_not_negative(case):
    tree, mean = case
    for size in (0.0, 0.1, 0.3):
        prices, _ = publish(tree, scenarios(mean, size, 40, seed=7))
        assert prices.surplus.mean(axis=0).min() >= -1e-9


def test_the_gap_grows_with_the_variance_of_the_forecast(case):
    tree, mean = case
    gaps = []
    for size in (0.0, 0.03, 0.1, 0.3):
        prices, _ = publish(tree, scenarios(mean, size, 40))
        gaps.append(prices.import_price - prices.export_price)
    steps = np.diff(np.array(gaps), axis=0)
    assert steps.min() >= -1e-9
    assert steps.max() > 1e-6


def test_fees_are_antisymmetric_up_to_losses_and_no_trade_is_worse_than_dealing_with_the_operator(case):
    tree, mean = case
    prices, _ = publish(tree, scenarios(mean, 0.1, 30))
    for t in range(PERIODS):
        fee = prices.fees(t)
        losses = fee + fee.T
        np.testing.assert_allclose(np.diag(fee), 0.0, atol=1e-12)
        assert losses.min() >= -1e-12
        # Losses between two buses are at most those of both to the root, and zero where no branch lies between.
        assert (losses <= 2 * (prices.loss_price[:, [t]] + prices.loss_price[:, t]) + 1e-12).all()
        room = prices.import_price[None, :, t] - prices.export_price[:, [t]] - fee
        np.fill_diagonal(room, 0.0)
        assert room.min() >= -1e-12


def test_the_congestion_price_is_the_slope_of_the_cost_of_relief():
    tree, mean = feeder(BUSES, rating=0.6), net_load(BUSES, PERIODS)
    prices, _ = publish(tree, scenarios(mean, 0.0, 2))
    t = int(prices.relief_cost[0].argmax())
    assert prices.relief_cost[0, t] > 0
    for bus in (3, BUSES - 1):
        cost = []
        for step in (-0.01, 0.01):
            moved = mean.copy()
            moved[bus, t] += step
            cost.append(publish(tree, scenarios(moved, 0.0, 2))[0].relief_cost[0, t])
        assert (cost[1] - cost[0]) / 0.02 == pytest.approx(prices.congestion[bus, t], rel=1e-5, abs=1e-7)


def test_the_cost_of_relief_is_that_of_another_solver_with_all_limits_at_once():
    tree, mean = feeder(BUSES, rating=0.6), net_load(BUSES, PERIODS)
    offer = Relief(np.array([3, 7, 7]), np.array([1.0, 1.0, -1.0]), np.array([20.0, 10.0, 10.0]), np.array([0.3, 0.5, 0.2]))
    drawn = scenarios(mean, 0.2, 10)
    prices, reactive = publish(tree, drawn, relief=offer)
    limits = feeder_limits(tree, reactive)
    bus = np.concatenate([offer.bus, np.arange(BUSES), np.arange(BUSES)])
    direction = np.concatenate([offer.direction, np.ones(BUSES), -np.ones(BUSES)])
    asked = np.concatenate([offer.cost, np.full(BUSES, 5.0), np.full(BUSES, 0.001)])
    most = [(0, a) for a in offer.amount] + [(0, None)] * (2 * BUSES)
    compared = 0
    for s, t in itertools.product(range(4), range(PERIODS)):
        cost = np.maximum(np.where(direction > 0, asked - (UP[t] - 0.02), asked + UP[t]), 0.0)
        excess = limits.matrix @ drawn[s, :, t] - limits.bound[:, t]
        found = linprog(cost, A_ub=-limits.matrix[:, bus] * direction, b_ub=-excess, bounds=most)
        assert prices.relief_cost[s, t] == pytest.approx(found.fun, rel=1e-6, abs=1e-6)
        compared += found.fun > 0
    assert compared > 5


def test_within_the_envelope_limits_are_kept_by_scenarios_that_were_never_seen(case):
    tree, mean = case
    prices, reactive = publish(tree, scenarios(mean, 0.2, 200))
    fresh = scenarios(mean, 0.2, 2000, seed=99)
    assert violated_share(tree, fresh, reactive, prices).mean() <= 0.01


def test_without_an_envelope_limits_would_be_exceeded():
    tree, mean = feeder(BUSES, rating=0.6), net_load(BUSES, PERIODS)
    drawn = scenarios(mean, 0.2, 200)
    prices, reactive = publish(tree, drawn)
    limits = feeder_limits(tree, reactive)
    exceeded = [(limits.matrix @ drawn[:, :, t].T > limits.bound[:, [t]]).any(axis=0).mean() for t in range(PERIODS)]
    assert max(exceeded) > 0.2
    assert prices.limited
    assert np.isfinite(prices.import_limit).any()


def test_losses_and_voltages_of_the_limits_are_those_of_lindistflow():
    tree, mean = feeder(6), net_load(6, PERIODS)
    limits = feeder_limits(tree, np.zeros((6, PERIODS)))
    low = [k for k, name in enumerate(limits.name) if name.endswith("voltage low")]
    drop = np.zeros(6)
    for i in range(1, 6):
        flow = mean[[j for j in range(6) if i in _path(tree, j)], 3].sum()
        drop[i] = drop[tree.feeder[i]] + 2 * tree.resistance[i] * flow / (1000 * 20.0**2)
    # Rows are scaled; the distance from the limit relative to the bound is not.
    for k, i in zip(low, range(1, 6), strict=True):
        assert (limits.matrix[k] @ mean[:, 3]) / limits.bound[k, 3] == pytest.approx(drop[i] / (1 - 0.95**2), rel=1e-9)


def _path(tree, bus):
    path = []
    while bus > 0:
        path.append(bus)
        bus = int(tree.feeder[bus])
    return path


def test_upstream_prices_that_cross_are_refused():
    tree, mean = feeder(5), net_load(5, PERIODS)
    with pytest.raises(ValueError, match=r"upstream export price 0.06 is above the import price 0.05 EUR/kWh in period 0"):
        publish(tree, scenarios(mean, 0.1, 4), spread=-0.01)


def test_scenarios_of_another_feeder_are_refused():
    with pytest.raises(ValueError, match="scenarios are of 5 buses"):
        publish(feeder(6), scenarios(net_load(5, PERIODS), 0.1, 4))


def test_gaps_of_the_networks_of_a_study_grow_with_the_forecast_error_and_pay_for_it(north_alone):
    """Rule and envelope on a network of a system instead of one made up: the comparison ``feeder``."""
    table = feeder_table(north_alone(2050.0), [0.0, 0.1, 0.2], scenarios=60)
    gap = table["mean gap [EUR/kWh]"].to_numpy()
    assert gap[0] > 0
    assert (np.diff(gap) > 0).all()
    assert (table["least expected surplus [EUR/h]"] >= -1e-6).all()
    assert (table["over a limit out of sample"] <= 0.02).all()


def test_an_upstream_price_that_is_not_a_number_is_refused():
    unknown = np.where(np.arange(PERIODS) == 2, np.nan, 0.02)
    with pytest.raises(ValueError, match=r"upstream export price nan EUR/kWh in period 2 is not a finite number"):
        publish(feeder(5), scenarios(net_load(5, PERIODS), 0.1, 4), spread=unknown)
