"""Markets that match members: trades add up to what was metered, none pays more than its supplier asks, and what differs from the pool is known."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.assessment.market_difference import MarketDifference, market_difference
from multiscale.markets import MARKETS, Auction, Bilateral, Community, Consensus, Positions
from multiscale.markets.auction import RULES
from multiscale.markets.peer_matching.electrical_distance import electrical_distance
from multiscale.markets.positions import METER_RESOLUTION
from multiscale.system import Network

RETAIL, FEED_IN, FEE = 0.25, 0.08, 0.01

MATCHED = {
    **{f"auction {rule}": Auction(rule=rule) for rule in RULES},
    "bilateral": Bilateral(partners=6, price_step=0.005),
    "consensus": Consensus(partners=6),
    "consensus of classes": Consensus(partners=6, class_fee=0.02),
}


def state(seed: int = 0, members: int = 14, periods: int = 6, **more: object) -> Positions:
    """Members that take and deliver; prices and the peer fee differ by period."""
    rng = np.random.default_rng(seed)
    net = rng.normal(size=(members, periods)) * (rng.random((members, periods)) < 0.8)
    net[:, 0] = np.abs(net[:, 0])
    retail, feed_in, fee = (price * rng.uniform(0.9, 1.1, periods) for price in (RETAIL, FEED_IN, FEE))
    names = np.array([f"m{k}" for k in range(members)], dtype=object)
    category = np.array(["home", "firm"])[np.arange(members) % 2]
    value, times = np.where(net > 0, retail, feed_in), rng.uniform(50.0, 300.0, periods)
    return Positions(
        names, np.arange(periods).astype(str), net, value, 0.6 * retail, feed_in + 0.01, retail, feed_in, fee, times, category=category, **more
    )


def alone(positions: Positions) -> np.ndarray:
    """What members pay when all is traded with the supplier [EUR], (member, period)."""
    return positions.retail * positions.taken - positions.feed_in * positions.delivered


@pytest.mark.parametrize("name", MATCHED)
def test_trades_add_up_and_no_member_pays_more_than_alone(name: str):
    positions = state()
    trades = MATCHED[name].clear(positions)
    assert trades.energy_residual(positions.net) <= METER_RESOLUTION
    assert trades.money_residual() < 1e-12
    assert (trades.paid()[:-1] <= alone(positions) + 1e-9).all()
    assert trades.energy[trades.local].sum() > 0.5
    assert (trades.price[trades.local] >= positions.feed_in[trades.period[trades.local]] - 1e-12).all()
    # Nobody sells to its supplier what it does not deliver, nor buys more than it takes.
    outside = trades.outside
    for side, other, most in (("buyer", "seller", positions.taken), ("seller", "buyer", positions.delivered)):
        rows = getattr(trades, other) == outside
        amount = np.zeros_like(most)
        np.add.at(amount, (getattr(trades, side)[rows], trades.period[rows]), trades.energy[rows])
        assert (amount <= most + 1e-9).all()


def difference(market: Auction | Bilateral | Consensus, positions: Positions) -> MarketDifference:
    cleared = market.cleared(positions)
    bills = [trades.paid()[:-1] @ positions.occurrences for trades in (cleared.trades, market.nearest.clear(positions))]
    most = Auction().cleared(positions).certificate["welfare_bound"].value
    return market_difference((market.kind, market.nearest.kind), positions, cleared, most, *bills)


@pytest.mark.parametrize("name", MATCHED)
def test_the_difference_from_the_community_is_bounded(name: str):
    found = difference(MATCHED[name], state())
    assert found.program == "community"
    assert found.market == MATCHED[name].kind
    assert 0.0 < found.traded <= found.tradable * (1 + 1e-9)
    assert 0.0 < found.gain <= found.most_gain * (1 + 1e-9)
    if name in ("auction uniform", "auction discriminatory"):
        assert found.traded == pytest.approx(found.tradable)
        assert found.gain == pytest.approx(found.most_gain)
    if name == "auction trade_reduction":
        assert found.traded < found.tradable
    assert found.bills_moved >= 0.0


def test_the_bids_and_offers_of_members_decide_who_trades():
    positions = state()
    rng = np.random.default_rng(1)
    own = {"bid": rng.uniform(0.1, 0.2, positions.net.shape), "offer": rng.uniform(0.08, 0.18, positions.net.shape)}
    found = difference(Auction(), state(**own))
    assert found.gain == pytest.approx(found.most_gain)
    assert found.traded < difference(Auction(), positions).traded
    assert Auction().cleared(state(**own)).certificate["welfare"].value == pytest.approx(found.gain)


def test_certificates_of_bilateral_and_consensus():
    positions = state(1)
    agreed = Bilateral(partners=5).cleared(positions)
    assert agreed.certificate["blocking_pairs"].value == 0
    assert agreed.certificate["irrational_members"].value == 0
    assert agreed.notes == ()
    found = Consensus(partners=5).cleared(positions)
    assert found.certificate["residual"].value <= 1e-3
    assert abs(found.certificate["gap"].value) <= 1e-3
    assert found.notes == ()


def test_a_market_that_is_stopped_says_so():
    assert "no consensus after 10 rounds" in Consensus(consensus_rounds=10).cleared(state()).notes[0]
    assert "the negotiation was stopped after 1 rounds" in Bilateral(negotiation_rounds=1).cleared(state()).notes[0]


def test_a_fee_between_classes_keeps_trade_inside_them():
    positions = state(2, members=20)

    def across(market: Consensus) -> float:
        trades = market.clear(positions)
        local, kind = trades.local, np.append(positions.category, "supplier")
        return float(trades.energy[local & (kind[trades.seller] != kind[trades.buyer])].sum() / trades.energy[local].sum())

    assert across(Consensus(class_fee=0.03)) < 0.7 * across(Consensus())


def test_fees_of_edges_go_to_the_operator():
    positions = state()
    trades = Consensus(partners=6, class_fee=0.02).clear(positions)
    kind = np.append(positions.category, "supplier")
    apart = (kind[trades.seller] != kind[trades.buyer])[trades.local]
    fee = (trades.seller_fee + trades.buyer_fee - positions.peer_fee[trades.period])[trades.local]
    assert fee == pytest.approx(0.02 * apart, abs=1e-9)


def feeder() -> Network:
    """A line of four buses with 0.1, 0.2 and 0.4 ohm, and a second, worse branch next to the first."""
    ends = {"from_bus": ["b0", "b1", "b2", "b0"], "to_bus": ["b1", "b2", "b3", "b1"], "r_ohm": [0.1, 0.2, 0.4, 0.9], "in_service": [True] * 4}
    rest = {"node": ["street"] * 4, "kind": ["line"] * 4, "rating_kva": [100.0] * 4, "x_ohm": [0.1] * 4}
    branches = {"branch": ["l0", "l1", "l2", "l3"], **ends, **rest}
    buses = {"bus": ["b0", "b1", "b2", "b3"], "node": ["street"] * 4, "vn_kv": [0.4] * 4}
    columns = [{name: np.array(column) for name, column in each.items()} for each in (buses, branches)]
    return Network("street", *columns, "b0")


def test_the_electrical_distance_is_the_resistance_of_the_path():
    distance = electrical_distance(feeder(), np.array(["b3", "b0", "b1", "b0", "nowhere"]))
    expected = [[0.0, 0.7, 0.6, 0.7], [0.7, 0.0, 0.1, 0.0], [0.6, 0.1, 0.0, 0.1], [0.7, 0.0, 0.1, 0.0]]
    np.testing.assert_allclose(distance[:4, :4], expected, atol=1e-12)
    assert np.isnan(distance[4]).all()
    assert np.isnan(distance[:, 4]).all()


@pytest.mark.parametrize("kind", ["bilateral", "consensus"])
def test_a_member_without_a_bus_is_named_and_the_others_trade(kind: str):
    buses = np.array(["b0", "b1", "b2", "b3"])[np.arange(14) % 4].astype(object)
    buses[3] = "nowhere"
    positions = state(network=feeder(), bus=buses)
    found = MARKETS[kind](distance_fee=0.02).cleared(positions)
    assert found.notes == (
        "member 'm3': bus 'nowhere' is not in the network of 'street', so that its distance to others is not known and it trades with the supplier "
        "alone; correct the bus",
    )
    local = found.trades.local
    assert not (found.trades.seller[local] == 3).any()
    assert not (found.trades.buyer[local] == 3).any()
    assert found.trades.energy_residual(positions.net) <= METER_RESOLUTION
    distance = electrical_distance(feeder(), buses)
    trades = found.trades
    fee = (trades.seller_fee + trades.buyer_fee - positions.peer_fee[trades.period])[local]
    assert fee == pytest.approx(0.02 * distance[trades.seller[local], trades.buyer[local]], abs=1e-9)


@pytest.mark.parametrize("kind", ["auction", "bilateral", "consensus"])
def test_a_platform_with_one_side_or_one_member_trades_with_the_supplier_alone(kind: str):
    for positions in (state(members=1), state(members=5, periods=1)):
        trades = MARKETS[kind]().clear(positions)
        assert not trades.local.any()
        np.testing.assert_allclose(trades.paid()[:-1], alone(positions), atol=1e-12)


def test_the_program_is_that_of_the_community_with_the_same_charges():
    market = Bilateral(peer_charge_share=0.4, peer_levy_share=0.2)
    assert market.nearest == Community(peer_charge_share=0.4, peer_levy_share=0.2)
    assert Community().nearest is None


def test_differences_of_several_platforms_are_joined():
    parts = [difference(Bilateral(partners=4), state(seed)) for seed in (0, 1)]
    whole = MarketDifference.joined(parts)
    assert whole.traded == pytest.approx(parts[0].traded + parts[1].traded)
    assert whole.certificate["messages"].value == sum(p.certificate["messages"].value for p in parts)
    assert whole.certificate["rounds"].value == max(p.certificate["rounds"].value for p in parts)
    with pytest.raises(ValueError, match="no differences of markets"):
        MarketDifference.joined([])
