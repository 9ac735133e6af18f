"""Negotiated contracts are stable, worth it for everyone, and near the best that all can do together; the examination finds what is not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from multiscale.markets.peer_matching.community_optimum import community_program
from multiscale.markets.peer_matching.negotiation import Contracts, NegotiationSettings, best_schedule, negotiate
from multiscale.markets.peer_matching.participants import Participants
from multiscale.markets.peer_matching.real_time import real_time
from multiscale.markets.peer_matching.stability import examine, marginal_values
from multiscale.markets.peer_matching.trade_graph import random_graph, read_graph
from multiscale.programs import solve
from tests.markets.peer_matching.bilateral_markets import own_cost, prosumers

FEE, LEAST, FINE = 0.005, 1e-4, NegotiationSettings(lot=1e-6)
NOTHING = Contracts(*(np.zeros(0, dtype=int) for _ in range(3)), *(np.zeros(0) for _ in range(3)))


@pytest.fixture(scope="module")
def market():
    return prosumers(16, 24)


@pytest.fixture(scope="module")
def graph(market):
    return random_graph(market.names, 6, 0, FEE)


@pytest.fixture(scope="module")
def found(market, graph):
    return negotiate(market, graph, FINE)


def optimum(market: Participants, fee: float) -> float:
    return solve(community_program(market, fee), {"supply": np.zeros_like(market.net_demand)}).objective


def simple(net: list[float], import_price: float = 0.20, export_price: float = 0.10) -> Participants:
    return Participants.without_storage(np.array([f"p{i}" for i in range(len(net))]), np.array(net)[:, None], import_price, export_price)


def test_the_answer_of_a_storage_is_that_of_its_linear_program():
    market = prosumers(40, 24, 3)
    alone = best_schedule(market, np.zeros_like(market.net_demand)).cost(market)
    assert alone.sum() == pytest.approx(optimum(market, np.inf), rel=1e-6)
    levels = best_schedule(market, np.zeros_like(market.net_demand)).level
    assert (levels >= -1e-9).all()
    assert (levels <= market.storage[:, None] + 1e-9).all()
    assert (levels[:, -1] >= market.start - 1e-9).all()


def test_two_neighbours_trade_what_both_have_between_the_prices_of_their_suppliers():
    graph, _ = read_graph(["p0", "p1"], [("p0", "p1")], 0.01)
    contracts = negotiate(simple([-2.0, 3.0]), graph).contracts
    assert contracts.energy.sum() == pytest.approx(2.0)
    assert (contracts.seller == 0).all()
    assert ((contracts.price >= 0.10) & (contracts.price + contracts.fee <= 0.20 + 1e-12)).all()


def test_no_trade_where_the_fee_is_more_than_the_suppliers_leave():
    graph, _ = read_graph(["p0", "p1"], [("p0", "p1")], 0.11)
    found = negotiate(simple([-2.0, 3.0]), graph)
    assert not len(found.contracts.energy)
    assert found.cost == pytest.approx(3.0 * 0.20 - 2.0 * 0.10)


def test_competition_decides_the_price():
    """One seller and two buyers: the price is nearly what the buyers pay their supplier; two sellers and one buyer: what the sellers get."""
    step = NegotiationSettings(price_step=0.001)
    for net, price in (([-1.0, 2.0, 2.0], 0.20), ([-2.0, -2.0, 1.0], 0.10)):
        contracts = negotiate(simple(net), random_graph(["p0", "p1", "p2"], 2, 0), step).contracts
        assert contracts.energy.sum() == pytest.approx(1.0)
        assert contracts.price == pytest.approx(np.full(len(contracts.price), price), abs=0.0021)


@pytest.mark.parametrize("seed", range(12))
def test_single_lots_are_assigned_as_by_trying_all_assignments(seed: int):
    """Three sellers and three buyers of one kWh each with values of their own: the best of all matchings, up to a price step per participant."""
    rng = np.random.default_rng(seed)
    names, step = np.array([f"p{i}" for i in range(6)]), 0.001
    net = np.array([-1.0] * 3 + [1.0] * 3)[:, None]
    buying, selling = rng.uniform(0.15, 0.30, (6, 1)), rng.uniform(0.02, 0.15, (6, 1))
    # Suppliers are no sources for sellers, and no outlets for buyers.
    buying[:3], selling[3:] = 0.5, 0.0
    market = Participants.without_storage(names, net, buying, selling)
    pairs = [(i, j) for i in range(3) for j in range(3, 6) if rng.random() < 0.7]
    fee = rng.uniform(0.0, 0.1, len(pairs))
    graph, refused = read_graph(names, [(f"p{i}", f"p{j}") for i, j in pairs], fee)
    assert not refused
    gain = {pair: float(buying[pair[1], 0] - selling[pair[0], 0] - f) for pair, f in zip(pairs, fee, strict=True)}
    orders = itertools.permutations(range(3, 6))
    best = max(sum(max(gain.get((i, j), 0.0), 0.0) for i, j in enumerate(order)) for order in orders)
    found = negotiate(market, graph, NegotiationSettings(price_step=step, lot=1.0))
    alone = float(buying[3:].sum() - selling[:3].sum())
    assert alone - best - 1e-9 <= found.cost <= alone - best + 6 * step
    assert examine(market, graph, found.contracts, found.schedule, step, 0.5).stable


def test_who_is_not_connected_is_not_seen():
    """Contracts of two neighbours stay as they are whatever two others need who trade with each other alone."""
    graph, _ = read_graph(["p0", "p1", "p2", "p3"], [("p0", "p1"), ("p2", "p3")], 0.01)
    agreed = [negotiate(simple([-2.0, 3.0, *others]), graph).contracts for others in ([-1.0, 1.0], [5.0, -4.0])]
    mine = [np.stack([c.seller, c.buyer, c.energy, c.price])[:, c.seller == 0] for c in agreed]
    np.testing.assert_array_equal(*mine)
    assert mine[0].size


def test_a_supplier_is_an_intermediary_between_its_market_and_its_customers():
    """A participant without demand that buys at 0.12 and sells at 0.11 elsewhere lets two customers trade nearer to those prices."""
    names = np.array(["supplier", "home", "roof"])
    prices = np.array([[0.12], [0.20], [0.20]]), np.array([[0.11], [0.08], [0.08]])
    market = Participants.without_storage(names, np.array([[0.0], [2.0], [-1.0]]), *prices)
    graph, _ = read_graph(names, [("supplier", "home"), ("supplier", "roof")], 0.002)
    found = negotiate(market, graph, NegotiationSettings(price_step=0.001))
    net = found.contracts.net(3, 1)[:, 0]
    assert net == pytest.approx([-1.0, 2.0, -1.0])
    assert found.cost == pytest.approx(1.0 * 0.12 + 3.0 * 0.002)
    assert examine(market, graph, found.contracts, found.schedule, 0.001, LEAST).stable


def test_a_supplier_that_is_paid_more_above_buys_what_is_left_over():
    names = np.array(["supplier", "home", "roof"])
    prices = np.array([[0.20], [0.20], [0.20]]), np.array([[0.11], [0.08], [0.08]])
    market = Participants.without_storage(names, np.array([[0.0], [1.0], [-3.0]]), *prices)
    graph, _ = read_graph(names, [("supplier", "roof"), ("home", "roof")], 0.002)
    found = negotiate(market, graph, NegotiationSettings(price_step=0.001))
    assert found.contracts.net(3, 1)[:, 0] == pytest.approx([2.0, 1.0, -3.0])
    assert found.cost == pytest.approx(-2.0 * 0.11 + 3.0 * 0.002)
    assert examine(market, graph, found.contracts, found.schedule, 0.001, LEAST).stable


def test_contracts_are_stable_and_near_the_community_optimum(market, graph, found):
    assert found.ended
    judged = examine(market, graph, found.contracts, found.schedule, NegotiationSettings().price_step, LEAST)
    assert judged.examined == 2 * len(graph) * 24
    assert judged.stable
    alone, best = optimum(market, np.inf), optimum(market, FEE)
    assert best <= found.cost + 1e-9
    assert found.cost <= alone - 0.97 * (alone - best)


def test_nobody_is_worse_off_than_alone(market, found):
    alone = best_schedule(market, np.zeros_like(market.net_demand)).cost(market)
    own = found.schedule.cost(market) + found.contracts.payments(len(market))
    assert (own <= alone + 1e-6).all()
    assert own.sum() == pytest.approx(found.cost)
    assert (alone - own).sum() > 1.0


def test_a_pair_that_the_examination_lets_pass_gains_nothing_in_its_linear_programs(market, graph, found):
    """Independent of paths and slopes: both sides solve their own programs with one small contract more, free to drop others."""
    energy, step = 0.01, NegotiationSettings().price_step
    cost = {i: own_cost(market, i, found.contracts, np.zeros(24)) for i in range(len(market))}
    rng = np.random.default_rng(0)
    for k in rng.choice(len(graph), 6, replace=False).tolist():
        for i, j in ((graph.first[k], graph.second[k]), (graph.second[k], graph.first[k])):
            for t in rng.choice(24, 3, replace=False).tolist():
                unit = np.zeros(24)
                unit[t] = energy
                gain = cost[i] - own_cost(market, i, found.contracts, -unit) + cost[j] - own_cost(market, j, found.contracts, unit) - FEE * energy
                # What rounding to lots leaves over in 24 periods is worth 5e-6 EUR at most.
                assert gain <= step * energy + 5e-6


def test_marginal_values_are_the_differences_of_linear_programs():
    """Without contracts: one-sided derivatives of the least cost, by finite differences small enough to stay on one piece."""
    market = prosumers(12, 8, 5)
    schedule = best_schedule(market, np.zeros_like(market.net_demand))
    worth, cost = marginal_values(market, NOTHING, schedule, 1e-6)
    energy = 1e-4
    for i in np.flatnonzero(market.storage > 0)[:4].tolist() + [0]:
        base = own_cost(market, i, NOTHING, np.zeros(8))
        for t in range(8):
            unit = np.zeros(8)
            unit[t] = energy
            assert (base - own_cost(market, i, NOTHING, unit)) / energy == pytest.approx(worth[i, t], abs=1e-5)
            assert (own_cost(market, i, NOTHING, -unit) - base) / energy == pytest.approx(cost[i, t], abs=1e-5)


def test_the_examination_finds_pairs_that_block_and_contracts_that_are_worth_nothing():
    graph, _ = read_graph(["p0", "p1"], [("p0", "p1")], 0.01)
    market = simple([-2.0, 3.0])
    judged = examine(market, graph, NOTHING, best_schedule(market, np.zeros((2, 1))), 0.001, LEAST)
    assert judged.blocking.tolist() == [[0, 1, 0]]
    assert judged.largest_gain == pytest.approx(0.20 - 0.10 - 0.01)
    dear = Contracts(*(np.array([k]) for k in (0, 1, 0)), np.array([1.0]), np.array([0.25]), np.array([0.01]))
    judged = examine(market, graph, dear, best_schedule(market, dear.net(2, 1)), 0.001, LEAST)
    assert judged.irrational.tolist() == [[1, 0]]
    assert judged.largest_regret == pytest.approx(0.26 - 0.20)
    with pytest.raises(ValueError, match="participant 'p0': its contracts and its schedule differ by 1 kWh in period 0"):
        examine(market, graph, dear, best_schedule(market, np.zeros((2, 1))), 0.001, LEAST)


def test_in_real_time_only_what_comes_out_otherwise_is_traded(market, graph, found):
    quiet = real_time(market, found, market.net_demand, graph)
    assert quiet.contracts.energy.sum() < 0.01 * found.contracts.energy.sum()
    rng = np.random.default_rng(4)
    came_out = market.net_demand + rng.normal(0.0, 0.1, market.net_demand.shape)
    traded = real_time(market, found, came_out, graph)
    stored = found.schedule.stored
    grid = np.where(stored > 0, stored / 0.95, stored * 0.95)
    missing = came_out + grid - found.contracts.net(*came_out.shape)
    alone = (market.import_price * np.maximum(missing, 0.0) - market.export_price * np.maximum(-missing, 0.0)).sum()
    assert len(traded.contracts.energy)
    assert traded.cost < alone - 0.5
    best = optimum(replace(market, net_demand=came_out), FEE)
    fees, wear = (found.contracts.energy * found.contracts.fee).sum(), (market.wear[:, None] * np.maximum(-stored, 0.0)).sum()
    assert best <= traded.cost + fees + wear + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net_demand": np.array([[np.nan], [1.0]])}, "participant 'p0': net_demand nan kWh cannot be used; give a finite number"),
        ({"storage": np.array([0.0, -1.0])}, "participant 'p1': storage -1 kWh cannot be used; give a number of at least zero"),
        ({"efficiency": np.array([1.2, 1.0])}, "participant 'p0': efficiency 1.2 is not above 0 and up to 1"),
        ({"start": np.array([1.0, 0.0])}, "participant 'p0': start 1 kWh is above storage 0 kWh"),
        ({"export_price": np.array([[0.10], [0.30]])}, "participant 'p1': export price 0.3 is above import price 0.2 EUR/kWh in period 0"),
        ({"peer_fee": np.array([-0.01])}, "peer_fee .* give one number of at least zero"),
        ({"wear": np.zeros(3)}, "wear has shape .3,.; it must be .2,."),
    ],
)
def test_bad_participants_are_named(change: dict[str, np.ndarray], message: str):
    graph, _ = read_graph(["p0", "p1"], [("p0", "p1")])
    with pytest.raises(ValueError, match=message):
        negotiate(replace(simple([-1.0, 1.0]), **change), graph)


def test_a_graph_of_other_peers_and_an_early_end_are_said():
    graph, _ = read_graph(["a", "b"], [("a", "b")])
    with pytest.raises(ValueError, match="the peers of the trade graph are not the participants"):
        negotiate(simple([-1.0, 1.0]), graph)
    graph, _ = read_graph(["p0", "p1"], [("p0", "p1")])
    assert not negotiate(simple([-1.0, 1.0]), graph, NegotiationSettings(rounds=1)).ended
    cheap = replace(simple([-1.0, 1.0]), import_price=np.array([[0.12], [0.3]]), export_price=np.array([[0.1], [0.15]]))
    with pytest.raises(ValueError, match=r"period 0: 'p0' imports at 0.12, 'p1' exports at 0.15 EUR/kWh: carrying energy"):
        negotiate(cheap, graph)
    with pytest.raises(ValueError, match="lots of 1e-09 kWh are too small for 2 kWh in a period; enlarge the lot"):
        negotiate(simple([-1.0, 1.0]), graph, NegotiationSettings(lot=1e-9))
