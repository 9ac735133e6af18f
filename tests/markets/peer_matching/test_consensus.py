"""The consensus of peers is the central optimum, its prices are marginal costs, and its bound is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.markets.peer_matching.consensus import Agents, ConsensusSettings, Edges, agree, lower_bound
from tests.markets.peer_matching.quadratic_markets import central_optimum, random_market

TIGHT = ConsensusSettings(residual=1e-7, gap=1e-6)


def pair(cost: float = 0.0, **given: object) -> tuple[Agents, Edges]:
    """A producer (p + p^2/2) and a consumer (benefit 4 q - q^2/2)."""
    agents = Agents(np.array(["plant", "home"]), np.ones(2), np.array([1.0, 4.0]), np.array([0.0, -5.0]), np.array([5.0, 0.0]), **given)
    return agents, Edges(np.array([0]), np.array([1]), np.array([cost]))


@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_two_agents_meet_where_marginal_cost_and_benefit_differ_by_the_cost_of_the_edge(cost: float):
    """1 + x + c = 4 - x."""
    found = agree(*pair(cost), TIGHT)
    assert found.trade == pytest.approx([(3.0 - cost) / 2], abs=1e-5)
    assert found.price == pytest.approx([2.5], abs=1e-5)
    assert found.marginal == pytest.approx([2.5 - cost / 2, 2.5 + cost / 2], abs=1e-5)


def test_a_supplier_caps_prices_on_both_sides():
    """The consumer pays no more than 2 outside, the producer gets no less than 1.8: x solves 1 + x = 1.9 where both are open to trade."""
    agents, edges = pair(0.0, outside_buying=np.array([2.0, 2.0]), outside_selling=np.array([1.8, 1.8]))
    found = agree(agents, edges, TIGHT)
    assert ((found.marginal >= 1.8 - 1e-6) & (found.marginal <= 2.0 + 1e-6)).all()
    optimum, _ = central_optimum(agents, edges)
    assert found.objective == pytest.approx(optimum, rel=1e-6)
    assert found.bound <= optimum + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_the_consensus_is_the_central_optimum_and_its_bound_lies_below(seed: int):
    agents, edges = random_market(40, 5, seed)
    optimum, _ = central_optimum(agents, edges)
    found = agree(agents, edges, replace(TIGHT, residual=1e-5, gap=1e-5))
    assert found.converged
    assert found.objective == pytest.approx(optimum, rel=1e-4)
    assert found.bound <= optimum + 1e-7 * abs(optimum)
    assert found.bound == pytest.approx(optimum, rel=1e-4)
    assert found.violation < 1e-3
    assert found.messages == 2 * len(edges.seller) * found.rounds
    # A trade that is used has the price at which its two sides agree.
    used = found.trade > 1e-3
    apart = found.marginal[edges.buyer] - found.marginal[edges.seller] - edges.cost
    assert np.abs(apart[used]).max() < 1e-3
    assert apart.max() < 1e-3


def test_any_marginal_costs_give_a_bound():
    agents, edges = random_market(30, 4, 7)
    optimum, _ = central_optimum(agents, edges)
    rng = np.random.default_rng(0)
    assert all(lower_bound(agents, edges, rng.uniform(0.0, 0.4, 30)) <= optimum + 1e-9 for _ in range(20))


def test_product_differentiation_keeps_trade_near():
    """Sorin et al.: a cost on trade between two zones cuts it by more than half for next to nothing where both zones can serve themselves."""
    agents, edges = random_market(60, 8, 3)
    zone = np.arange(60) % 2
    across = zone[edges.seller] != zone[edges.buyer]
    edges = replace(edges, cost=np.zeros(len(across)))
    optimum, free = central_optimum(agents, edges)
    apart = agree(agents, replace(edges, cost=np.where(across, 0.004, 0.0)), ConsensusSettings(residual=1e-5, gap=1e-4))
    power_cost = apart.objective - 0.004 * apart.trade[across].sum()
    assert apart.trade[across].sum() < 0.5 * free[across].sum()
    assert power_cost - optimum < 0.01 * abs(optimum)


def test_it_says_when_it_has_not_converged():
    found = agree(*random_market(40, 5, 0), ConsensusSettings(rounds=10))
    assert not found.converged
    assert found.residual > 1e-3
    assert found.rounds == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear": np.array([np.nan, 4.0])}, "agent 'plant': linear nan EUR/kW is not finite; give a number"),
        ({"quadratic": np.array([1.0, 0.0])}, "agent 'home': quadratic 0 EUR/kW.2 is not above zero"),
        ({"lower": np.array([6.0, -5.0])}, "agent 'plant': lower 6 kW is above upper 5 kW"),
        ({"outside_buying": np.array([1.0, 1.0]), "outside_selling": np.array([2.0, 0.0])}, "agent 'plant': outside_selling 2 and outside_buying 1"),
    ],
)
def test_bad_agents_are_named(change: dict[str, np.ndarray], message: str):
    agents, edges = pair()
    with pytest.raises(ValueError, match=message):
        agree(replace(agents, **change), edges)


def test_bad_edges_and_agents_that_must_trade_without_one_are_named():
    agents, edges = pair()
    for change, message in (
        ({"buyer": np.array([0])}, "agent 'plant' cannot trade with itself"),
        ({"buyer": np.array([7])}, "from agent 0 to agent 7; agents are numbered 0 to 1"),
        ({"cost": np.array([np.inf])}, "edge 0: cost inf EUR/kW is not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            agree(agents, replace(edges, **change))
    nothing = Edges(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    with pytest.raises(ValueError, match="agent 'home': its range is -5 to -1 kW and it has no edge"):
        agree(replace(agents, upper=np.array([5.0, -1.0])), nothing)
    with pytest.raises(ValueError, match="around a cycle are below zero"):
        lower_bound(agents, Edges(np.array([0, 1]), np.array([1, 0]), np.array([-1.0, 0.5])), np.ones(2))
