"""Trades add up to what was metered, and every row is balanced; pricing rules share what is saved and change nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.config import ConfigError, load_config
from multiscale.markets import MARKETS, Community, PositionError, Positions, TimeOfUse, TradeError, Trades
from multiscale.markets.positions import METER_RESOLUTION
from multiscale.markets.pricing import PRICING, MidMarketRate, PayAsBid, PayAsClear, TwoSidedUniform

RETAIL, FEED_IN = 0.119, 0.069


def positions(net, retail=RETAIL, feed_in=FEED_IN, fee=0.0, **orders):
    """Positions of members [kWh], (member, period), at flat prices; the value of a member is that of the side that is short."""
    net = np.asarray(net, dtype=float)
    members, periods = net.shape
    price = np.where(net.sum(axis=0) > 0, retail - fee, feed_in)
    value = np.where(net > 0, price + fee, price)
    flat = [np.full(periods, p) for p in (0.05, 0.05, retail, feed_in, fee)]
    names = np.array([f"m{k}" for k in range(members)])
    return Positions(names, np.array([f"t{k}" for k in range(periods)]), net, value, *flat, np.ones(periods), **orders)


def random_positions(seed=0, fee=0.0, **orders):
    rng = np.random.default_rng(seed)
    net = rng.normal(size=(9, 40)) * rng.integers(0, 2, size=(9, 40))
    net[:, 0], net[:, 1], net[:, 2] = 0.0, np.abs(net[:, 1]) + 0.1, -np.abs(net[:, 2]) - 0.1
    return positions(net, fee=fee, **orders)


def average(trades, side, kwh):
    """What members that take (or deliver) pay (or receive) per kWh [EUR/kWh]."""
    return abs(trades.paid()[: trades.outside][side].sum()) / kwh


@pytest.mark.parametrize(
    ("kind", "taken", "delivered", "sell", "buy"),
    [
        ("mid_market_rate", 100, 60, 0.094, 0.104),
        ("supply_demand_ratio", 100, 60, 0.0829394, 0.0973636),
        ("mid_market_rate", 100, 150, 0.0856667, 0.094),
        ("mid_market_rate", 4, 3, None, 0.10025),
        ("supply_demand_ratio", 4, 3, 0.0770986, 0.0875739),
    ],
)
def test_published_prices_of_rules(kind, taken, delivered, sell, buy):
    """Long et al. 2017 and Liu et al. 2017 at 0.119 and 0.069 EUR/kWh; two who take and two who deliver."""
    found = Community(pricing=kind).clear(positions([[0.3 * taken], [0.7 * taken], [-0.6 * delivered], [-0.4 * delivered]]))
    assert average(found, slice(0, 2), taken) == pytest.approx(buy, abs=1e-6)
    if sell is not None:
        assert average(found, slice(2, 4), delivered) == pytest.approx(sell, abs=1e-6)


def test_shares_of_the_saving_of_three_members():
    """Net +3, -2, -2 kWh: alone they pay 0.150 EUR more than together; each rule splits it as computed by hand."""
    state = positions([[-3.0], [2.0], [2.0]])
    alone = np.array([-3 * FEED_IN, 2 * RETAIL, 2 * RETAIL])
    gains = {
        "mid_market_rate": (0.075, 0.0375, 0.0375),
        "supply_demand_ratio": (0.024296, 0.062852, 0.062852),
        "bill_sharing": (-0.207, 0.1785, 0.1785),
    }
    for kind, expected in gains.items():
        gain = alone - Community(pricing=kind).clear(state).paid()[:3, 0]
        np.testing.assert_allclose(gain, expected, atol=1e-6)
        assert gain.sum() == pytest.approx(0.150, abs=1e-12)


@pytest.mark.parametrize("kind", PRICING)
@pytest.mark.parametrize("fee", [0.0, 0.01])
def test_bills_sum_to_what_the_platform_owes_under_every_rule(kind, fee):
    state = random_positions(fee=fee)
    trades = Community(pricing=kind).clear(state)
    taken, delivered = state.taken.sum(axis=0), state.delivered.sum(axis=0)
    owed = RETAIL * np.maximum(taken - delivered, 0) - FEED_IN * np.maximum(delivered - taken, 0) + fee * np.minimum(taken, delivered)
    np.testing.assert_allclose(trades.paid()[: trades.outside].sum(axis=0), owed, atol=1e-12)
    assert trades.energy_residual(state.net) < 1e-12
    assert trades.money_residual() < 1e-12
    assert len(trades) <= 2 * np.count_nonzero(state.net)


@pytest.mark.parametrize("kind", ["mid_market_rate", "supply_demand_ratio", "pool_price", "pay_as_bid", "pay_as_clear", "two_sided_uniform"])
def test_no_member_is_worse_off_than_with_the_supplier(kind):
    state = random_positions(seed=3)
    alone = RETAIL * state.taken - FEED_IN * state.delivered
    assert (Community(pricing=kind).clear(state).paid()[:9] <= alone + 1e-12).all()


def test_without_trade_all_is_bought_from_and_sold_to_the_supplier():
    state = random_positions()
    trades = TimeOfUse().clear(state)
    assert not trades.local.any()
    np.testing.assert_allclose(trades.paid()[:9], state.value * state.net, atol=1e-12)
    assert trades.energy_residual(state.net) < 1e-12


def test_prices_from_bids_and_offers():
    """Two buyers bid 0.11 and 0.09 for 1 kWh each, two sellers offer 1 and 0.5 kWh at 0.07 and 0.08: 1.5 kWh are traded, 0.5 of them at the edge."""
    net = [[1.0], [1.0], [-1.0], [-0.5]]
    bid, offer = np.array([[0.11], [0.09], [0.1], [0.1]]), np.array([[0.0], [0.0], [0.07], [0.08]])
    state = positions(net, bid=bid, offer=offer)
    assert TwoSidedUniform(bid_share=0.25).price(state)[0] == pytest.approx(0.25 * 0.09 + 0.75 * 0.08)
    assert PayAsClear().price(state)[0] == pytest.approx(0.09)  # half a kWh of the bid at 0.09 is left: the price cannot be lower
    np.testing.assert_allclose(PayAsBid().price(state)[2:, 0], [0.07, 0.08])
    bill = Community(pricing="pay_as_bid").clear(state).paid()[:, 0]
    np.testing.assert_allclose(bill[2:4], [-0.07, -0.04], atol=1e-12)
    assert bill[0] == pytest.approx(0.75 * 0.11 / 1.5 + 0.25 * RETAIL)


def test_members_at_nodal_prices_pay_the_rent_as_a_fee():
    state = positions([[2.0], [-2.0]])
    state = Positions(state.members, state.periods, state.net, np.array([[0.10], [0.07]]), *[np.array([p]) for p in (0.05, 0.05, 0.12, 0.06, 0.0)],
                      state.occurrences)  # fmt: skip
    trades = Community().clear(state)
    assert trades.local.all()
    assert trades.fees()[0] == pytest.approx(2 * 0.03)
    np.testing.assert_allclose(trades.paid()[:, 0], [0.20, -0.14, 0.0], atol=1e-12)


def test_tables_of_trades_are_read_back():
    trades = Community(pricing="mid_market_rate").clear(random_positions())
    again = Trades.from_pandas(trades.to_pandas(), trades.members, trades.periods, trades.classes)
    for name in ("period", "seller", "buyer", "energy", "price", "seller_fee", "buyer_fee"):
        np.testing.assert_array_equal(getattr(again, name), getattr(trades, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": [np.nan]}, "energy of trade 0 is nan"),
        ({"energy": [-1.0]}, "not positive"),
        ({"price": [np.inf]}, "price of trade 0 is inf"),
        ({"seller": [5]}, "seller 5 of trade 0 does not exist"),
        ({"seller": [1]}, "as seller and as buyer"),
        ({"period": [1, 0]}, "give one value for every trade"),
    ],
)
def test_trades_that_are_none_are_named(change, message):
    given = {
        "period": [0],
        "seller": [0],
        "buyer": [1],
        "energy_class": [0],
        "energy": [1.0],
        "price": [0.1],
        "seller_fee": [0.0],
        "buyer_fee": [0.0],
    }
    with pytest.raises(TradeError, match=message):
        Trades(np.array(["a", "b"]), np.array(["t"]), ("energy",), **{k: np.array(v) for k, v in (given | change).items()})


def test_positions_that_are_none_are_named():
    with pytest.raises(PositionError, match="net of m1 in t0 is nan"):
        positions([[1.0], [np.nan]])
    with pytest.raises(PositionError, match="bid of m0 in t0 is nan"):
        Community(pricing=TwoSidedUniform()).clear(positions([[1.0], [-1.0]], bid=np.array([[np.nan], [0.1]])))
    trades = Community().clear(positions([[1.0], [-1.0]]))
    table = trades.to_pandas().assign(seller="m9")
    with pytest.raises(TradeError, match="seller 'm9' of row 0 is not known"):
        Trades.from_pandas(table, trades.members, trades.periods)
    with pytest.raises(TradeError, match="a member is named 'supplier'"):
        Trades(np.array(["supplier"]), np.array(["t"]), ("energy",), *[np.zeros(0, dtype=int)] * 4, *[np.zeros(0)] * 4)


def test_a_pricing_rule_is_chosen_by_one_word():
    assert load_config(["study=tiny", "market.pricing=mid_market_rate"]).market.pricing == MidMarketRate()
    assert load_config(["study=tiny", "market.pricing.kind=two_sided_uniform", "market.pricing.bid_share=0.3"]).market.pricing.bid_share == 0.3
    with pytest.raises(ConfigError, match=r"market.pricing.kind = 'fair': is not a valid value; use pool_price, bill_sharing"):
        load_config(["study=tiny", "market.pricing=fair"])


@pytest.mark.parametrize("kind", MARKETS)
def test_rounding_of_the_solver_is_no_trade(kind):
    """What is left of a platform that balances itself up to rounding, and what two ends of running sums differ by; meters still agree."""
    net = np.array([[1.0, 2.0, 0.0], [2.0, 1.0 + 4e-10, -1.0], [-1.0 - 3e-10, -3.0, 1.0 - 2e-10], [-2.0, 0.0, 0.0]])
    state = positions(net, fee=0.01, node=np.full(net.shape, 0.08), generation=np.maximum(-net, 0.0),
                      bus=np.array(["a", "a", "b", "b"]), category=np.array(["c", "d", "c", "d"]))  # fmt: skip
    found = MARKETS[kind]().clear(state)
    assert len(found)
    assert found.energy.min() > METER_RESOLUTION
    assert found.energy_residual(net) <= 3 * METER_RESOLUTION
