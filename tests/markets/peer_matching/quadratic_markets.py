"""Random multi-bilateral markets, and their central quadratic program."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.markets.peer_matching.consensus import Agents, Edges
from multiscale.markets.peer_matching.trade_graph import random_graph
from multiscale.programs.quadratic import solve_quadratic


def random_market(agents: int, degree: int, seed: int) -> tuple[Agents, Edges]:
    """Producers and consumers on a sparse graph; every edge has a cost of its own (product differentiation by peer)."""
    rng = np.random.default_rng(seed)
    graph = random_graph([f"p{i}" for i in range(agents)], 2 * degree, seed)
    produces = rng.random(agents) < 0.4
    kept = produces[graph.first] != produces[graph.second]
    first, second = graph.first[kept], graph.second[kept]
    seller, buyer = np.where(produces[first], first, second), np.where(produces[first], second, first)
    trades = np.bincount(np.concatenate([seller, buyer]), minlength=agents) > 0
    quadratic = np.where(produces, rng.uniform(0.01, 0.1, agents), rng.uniform(0.02, 0.2, agents))
    linear = np.where(produces, rng.uniform(0.03, 0.12, agents), rng.uniform(0.1, 0.3, agents))
    most = rng.uniform(1.0, 5.0, agents)
    lower = np.where(produces, 0.0, -most)
    upper = np.where(produces, rng.uniform(1.0, 8.0, agents), np.where(trades, -0.2 * most, 0.0))
    return Agents(graph.peers, quadratic, linear, lower, upper), Edges(seller, buyer, rng.uniform(0.0, 0.02, len(seller)))


def central_optimum(agents: Agents, edges: Edges) -> tuple[float, np.ndarray]:
    """Objective of the central program, and its trades; a supplier, where there is one, as two columns more per agent."""
    n, e = len(agents.names), len(edges.seller)
    ends = np.concatenate([edges.seller, edges.buyer]), np.tile(np.arange(e), 2)
    incidence = sparse.csr_matrix((np.repeat([1.0, -1.0], e), ends), shape=(n, e))
    identity, most = sparse.identity(n), np.where(np.isfinite(agents.highest), np.inf, 0.0)
    matrix = sparse.hstack([identity, -incidence, identity, -identity])
    outside = np.where(most > 0, agents.highest, 0.0), np.where(most > 0, -agents.lowest, 0.0)
    linear = np.concatenate([agents.linear, edges.cost, *outside])
    quadratic = np.concatenate([agents.quadratic, np.zeros(e + 2 * n)])
    lower, upper = np.concatenate([agents.lower, np.zeros(e + 2 * n)]), np.concatenate([agents.upper, np.full(e, np.inf), most, most])
    found = solve_quadratic(quadratic, linear, matrix, np.zeros(n), np.ones(n, dtype=bool), lower, upper, accuracy=1e-9)
    assert found is not None
    x = found[0]
    return float((quadratic * x**2 / 2 + linear * x).sum()), x[n : n + e]
