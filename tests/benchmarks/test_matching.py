"""Bilateral contracts and consensus at size: CPU seconds, distance to the central optimum, stability.

Run with: pytest tests/benchmarks/test_matching.py -m benchmark -s
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from multiscale.markets.peer_matching.community_optimum import community_program
from multiscale.markets.peer_matching.consensus import agree
from multiscale.markets.peer_matching.negotiation import NegotiationSettings, best_schedule, negotiate
from multiscale.markets.peer_matching.stability import examine
from multiscale.markets.peer_matching.trade_graph import random_graph
from multiscale.programs import solve
from tests.markets.peer_matching.bilateral_markets import prosumers
from tests.markets.peer_matching.quadratic_markets import central_optimum, random_market

FEE, LEAST = 0.005, 0.005


@pytest.mark.benchmark
@pytest.mark.parametrize("seed", [0, 1])
def test_200_prosumers_over_a_day_agree_on_stable_contracts_within_a_minute(seed: int) -> None:
    market, settings = prosumers(200, 24, seed), NegotiationSettings()
    graph = random_graph(market.names, 10, seed, FEE)
    small = prosumers(4, 24)
    negotiate(small, random_graph(small.names, 3, 0))  # compiled once
    begun = time.process_time()
    found = negotiate(market, graph, settings)
    seconds = time.process_time() - begun
    judged = examine(market, graph, found.contracts, found.schedule, settings.price_step, LEAST)
    alone = float(best_schedule(market, np.zeros_like(market.net_demand)).cost(market).sum())
    best = solve(community_program(market, FEE), {"supply": np.zeros_like(market.net_demand)}).objective
    gain = (alone - found.cost) / (alone - best)
    print(f"\n200 prosumers x 24 h, {len(graph)} edges: {seconds:.2f} CPU s, {found.rounds:,} rounds, {found.messages:,} messages")
    print(f"cost {found.cost:.3f} EUR, alone {alone:.3f}, community optimum {best:.3f}: {gain:.2%} of what trade can save")
    print(f"{len(judged.blocking)} blocking pairs of {judged.examined:,} examined, largest joint gain {judged.largest_gain:.4f} EUR/kWh")
    assert found.ended
    assert judged.stable
    assert gain >= 0.97
    assert seconds < 60


@pytest.mark.benchmark
@pytest.mark.parametrize("seed", [0, 2])
def test_3000_agents_of_degree_20_reach_consensus_within_ten_seconds(seed: int) -> None:
    agents, edges = random_market(3000, 20, seed)
    begun = time.process_time()
    found = agree(agents, edges)
    seconds = time.process_time() - begun
    best, _ = central_optimum(agents, edges)
    distance = abs(found.objective - best) / abs(best)
    print(f"\n3,000 agents, {len(edges.seller):,} trades: {seconds:.2f} CPU s, {found.rounds} rounds, {found.messages:,} messages")
    print(f"residual {found.residual:.1e}, objective {found.objective:.5f}, central {best:.5f} ({distance:.1e}), proven bound {found.bound:.5f}")
    assert found.converged
    assert found.residual <= 1e-3
    assert distance <= 1e-3
    assert found.bound <= best + 1e-6 * abs(best)
    assert seconds < 10
