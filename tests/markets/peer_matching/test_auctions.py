"""Facts of double auctions: the pool LP, intervals of prices, truthful prices, budgets, and orders that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from multiscale.markets.peer_matching.call_auction import discriminatory_auction, uniform_auction
from multiscale.markets.peer_matching.continuous_auction import continuous_auction
from multiscale.markets.peer_matching.orders import Matched, Orders, read_book
from multiscale.markets.peer_matching.truthful_auction import shared_cut, trade_reduction, two_posted_prices

AUCTIONS = {
    "uniform": lambda b, o, _: uniform_auction(b, o),
    "discriminatory": lambda b, o, _: discriminatory_auction(b, o),
    "trade_reduction": lambda b, o, _: trade_reduction(b, o),
    "two_posted_prices": lambda b, o, seed: two_posted_prices(b, o, np.random.default_rng(seed)),
    "continuous": lambda b, o, seed: continuous_auction(b, o, np.random.default_rng(seed).permutation(len(b) + len(o))),
}


def orders(rng: np.random.Generator, count: int, energy: np.ndarray | None = None, grid: bool = False) -> Orders:
    price = rng.integers(5, 25, count) / 100 if grid else rng.uniform(0.05, 0.25, count)
    return Orders(np.array([f"t{i}" for i in range(count)]), rng.uniform(0.1, 3.0, count) if energy is None else energy, price)


def instances(number: int, **given: object):
    for seed in range(number):
        rng = np.random.default_rng(seed)
        yield seed, orders(rng, int(rng.integers(1, 9)), **given), orders(rng, int(rng.integers(1, 9)), **given)


def pool_welfare(bids: Orders, offers: Orders) -> float:
    cost = np.concatenate([-bids.price, offers.price])
    balance = np.concatenate([np.ones(len(bids)), -np.ones(len(offers))])
    limits = [(0.0, e) for e in np.concatenate([bids.energy, offers.energy])]
    return -linprog(cost, A_eq=balance[None, :], b_eq=[0.0], bounds=limits, method="highs").fun


@pytest.mark.parametrize("grid", [False, True])
def test_the_uniform_auction_has_the_welfare_of_the_pool_and_a_price_that_clears(grid: bool):
    traded = 0
    for _, bids, offers in instances(60, grid=grid):
        found = uniform_auction(bids, offers)
        assert found.welfare == pytest.approx(pool_welfare(bids, offers), abs=1e-12)
        assert found.bound == pytest.approx(found.welfare, abs=1e-12)
        if not len(found.energy):
            assert bids.price.max() < offers.price.min()
            continue
        traded += 1
        low, high = found.interval
        bought, sold = found.bought(len(bids)), found.sold(len(offers))
        for price in (low, high, found.paid[0]):
            # At every price of the interval each order trades what it wants: all of it when better, none when worse.
            assert (bought[bids.price > price + 1e-12] == pytest.approx(bids.energy[bids.price > price + 1e-12])) or not (bids.price > price).any()
            assert bought[bids.price < price - 1e-12].sum() == pytest.approx(0.0)
            assert sold[offers.price > price + 1e-12].sum() == pytest.approx(0.0)
            assert (sold[offers.price < price - 1e-12] == pytest.approx(offers.energy[offers.price < price - 1e-12])) or not (
                offers.price < price
            ).any()
        assert offers.price[found.offer].max() <= low <= found.paid[0] <= high <= bids.price[found.bid].min()
    assert traded > 40


def test_the_price_moves_from_the_low_to_the_high_end_of_the_interval_with_the_share():
    bids = Orders(np.array(["a", "b"]), np.array([1.0, 1.0]), np.array([0.20, 0.10]))
    offers = Orders(np.array(["c", "d"]), np.array([1.0, 1.0]), np.array([0.08, 0.15]))
    assert uniform_auction(bids, offers, 0.0).interval == (0.10, 0.15)
    for share in (0.0, 0.4, 1.0):
        assert uniform_auction(bids, offers, share).paid == pytest.approx([0.10 + 0.05 * share])
    assert discriminatory_auction(bids, offers, 1.0).paid == pytest.approx([0.20])
    assert discriminatory_auction(bids, offers, 0.0).paid == pytest.approx([0.08])


@pytest.mark.parametrize("auction", AUCTIONS)
def test_no_trader_loses_and_the_platform_does_not_pay(auction: str):
    traded = 0
    for seed, bids, offers in instances(60):
        found: Matched = AUCTIONS[auction](bids, offers, seed)
        traded += len(found.energy)
        assert (found.paid <= bids.price[found.bid] + 1e-12).all()
        assert (found.received >= offers.price[found.offer] - 1e-12).all()
        assert (found.bought(len(bids)) <= bids.energy + 1e-12).all()
        assert (found.sold(len(offers)) <= offers.energy + 1e-12).all()
        assert found.surplus >= -1e-12
        assert found.welfare <= found.bound + 1e-12
        if auction != "trade_reduction":
            assert found.surplus == pytest.approx(0.0, abs=1e-12)
    assert traded > 50


def utility(found: Matched, bids: Orders, offers: Orders, buys: bool, who: int, value: float) -> float:
    mine = (found.bid if buys else found.offer) == who
    gain = value - found.paid if buys else found.received - value
    return float((gain * found.energy)[mine].sum())


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("auction", ["trade_reduction", "two_posted_prices"])
def test_no_false_price_helps_in_a_truthful_auction(auction: str, equal: bool):
    tried = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sizes = [int(rng.integers(1, 7)) for _ in range(2)]
        bids, offers = (orders(rng, n, np.ones(n) if equal else None) for n in sizes)
        honest = AUCTIONS[auction](bids, offers, seed)
        for buys, side in ((True, bids), (False, offers)):
            for who in range(len(side)):
                value = float(side.price[who])
                true = utility(honest, bids, offers, buys, who, value)
                others = np.concatenate([bids.price, offers.price])
                for false in np.concatenate([others - 1e-4, others + 1e-4]):
                    price = side.price.copy()
                    price[who] = false
                    changed = Orders(side.trader, side.energy, price)
                    book = (changed, offers) if buys else (bids, changed)
                    assert utility(AUCTIONS[auction](*book, seed), *book, buys, who, value) <= true + 1e-12
                    tried += 1
    assert tried > 200


def test_a_false_price_helps_in_the_uniform_auction():
    """The check above can fail: the marginal buyer of a uniform auction lowers the price by lowering its bid."""
    bids = Orders(np.array(["a"]), np.array([1.0]), np.array([0.20]))
    offers = Orders(np.array(["b"]), np.array([1.0]), np.array([0.10]))
    lower = Orders(bids.trader, bids.energy, np.array([0.12]))
    assert utility(uniform_auction(lower, offers), lower, offers, True, 0, 0.20) > utility(uniform_auction(bids, offers), bids, offers, True, 0, 0.20)


def test_trade_reduction_of_equal_orders_loses_at_most_one_trade():
    lost = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        bids, offers = (orders(rng, int(n), np.ones(int(n))) for n in rng.integers(1, 9, 2))
        most, found = uniform_auction(bids, offers), trade_reduction(bids, offers)
        assert most.energy.sum() - found.energy.sum() in (0.0, 1.0)
        if most.energy.sum() > found.energy.sum():
            lost += 1
            assert most.welfare - found.welfare == pytest.approx((bids.price[most.bid] - offers.price[most.offer]).min())
        elif len(found.energy):
            assert found.surplus == pytest.approx(0.0, abs=1e-12)
    assert 10 < lost < 90


def test_the_continuous_auction_trades_as_a_call_auction_where_orders_arrive_in_merit_order():
    for _, bids, offers in instances(30):
        arrival = np.concatenate([np.argsort(-bids.price), len(bids) + np.argsort(offers.price)])
        found = continuous_auction(bids, offers, arrival)
        assert found.welfare == pytest.approx(uniform_auction(bids, offers).welfare, abs=1e-12)
        # The order that waits sets the price.
        assert found.paid == pytest.approx(bids.price[found.bid])


def test_continuous_welfare_depends_on_who_comes_first():
    bids = Orders(np.array(["a", "b"]), np.ones(2), np.array([0.20, 0.12]))
    offers = Orders(np.array(["c"]), np.ones(1), np.array([0.10]))
    assert continuous_auction(bids, offers, np.array([1, 2, 0])).welfare == pytest.approx(0.02)
    assert continuous_auction(bids, offers, np.array([0, 2, 1])).welfare == pytest.approx(0.10)
    with pytest.raises(ValueError, match="arrival of 2 orders: give a permutation of the numbers of all 3"):
        continuous_auction(bids, offers, np.array([0, 1]))


def test_what_all_give_up_is_the_same_and_leaves_the_total():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted = rng.uniform(0.0, 3.0, 6)
        total = float(rng.uniform(0.1, 1.0) * wanted.sum())
        left = shared_cut(wanted, total)
        assert left.sum() == pytest.approx(total)
        cut = (wanted - left)[left > 1e-12]
        assert cut == pytest.approx(np.full(len(cut), cut[0]))
        assert (wanted[left <= 1e-12] <= cut[0] + 1e-12).all()


def test_orders_that_cannot_be_taken_are_named_and_the_others_trade():
    book = read_book(
        ["a", "b", "c", "d", "e", "f", "f", "g"],
        np.array([True, True, True, False, False, True, False, True]),
        np.array([1.0, np.nan, -2.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
        np.array([0.2, 0.2, 0.2, 0.1, -0.1, 0.2, 0.1, np.nan]),
    )
    assert [r.trader for r in book.refused] == ["b", "c", "e", "f", "f"]
    texts = [r.reason for r in book.refused]
    assert texts[0] == "order 1 of 'b': energy nan kWh is not a number of at least 0 kWh; place a corrected order"
    assert "energy -2 kWh" in texts[1]
    assert "price -0.1 EUR/kWh is not a number of at least 0 EUR/kWh" in texts[2]
    assert "would trade with itself" in texts[3]
    assert book.bid_at.tolist() == [0]
    assert book.offer_at.tolist() == [3]
    assert uniform_auction(book.bids, book.offers).energy == pytest.approx([1.0])
    with pytest.raises(ValueError, match=r"orders: \(1,\) traders, \(1,\) sides, \(2,\) energies"):
        read_book(["a"], np.array([True]), np.ones(2), np.ones(1))


@pytest.mark.parametrize("auction", AUCTIONS)
def test_a_market_without_one_side_trades_nothing(auction: str):
    some, none = orders(np.random.default_rng(0), 3), orders(np.random.default_rng(0), 0)
    for bids, offers in ((some, none), (none, some), (none, none)):
        found = AUCTIONS[auction](bids, offers, 0)
        assert len(found.energy) == 0
        assert found.welfare == found.bound == 0.0
